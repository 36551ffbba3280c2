//! The engine's settings.

use super::queue::QueueLimits;
use super::throughput::BatchSize;
use std::time::Duration;

/// How many workers, how much may wait, how large a batch is, and when a worker counts as stuck.
#[derive(Clone, Copy, Debug)]
pub struct BatchingConfig {
    /// Threads, each with a runner of its own; at least 1.
    pub n_workers: usize,
    /// Logits for each sequence; at least 1.
    pub n_labels: usize,
    /// What may wait.
    pub queue: QueueLimits,
    /// How large a batch is.
    pub batch: BatchSize,
    /// A batch, or the making of a runner, that takes this long is given up and its worker replaced.
    pub stuck_after: Duration,
    /// Workers that may be replaced in the engine's life; past it a stuck worker is only waited for.
    pub max_replacements: usize,
}

impl BatchingConfig {
    /// Settings that suit a small encoder: batches worth 10 ms, a queue of 65,536 sequences and a
    /// million tokens (about 4 MiB), ten seconds until a worker counts as stuck.
    #[must_use]
    pub const fn new(n_workers: usize, n_labels: usize) -> Self {
        Self {
            n_workers,
            n_labels,
            queue: QueueLimits {
                max_items: 1 << 16,
                max_tokens: 1 << 20,
                turn_tokens: 512,
            },
            batch: BatchSize {
                time: Duration::from_millis(10),
                min_tokens: 64,
                max_tokens: 16_384,
            },
            stuck_after: Duration::from_secs(10),
            max_replacements: 8,
        }
    }
}
