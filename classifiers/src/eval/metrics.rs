//! The numbers: what ranks well, and what a threshold does.
//!
//! Ranking numbers treat texts of equal score as one step, as scikit-learn does, so that a
//! classifier gains nothing from the order in which texts happen to stand.
//! Every number is `None` where it has no meaning, and none depends on the order of its input.

/// A text's score and whether its label holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The score, a number in any range.
    pub score: f32,
    /// Whether the label is 1.
    pub is_positive: bool,
}

/// What stands at or above one score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Step {
    true_positives: usize,
    false_positives: usize,
}

/// Counts at a cut-off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Flagged, rightly.
    pub true_positives: usize,
    /// Flagged, wrongly.
    pub false_positives: usize,
    /// Missed.
    pub false_negatives: usize,
    /// Left alone, rightly.
    pub true_negatives: usize,
}

impl Counts {
    /// Enters one text.
    pub const fn add(&mut self, is_flagged: bool, is_positive: bool) {
        match (is_flagged, is_positive) {
            (true, true) => self.true_positives += 1,
            (true, false) => self.false_positives += 1,
            (false, true) => self.false_negatives += 1,
            (false, false) => self.true_negatives += 1,
        }
    }

    /// Share of the positives that are flagged.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        share(
            self.true_positives,
            self.true_positives + self.false_negatives,
        )
    }

    /// Share of the negatives that are flagged.
    #[must_use]
    pub fn fpr(&self) -> Option<f64> {
        share(
            self.false_positives,
            self.false_positives + self.true_negatives,
        )
    }

    /// The harmonic mean of precision and recall; `None` unless both classes are there.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        self.recall().and(self.fpr())?;
        let wrong = self.false_positives + self.false_negatives;
        share(2 * self.true_positives, 2 * self.true_positives + wrong)
    }
}

/// `part / whole`, `None` without a whole.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of texts are far below 2^52"
)]
pub fn share(part: usize, whole: usize) -> Option<f64> {
    (0 < whole).then(|| part as f64 / whole as f64)
}

/// Area under the precision-recall curve, as average precision: the sum over falling thresholds of
/// the gain in recall times the precision there, without interpolation.
#[must_use]
pub fn auprc(samples: &[Sample]) -> Option<f64> {
    let (steps, last) = ranked(samples)?;
    let mut area = 0.0;
    let mut before = 0;
    for step in &steps {
        let gain = share(step.true_positives - before, last.true_positives)?;
        area += gain * precision(step)?;
        before = step.true_positives;
    }
    Some(area)
}

/// Area under the receiver operating characteristic: the chance that a positive scores above a
/// negative, a tie counting half.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of texts are far below 2^52"
)]
pub fn auroc(samples: &[Sample]) -> Option<f64> {
    let (steps, last) = ranked(samples)?;
    let mut before = Step::default();
    let mut doubled_area = 0.0;
    for step in &steps {
        let width = (step.false_positives - before.false_positives) as f64;
        doubled_area += width * (step.true_positives + before.true_positives) as f64;
        before = *step;
    }
    Some(doubled_area / 2.0 / last.true_positives as f64 / last.false_positives as f64)
}

/// Points of the precision-recall curve as `(recall, precision)`, recall rising; at most
/// `max_points` (at least 2), evenly taken, the last one always.
#[must_use]
pub fn pr_curve(samples: &[Sample], max_points: usize) -> Vec<(f64, f64)> {
    let Some((steps, last)) = ranked(samples) else {
        return Vec::new();
    };
    let stride = steps.len().div_ceil(max_points.max(2) - 1);
    let kept = steps.iter().step_by(stride).chain(steps.last());
    let point = |step: &Step| {
        Some((
            share(step.true_positives, last.true_positives)?,
            precision(step)?,
        ))
    };
    let mut points: Vec<_> = kept.filter_map(point).collect();
    points.dedup();
    points
}

