//! From the logits of harmless texts to a curve.
//!
//! Each source of texts gives its own exceedances with an exponential tail, and the curve takes the
//! mean over the *worst eighth* of the sources: a rate that holds there also holds for a mixture
//! nobody foresaw.

use super::{Curve, LEVELS};

/// Sources with fewer reference texts are pooled.
const MIN_SOURCE: usize = 150;
/// The curve stands on one source in so many, those that score highest.
const WORST_PART: usize = 8;
/// Talk among people (forum comments, social-media dialogues) stands on these surfaces too, though
/// few users and no assistant write like that: pooled, it may reach a level this many times as
/// often.
const TALK_LENIENCE: f32 = 5.0;
/// Counted exceedances that an empirical share needs; beyond, the tail speaks.
const MIN_COUNT: usize = 10;
/// Smallest slope of a tail: nothing is ruled out by a few logits.
const MIN_TAIL: f32 = 0.25;

/// One sample for each source of many texts, one for all small sources together, and one for talk
/// among people, which may reach a level more often.
pub(crate) fn samples(
    by_source: impl IntoIterator<Item = Vec<f32>>,
    talk: Vec<f32>,
) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut small = Vec::new();
    for logits in by_source {
        if logits.len() < MIN_SOURCE {
            small.extend(logits);
        } else {
            samples.push(Sample::new(logits, 1.0));
        }
    }
    samples.extend((!small.is_empty()).then(|| Sample::new(small, 1.0)));
    samples.extend((!talk.is_empty()).then(|| Sample::new(talk, TALK_LENIENCE)));
    samples
}

/// Reference logits of one source, highest first.
#[derive(Debug)]
pub(crate) struct Sample {
    logits: Vec<f32>,
    lenience: f32,
    /// Mean excess of the highest twentieth: the slope of its exponential tail.
    tail: f32,
}

impl Sample {
    fn new(mut logits: Vec<f32>, lenience: f32) -> Self {
        logits.sort_by(|a, b| b.total_cmp(a));
        let n_tail = (logits.len() / 20)
            .clamp(MIN_COUNT, 200)
            .min(logits.len() - 1);
        let excess: f32 = logits[..n_tail]
            .iter()
            .map(|logit| logit - logits[n_tail])
            .sum();
        let tail = (excess / n_tail.max(1) as f32).max(MIN_TAIL);
        Self {
            logits,
            lenience,
            tail,
        }
    }

    /// Share of these texts that reach a logit: counted where ten do, else by the tail.
    fn share_reaching(&self, logit: f32) -> f32 {
        let count = self.logits.partition_point(|other| logit <= *other);
        let n_texts = self.logits.len() as f32;
        let share = if MIN_COUNT <= count {
            count as f32 / n_texts
        } else {
            let last = MIN_COUNT.min(self.logits.len()) - 1;
            let over = (logit - self.logits[last]).max(0.0);
            (last + 1) as f32 / n_texts * (-over / self.tail).exp()
        };
        share / self.lenience
    }
}

/// The curve through the mean of the worst samples.
///
/// - `caution`: how many times as often as counted harmless texts are expected.
pub(crate) fn envelope(samples: &[Sample], caution: f32) -> Curve {
    let mut knots = LEVELS.map(|level| reached_by(samples, level / caution));
    for k in 1..knots.len() {
        knots[k] = knots[k].max(knots[k - 1] + 1e-3);
    }
    let (last, level) = (knots[knots.len() - 1], LEVELS[LEVELS.len() - 1]);
    let beyond = reached_by(samples, level / caution / 10.0);
    let head = (knots[1] - knots[0]).max(MIN_TAIL);
    let tail = ((beyond - last) / 10.0_f32.ln()).max(MIN_TAIL);
    Curve {
        knots,
        head,
        tail,
        ceiling: 1.0,
    }
}

/// The logit that a share of harmless texts reaches, by bisection.
fn reached_by(samples: &[Sample], share: f32) -> f32 {
    let (mut low, mut high) = (-60.0_f32, 60.0_f32);
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        if share < worst_share(samples, middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

fn worst_share(samples: &[Sample], logit: f32) -> f32 {
    let mut shares: Vec<f32> = samples
        .iter()
        .map(|sample| sample.share_reaching(logit))
        .collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    let n_worst = shares.len().div_ceil(WORST_PART);
    shares[..n_worst].iter().sum::<f32>() / n_worst.max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits whose share above `x` is `exp(-x / slope)`.
    fn exponential(n: usize, slope: f32) -> Vec<f32> {
        (0..n)
            .map(|k| -slope * ((k as f32 + 0.5) / n as f32).ln())
            .collect()
    }

    fn share_scoring(curve: &Curve, logits: &[f32], score: f32) -> f32 {
        let above = logits
            .iter()
            .filter(|logit| score <= curve.score(**logit))
            .count();
        above as f32 / logits.len() as f32
    }

    #[test]
    fn a_score_means_the_share_of_harmless_texts_that_reach_it() {
        let logits = exponential(20_000, 1.5);
        let curve = envelope(&[Sample::new(logits.clone(), 1.0)], 1.0);
        for score in [0.5, 0.9, 0.99, 0.999] {
            let share = share_scoring(&curve, &logits, score);
            let expected = 1.0 - score;
            assert!(
                (share - expected).abs() < 0.15 * expected,
                "{share} reach {score}"
            );
        }
    }

    #[test]
    fn the_tail_goes_beyond_what_was_counted() {
        let curve = envelope(&[Sample::new(exponential(2_000, 1.0), 1.0)], 1.0);
        let fresh = exponential(1_000_000, 1.0);
        let share = share_scoring(&curve, &fresh, 0.9999);
        assert!((3e-5..3e-4).contains(&share), "{share} reach 0.9999");
    }

    #[test]
    fn the_rate_holds_for_the_worst_source_and_not_for_the_average() {
        let quiet = || Sample::new(exponential(5_000, 0.5), 1.0);
        let loud = exponential(5_000, 2.0);
        let samples = [quiet(), quiet(), quiet(), Sample::new(loud.clone(), 1.0)];
        let curve = envelope(&samples, 1.0);
        assert!(share_scoring(&curve, &loud, 0.99) < 0.012);
    }
}
