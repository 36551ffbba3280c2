//! How much the gate holds, with the classifier stubbed: memory at rest, memory of idle connections
//! and what they cost the others, what is left of the answers under ten times the load, and how
//! soon an upstream learns that a client has left.
//!
//! `cargo run --release -p portcullis-benches --bin capacity`; prints a table and, with `--json`,
//! one object.

use clap::Parser;
use portcullis_benches::process::{Output, Pinned, free_address, on_core};
use portcullis_benches::{Error, runtime};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Parser)]
#[command(about = "What the gate holds: memory, idle connections, overload, cancellation")]
struct Cli {
    /// Idle connections held.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Fail when a figure misses what it must reach.
    #[arg(long)]
    judge: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A figure, and the bound that it must keep: at most, or at least.
struct Figure {
    name: &'static str,
    reached: f64,
    bound: Option<(Side, f64)>,
}

#[derive(Clone, Copy)]
enum Side {
    AtMost,
    AtLeast,
}

impl Figure {
    fn holds(&self) -> bool {
        match self.bound {
            None => true,
            Some((Side::AtMost, bound)) => self.reached <= bound,
            Some((Side::AtLeast, bound)) => self.reached >= bound,
        }
    }
}

fn figure(name: &'static str, reached: f64, bound: Option<(Side, f64)>) -> Figure {
    Figure {
        name,
        reached,
        bound,
    }
}

fn main() -> Result<(), Error> {
    let cli = Cli::parse();
    let runtime = runtime()?;
    let mut figures = Vec::new();
    runtime.block_on(async {
        idle(&cli, &mut figures).await?;
        overload(&mut figures)?;
        cancellation(&mut figures).await
    })?;
    if cli.json {
        let all: serde_json::Map<String, Value> = figures
            .iter()
            .map(|it| (it.name.to_owned(), json!(it.reached)))
            .collect();
        println!("{}", Value::Object(all));
    } else {
        println!("| figure | reached | must | holds |\n|---|---|---|---|");
        for it in &figures {
            let bound = match it.bound {
                None => String::new(),
                Some((Side::AtMost, bound)) => format!("at most {bound}"),
                Some((Side::AtLeast, bound)) => format!("at least {bound}"),
            };
            println!(
                "| {} | {:.2} | {bound} | {} |",
                it.name,
                it.reached,
                it.holds()
            );
        }
    }
    if cli.judge && !figures.iter().all(Figure::holds) {
        return Err("a must is missed".into());
    }
    Ok(())
}

/// The gate with its stubbed classifier on core 0, and where it listens.
struct Gate {
    address: SocketAddr,
    process: Pinned,
}

impl Gate {
    fn start(upstream: SocketAddr, settings: &[(&str, &str)]) -> Result<Self, Error> {
        let (address, admin) = (free_address()?, free_address()?);
        let mut command = on_core(0, &sibling("gate-stub")?);
        command.args(["serve", "--upstream", &format!("http://{upstream}")]);
        command.args([
            "--listen",
            &address.to_string(),
            "--admin",
            &admin.to_string(),
        ]);
        command.env("PORTCULLIS_RECORD", "none");
        command.env("PORTCULLIS_ENCODER__MODEL", "none");
        command.envs(settings.iter().copied());
        let mut process = Pinned::start(command, Output::Dropped)?;
        process.wait_ready(admin, Some("/readyz"))?;
        Ok(Self { address, process })
    }

