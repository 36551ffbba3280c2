//! What is made of the figures: medians, ratios, the table and the JSON.

use crate::{Cli, DIRECT, FULL_DISTINCT, Figures, HYPER, NGINX, ROWS, STUBBED, STUBBED_DISTINCT};
use portcullis_benches::{Error, samples::median};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;

/// Medians over the rounds, a map per row.
pub(crate) struct Summary(Vec<BTreeMap<&'static str, f64>>);

impl Summary {
    pub(crate) fn of(figures: &[Figures]) -> Self {
        let medians = |row: &Figures| -> BTreeMap<&'static str, f64> {
            row.iter()
                .map(|(name, values)| (*name, median(values)))
                .collect()
        };
        Self(figures.iter().map(medians).collect())
    }

    fn get(&self, row: usize, figure: &str) -> f64 {
        self.0[row].get(figure).copied().unwrap_or(f64::NAN)
    }

    /// What a row adds to the direct way.
    fn added(&self, row: usize, figure: &str) -> f64 {
        self.get(row, figure) - self.get(DIRECT, figure)
    }

    /// How many times the bare pass-through's added latency.
    fn added_ratio(&self, row: usize, figure: &str) -> f64 {
        self.added(row, figure) / self.added(HYPER, figure)
    }

    fn cpu_ratio(&self, row: usize) -> f64 {
        self.get(row, "cpu_us") / self.get(HYPER, "cpu_us")
    }

    pub(crate) fn print(&self) {
        println!(
            "| row | p50 µs | p99 µs | added p50 | added p99 | x hyper p50 / p99 | req/s | CPU µs/req | x hyper | RSS MiB |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
        for (idx, row) in ROWS.iter().enumerate() {
            println!(
                "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} / {:.2} | {:.0} | {:.1} | {:.2} | {} |",
                row.name,
                self.get(idx, "p50"),
                self.get(idx, "p99"),
                self.added(idx, "p50"),
                self.added(idx, "p99"),
                self.added_ratio(idx, "p50"),
                self.added_ratio(idx, "p99"),
                self.get(idx, "per_second"),
                self.get(idx, "cpu_us"),
                self.cpu_ratio(idx),
                self.rss(idx),
            );
        }
        let cost = self.get(FULL_DISTINCT, "cpu_us") - self.get(STUBBED_DISTINCT, "cpu_us");
        println!("the classifier alone, distinct prompt and answer: {cost:.1} µs of CPU a request");
        if self.0[DIRECT].contains_key("ttft_p50") {
            self.print_streams();
        }
    }

    /// Memory of the row's process; the direct way has none.
    fn rss(&self, row: usize) -> String {
        let mebibytes = self.0[row].get("rss_mib");
        mebibytes.map_or_else(|| "-".to_owned(), |mebibytes| format!("{mebibytes:.1}"))
    }

    fn print_streams(&self) {
        println!(
            "\n| streams | TTFT p50 / p99 µs | transit p50 / p99 µs | streams/s | writes/stream | CPU µs/token |"
        );
        println!("|---|---|---|---|---|---|");
        for (idx, row) in ROWS.iter().enumerate() {
            println!(
                "| {} | {:.0} / {:.0} | {:.0} / {:.0} | {:.0} | {:.1} | {:.2} |",
                row.name,
                self.get(idx, "ttft_p50"),
                self.get(idx, "ttft_p99"),
                self.get(idx, "transit_p50"),
                self.get(idx, "transit_p99"),
                self.get(idx, "streams_per_second"),
                self.get(idx, "writes_per_stream"),
                self.get(idx, "cpu_us_token"),
            );
        }
    }

    /// What the stubbed gate must reach, with what it reached.
    fn musts(&self) -> Vec<Must> {
        let at_most = |name, reached, bound| Must {
            name,
            reached,
            bound,
            holds: reached <= bound,
        };
        let mut musts = vec![
            at_most(
                "added p50, times hyper's",
                self.added_ratio(STUBBED, "p50"),
                1.25,
            ),
            at_most(
                "added p99, times hyper's",
                self.added_ratio(STUBBED, "p99"),
                1.5,
            ),
            at_most("CPU a request, times hyper's", self.cpu_ratio(STUBBED), 1.5),
        ];
        if self.0[DIRECT].contains_key("ttft_p50") {
            let transit = self.get(STUBBED, "transit_p99") / self.get(HYPER, "transit_p99");
            let writes = self.get(STUBBED, "writes_per_stream");
            musts.push(at_most(
                "transit p99 of a chunk, times hyper's",
                transit,
                1.5,
            ));
            musts.push(at_most("writes for 200 chunks", writes, 20.0));
        }
        if self.0[NGINX].contains_key("ttft_p50") {
            let ttft = self.get(STUBBED, "ttft_p50") - self.get(NGINX, "ttft_p50");
            let streams =
                self.get(STUBBED, "streams_per_second") / self.get(NGINX, "streams_per_second");
            musts.push(at_most("time to first token, µs over nginx's", ttft, 50.0));
            musts.push(Must {
                name: "streams a second without delay, times nginx's (at least)",
                reached: streams,
                bound: 0.8,
                holds: 0.8 <= streams,
            });
        }
        musts
    }

    pub(crate) fn judge(&self) -> Result<(), Error> {
        let musts = self.musts();
        println!("\n| the stubbed gate | reached | must | holds |\n|---|---|---|---|");
        for must in &musts {
            println!(
                "| {} | {:.2} | {} | {} |",
                must.name, must.reached, must.bound, must.holds
            );
        }
        if musts.iter().all(|must| must.holds) {
            Ok(())
        } else {
            Err("a must is missed".into())
        }
    }
}

struct Must {
    name: &'static str,
    reached: f64,
    bound: f64,
    holds: bool,
}

/// Everything a reader needs to run it again and compare.
pub(crate) fn report(
    cli: &Cli,
    summary: &Summary,
    figures: &[Figures],
    verdicts: &BTreeMap<&'static str, Value>,
) -> Value {
    let rows: Vec<Value> = ROWS
        .iter()
        .enumerate()
        .map(|(idx, row)| {
            json!({
                "row": row.name, "median": summary.0[idx], "rounds": figures[idx],
                "added_p50_over_hyper": summary.added_ratio(idx, "p50"),
                "added_p99_over_hyper": summary.added_ratio(idx, "p99"),
                "cpu_over_hyper": summary.cpu_ratio(idx),
                "verdicts": verdicts.get(row.name),
            })
        })
        .collect();
    json!({
        "machine": machine(), "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "commit": first_line(Command::new("git").args(["rev-parse", "--short", "HEAD"])),
        "profile": if cfg!(debug_assertions) { "dev" } else { "release" },
        "rounds": cli.rounds, "rate": cli.rate, "requests": cli.requests, "rows": rows,
    })
}

fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    model.map_or_else(String::new, |line| {
        line.trim_start_matches(['\t', ' ', ':']).to_owned()
    })
}

fn first_line(command: &mut Command) -> String {
    let output = command
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    String::from_utf8_lossy(&output)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}
