//! What the gate costs, held against a bare hyper pass-through in the same run.
//!
//! `cargo run --release -p portcullis-benches --bin gate` after `cargo build --release`. Proxies
//! share core 0, the mock upstream and the load share core 1; only one proxy is loaded at a time.
//! Rounds go through all rows in turn, so that a disturbance of the machine hits every row alike, and
//! each begins with new processes: how a process happens to lie in memory stays with it, and cost one
//! a third in a whole run. Each figure is the median over the rounds. `results/README.md` says how to
//! read it.

mod nginx;
mod summary;

use clap::Parser;
use portcullis_benches::process::{Output, Pinned, free_address, on_core};
use portcullis_benches::{Error, passthrough::Reading};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use summary::{Summary, report};

/// The core of the proxies, and the one of the mock and the load.
const PROXY_CORE: usize = 0;
const LOAD_CORE: usize = 1;

#[derive(Parser)]
#[command(about = "What the gate costs, against a bare hyper pass-through in the same run")]
struct Cli {
    /// The portcullis binary; the one beside this one without it.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Times that every row is measured; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Requests a second of the latency rows, for five seconds.
    #[arg(long, default_value_t = 200)]
    rate: u64,
    /// Requests of the saturation rows.
    #[arg(long, default_value_t = 20_000)]
    requests: u64,
    /// Measure streams too.
    #[arg(long)]
    streams: bool,
    /// One short round: does it run at all?
    #[arg(long)]
    smoke: bool,
    /// Fail when the stubbed gate misses what it must reach (see `results/README.md`).
    #[arg(long)]
    judge: bool,
    /// Write the figures here as JSON; printed without it.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Show what the processes write.
    #[arg(long)]
    verbose: bool,
}

/// A row of the table: an endpoint and what is sent to it.
struct Row {
    name: &'static str,
    endpoint: Endpoint,
    texts: Texts,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Endpoint {
    Direct,
    Passthrough,
    PassthroughJson,
    Nginx,
    GateStubbed,
    Gate,
}

/// Whether a verdict cache can know the texts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Texts {
    Same,
    Distinct,
}

const ROWS: [Row; 8] = [
    Row {
        name: "direct",
        endpoint: Endpoint::Direct,
        texts: Texts::Same,
    },
    Row {
        name: "hyper",
        endpoint: Endpoint::Passthrough,
        texts: Texts::Same,
    },
    Row {
        name: "nginx",
        endpoint: Endpoint::Nginx,
        texts: Texts::Same,
    },
    Row {
        name: "hyper, buffered + JSON",
        endpoint: Endpoint::PassthroughJson,
        texts: Texts::Same,
    },
    Row {
        name: "gate, stub",
        endpoint: Endpoint::GateStubbed,
        texts: Texts::Same,
    },
    Row {
        name: "gate, stub, distinct",
        endpoint: Endpoint::GateStubbed,
        texts: Texts::Distinct,
    },
    Row {
        name: "gate, cached",
        endpoint: Endpoint::Gate,
        texts: Texts::Same,
    },
    Row {
        name: "gate, distinct",
        endpoint: Endpoint::Gate,
        texts: Texts::Distinct,
    },
];
const DIRECT: usize = 0;
const HYPER: usize = 1;
const NGINX: usize = 2;
const STUBBED: usize = 4;
const STUBBED_DISTINCT: usize = 5;
const FULL_DISTINCT: usize = 7;

/// Figures of one row, each with a value per round.
type Figures = BTreeMap<&'static str, Vec<f64>>;

fn main() -> Result<(), Error> {
    let mut cli = Cli::parse();
    if cli.smoke {
        (cli.rounds, cli.rate, cli.requests) = (1, 100, 500);
    }
    let mut figures: Vec<Figures> = ROWS.iter().map(|_| Figures::new()).collect();
    let mut verdicts = BTreeMap::new();
    for round in 0..cli.rounds {
        let mut bench = Bench::start(&cli)?;
        for (row, figures) in ROWS.iter().zip(&mut figures) {
            if !bench.has(row) {
                continue;
            }
            eprintln!("round {}/{}: {}", round + 1, cli.rounds, row.name);
            bench.measure(row, &cli, figures)?;
        }
        verdicts = bench.verdicts;
    }
    let summary = Summary::of(&figures);
    summary.print();
    let report = report(&cli, &summary, &figures, &verdicts);
    match &cli.json {
        Some(path) => std::fs::write(path, report.to_string() + "\n")?,
        None => println!("{report}"),
    }
    if cli.judge { summary.judge() } else { Ok(()) }
}

