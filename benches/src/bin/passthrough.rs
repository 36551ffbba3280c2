//! `passthrough LISTEN UPSTREAM [--reading none|buffer-json]`: the bare hyper reverse proxy.

use clap::Parser;
use portcullis_benches::passthrough::{Reading, serve};
use portcullis_benches::{Error, listen, runtime};

#[derive(Parser)]
struct Cli {
    /// Where to listen: `127.0.0.1:8081`.
    listen: String,
    /// Where requests go: `127.0.0.1:9000`.
    upstream: String,
    /// How much of a request is read first.
    #[arg(long, value_enum, default_value_t)]
    reading: Reading,
}

fn main() -> Result<(), Error> {
    let cli = Cli::parse();
    runtime()?.block_on(async { serve(listen(&cli.listen)?, &cli.upstream, cli.reading).await })
}