fn precision(step: &Step) -> Option<f64> {
    share(
        step.true_positives,
        step.true_positives + step.false_positives,
    )
}

/// One step for each distinct score, from the highest down, and the last step, which holds all;
/// `None` unless both classes are there.
fn ranked(samples: &[Sample]) -> Option<(Vec<Step>, Step)> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut steps = Vec::new();
    let mut step = Step::default();
    for tied in sorted.chunk_by(|a, b| a.score == b.score) {
        let n_positive = tied.iter().filter(|sample| sample.is_positive).count();
        step.true_positives += n_positive;
        step.false_positives += tied.len() - n_positive;
        steps.push(step);
    }
    let has_both = 0 < step.true_positives && 0 < step.false_positives;
    has_both.then_some((steps, step))
}

/// The lowest cut-off that at most a share `at_most` of the pooled groups lies *above*, each group
/// counting the same whatever its size; `None` without any score.
///
/// Strictly above, because with `at or above` a tie at the cut-off could flag far more.
#[must_use]
pub fn cut_off(groups: &[&[f32]], at_most: f64) -> Option<f32> {
    let mut pooled = Vec::new();
    let n_groups = groups.iter().filter(|group| !group.is_empty()).count();
    for group in groups {
        let weight = share(1, group.len() * n_groups).unwrap_or_default();
        pooled.extend(group.iter().map(|score| (*score, weight)));
    }
    pooled.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut above = 0.0;
    let mut lowest = None;
    for tied in pooled.chunk_by(|a, b| a.0 == b.0) {
        // The weights are rounded: one per million of slack keeps an exact share exact.
        if at_most + 1e-6 < above {
            break;
        }
        lowest = Some(tied[0].0);
        above += tied.iter().map(|(_, weight)| weight).sum::<f64>();
    }
    lowest
}

