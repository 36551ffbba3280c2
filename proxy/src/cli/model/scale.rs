//! `portcullis model scale`: from harmless texts to a scale on which thresholds mean something.

use super::DirArgs;
use super::rows::{WITHIN, each, rows_of, started};
use crate::cli::classify::bytes_bar;
use crate::cli::{Exit, chain};
use clap::Args;
use portcullis_classifiers::neural::ModelScale;
use portcullis_classifiers::{Classifier, dataset};
use portcullis_text::{Category, Group};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The file beside the model.
const NAME: &str = "scale.json";

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct ScaleArgs {
    #[command(flatten)]
    model: DirArgs,
    /// JSON Lines, gzipped or not, with a harmless `text` in each, of the kind that your product
    /// sees; at least 200. `role` (prompt, response or comment), `source` and `context` (the prompt
    /// of a response) are used where they stand there; rows whose `labels` say that they are harmful
    /// are left out. May be given several times.
    #[arg(long, value_name = "FILE", required = true)]
    texts: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Line {
    text: String,
}

pub(super) fn scale(args: &ScaleArgs) -> Result<(), Exit> {
    let (neural, facts) = started(&args.model)?;
    let mut rows = rows_of(&args.texts)?;
    let n_rows = rows.len();
    rows.retain(|row| !is_harmful(row));
    let n_harmful = n_rows - rows.len();
    let harmless = each(&rows, |row| neural.harmless(row, Instant::now() + WITHIN))?;
    let unfit = |error: &dyn std::error::Error| Exit::Environment(chain(error));
    let scale = ModelScale::fit(neural.categories(), &harmless).map_err(|error| unfit(&error))?;
    let path = args.model.dir.join(NAME);
    scale
        .save(
            &path,
            &neural.identity().digest,
            &facts.labels,
            harmless.len(),
        )
        .map_err(|error| unfit(&error))?;
    name_in_sidecar(&args.model.dir)?;
    println!(
        "{} from {} texts ({n_harmful} harmful ones left out), for {}",
        path.display(),
        harmless.len(),
        facts.labels.join(", ")
    );
    Ok(())
}

/// Whether a row is labelled with anything but a topic.
fn is_harmful(row: &dataset::Row) -> bool {
    let mut all = Category::ALL.into_iter();
    all.any(|category| category.group() != Group::Topic && row.labels.get(category) == Some(true))
}

/// The texts of a JSON Lines file.
pub(super) fn texts_of(path: &Path) -> Result<Vec<String>, Exit> {
    let unreadable = |error| Exit::Environment(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    let bar = bytes_bar(file.metadata().map_or(0, |meta| meta.len()));
    let mut texts = Vec::new();
    for (idx, line) in BufReader::new(bar.wrap_read(file)).lines().enumerate() {
        let line = line.map_err(unreadable)?;
        if line.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&line).map_err(|error| {
            Exit::Usage(format!(
                "{}:{}: expected a JSON object with `text`: {error}",
                path.display(),
                idx + 1
            ))
        })?;
        texts.push(line.text);
    }
    bar.finish_and_clear();
    Ok(texts)
}

/// Sets `scale` in `portcullis.json`; what else stands there stays.
fn name_in_sidecar(dir: &Path) -> Result<(), Exit> {
    let path = dir.join("portcullis.json");
    let failed =
        |error: &dyn std::fmt::Display| Exit::Environment(format!("{}: {error}", path.display()));
    let mut sidecar: Map<String, Value> = if path.exists() {
        let bytes = std::fs::read(&path).map_err(|error| failed(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| failed(&error))?
    } else {
        Map::new()
    };
    sidecar.insert("scale".to_owned(), NAME.into());
    let text = serde_json::to_string_pretty(&sidecar).map_err(|error| failed(&error))?;
    std::fs::write(&path, text + "\n").map_err(|error| failed(&error))
}
