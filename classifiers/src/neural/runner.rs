//! A model's worker as the engine runs it: one row of logits for each sequence.

use super::labels::evidence;
use crate::Failure;
use crate::batching::Runner;
use portcullis_models::{Batch, Kind, Model, RunError, Worker};
use std::sync::Arc;

/// One thread's way into the model.
pub(super) struct ModelRunner {
    worker: Worker,
    kind: Kind,
    /// What a row of a token classifier is: the strongest evidence of each label.
    rows: Vec<f32>,
    odds: Vec<f32>,
}

impl ModelRunner {
    pub(super) fn new(model: &Arc<Model>) -> Self {
        Self {
            worker: model.worker(),
            kind: model.info().kind,
            rows: Vec::new(),
            odds: Vec::new(),
        }
    }
}

impl Runner for ModelRunner {
    fn run(&mut self, batch: &Batch, is_cancelled: &dyn Fn() -> bool) -> Result<&[f32], Failure> {
        let n_labels = self.worker.model().info().labels.len();
        let logits = self
            .worker
            .run(batch, is_cancelled)
            .map_err(|error| failure(&error))?;
        if self.kind != Kind::Token {
            return Ok(logits); // [n_seqs, n_labels]
        }
        self.rows.clear();
        for bounds in batch.cu_seqlens().windows(2) {
            let tokens = bounds[0] as usize * n_labels..bounds[1] as usize * n_labels;
            let first = self.rows.len();
            self.rows.resize(first + n_labels, f32::NEG_INFINITY);
            for token in logits[tokens].chunks_exact(n_labels) {
                evidence(self.kind, token, &mut self.odds);
                let row = self.rows[first..].iter_mut();
                row.zip(&self.odds)
                    .for_each(|(most, own)| *most = most.max(*own));
            }
        }
        Ok(&self.rows) // [n_seqs, n_labels]
    }
}

const fn failure(error: &RunError) -> Failure {
    match error {
        RunError::NonFinite => Failure::NonFinite,
        RunError::Cancelled => Failure::TimedOut,
        _ => Failure::Died,
    }
}
