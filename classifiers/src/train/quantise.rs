//! Trained weights as a table of 8-bit slots.

use super::sgd::Weights;
use crate::linear::table::{LANES, Slot, Table, slot};
use portcullis_text::Category;

/// Shares of the largest weight that may stand for 127; the one with the least squared error wins.
const CLIPS: [f32; 6] = [1.0, 0.7, 0.5, 0.35, 0.25, 0.15];

/// - `ids`: the n-gram of each row of `weights`, at most one per slot.
pub(crate) fn table(weights: &Weights, ids: &[u32], n_slots: u32) -> Table {
    let mut table = Table {
        slots: vec![Slot::default(); n_slots as usize],
        steps: [0.0; Category::COUNT],
        bias: [0.0; Category::COUNT],
    };
    for lane in 0..Category::COUNT {
        table.steps[lane] = best_step(weights, lane);
        table.bias[lane] = weights.bias[lane];
    }
    for (&id, row) in ids.iter().zip(&weights.rows) {
        let mut quantised = [0; LANES];
        for lane in 0..Category::COUNT {
            quantised[lane] = steps_of(row[lane], table.steps[lane]) as i8;
        }
        table.slots[slot(id, n_slots)] = Slot {
            weights: quantised,
            tag: id as u16,
        };
    }
    table
}

fn best_step(weights: &Weights, lane: usize) -> f32 {
    let largest = weights
        .rows
        .iter()
        .map(|row| row[lane].abs())
        .fold(0.0, f32::max);
    let steps = CLIPS.map(|clip| clip * largest / 127.0);
    let error = |step: f32| -> f64 {
        weights
            .rows
            .iter()
            .map(|row| (row[lane] - step * steps_of(row[lane], step)).powi(2) as f64)
            .sum()
    };
    steps
        .into_iter()
        .min_by(|a, b| error(*a).total_cmp(&error(*b)))
        .unwrap_or(0.0)
}

/// The whole number of steps nearest to a weight, within a byte; 0 where every weight is 0.
fn steps_of(weight: f32, step: f32) -> f32 {
    if step == 0.0 {
        return 0.0;
    }
    (weight / step).round().clamp(-127.0, 127.0)
}
