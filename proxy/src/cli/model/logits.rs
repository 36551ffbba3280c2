//! `portcullis model logits`: what a model says of texts before any scale.

use super::DirArgs;
use super::rows::{WITHIN, each, rows_of, started};
use crate::cli::Exit;
use clap::Args;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct LogitsArgs {
    #[command(flatten)]
    model: DirArgs,
    /// JSON Lines, gzipped or not, with an `id` and a `text` in each; `context` is the prompt of a
    /// response. May be given several times.
    #[arg(long, value_name = "FILE", required = true)]
    texts: Vec<PathBuf>,
}

/// Prints a line for each text, in their order: its id, and by label the largest logit of its
/// windows, with the share of the linear tier that the model was fitted with.
pub(super) fn logits(args: &LogitsArgs) -> Result<(), Exit> {
    let (neural, facts) = started(&args.model)?;
    let rows = rows_of(&args.texts)?;
    let found = each(&rows, |row| neural.evidence(row, Instant::now() + WITHIN))?;
    let mut out = std::io::stdout().lock();
    for (row, logits) in rows.iter().zip(found) {
        let by_label = facts.labels.iter().zip(logits);
        let by_label: Map<String, Value> = by_label
            .map(|(label, logit)| (label.clone(), json!(logit)))
            .collect();
        writeln!(out, "{}", json!({"id": row.id, "logits": by_label}))
            .map_err(|error| Exit::Environment(format!("standard output: {error}")))?;
    }
    Ok(())
}
