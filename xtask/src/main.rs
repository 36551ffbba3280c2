//! Project automation: `cargo xtask check` is what CI runs and what you run before a pull request.
//!
//! A check is a [`steps::Step`]; the table in [`steps`] is the list. Checks that read the tree
//! (`edges`, `sizes`, `words`, `tests`) are pure functions over text with their own tests; the
//! others call cargo. All of them run before the verdict, so one run shows everything.
//! `cargo xtask fuzz` is apart from them: it builds another workspace and takes minutes.

mod edges;
mod fuzz;
mod sizes;
mod source;
mod steps;
mod words;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Project automation for Portcullis")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every check, or only those named.
    Check {
        /// Names from `cargo xtask list`; all without any.
        steps: Vec<String>,
        /// Leave these out.
        #[arg(long)]
        skip: Vec<String>,
    },
    /// List the checks.
    List,
    /// Build every fuzz target once and run it; fails when one finds a fault.
    Fuzz {
        /// Names of files in `fuzz/src/bin`; all without any.
        targets: Vec<String>,
        /// How long each runs; 0 only replays the kept corpus.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
}

fn main() -> ExitCode {
    match Cli::parse().task {
        Task::Check { steps, skip } => steps::check(&steps, &skip),
        Task::List => steps::list(),
        Task::Fuzz { targets, seconds } => fuzz::run(&targets, seconds),
    }
}
