//! Training of the linear tier from labelled rows: same data and seed, same bytes.
//!
//! The story is [`train_linear`]: read the rows (`corpus`), add long harmless ones (`joined`), choose the n-grams that earn a slot
//! (`select`), fit the weights (`sgd`), score every row by a model that did not see it
//! (`holdout`), fit the score scale on that (`calibrate`), and write the 8-bit table
//! (`quantise`) with its manifest. Evaluation sets take no part.
//! Folds run on several threads; each is a fixed sequence of its own, so the result does not
//! depend on how many.

mod calibrate;
mod corpus;
mod holdout;
mod joined;
mod quantise;
mod random;
mod select;
mod sgd;

use crate::dataset::{self, DatasetError};
use crate::linear::features::Features;
use crate::linear::format::{self, Manifest, Training};
use crate::linear::table::Table;
use crate::linear::{MANIFEST_FILE, WEIGHTS_FILE};
use calibrate::Evidence;
use corpus::Corpus;
use holdout::{HeldOut, Setup};
use portcullis_text::Category;
use rustc_hash::FxHashMap;
use sgd::Hyper;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How large a model to train.
#[derive(Clone, Copy, Debug)]
struct Size {
    slots: u32,
    /// Rows an n-gram must stand in.
    min_rows: u32,
}

/// The model that ships: as many slots as keep the weights file under 8 MB.
const STANDARD: Size = Size {
    slots: 370_000,
    min_rows: 3,
};

/// What to train from and where to.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// Folder with `train*.jsonl[.gz]` and, for the report, `dev*.jsonl[.gz]`.
    pub data: PathBuf,
    /// Folder that receives `weights.bin` and `manifest.json`; created when missing.
    pub out: PathBuf,
    /// Decides the order of rows; the same seed gives the same bytes.
    pub seed: u64,
    /// Threads used; the result does not depend on it. About 1 GB of memory each.
    pub threads: usize,
}

/// How far the training is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What has been done, for people.
    pub stage: &'static str,
    /// Stages done.
    pub done: usize,
    /// Stages in all.
    pub total: usize,
}

/// What was trained.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainReport {
    /// Rows trained on.
    pub n_rows: usize,
    /// Rows of the development set.
    pub n_dev: usize,
    /// N-grams that have a slot.
    pub n_features: usize,
    /// Digest of the weights, hexadecimal blake3.
    pub digest: String,
    /// Bytes of the weights file.
    pub weights_bytes: usize,
    /// Categories with known positives and negatives in the development set: positives and average
    /// precision there.
    pub dev_average_precision: Vec<(Category, usize, f64)>,
}

/// Why training stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The data cannot be read.
    #[error(transparent)]
    Data(#[from] DatasetError),
    /// The folder holds nothing to train on.
    #[error("no rows in any `train*.jsonl` or `train*.jsonl.gz` of {}", folder.display())]
    NoRows {
        /// The folder.
        folder: PathBuf,
    },
    /// A data file cannot be read for its digest, or a file of the model cannot be written.
    #[error("cannot {} {}", doing, path.display())]
    File {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A training thread died.
    #[error("a training thread died")]
    Died,
}

/// Trains, calibrates and writes a model; about two minutes for 240 000 rows.
///
/// # Errors
/// [`TrainError`], naming the file.
pub fn train_linear(
    options: &TrainOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<TrainReport, TrainError> {
    train(options, STANDARD, progress)
}

fn train(
    options: &TrainOptions,
    size: Size,
    progress: &mut dyn FnMut(Progress),
) -> Result<TrainReport, TrainError> {
    let mut step = Steps {
        report: progress,
        done: 0,
    };
    let (mut train, dev) = read(&options.data)?;
    let n_rows = train.examples.len();
    joined::add(&mut train, options.seed);
    step.done("rows read");
    let ids = chosen_ngrams(&train, size, options.seed);
    let corpus = renumber(train, &ids);
    step.done("n-grams chosen");
    let all: Vec<u32> = (0..corpus.examples.len() as u32).collect();
    let weights = sgd::fit(&corpus, &all, &ids, &Hyper::FINAL, options.seed);
    let table = quantise::table(&weights, &ids, size.slots);
    drop(weights);
    step.done("weights fitted");
    let setup = Setup {
        corpus: &corpus,
        ids: &ids,
        n_slots: size.slots,
        seed: options.seed,
    };
    let held_out = held_out(&setup, options.threads)?;
    step.done("held-out rows scored");
    let scale = Evidence {
        corpus: &corpus,
        held_out: &held_out,
    }
    .scale();
    let bytes = format::encode(&table, &scale);
    step.done("score scale fitted");
    let training = Training {
        data_blake3: data_digest(&options.data)?,
        rows: n_rows,
        dev_rows: dev.examples.len(),
        seed: options.seed,
    };
    let manifest = Manifest::new(&bytes, training);
    write_model(&options.out, &bytes, &manifest)?;
    step.done("model written");
    Ok(TrainReport {
        n_rows,
        n_dev: dev.examples.len(),
        n_features: ids.len(),
        digest: manifest.weights.blake3,
        weights_bytes: bytes.len(),
        dev_average_precision: dev_average_precision(&table, &dev),
    })
}

struct Steps<'a> {
    report: &'a mut dyn FnMut(Progress),
    done: usize,
}

impl Steps<'_> {
    fn done(&mut self, stage: &'static str) {
        self.done += 1;
        (self.report)(Progress {
            stage,
            done: self.done,
            total: 6,
        });
    }
}

