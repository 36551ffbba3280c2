//! Word and position embeddings.

use super::{Precision, Weights};
use portcullis_kernels::{bf16_from_f32, f32_from_bf16};

/// Rows of words and positions.
#[derive(Debug)]
pub(super) struct Embedding {
    hidden: usize,
    words: Words,
    /// `[max_positions, hidden]`.
    positions: Vec<f32>,
}

/// `[vocab_size, hidden]` in the encoder's precision.
#[derive(Debug)]
enum Words {
    F32(Vec<f32>),
    Bf16(Vec<u16>),
    /// With a scale for each row.
    Int8(Vec<i8>, Vec<f32>),
}

impl Embedding {
    pub(super) fn new(weights: &Weights, precision: Precision) -> Self {
        let hidden = weights.geometry.hidden;
        let words = &weights.word_embeddings;
        let words = match precision {
            Precision::F32 => Words::F32(words.clone()),
            Precision::Bf16 => Words::Bf16(words.iter().map(|&w| bf16_from_f32(w)).collect()),
            Precision::Int8 => int8(words, hidden),
        };
        let positions = weights.position_embeddings.clone();
        Self {
            hidden,
            words,
            positions,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let words = match &self.words {
            Words::F32(rows) => 4 * rows.len(),
            Words::Bf16(rows) => 2 * rows.len(),
            Words::Int8(rows, scales) => rows.len() + 4 * scales.len(),
        };
        words + 4 * self.positions.len()
    }

    /// The sum of a token's word and position, to `x`, `[hidden]`.
    pub(super) fn write(&self, id: u32, position: usize, x: &mut [f32]) {
        let row = |n: usize| n * self.hidden..(n + 1) * self.hidden;
        let word = row(id as usize);
        x.copy_from_slice(&self.positions[row(position)]);
        match &self.words {
            Words::F32(rows) => add(x, rows[word].iter().copied()),
            Words::Bf16(rows) => add(x, rows[word].iter().map(|&w| f32_from_bf16(w))),
            Words::Int8(rows, scales) => {
                let scale = scales[id as usize];
                add(x, rows[word].iter().map(|&w| f32::from(w) * scale));
            }
        }
    }
}

fn add(x: &mut [f32], words: impl Iterator<Item = f32>) {
    for (x, word) in x.iter_mut().zip(words) {
        *x += word;
    }
}

fn int8(words: &[f32], hidden: usize) -> Words {
    let mut rows = Vec::with_capacity(words.len());
    let mut scales = Vec::with_capacity(words.len() / hidden);
    for row in words.chunks(hidden) {
        let largest = row.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
        // `max` drops a NaN, which has to show in the logits.
        let finite = row.iter().all(|w| w.is_finite());
        let scale = if finite {
            largest.max(1e-30) / 127.0
        } else {
            f32::NAN
        };
        rows.extend(row.iter().map(|w| (w / scale).round_ties_even() as i8));
        scales.push(scale);
    }
    Words::Int8(rows, scales)
}
