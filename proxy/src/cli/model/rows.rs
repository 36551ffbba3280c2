//! Asking a model about the rows of files, several at once so that no core waits.

use super::DirArgs;
use crate::cli::{Exit, chain};
use portcullis_classifiers::neural::{NeuralClassifier, NeuralConfig};
use portcullis_classifiers::{Failure, dataset};
use portcullis_models::Facts;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Rows that are asked about at once.
const AT_ONCE: usize = 8;
/// How long one text may take.
pub(super) const WITHIN: Duration = Duration::from_secs(600);

/// The classifier of a model's directory, on all cores.
pub(super) fn started(model: &DirArgs) -> Result<(NeuralClassifier, Facts), Exit> {
    let model = model.load()?;
    let facts = model.info().clone();
    let config = NeuralConfig {
        n_workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        known_bytes: 0,
    };
    let neural = NeuralClassifier::start(model, config, Arc::new(()))
        .map_err(|error| Exit::Environment(chain(&error)))?;
    Ok((neural, facts))
}

/// The rows of all files, in their order.
pub(super) fn rows_of(paths: &[PathBuf]) -> Result<Vec<dataset::Row>, Exit> {
    let mut rows = Vec::new();
    for path in paths {
        let file = dataset::read(path).map_err(|error| Exit::Environment(chain(&error)))?;
        for row in file {
            rows.push(row.map_err(|error| Exit::Usage(chain(&error)))?);
        }
    }
    Ok(rows)
}

/// What is found for each row, in their order.
pub(super) fn each<T: Send>(
    rows: &[dataset::Row],
    find: impl Fn(&dataset::Row) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Exit> {
    let part_len = rows.len().div_ceil(AT_ONCE).max(1);
    let parts = std::thread::scope(|scope| {
        let asked: Vec<_> = rows
            .chunks(part_len)
            .map(|part| scope.spawn(|| part.iter().map(&find).collect::<Result<Vec<T>, _>>()))
            .collect();
        let answers = asked.into_iter().map(std::thread::ScopedJoinHandle::join);
        answers
            .map(|answer| answer.unwrap_or(Err(Failure::Died)))
            .collect::<Result<Vec<_>, _>>()
    });
    let parts = parts.map_err(|failure| Exit::Environment(failure.to_string()))?;
    Ok(parts.into_iter().flatten().collect())
}
