//! Times, and the percentiles that are printed of them.

use serde_json::{Value, json};

/// Times in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<u64>);

impl Samples {
    /// Adds one time.
    pub fn push(&mut self, nanoseconds: u64) {
        self.0.push(nanoseconds);
    }

    /// Adds all times of another set.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// `n` and percentiles in microseconds, to a tenth; `null` without a sample.
    #[must_use]
    pub fn to_json(&self) -> Value {
        if self.0.is_empty() {
            return Value::Null;
        }
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = |permille: usize| {
            let nanoseconds = sorted[(sorted.len() - 1) * permille / 1000];
            (nanoseconds as f64 / 100.0).round() / 10.0
        };
        json!({
            "n": sorted.len(),
            "p50": at(500), "p90": at(900), "p99": at(990), "p999": at(999), "max": at(1000),
        })
    }
}

/// The middle value; the upper one of two. Zero without a value.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_microseconds() {
        let mut samples = Samples::default();
        (1..=1001).for_each(|n| samples.push(n * 1000));
        let printed = samples.to_json();
        assert_eq!(printed["p50"], 501.0);
        assert_eq!(printed["p99"], 991.0);
        assert_eq!(printed["max"], 1001.0);
    }

    #[test]
    fn no_sample_is_null() {
        assert!(Samples::default().to_json().is_null());
    }

    #[test]
    fn the_median_ignores_one_bad_round() {
        assert_eq!(median(&[3.0, 900.0, 2.0]), 3.0);
    }
}
