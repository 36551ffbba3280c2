//! The reference: one output at a time.

use super::{Matrix, Out, panel_width};
use crate::aligned::{as_f32, as_u8, as_u16};
use crate::rows::{Format, Rows};
use crate::{Activation, activation, bf16_from_f32, f32_from_bf16};

pub(super) fn apply(matrix: &Matrix, rows: &Rows, activation: Activation, mut out: Out<'_>) {
    for row in 0..rows.len {
        for output in 0..matrix.n_out {
            let mut y = [product(matrix, rows, row, output)];
            activation::scalar::apply(activation, &mut y);
            let place = row * matrix.n_out + output;
            match &mut out {
                Out::Store(out) => out[place] = y[0],
                Out::Add(out) => out[place] += y[0],
                Out::Bf16(out) => out[place] = bf16_from_f32(y[0]),
            }
        }
    }
}

fn product(matrix: &Matrix, rows: &Rows, row: usize, output: usize) -> f32 {
    let bias = matrix.bias[output];
    match matrix.format {
        Format::F32 | Format::Bf16 => {
            let sum = (0..matrix.n_in)
                .map(|place| rows.raw(row, place) * weight(matrix, output, place))
                .sum::<f32>();
            sum + bias
        }
        Format::U8 | Format::I16 => {
            // Whole numbers, so exact: at most 255 * 127 for each input.
            let sum = (0..matrix.n_in)
                .map(|place| rows.raw(row, place) as i32 * weight(matrix, output, place) as i32)
                .sum::<i32>();
            let steps = matrix.scale[output] * sum as f32 - matrix.sum[output] * rows.zero[row];
            rows.scale[row] * steps + bias
        }
    }
}

/// A weight as the format keeps it, before its scale.
fn weight(matrix: &Matrix, output: usize, place: usize) -> f32 {
    let panel = panel_width(matrix.isa.kind());
    let per_word = matrix.format.per_word();
    let n_words = matrix.n_in.div_ceil(per_word);
    let at = output / panel * panel * n_words + place / per_word * panel + output % panel;
    let word = &matrix.panels[at..=at];
    match matrix.format {
        Format::F32 => as_f32(word)[0],
        Format::Bf16 => f32_from_bf16(as_u16(word)[place % per_word]),
        Format::U8 => f32::from(as_u8(word)[place % per_word].cast_signed()),
        Format::I16 => f32::from(as_u16(word)[place % per_word].cast_signed()),
    }
}
