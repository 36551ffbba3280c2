//! A model's worker as the engine runs it: one row of logits for each sequence.

use super::labels::evidence;
use crate::Failure;
use crate::batching::Runner;
use portcullis_models::{Batch, Kind, Model, RunError, Team, Worker};
use std::sync::Arc;

/// One thread's way into the model.
pub(super) struct ModelRunner {
    worker: Worker,
    team: Arc<Team>,
    kind: Kind,
    rows: Rows,
}

/// What a row of a token classifier is: the strongest evidence of each label.
#[derive(Default)]
struct Rows {
    values: Vec<f32>,
    odds: Vec<f32>,
}

impl ModelRunner {
    /// `team` is that of all workers together.
    pub(super) fn new(model: &Arc<Model>, team: &Arc<Team>) -> Self {
        Self {
            worker: model.worker(),
            team: Arc::clone(team),
            kind: model.info().kind,
            rows: Rows::default(),
        }
    }
}

impl Runner for ModelRunner {
    fn run(&mut self, batch: &Batch, is_cancelled: &dyn Fn() -> bool) -> Result<&[f32], Failure> {
        let logits = self.worker.run(batch, is_cancelled);
        self.rows.of(self.kind, batch, logits)
    }

    fn run_alone(
        &mut self,
        batch: &Batch,
        is_cancelled: &dyn Fn() -> bool,
        is_alone: &dyn Fn() -> bool,
    ) -> Result<&[f32], Failure> {
        let (worker, team) = (&mut self.worker, &self.team);
        let logits = worker.run_while(team, is_alone, batch, is_cancelled);
        self.rows.of(self.kind, batch, logits)
    }
}

impl Rows {
    /// A row for each sequence, `[n_seqs, n_labels]`, of what a model gave.
    fn of<'r>(
        &'r mut self,
        kind: Kind,
        batch: &Batch,
        logits: Result<&'r [f32], RunError>,
    ) -> Result<&'r [f32], Failure> {
        let logits = logits.map_err(|error| failure(&error))?;
        if kind != Kind::Token {
            return Ok(logits);
        }
        self.of_tokens(batch, logits);
        Ok(&self.values)
    }

    /// The strongest evidence over each sequence's tokens.
    fn of_tokens(&mut self, batch: &Batch, logits: &[f32]) {
        let n_labels = logits.len() / batch.input_ids().len().max(1);
        self.values.clear();
        for bounds in batch.cu_seqlens().windows(2) {
            let tokens = bounds[0] as usize * n_labels..bounds[1] as usize * n_labels;
            let first = self.values.len();
            self.values.resize(first + n_labels, f32::NEG_INFINITY);
            for token in logits[tokens].chunks_exact(n_labels) {
                evidence(Kind::Token, token, &mut self.odds);
                let row = self.values[first..].iter_mut();
                row.zip(&self.odds)
                    .for_each(|(most, own)| *most = most.max(*own));
            }
        }
    }
}

const fn failure(error: &RunError) -> Failure {
    match error {
        RunError::NonFinite => Failure::NonFinite,
        RunError::Cancelled => Failure::TimedOut,
        _ => Failure::Died,
    }
}
