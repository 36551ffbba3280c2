//! Which n-grams are worth a row of the table.
//!
//! First those that stand in enough rows; then, after a short training on all of them, for each
//! slot of the table the one whose weight moves the most text.

use super::corpus::Corpus;
use super::sgd::Weights;
use rustc_hash::FxHashMap;

/// The n-grams that stand in at least `min_rows` rows, in ascending order of id.
pub(crate) fn frequent(corpus: &Corpus, min_rows: u32) -> Vec<u32> {
    let mut seen: FxHashMap<u32, (u32, u32)> = FxHashMap::default(); // id -> (rows, last row + 1)
    for (idx, example) in corpus.examples.iter().enumerate() {
        let now = idx as u32 + 1;
        for window in corpus.windows_of(example) {
            for &id in corpus.features_of(window) {
                let entry = seen.entry(id).or_insert((0, 0));
                if entry.1 != now {
                    *entry = (entry.0 + 1, now);
                }
            }
        }
    }
    let frequent = seen.into_iter().filter(|(_, (rows, _))| min_rows <= *rows);
    let mut ids: Vec<u32> = frequent.map(|(id, _)| id).collect();
    ids.sort_unstable();
    ids
}

/// For each of `n_slots` slots the id that matters most in it; ascending, at most one per slot.
///
/// - `ids`: the trained features, ascending; `weights.rows` stands in the same order.
pub(crate) fn winners(corpus: &Corpus, ids: &[u32], weights: &Weights, n_slots: u32) -> Vec<u32> {
    let importance = importances(corpus, weights);
    let mut best: Vec<Option<(f32, u32)>> = vec![None; n_slots as usize];
    for (&id, &value) in ids.iter().zip(&importance) {
        let place = &mut best[crate::linear::table::slot(id, n_slots)];
        if place.is_none_or(|(held, _)| held < value) {
            *place = Some((value, id));
        }
    }
    best.into_iter().flatten().map(|(_, id)| id).collect()
}

/// How much logit each feature moves over the corpus: the sum of squares over its uses and labels.
fn importances(corpus: &Corpus, weights: &Weights) -> Vec<f32> {
    let mut uses = vec![0.0_f32; weights.rows.len()];
    for window in &corpus.windows {
        for &feature in corpus.features_of(window) {
            uses[feature as usize] += window.norm * window.norm;
        }
    }
    let sizes = weights
        .rows
        .iter()
        .map(|row| row.iter().map(|w| w * w).sum::<f32>());
    uses.iter()
        .zip(sizes)
        .map(|(uses, size)| uses * size)
        .collect()
}
