//! The weights as they are looked up: one slot of 32 bytes, one cache line at most, per n-gram.

use super::features::Features;
use portcullis_text::Category;

/// Weights of a slot: the categories, padded so that the loop over them vectorises.
pub(crate) const LANES: usize = 24;

/// N-grams summed in 16 bits before they are carried over: `256 * 127` still fits.
const BLOCK: usize = 256;

/// The quantised weights of one n-gram.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(32))]
pub(crate) struct Slot {
    /// In `-127..=127`; lanes past the categories are 0.
    pub(crate) weights: [i8; LANES],
    /// Low half of the id of the n-gram that the slot belongs to. With the slot's number it names
    /// the id fully, so an n-gram never seen in training weighs nothing.
    pub(crate) tag: u16,
}

/// All slots, and what turns their sums into logits.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) slots: Vec<Slot>,
    /// What a weight of 1 is worth, per category.
    pub(crate) steps: [f32; Category::COUNT],
    /// Logit of a text without a known n-gram, per category.
    pub(crate) bias: [f32; Category::COUNT],
}

impl Table {
    /// Raw logits of one window of one view.
    pub(crate) fn logits(&self, features: &mut Features, text: &str) -> [f32; Category::COUNT] {
        let ids = features.of(text);
        let norm = norm(ids.len());
        let sums = self.sums(ids);
        let mut logits = self.bias;
        for ((logit, step), sum) in logits.iter_mut().zip(self.steps).zip(sums) {
            *logit += step * norm * sum as f32;
        }
        logits
    }

    fn sums(&self, ids: &[u32]) -> [i32; LANES] {
        let n_slots = self.slots.len() as u32;
        let mut sums = [0_i32; LANES];
        for block in ids.chunks(BLOCK) {
            let mut part = [0_i16; LANES];
            for &id in block {
                let slot = &self.slots[slot(id, n_slots)];
                // all ones where the slot is this n-gram's, else zero: no branch to mispredict
                let mine = -i16::from(slot.tag == id as u16);
                for (sum, weight) in part.iter_mut().zip(slot.weights) {
                    *sum += i16::from(weight) & mine;
                }
            }
            for (sum, part) in sums.iter_mut().zip(part) {
                *sum += i32::from(part);
            }
        }
        sums
    }
}

/// The slot of an n-gram: its id scaled onto the slots, so that ascending ids fill ascending slots.
pub(crate) fn slot(id: u32, n_slots: u32) -> usize {
    ((u64::from(id) * u64::from(n_slots)) >> 32) as usize
}

/// Weight of one n-gram among `n`, known or not.
pub(crate) fn norm(n: usize) -> f32 {
    1.0 / (n.max(1) as f32).sqrt()
}