    fn url(&self) -> String {
        format!("http://{}/v1/chat/completions", self.address)
    }
}

fn mock() -> Result<(SocketAddr, Pinned), Error> {
    let address = free_address()?;
    let mut command = on_core(1, &sibling("mock-upstream")?);
    command.arg(address.to_string());
    let mut process = Pinned::start(command, Output::Dropped)?;
    process.wait_ready(address, None)?;
    Ok((address, process))
}

fn sibling(name: &str) -> Result<PathBuf, Error> {
    let path = std::env::current_exe()?.with_file_name(name);
    let mend = "cargo build --release -p portcullis-benches --bins";
    let is_there = Path::new(&path).exists();
    is_there
        .then_some(path)
        .ok_or_else(|| format!("`{name}` is not beside this binary; `{mend}` builds it").into())
}

/// Runs the load generator and reads its report.
fn load(url: &str, args: &[&str]) -> Result<Value, Error> {
    let output = on_core(1, &sibling("load")?).arg(url).args(args).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn number(report: &Value, path: &str) -> f64 {
    report
        .pointer(path)
        .and_then(Value::as_f64)
        .unwrap_or(f64::NAN)
}

/// Memory at rest and by connection, and the tail of the others beside many that are idle.
async fn idle(cli: &Cli, figures: &mut Vec<Figure>) -> Result<(), Error> {
    let (upstream, _mock) = mock()?;
    let gate = Gate::start(upstream, &[])?;
    figures.push(figure(
        "memory at rest, MiB",
        gate.process.resident_mib()?,
        Some((Side::AtMost, 20.0)),
    ));
    // Three rounds: one disturbance of the machine must not decide.
    let paced = ["--rate", "200", "--requests", "1000", "--connections", "16"];
    let tail = |_| Ok::<_, Error>(number(&load(&gate.url(), &paced)?, "/total_us/p99"));
    let before = middle((0..3).map(tail).collect::<Result<_, _>>()?);
    figures.push(figure(
        "memory after 3,000 requests, MiB",
        gate.process.resident_mib()?,
        Some((Side::AtMost, 20.0)),
    ));
    let resident = gate.process.resident_mib()?;
    let mut held = Vec::with_capacity(cli.idle);
    for _ in 0..cli.idle {
        held.push(asked_once(gate.address).await?);
    }
    let each = (gate.process.resident_mib()? - resident) * 1024.0 / cli.idle as f64;
    figures.push(figure(
        "memory of an idle connection, KiB",
        each,
        Some((Side::AtMost, 12.0)),
    ));
    let beside = middle((0..3).map(tail).collect::<Result<_, _>>()?);
    figures.push(figure("p99 without idle connections, µs", before, None));
    figures.push(figure("p99 beside them, µs", beside, None));
    figures.push(figure(
        "p99 beside them, times",
        beside / before,
        Some((Side::AtMost, 1.2)),
    ));
    drop(held);
    Ok(())
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

const BODY: &str =
    r#"{"model":"mock","messages":[{"role":"user","content":"how do I bake bread"}]}"#;

/// A connection that has asked once, was answered, and stays.
async fn asked_once(address: SocketAddr) -> Result<TcpStream, Error> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request(BODY).as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err("the gate closed a connection it should keep".into());
        }
    }
    Ok(stream)
}

fn request(body: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gate\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Answers under ten times the load that can be taken on, against those at just that load.
///
/// An answer takes 100 ms and 100 requests are taken on at once, so a thousand a second is all
/// there can be; 10,000 a second are sent. Two hundred connections are free for those that are
/// refused: many more would measure the load generator's own bursts.
fn overload(figures: &mut Vec<Figure>) -> Result<(), Error> {
    let (upstream, _mock) = mock()?;
    // All requests here are one tenant's, and one tenant is given seven eighths.
    let gate = Gate::start(upstream, &[("PORTCULLIS_LIMITS__REQUESTS", "114")])?;
    let model = "mock;delay=100";
    let peak = load(
        &gate.url(),
        &[
            "--requests",
            "4000",
            "--connections",
            "99",
            "--model",
            model,
        ],
    )?;
    let flood = [
        "--rate",
        "10000",
        "--requests",
        "50000",
        "--connections",
        "1500",
        "--model",
        model,
    ];
    let flood = load(&gate.url(), &flood)?;
    let (peak, good) = (number(&peak, "/per_second"), number(&flood, "/per_second"));
    figures.push(figure("answers a second at peak", peak, None));
    figures.push(figure("answers a second at ten times the load", good, None));
    figures.push(figure(
        "goodput at ten times the load, share of peak",
        good / peak,
        Some((Side::AtLeast, 0.9)),
    ));
    figures.push(figure(
        "refusals then, p99 ms",
        number(&flood, "/refused_us/p99") / 1000.0,
        Some((Side::AtMost, 5.0)),
    ));
    Ok(())
}

/// From a client's leaving until the upstream sees its connection close, before and after the
/// first byte of the answer; the longest of twenty.
async fn cancellation(figures: &mut Vec<Figure>) -> Result<(), Error> {
    let upstream = TcpListener::bind("127.0.0.1:0").await?;
    let gate = Gate::start(upstream.local_addr()?, &[])?;
    let body = BODY.replacen('{', r#"{"stream":true,"#, 1);
    let event =
        "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a b \"}}]}\n\n";
    let begun = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
         {:x}\r\n{event}\r\n",
        event.len()
    );
    for (name, answer) in [
        ("cancelled before the first byte, ms", ""),
        ("cancelled in mid-stream, ms", begun.as_str()),
    ] {
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            let mut client = TcpStream::connect(gate.address).await?;
            client.write_all(request(&body).as_bytes()).await?;
            let (mut model, _) = upstream.accept().await?;
            let mut read = [0; 4096];
            some(model.read(&mut read).await?)?;
            model.write_all(answer.as_bytes()).await?;
            if !answer.is_empty() {
                some(client.read(&mut read).await?)?;
            }
            drop(client);
            let left = Instant::now();
            while 0 < model.read(&mut read).await.unwrap_or(0) {}
            longest = longest.max(left.elapsed());
        }
        let millis = longest.as_secs_f64() * 1000.0;
        figures.push(figure(name, millis, Some((Side::AtMost, 50.0))));
    }
    Ok(())
}

/// Something was read: how much does not matter, for more is never asked.
fn some(n_bytes: usize) -> Result<(), Error> {
    match n_bytes {
        0 => Err("a connection ended too soon".into()),
        _ => Ok(()),
    }
}
