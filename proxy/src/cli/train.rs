//! `portcullis train`.

use super::{Exit, chain};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use portcullis_classifiers::train::{Progress, TrainOptions, train_linear};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum TrainCommand {
    /// The linear n-gram tier. The same data and seed give the same bytes.
    Linear(LinearArgs),
}

#[derive(Clone, Debug, Args)]
pub(super) struct LinearArgs {
    /// Folder with `train*.jsonl[.gz]` and `dev*.jsonl[.gz]`.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Folder for weights, manifest and card.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(super) fn train(command: &TrainCommand) -> Result<(), Exit> {
    let TrainCommand::Linear(args) = command;
    let options = TrainOptions {
        data: args.data.clone(),
        out: args.out.clone(),
        seed: args.seed,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg:24} {wide_bar} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    let mut progress = |progress: Progress| {
        bar.set_message(progress.stage);
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
    };
    let report =
        train_linear(&options, &mut progress).map_err(|error| Exit::Environment(chain(&error)))?;
    bar.finish_and_clear();
    println!(
        "{} rows, {} n-grams, {} bytes of weights, digest {}",
        report.n_rows, report.n_features, report.weights_bytes, report.digest
    );
    println!("{:18} {:>9} {:>8}", "dev", "positives", "auprc");
    for (category, positives, precision) in &report.dev_average_precision {
        println!("{:18} {positives:>9} {precision:>8.3}", category.name());
    }
    Ok(())
}
