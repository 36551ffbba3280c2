//! The report of an evaluation: what was measured, set by set and category by category.

use super::metrics::{self, Counts, Sample, share};
use super::score::{ScoredRow, ScoredSet};
use portcullis_policy::Engine;
use portcullis_text::Category;
use serde::Serialize;

/// Points of a drawn curve: enough for the eye, few enough for a page with a hundred of them.
const CURVE_POINTS: usize = 120;

/// What was measured; never holds text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// One row for each set and category labelled in it, by set, then in category order.
    pub results: Vec<SetResult>,
    /// The classifier: `name@digest`.
    pub model: String,
    /// The policy: `name@digest8`.
    pub policy: String,
}

/// One category on one set. `null` where a number has no meaning: ranking with one class only,
/// recall without positives, false positives without negatives, a threshold that the policy lacks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetResult {
    /// The set: its file's stem.
    pub set: String,
    /// The category.
    pub key: Category,
    /// Rows with this label known.
    pub n: usize,
    /// Rows with this label 1.
    pub positives: usize,
    /// Area under the precision-recall curve, as average precision.
    pub auprc: Option<f64>,
    /// Area under the receiver operating characteristic; a tie counts half.
    pub auroc: Option<f64>,
    /// F1 at the policy's block threshold for the row's surface.
    pub f1: Option<f64>,
    /// Recall at that threshold.
    pub recall: Option<f64>,
    /// False-positive rate at that threshold.
    pub fpr: Option<f64>,
    /// Recall above the score that 1 % of the pooled benign sets lie above.
    pub recall_at_1pct_fpr: Option<f64>,
    /// Share of all rows of the set, labelled or not, that the policy blocks or redirects.
    pub blocked: Option<f64>,
    /// The same among the set's rows labelled `unsafe: 0`.
    pub blocked_harmless: Option<f64>,
    /// The precision-recall curve as `(recall, precision)`, recall rising; empty without one.
    #[serde(skip)]
    pub curve: Vec<(f64, f64)>,
}

/// The results of all sets.
pub(super) fn results(
    sets: &[ScoredSet],
    cut_offs: &[Option<f32>; Category::COUNT],
    engine: &Engine,
) -> Vec<SetResult> {
    let mut results = Vec::new();
    for set in sets {
        let blocked = stopped_share(set.rows.iter());
        let harmless = set
            .rows
            .iter()
            .filter(|row| row.labels.get(Category::Unsafe) == Some(false));
        let blocked_harmless = stopped_share(harmless);
        for key in Category::ALL {
            let measured = measure(set, key, cut_offs[key.index()], engine);
            results.extend(measured.map(|result| SetResult {
                blocked,
                blocked_harmless,
                ..result
            }));
        }
    }
    results
}

fn stopped_share<'a>(rows: impl Iterator<Item = &'a ScoredRow>) -> Option<f64> {
    let (mut n_stopped, mut n_rows) = (0, 0);
    for row in rows {
        n_stopped += usize::from(row.is_stopped);
        n_rows += 1;
    }
    share(n_stopped, n_rows)
}

/// One category on one set; `None` when no row of the set has its label.
fn measure(
    set: &ScoredSet,
    key: Category,
    cut_off: Option<f32>,
    engine: &Engine,
) -> Option<SetResult> {
    let mut samples = Vec::new();
    let mut counts = Counts::default();
    let mut has_threshold = false;
    for row in &set.rows {
        let Some(is_positive) = row.labels.get(key) else {
            continue;
        };
        let score = row.scores[key];
        samples.push(Sample { score, is_positive });
        let threshold = engine.thresholds(key, row.surface).and_then(|on| on.block);
        has_threshold |= threshold.is_some();
        counts.add(
            threshold.is_some_and(|block| block.is_met_by(score)),
            is_positive,
        );
    }
    let counts = has_threshold.then_some(counts);
    (!samples.is_empty()).then(|| SetResult {
        set: set.name.clone(),
        key,
        n: samples.len(),
        positives: samples.iter().filter(|sample| sample.is_positive).count(),
        auprc: metrics::auprc(&samples),
        auroc: metrics::auroc(&samples),
        f1: counts.and_then(|counts| counts.f1()),
        recall: counts.and_then(|counts| counts.recall()),
        fpr: counts.and_then(|counts| counts.fpr()),
        recall_at_1pct_fpr: cut_off.and_then(|cut_off| metrics::recall_above(&samples, cut_off)),
        blocked: None,
        blocked_harmless: None,
        curve: metrics::pr_curve(&samples, CURVE_POINTS),
    })
}
