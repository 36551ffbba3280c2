//! What goes into a model and what comes out.

use crate::Failure;
use portcullis_models::Batch;
use std::fmt;

/// The token ids of one text or window, at least one. Printed as its length: ids are text.
#[derive(Clone, PartialEq, Eq)]
pub struct Sequence(Vec<u32>);

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sequence({} tokens)", self.0.len())
    }
}

impl Sequence {
    /// `None` without any id: there would be nothing to score.
    #[must_use]
    pub fn new(ids: Vec<u32>) -> Option<Self> {
        (!ids.is_empty()).then_some(Self(ids))
    }

    /// The ids.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.0
    }
}

/// One worker's model: packed sequences in, logits out.
pub trait Runner: Send {
    /// Runs one batch on the calling thread.
    ///
    /// - returns logits `[n_seqs, n_labels]`, row-major, in the order of the batch; they are copied
    ///   before the next call.
    /// - `is_cancelled` is to be asked between layers: once it is `true` nobody waits for any of
    ///   the batch and the run may end with whatever failure.
    ///
    /// A panic is caught: the runner is dropped and another made.
    ///
    /// # Errors
    /// Any [`Failure`]; the sequences of a larger batch are then run one by one, once.
    fn run(&mut self, batch: &Batch, is_cancelled: &dyn Fn() -> bool) -> Result<&[f32], Failure>;

    /// [`Self::run`] of a batch that has the machine to itself: it may use the cores of the other
    /// workers for as long as `is_alone`, asked between layers, says that they are idle.
    ///
    /// # Errors
    /// As [`Self::run`].
    fn run_alone(
        &mut self,
        batch: &Batch,
        is_cancelled: &dyn Fn() -> bool,
        is_alone: &dyn Fn() -> bool,
    ) -> Result<&[f32], Failure> {
        let _ = is_alone;
        self.run(batch, is_cancelled)
    }
}

/// The logits of a ticket, in the order its sequences were submitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    pub(super) n_labels: usize,
    /// `[n_seqs, n_labels]`
    pub(super) values: Vec<f32>,
}

impl Logits {
    /// One row of `n_labels` for each sequence; every value is finite.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.n_labels)
    }
}
