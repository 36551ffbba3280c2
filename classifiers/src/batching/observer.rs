//! What the engine tells whoever counts.

use crate::{Class, Failure, Shed};
use std::time::Duration;

/// A batch that was scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSeen {
    /// `classifier_batch_tokens`.
    pub n_tokens: usize,
    /// `classifier_batch_sequences`.
    pub n_sequences: usize,
    /// `classifier_infer_seconds`.
    pub infer: Duration,
}

/// Something happened to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorkerEvent {
    /// Its runner panicked.
    Panicked,
    /// It made a new runner after a panic.
    Rebuilt,
    /// It could not make one, or its thread could not be started, and it is gone.
    Retired,
    /// It takes too long: its batch was given up.
    Stuck,
    /// Another took its place.
    Replaced,
    /// It was stuck, came back, and goes on.
    Returned,
    /// It was still stuck at shutdown, and its thread was left behind.
    Abandoned,
}

impl WorkerEvent {
    /// The metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Panicked => "panicked",
            Self::Rebuilt => "rebuilt",
            Self::Retired => "retired",
            Self::Stuck => "stuck",
            Self::Replaced => "replaced",
            Self::Returned => "returned",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Hears of everything the engine does. Called without a lock, on the thread that did it; an
/// implementation is quick and does not panic.
pub trait Observer: Send + Sync {
    /// A batch was scored.
    fn batch(&self, _batch: BatchSeen) {}
    /// A sequence left the queue for a worker: `classifier_queue_seconds{class}`.
    fn queue_wait(&self, _class: Class, _queue_wait: Duration) {}
    /// An order was refused at the door: `classifier_shed_total{reason}`.
    fn shed(&self, _reason: Shed) {}
    /// A ticket ended without logits: `classifier_failures_total{model,result}`. Once for each
    /// ticket that was still waited for.
    fn failure(&self, _failure: Failure) {}
    /// So many sequences were found in flight and not queued again.
    fn joined(&self, _n_sequences: usize) {}
    /// Something happened to a worker.
    fn worker(&self, _event: WorkerEvent) {}
}

/// Counts nothing.
impl Observer for () {}