/// The processes that stand up, and where.
struct Bench {
    load: PathBuf,
    direct: SocketAddr,
    endpoints: BTreeMap<Endpoint, (SocketAddr, Pinned)>,
    /// What the gate said it did, by row.
    verdicts: BTreeMap<&'static str, Value>,
    _mock: Pinned,
    _scratch: tempfile::TempDir,
}

impl Bench {
    fn start(cli: &Cli) -> Result<Self, Error> {
        let beside = std::env::current_exe()?.with_file_name("");
        let gate = cli
            .binary
            .clone()
            .unwrap_or_else(|| beside.join("portcullis"));
        if !gate.exists() {
            let mend = "build it (`cargo build --release`) or name it by --binary";
            return Err(format!("no portcullis binary at {}; {mend}", gate.display()).into());
        }
        let output = if cli.verbose {
            Output::Shown
        } else {
            Output::Dropped
        };
        let direct = free_address()?;
        let mut mock = on_core(load_core(), &sibling(&beside, "mock-upstream")?);
        mock.arg(direct.to_string());
        let mut mock = Pinned::start(mock, output)?;
        mock.wait_ready(direct, None)?;

        let mut endpoints = BTreeMap::new();
        let passthrough = sibling(&beside, "passthrough")?;
        for (endpoint, reading) in [
            (Endpoint::Passthrough, Reading::None),
            (Endpoint::PassthroughJson, Reading::BufferJson),
        ] {
            endpoints.insert(
                endpoint,
                start_passthrough(&passthrough, direct, reading, output)?,
            );
        }
        let stubbed = sibling(&beside, "gate-stub")?;
        for (endpoint, program) in [(Endpoint::GateStubbed, &stubbed), (Endpoint::Gate, &gate)] {
            endpoints.insert(endpoint, start_gate(program, direct, output)?);
        }
        let scratch = tempfile::tempdir()?;
        match nginx::start(direct, scratch.path(), output)? {
            Some(nginx) => drop(endpoints.insert(Endpoint::Nginx, nginx)),
            None => eprintln!("nginx is not installed (Debian: nginx-light): its row is left out"),
        }
        let load = sibling(&beside, "load")?;
        Ok(Self {
            load,
            direct,
            endpoints,
            verdicts: BTreeMap::new(),
            _mock: mock,
            _scratch: scratch,
        })
    }

    fn has(&self, row: &Row) -> bool {
        row.endpoint == Endpoint::Direct || self.endpoints.contains_key(&row.endpoint)
    }

    fn measure(&mut self, row: &Row, cli: &Cli, figures: &mut Figures) -> Result<(), Error> {
        let rate = cli.rate.to_string();
        let paced = (cli.rate * if cli.smoke { 1 } else { 5 }).to_string();
        let low = ["--rate", &rate, "--requests", &paced, "--connections", "16"];
        let (low, _) = self.load(row, "mock", WARM, &low)?;
        keep(figures, "p50", &low["total_us"]["p50"]);
        keep(figures, "p99", &low["total_us"]["p99"]);
        self.verdicts.insert(row.name, low["verdicts"].clone());

        let requests = cli.requests.to_string();
        let full = ["--requests", &requests, "--connections", "64"];
        let (full, cpu) = self.load(row, "mock", WARM, &full)?;
        keep(figures, "per_second", &full["per_second"]);
        // The unmeasured warm-up is counted with it, for its CPU time was.
        figures
            .entry("cpu_us")
            .or_default()
            .push(cpu * 1e6 / (cli.requests + WARM) as f64);
        if cli.streams {
            self.measure_streams(row, figures)?;
        }
        if let Some((_, process)) = self.endpoints.get(&row.endpoint) {
            figures
                .entry("rss_mib")
                .or_default()
                .push(process.resident_mib()?);
        }
        Ok(())
    }

