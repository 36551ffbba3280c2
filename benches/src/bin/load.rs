//! `load URL`: the load generator by itself; prints one JSON object.
//!
//! Against the mock, `--model 'mock;tokens=200;gap=5;stamp=1' --stream` gives the one-way time of
//! every chunk.

use clap::Parser;
use portcullis_benches::load::{Pace, Plan, run};
use portcullis_benches::{Error, runtime};

#[derive(Parser)]
struct Cli {
    /// The endpoint: `http://127.0.0.1:8080/v1/chat/completions`.
    url: hyper::Uri,
    /// Model name; tells the mock what to answer.
    #[arg(long, default_value = "mock")]
    model: String,
    /// Ask for a stream.
    #[arg(long)]
    stream: bool,
    /// Another prompt in each request.
    #[arg(long)]
    distinct: bool,
    /// Connections kept open.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Requests a second (open loop); as fast as answers come without it.
    #[arg(long)]
    rate: Option<u64>,
    /// Requests measured.
    #[arg(long, default_value_t = 1000)]
    requests: u64,
    /// Requests sent before that.
    #[arg(long, default_value_t = 50)]
    warm: u64,
}

fn main() -> Result<(), Error> {
    let cli = Cli::parse();
    let plan = Plan {
        url: cli.url,
        model: cli.model,
        stream: cli.stream,
        distinct: cli.distinct,
        connections: cli.connections,
        pace: cli.rate.map_or(Pace::Closed, Pace::Open),
        requests: cli.requests,
        warm: cli.warm,
    };
    let report = runtime()?.block_on(run(plan))?;
    println!("{}", report.to_json());
    Ok(())
}