fn read(folder: &Path) -> Result<(Corpus, Corpus), TrainError> {
    let train = Corpus::read(folder, "train")?;
    if train.examples.is_empty() {
        return Err(TrainError::NoRows {
            folder: folder.to_owned(),
        });
    }
    Ok((train, Corpus::read(folder, "dev")?.without_features()))
}

/// The ids that get a slot: after a short training on all frequent ones, the weightiest per slot.
fn chosen_ngrams(train: &Corpus, size: Size, seed: u64) -> Vec<u32> {
    let ids = select::frequent(train, size.min_rows);
    let numbers = numbers(&ids);
    let corpus = train.renumbered(|id| numbers.get(&id).copied());
    let all: Vec<u32> = (0..corpus.examples.len() as u32).collect();
    let weights = sgd::fit(&corpus, &all, &ids, &Hyper::SELECTION, seed);
    select::winners(&corpus, &ids, &weights, size.slots)
}

fn renumber(train: Corpus, ids: &[u32]) -> Corpus {
    let numbers = numbers(ids);
    let corpus = train.renumbered(|id| numbers.get(&id).copied());
    drop(train);
    corpus
}

fn numbers(ids: &[u32]) -> FxHashMap<u32, u32> {
    ids.iter()
        .zip(0..)
        .map(|(&id, number)| (id, number))
        .collect()
}

/// What held-out models say, in corpus order; threads take the next fold that nobody has.
fn held_out(setup: &Setup<'_>, n_threads: usize) -> Result<Vec<HeldOut>, TrainError> {
    let folds = holdout::folds(setup.corpus);
    let next = AtomicU64::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let fold = next.fetch_add(1, Ordering::Relaxed);
            if holdout::FOLDS <= fold {
                return done;
            }
            done.push((fold, holdout::score_fold(setup, &folds, fold)));
        }
    };
    let done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads.max(1)).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect::<Result<Vec<_>, _>>()
    });
    let mut by_fold: Vec<_> = done
        .map_err(|_| TrainError::Died)?
        .into_iter()
        .flatten()
        .collect();
    by_fold.sort_by_key(|(fold, _)| *fold);
    let mut queues: Vec<_> = by_fold
        .into_iter()
        .map(|(_, rows)| rows.into_iter())
        .collect();
    let in_order = folds.iter().map(|fold| queues[*fold as usize].next());
    in_order.collect::<Option<_>>().ok_or(TrainError::Died)
}

fn dev_average_precision(table: &Table, dev: &Corpus) -> Vec<(Category, usize, f64)> {
    let mut features = Features::default();
    let texts = dev.texts.iter();
    let logits: Vec<_> = texts
        .map(|text| holdout::text_logits(table, &mut features, text.expose()))
        .collect();
    let mut report = Vec::new();
    for category in Category::ALL {
        let lane = category.index();
        let rows = dev.examples.iter().zip(&logits);
        let known = rows.filter(|(example, _)| example.known >> lane & 1 == 1);
        let mut points: Vec<(f32, bool)> = known
            .map(|(example, logits)| (logits[lane], example.positive >> lane & 1 == 1))
            .collect();
        let n_positives = points.iter().filter(|(_, holds)| *holds).count();
        if 0 < n_positives && n_positives < points.len() {
            report.push((category, n_positives, average_precision(&mut points)));
        }
    }
    report
}

/// Mean over positives of the precision at their rank.
fn average_precision(points: &mut [(f32, bool)]) -> f64 {
    points.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut found, mut sum) = (0.0, 0.0);
    for (rank, (_, holds)) in points.iter().enumerate() {
        if *holds {
            found += 1.0;
            sum += found / (rank + 1) as f64;
        }
    }
    sum / found
}

/// Digest over the names and bytes of all data files, in order of name.
fn data_digest(folder: &Path) -> Result<String, TrainError> {
    let mut digest = blake3::Hasher::new();
    for path in dataset::files(folder, "train")?
        .into_iter()
        .chain(dataset::files(folder, "dev")?)
    {
        let bytes = std::fs::read(&path).map_err(|source| TrainError::File {
            doing: "read",
            path: path.clone(),
            source,
        })?;
        digest.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        digest.update(&bytes);
    }
    Ok(digest.finalize().to_hex().to_string())
}

fn write_model(folder: &Path, weights: &[u8], manifest: &Manifest) -> Result<(), TrainError> {
    let mut text = serde_json::to_string_pretty(manifest).unwrap_or_default();
    text.push('\n');
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(|source| TrainError::File {
            doing: "write",
            path,
            source,
        })
    };
    std::fs::create_dir_all(folder).map_err(|source| TrainError::File {
        doing: "write",
        path: folder.to_owned(),
        source,
    })?;
    file(WEIGHTS_FILE, weights)?;
    file(MANIFEST_FILE, text.as_bytes())
}

#[cfg(test)]
mod tests;
