//! Tokens per second that pass, over the last moments.

use std::time::{Duration, Instant};

/// Over which the past is forgotten: about twenty batches.
const MEMORY: Duration = Duration::from_millis(200);

/// An exponentially weighted rate; what passed longer ago than [`MEMORY`] hardly counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flow {
    tokens: f64,
    at: Option<Instant>,
}

impl Flow {
    pub(super) fn add(&mut self, n_tokens: usize, now: Instant) {
        self.tokens = self.remembered(now) + n_tokens as f64;
        self.at = Some(now);
    }

    pub(super) fn per_second(&self, now: Instant) -> f64 {
        self.remembered(now) / MEMORY.as_secs_f64()
    }

    fn remembered(&self, now: Instant) -> f64 {
        let Some(at) = self.at else { return 0.0 };
        let age = now.saturating_duration_since(at);
        self.tokens * (-age.as_secs_f64() / MEMORY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_is_known_and_a_dry_one_forgotten() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut flow = Flow::default();
        assert_eq!(flow.per_second(start), 0.0);
        for millis in 0..2000 {
            flow.add(5, at(millis));
        }
        let known = flow.per_second(at(2000));
        assert!((4_900.0..5_100.0).contains(&known), "{known}");
        assert!(flow.per_second(at(4000)) < 1.0);
    }
}