/// Share of the positives strictly above a cut-off.
#[must_use]
pub fn recall_above(samples: &[Sample], cut_off: f32) -> Option<f64> {
    let mut counts = Counts::default();
    for sample in samples {
        counts.add(cut_off < sample.score, sample.is_positive);
    }
    counts.recall()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples(labels: &[u8], scores: &[f32]) -> Vec<Sample> {
        let pairs = labels.iter().zip(scores);
        pairs
            .map(|(label, &score)| Sample {
                score,
                is_positive: *label == 1,
            })
            .collect()
    }

    /// Expected values are those of scikit-learn 1.9.1: `average_precision_score`, `roc_auc_score`.
    #[track_caller]
    fn check(labels: &[u8], scores: &[f32], expected_auprc: f64, expected_auroc: f64) {
        let samples = samples(labels, scores);
        let (auprc, auroc) = (auprc(&samples).unwrap(), auroc(&samples).unwrap());
        assert!((auprc - expected_auprc).abs() < 1e-12, "auprc {auprc}");
        assert!((auroc - expected_auroc).abs() < 1e-12, "auroc {auroc}");
    }

    #[test]
    fn ranking_agrees_with_scikit_learn() {
        check(
            &[0, 0, 1, 1],
            &[0.1, 0.4, 0.35, 0.8],
            0.833_333_333_333_333_3,
            0.75,
        );
        check(&[1, 1, 0, 0, 0], &[0.1, 0.2, 0.3, 0.4, 0.5], 0.325, 0.0);
        check(&[1, 1, 1, 0, 0], &[0.9, 0.8, 0.7, 0.2, 0.1], 1.0, 1.0);
    }

    #[test]
    fn ranking_agrees_with_scikit_learn_on_ties() {
        let scores = [0.9, 0.9, 0.5, 0.5, 0.5, 0.2, 0.1, 0.1];
        check(&[1, 0, 1, 0, 1, 0, 0, 1], &scores, 0.55, 0.5625);
        check(&[0, 1, 0, 1], &[0.5; 4], 0.5, 0.5);
        let scores = [0.05, 0.1, 0.15, 0.2, 0.3, 0.3, 0.6, 0.6, 0.95, 0.95];
        check(
            &[0, 0, 0, 1, 0, 1, 0, 1, 1, 0],
            &scores,
            0.517_857_142_857_142_8,
            0.6875,
        );
    }

    #[test]
    fn with_one_class_only_ranking_has_no_meaning() {
        for labels in [[0, 0], [1, 1]] {
            let samples = samples(&labels, &[0.1, 0.9]);
            assert_eq!((auprc(&samples), auroc(&samples)), (None, None));
            assert_eq!(pr_curve(&samples, 9), []);
        }
        assert_eq!(auprc(&[]), None);
    }

    #[test]
    fn a_threshold_gives_f1_recall_and_false_positive_rate() {
        let mut counts = Counts::default();
        for (is_flagged, is_positive) in [
            (true, true),
            (true, true),
            (true, false),
            (false, true),
            (false, false),
        ] {
            counts.add(is_flagged, is_positive);
        }
        assert_eq!(counts.recall(), Some(2.0 / 3.0));
        assert_eq!(counts.fpr(), Some(0.5));
        assert_eq!(counts.f1(), Some(2.0 / 3.0));
    }

    #[test]
    fn a_rate_without_its_class_has_no_meaning() {
        let mut counts = Counts::default();
        counts.add(true, true);
        assert_eq!(
            (counts.recall(), counts.fpr(), counts.f1()),
            (Some(1.0), None, None)
        );
        let mut counts = Counts::default();
        counts.add(false, false);
        assert_eq!(
            (counts.recall(), counts.fpr(), counts.f1()),
            (None, Some(0.0), None)
        );
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn the_one_percent_point_leaves_one_text_of_a_hundred_above() {
        let scores: Vec<f32> = (0..100).map(|idx| idx as f32 / 100.0).collect();
        assert_eq!(cut_off(&[&scores], 0.01), Some(0.98));
        assert_eq!(cut_off(&[&scores], 0.0), Some(0.99));
    }

    #[test]
    fn groups_count_the_same_whatever_their_size() {
        // Alone the large group would put the cut-off at 0.1; the small one is half of the pool.
        let large = vec![0.1; 999];
        assert_eq!(cut_off(&[&large, &[0.5]], 0.01), Some(0.5));
        assert_eq!(cut_off(&[&large, &[0.5], &[]], 0.5), Some(0.1));
        assert_eq!(cut_off(&[], 0.01), None);
    }

    #[test]
    fn a_tie_at_the_cut_off_is_not_flagged() {
        let saturated = [1.0, 1.0, 1.0, 0.2];
        let cut_off = cut_off(&[&saturated], 0.01).unwrap();
        assert_eq!(
            recall_above(&samples(&[1, 1], &[1.0, 1.0]), cut_off),
            Some(0.0)
        );
    }

    #[test]
    fn a_curve_is_thinned_but_keeps_its_end() {
        let scores: Vec<f32> = (0..1000u16).map(f32::from).collect();
        let labels: Vec<u8> = (0..1000).map(|idx| u8::from(idx % 3 == 0)).collect();
        let curve = pr_curve(&samples(&labels, &scores), 50);
        assert!(curve.len() <= 50, "{} points", curve.len());
        assert_eq!(curve.last(), Some(&(1.0, 0.334)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn turning_the_scores_round_turns_the_auroc_round(
            rows in prop::collection::vec((0u8..2, 0u8..10), 2..40)
        ) {
            let turned = |sign: f32| -> Vec<Sample> {
                rows.iter().map(|&(label, score)| Sample {
                    score: sign * f32::from(score),
                    is_positive: label == 1,
                }).collect()
            };
            if let Some(area) = auroc(&turned(1.0)) {
                let other = auroc(&turned(-1.0)).unwrap();
                prop_assert!((area + other - 1.0).abs() < 1e-9);
            }
        }
    }
}
