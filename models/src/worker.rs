//! Batches through a model.

use crate::Batch;
use crate::encoder::{EncodeError, Scratch};
use crate::fallback::Fallback;
use crate::model::{Model, Runner};
use portcullis_kernels::Team;
use std::fmt;
use std::sync::Arc;

/// One thread's way into a model: the model, shared, and memory of its own.
pub struct Worker {
    model: Arc<Model>,
    scratch: Scratch,
    logits: Vec<f32>,
}

/// Why a batch has no logits.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A sequence has more tokens than the model may be given.
    #[error("a sequence has {n_tokens} tokens, but the model takes {max_tokens}")]
    TooLong {
        /// Tokens of the sequence.
        n_tokens: usize,
        /// The model's limit.
        max_tokens: usize,
    },
    /// A token id the embedding has no row for.
    #[error("token id {id} is not below {vocab_size}, the vocabulary of the model")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Rows of the embedding.
        vocab_size: usize,
    },
    /// `is_cancelled` said so.
    #[error("the batch was cancelled")]
    Cancelled,
    /// A logit is not a number.
    #[error("a logit is not finite")]
    NonFinite,
    /// A thread of the team panicked.
    #[error("a thread of the team panicked")]
    Panicked,
    /// The fallback failed.
    #[error("candle could not run the model")]
    Candle {
        /// Why.
        #[source]
        source: candle_core::Error,
    },
}

impl From<EncodeError> for RunError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::TooLong {
                n_tokens,
                max_tokens,
            } => Self::TooLong {
                n_tokens,
                max_tokens,
            },
            EncodeError::UnknownToken { id, vocab_size } => Self::UnknownToken { id, vocab_size },
            EncodeError::Cancelled => Self::Cancelled,
            EncodeError::NonFinite => Self::NonFinite,
            EncodeError::Panicked => Self::Panicked,
        }
    }
}

impl Worker {
    pub(crate) fn new(model: Arc<Model>) -> Self {
        Self {
            model,
            scratch: Scratch::default(),
            logits: Vec::new(),
        }
    }

    /// The model it runs.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Runs one packed batch and returns its logits, uncalibrated, in input order.
    ///
    /// `[n_seqs, n_labels]`, or `[total_tokens, n_labels]` for [`Kind::Token`](crate::Kind).
    /// A sequence's logits do not depend on what else is in the batch.
    ///
    /// Blocks. `is_cancelled` is asked between layers on the fast path, between sequences on
    /// candle.
    ///
    /// # Errors
    /// [`RunError`]; there are no logits for part of a batch.
    pub fn run(
        &mut self,
        batch: &Batch,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<&[f32], RunError> {
        self.forward(None, batch, is_cancelled)
    }

    /// [`Self::run`] with the work of the batch shared out over a team of threads: for one request
    /// that is to be fast rather than many that are to be cheap. The logits are the same bits for
    /// any team. candle has threads of its own and leaves the team alone.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run_on(
        &mut self,
        team: &Team,
        batch: &Batch,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<&[f32], RunError> {
        self.run_while(team, &|| true, batch, is_cancelled)
    }

    /// [`Self::run_on`] for as long as `is_free`, which is asked between layers, says that the
    /// team's cores are; then [`Self::run`].
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run_while(
        &mut self,
        team: &Team,
        is_free: &dyn Fn() -> bool,
        batch: &Batch,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<&[f32], RunError> {
        self.forward(Some((team, is_free)), batch, is_cancelled)
    }

    fn forward(
        &mut self,
        team: Option<(&Team, &dyn Fn() -> bool)>,
        batch: &Batch,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<&[f32], RunError> {
        check(batch, &self.model)?;
        let scratch = &mut self.scratch;
        match (&self.model.runner, team) {
            (Runner::Fast(encoder), None) => Ok(encoder.forward(scratch, batch, is_cancelled)?),
            (Runner::Fast(encoder), Some((team, is_free))) => {
                Ok(encoder.forward_while(team, is_free, scratch, batch, is_cancelled)?)
            }
            (Runner::Candle(model), _) => {
                self.logits.clear();
                one_by_one(model, batch, is_cancelled, &mut self.logits)?;
                Ok(&self.logits)
            }
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

fn check(batch: &Batch, model: &Model) -> Result<(), RunError> {
    let (max_tokens, vocab_size) = (model.info().max_tokens, model.info().vocab_size);
    let too_long = sequences(batch).find(|ids| max_tokens < ids.len());
    if let Some(ids) = too_long {
        return Err(RunError::TooLong {
            n_tokens: ids.len(),
            max_tokens,
        });
    }
    let unknown = batch
        .input_ids()
        .iter()
        .find(|id| vocab_size <= **id as usize);
    match unknown {
        Some(&id) => Err(RunError::UnknownToken { id, vocab_size }),
        None => Ok(()),
    }
}

fn one_by_one(
    model: &Fallback,
    batch: &Batch,
    is_cancelled: &dyn Fn() -> bool,
    logits: &mut Vec<f32>,
) -> Result<(), RunError> {
    for ids in sequences(batch) {
        if is_cancelled() {
            return Err(RunError::Cancelled);
        }
        let own = model
            .forward(ids)
            .map_err(|source| RunError::Candle { source })?;
        if own.iter().any(|logit| !logit.is_finite()) {
            return Err(RunError::NonFinite);
        }
        logits.extend(own);
    }
    Ok(())
}

fn sequences(batch: &Batch) -> impl Iterator<Item = &[u32]> {
    batch.cu_seqlens().windows(2).map(|bounds| {
        let range = bounds[0] as usize..bounds[1] as usize;
        &batch.input_ids()[range]
    })
}
