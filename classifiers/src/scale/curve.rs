//! One monotone curve: a table of quantiles with a fitted tail.

/// Shares of harmless texts that reach the knots of a curve, from common to rare.
///
/// Between knots the logarithm of the share is linear in the logit; beyond the last it goes on with
/// the slope of the fitted exponential tail.
pub(crate) const LEVELS: [f32; 14] = [
    0.99, 0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4,
];

/// Numbers that describe a curve in the weights file.
pub(crate) const N_NUMBERS: usize = LEVELS.len() + 3;

/// A curve from logits to scores.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Curve {
    /// The logit that a share `LEVELS[k]` of harmless texts reaches; strictly ascending.
    pub(crate) knots: [f32; LEVELS.len()],
    /// Logits below the first knot per factor e, above 0.
    pub(crate) head: f32,
    /// Logits beyond the last knot per factor e, above 0.
    pub(crate) tail: f32,
    /// What scores tend to, in `(0, 1]`: below 1 where the model cannot tell.
    pub(crate) ceiling: f32,
}

impl Curve {
    /// The score of a logit.
    pub(crate) fn score(&self, logit: f32) -> f32 {
        // 1 - exp(x) without losing digits near 1
        let score = -self.ln_share(logit).exp_m1();
        self.ceiling * score
    }

    /// Logarithm of the share of harmless texts that reach the logit.
    fn ln_share(&self, logit: f32) -> f32 {
        let above = self.knots.partition_point(|knot| *knot <= logit);
        if above == 0 {
            let first = LEVELS[0].ln();
            // NaN comes through here and stays NaN
            return first * ((logit - self.knots[0]) / self.head).exp();
        }
        let (from, ln_from) = (self.knots[above - 1], LEVELS[above - 1].ln());
        match self.knots.get(above) {
            None => ln_from - (logit - from) / self.tail,
            Some(to) => ln_from + (LEVELS[above].ln() - ln_from) * (logit - from) / (to - from),
        }
    }

    /// Why these numbers are no curve, if they are none.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let ascending = self.knots.windows(2).all(|pair| pair[0] < pair[1]);
        let finite = self.knots.iter().all(|knot| knot.is_finite());
        let positive = |number: f32| number.is_finite() && 0.0 < number;
        if !finite || !ascending {
            return Some("knots are not finite and ascending");
        }
        if !positive(self.head) || !positive(self.tail) {
            return Some("a slope is not above 0");
        }
        if !positive(self.ceiling) || 1.0 < self.ceiling {
            return Some("the ceiling is not in (0, 1]");
        }
        None
    }

    /// The numbers in storage order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = f32> + '_ {
        self.knots
            .iter()
            .copied()
            .chain([self.head, self.tail, self.ceiling])
    }

    /// The other way round; `None` when `numbers` is not [`N_NUMBERS`] long.
    pub(crate) fn from_numbers(numbers: &[f32]) -> Option<Self> {
        let (knots, rest) = numbers.split_first_chunk()?;
        let [head, tail, ceiling] = *<&[f32; 3]>::try_from(rest).ok()?;
        Some(Self {
            knots: *knots,
            head,
            tail,
            ceiling,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn curve() -> impl Strategy<Value = Curve> {
        let gaps = prop::array::uniform14(0.01_f32..3.0);
        (
            -10.0_f32..10.0,
            gaps,
            0.1_f32..4.0,
            0.1_f32..4.0,
            0.5_f32..=1.0,
        )
            .prop_map(|(mut at, gaps, head, tail, ceiling)| {
                let knots = gaps.map(|gap| {
                    at += gap;
                    at
                });
                Curve {
                    knots,
                    head,
                    tail,
                    ceiling,
                }
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_larger_logit_never_scores_lower_and_scores_stay_in_range(
            curve in curve(), a in -100.0_f32..100.0, b in -100.0_f32..100.0,
        ) {
            let (low, high) = (curve.score(a.min(b)), curve.score(a.max(b)));
            prop_assert!(low <= high, "{low} above {high}");
            prop_assert!((0.0..=curve.ceiling).contains(&low));
            prop_assert!((0.0..=curve.ceiling).contains(&high));
        }

        #[test]
        fn a_knot_scores_its_level(curve in curve(), k in 0..LEVELS.len()) {
            let score = curve.score(curve.knots[k]) / curve.ceiling;
            prop_assert!((score - (1.0 - LEVELS[k])).abs() < 1e-4);
        }

        #[test]
        fn numbers_and_back_is_the_same_curve(curve in curve()) {
            let numbers: Vec<f32> = curve.numbers().collect();
            prop_assert_eq!(numbers.len(), N_NUMBERS);
            prop_assert_eq!(curve.fault(), None);
            prop_assert_eq!(Curve::from_numbers(&numbers), Some(curve));
        }
    }

    #[test]
    fn a_logit_that_is_no_number_gives_no_score() {
        let knots = std::array::from_fn(|k| k as f32);
        let curve = Curve {
            knots,
            head: 1.0,
            tail: 1.0,
            ceiling: 1.0,
        };
        assert!(curve.score(f32::NAN).is_nan());
    }
}