    fn measure_streams(&self, row: &Row, figures: &mut Figures) -> Result<(), Error> {
        let paced = ["--stream", "--requests", "20", "--connections", "10"];
        let (paced, _) = self.load(row, "mock;tokens=200;gap=5;stamp=1", 1, &paced)?;
        keep(figures, "ttft_p50", &paced["first_token_us"]["p50"]);
        keep(figures, "ttft_p99", &paced["first_token_us"]["p99"]);
        keep(figures, "transit_p50", &paced["transit_us"]["p50"]);
        keep(figures, "transit_p99", &paced["transit_us"]["p99"]);
        let writes = || match self.endpoints.get(&row.endpoint) {
            Some((_, process)) => process.writes(),
            None => Ok(0),
        };
        let full = ["--stream", "--requests", "1000", "--connections", "8"];
        let before = writes()?;
        let (full, cpu) = self.load(row, "mock;tokens=200", 8, &full)?;
        let written = (writes()? - before) as f64;
        keep(figures, "streams_per_second", &full["per_second"]);
        let tokens = f64::from(200 * (1000 + 8));
        // The requests that the proxy writes to the upstream are counted with them.
        figures
            .entry("writes_per_stream")
            .or_default()
            .push(written / f64::from(1000 + 8));
        figures
            .entry("cpu_us_token")
            .or_default()
            .push(cpu * 1e6 / tokens);
        Ok(())
    }

    /// One load on a row's endpoint: its report, and the CPU seconds the endpoint used.
    fn load(
        &self,
        row: &Row,
        model: &str,
        warm: u64,
        args: &[&str],
    ) -> Result<(Value, f64), Error> {
        let process = self.endpoints.get(&row.endpoint);
        let address = process.map_or(self.direct, |(address, _)| *address);
        let cpu = || process.map_or(Ok(0.0), |(_, p)| p.cpu().map(|cpu| cpu.as_secs_f64()));
        let mut command = on_core(load_core(), &self.load);
        command
            .arg(format!("http://{address}/v1/chat/completions"))
            .args(args);
        command.args(["--warm", &warm.to_string()]);
        match row.texts {
            Texts::Same => command.args(["--model", model]),
            Texts::Distinct => {
                command.args(["--distinct", "--model", &format!("{model};distinct=1")])
            }
        };
        let before = cpu()?;
        let output = command.output()?;
        let used = cpu()? - before;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            return Err(format!("the load on `{}` failed: {error}", row.name).into());
        }
        let report: Value = serde_json::from_slice(&output.stdout)?;
        if report["failures"]
            .as_object()
            .is_none_or(|failures| !failures.is_empty())
        {
            // A figure of failed requests says nothing about those that work.
            return Err(
                format!("requests on `{}` failed: {}", row.name, report["failures"]).into(),
            );
        }
        Ok((report, used))
    }
}

/// Requests before each measurement of whole answers, unmeasured.
const WARM: u64 = 100;

fn keep(figures: &mut Figures, name: &'static str, value: &Value) {
    figures
        .entry(name)
        .or_default()
        .push(value.as_f64().unwrap_or(f64::NAN));
}

/// The core of the load: its own where there are two.
fn load_core() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if LOAD_CORE < cores {
        LOAD_CORE
    } else {
        PROXY_CORE
    }
}

fn sibling(beside: &Path, name: &str) -> Result<PathBuf, Error> {
    let path = beside.join(name);
    if path.exists() {
        return Ok(path);
    }
    let mend = "cargo build --release -p portcullis-benches --bins";
    Err(format!("`{name}` is not beside this binary; `{mend}` builds it").into())
}

fn start_passthrough(
    program: &Path,
    upstream: SocketAddr,
    reading: Reading,
    output: Output,
) -> Result<(SocketAddr, Pinned), Error> {
    let address = free_address()?;
    let mut command = on_core(PROXY_CORE, program);
    command.args([address.to_string(), upstream.to_string()]);
    let reading = if reading == Reading::None {
        "none"
    } else {
        "buffer-json"
    };
    command.args(["--reading", reading]);
    let mut process = Pinned::start(command, output)?;
    process.wait_ready(address, None)?;
    Ok((address, process))
}

fn start_gate(
    program: &Path,
    upstream: SocketAddr,
    output: Output,
) -> Result<(SocketAddr, Pinned), Error> {
    let (address, admin) = (free_address()?, free_address()?);
    let mut command = on_core(PROXY_CORE, program);
    command.args(["serve", "--upstream", &format!("http://{upstream}")]);
    command.args([
        "--listen",
        &address.to_string(),
        "--admin",
        &admin.to_string(),
    ]);
    command.env("PORTCULLIS_RECORD", "none");
    command.env("PORTCULLIS_ENCODER__MODEL", "none");
    let mut process = Pinned::start(command, output)?;
    process.wait_ready(admin, Some("/readyz"))?;
    Ok((address, process))
}
