//! How fast the workers are, measured on the batches they finish, and what follows from it.

use std::time::Duration;

/// Busy time over which the measurement forgets.
const MEMORY: Duration = Duration::from_millis(50);
/// No single batch moves the measurement by more than this share: one that hung is an exception.
const MAX_WEIGHT: f64 = 0.25;
/// A batch that took no measurable time.
const SHORTEST: Duration = Duration::from_nanos(100);

/// What the queue has to know about the workers to tell whether an item would be late.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Of all workers together; `None` before anything was measured.
    pub tokens_per_second: Option<f64>,
    /// Tokens in the batches that run now.
    pub running_tokens: usize,
    /// The size of a batch.
    pub batch_tokens: usize,
}

/// How large a batch is.
#[derive(Clone, Copy, Debug)]
pub struct BatchSize {
    /// How long a batch should take.
    pub time: Duration,
    /// Its least size, in tokens, however slow the model.
    pub min_tokens: usize,
    /// Its largest size, in tokens, however fast the model.
    pub max_tokens: usize,
}

/// Tokens per second of one worker: an exponentially weighted mean over busy time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Throughput {
    tokens_per_second: Option<f64>,
}

impl Throughput {
    /// Counts a finished batch.
    pub fn observe(&mut self, n_tokens: usize, busy: Duration) {
        let seconds = busy.max(SHORTEST).as_secs_f64();
        let seen = n_tokens as f64 / seconds;
        let weight = (1.0 - (-seconds / MEMORY.as_secs_f64()).exp()).min(MAX_WEIGHT);
        let rate = match self.tokens_per_second {
            None => seen,
            Some(known) => known + weight * (seen - known),
        };
        self.tokens_per_second = Some(rate);
    }

    /// One worker's rate; `None` before the first batch.
    #[must_use]
    pub const fn tokens_per_second(&self) -> Option<f64> {
        self.tokens_per_second
    }

    /// Tokens that a batch should have; the least size before anything was measured.
    #[must_use]
    pub fn batch_tokens(&self, size: &BatchSize) -> usize {
        let wanted = self.tokens_per_second.unwrap_or(0.0) * size.time.as_secs_f64();
        // a cast from a float saturates
        (wanted as usize)
            .min(size.max_tokens)
            .max(size.min_tokens)
            .max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: BatchSize = BatchSize {
        time: Duration::from_millis(10),
        min_tokens: 64,
        max_tokens: 4096,
    };

    /// What is known after batches of so many tokens and milliseconds.
    fn after(batches: &[(usize, u64)]) -> Throughput {
        let mut throughput = Throughput::default();
        for (n_tokens, millis) in batches {
            throughput.observe(*n_tokens, Duration::from_millis(*millis));
        }
        throughput
    }

    #[test]
    fn a_batch_is_worth_its_time_within_bounds() {
        assert_eq!(Throughput::default().batch_tokens(&SIZE), 64);
        assert_eq!(after(&[(500, 10)]).batch_tokens(&SIZE), 500);
        assert_eq!(after(&[(1, 1000)]).batch_tokens(&SIZE), 64);
        assert_eq!(after(&[(1_000_000, 1)]).batch_tokens(&SIZE), 4096);
        assert_eq!(after(&[(5, 0)]).batch_tokens(&SIZE), 4096);
    }

    #[test]
    fn a_batch_that_hung_is_forgotten_and_a_new_rate_is_learned() {
        let mut throughput = after(&[(500, 10), (500, 60_000)]);
        let shaken = throughput.tokens_per_second().unwrap();
        assert!(35_000.0 < shaken, "{shaken}");
        for _ in 0..20 {
            throughput.observe(1000, Duration::from_millis(10));
        }
        let learned = throughput.tokens_per_second().unwrap();
        assert!((95_000.0..=100_000.0).contains(&learned), "{learned}");
    }
}
