//! How good a classifier and a policy are on labelled texts.
//!
//! [`evaluate`] scores every set of a directory and gives a [`Report`]: for machines (it is
//! `Serialize`), for people ([`Report::to_table`]) and for a browser ([`Report::to_html`]). Reports
//! hold numbers and the names of sets, never texts.
//! Start with [`metrics`], which says what each number means.

mod html;
pub mod metrics;
mod report;
mod score;
mod table;

pub use report::{Report, SetResult};

use crate::cascade::Cascade;
use crate::classifier::Failure;
use crate::dataset::{self, DatasetError};
use metrics::cut_off;
use portcullis_policy::Engine;
use portcullis_text::Category;
use score::{ScoredSet, Screener};
use std::path::{Path, PathBuf};

/// The sets of ordinary harmless texts that the 1 % point is measured on, each counting the same.
pub const BENIGN_SETS: [&str; 5] = [
    "dolly_eval",
    "clinc150_eval",
    "arena_hard",
    "nq_open_eval",
    "xquad_eval",
];

/// The share of them that may score above the point.
const BENIGN_SHARE: f64 = 0.01;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// A set or the directory cannot be read.
    #[error(transparent)]
    Data(#[from] DatasetError),
    /// There is nothing to measure.
    #[error("no set in `{}`: expected files named `*.jsonl` or `*.jsonl.gz`", path.display())]
    NoSets {
        /// The directory.
        path: PathBuf,
    },
    /// Two files would be the same set.
    #[error("set `{set}` stands in two files, `.jsonl` and `.jsonl.gz`: remove one")]
    SetTwice {
        /// The set.
        set: String,
    },
    /// A row says nothing of itself.
    #[error("row {row} of set `{set}` has no labels")]
    Unlabelled {
        /// The set.
        set: String,
        /// Which row, from 1.
        row: u64,
    },
    /// No runtime to wait on.
    #[error("no runtime could be started")]
    Runtime(#[source] std::io::Error),
    /// A classifier gave no verdict.
    #[error("the classifier failed on set `{set}`, among rows {first_row} to {last_row}")]
    Classifier {
        /// The set.
        set: String,
        /// The first row of the job that failed, from 1.
        first_row: usize,
        /// Its last row.
        last_row: usize,
        /// How it failed.
        #[source]
        failure: Failure,
    },
}

/// Scores every set in a directory.
///
/// A set is a file `NAME.jsonl` or `NAME.jsonl.gz`; other files are left alone. `progress` is told
/// the rows done and the rows there are. Blocks the calling thread until all is scored; texts are
/// held one batch at a time, and of each row some hundred bytes of scores are kept.
///
/// # Errors
/// [`EvalError`] when a set cannot be read, which is found before anything is scored, or when the
/// classifier fails: a report never leaves a row out.
pub fn evaluate(
    data_dir: &Path,
    cascade: &Cascade,
    engine: &Engine,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, EvalError> {
    let sets = sets_of(data_dir)?;
    let mut n_rows = 0;
    for (name, path) in &sets {
        n_rows += count_rows(name, path)?;
    }

    let screener = Screener::new(cascade).map_err(EvalError::Runtime)?;
    let mut n_done = 0;
    let mut scored = Vec::with_capacity(sets.len());
    progress(0, n_rows);
    for (name, path) in sets {
        let mut advance = |n_more| {
            n_done += n_more;
            progress(n_done, n_rows);
        };
        scored.push(score::score_set(
            name,
            &path,
            &screener,
            engine,
            &mut advance,
        )?);
    }

    let results = report::results(&scored, &benign_cut_offs(&scored), engine);
    let identities = cascade.identities().into_iter();
    let names = identities.map(|it| format!("{}@{}", it.model, it.digest));
    let model = names.collect::<Vec<_>>().join(" ");
    let policy = format!("{}@{}", engine.name(), engine.digest8());
    Ok(Report {
        results,
        model,
        policy,
    })
}

/// Names and files of the sets, by name.
fn sets_of(data_dir: &Path) -> Result<Vec<(String, PathBuf)>, EvalError> {
    let name = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        name.split_once(".jsonl").map(|(stem, _)| stem.to_owned())
    };
    let files = dataset::files(data_dir, "")?;
    let sets: Vec<_> = files
        .into_iter()
        .filter_map(|path| Some((name(&path)?, path)))
        .collect();
    if let Some(pair) = sets.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(EvalError::SetTwice {
            set: pair[0].0.clone(),
        });
    }
    if sets.is_empty() {
        return Err(EvalError::NoSets {
            path: data_dir.to_owned(),
        });
    }
    Ok(sets)
}

fn count_rows(name: &str, path: &Path) -> Result<u64, EvalError> {
    let mut n_rows = 0;
    for row in dataset::read(path)? {
        n_rows += 1;
        if row?.labels.is_empty() {
            return Err(EvalError::Unlabelled {
                set: name.to_owned(),
                row: n_rows,
            });
        }
    }
    Ok(n_rows)
}

/// For each category the score that 1 % of the benign texts lie above; `None` without those sets.
fn benign_cut_offs(scored: &[ScoredSet]) -> [Option<f32>; Category::COUNT] {
    let benign = scored
        .iter()
        .filter(|set| BENIGN_SETS.contains(&set.name.as_str()));
    let benign: Vec<&ScoredSet> = benign.collect();
    Category::ALL.map(|category| {
        let scores: Vec<Vec<f32>> = benign.iter().map(|set| set.scores(category)).collect();
        let groups: Vec<&[f32]> = scores.iter().map(Vec::as_slice).collect();
        cut_off(&groups, BENIGN_SHARE)
    })
}

#[cfg(test)]
mod tests;
