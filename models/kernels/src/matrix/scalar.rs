//! The reference: one row by one panel at a time, each sum from the first input to the last.

use super::{Matrix, Out, panel_width};
use crate::rows::{Format, Rows};
use crate::{Activation, activation, bf16_from_f32, f32_from_bf16};

pub(super) fn apply(matrix: &Matrix, rows: &Rows, activation: Activation, out: Out<'_>) {
    match panel_width(matrix.isa.kind()) {
        64 => each_panel::<64>(matrix, rows, activation, out),
        _ => each_panel::<16>(matrix, rows, activation, out),
    }
}

fn each_panel<const PANEL: usize>(
    matrix: &Matrix,
    rows: &Rows,
    activation: Activation,
    mut out: Out<'_>,
) {
    let panels = matrix.panels.chunks_exact(PANEL * rows.stride());
    for (panel, weights) in panels.enumerate() {
        let (weights, _) = weights.as_chunks();
        let first = panel * PANEL;
        let len = PANEL.min(matrix.n_out - first);
        for row in 0..rows.len {
            let mut y = match matrix.format {
                Format::F32 | Format::Bf16 => floats::<PANEL>(matrix, rows, row, weights),
                Format::U8 | Format::I16 => integers::<PANEL>(matrix, rows, row, weights),
            };
            for (l, y) in y[..len].iter_mut().enumerate() {
                *y = match matrix.format {
                    Format::F32 | Format::Bf16 => *y + matrix.bias[first + l],
                    Format::U8 | Format::I16 => {
                        let off = matrix.sum[first + l] * rows.zero[row];
                        rows.scale[row] * (matrix.scale[first + l] * *y - off)
                            + matrix.bias[first + l]
                    }
                };
            }
            activation::scalar::apply(activation, &mut y[..len]);
            write(&mut out, row * matrix.n_out + first, &y[..len]);
        }
    }
}

/// Sums of a row's products with the floats of a panel.
fn floats<const PANEL: usize>(
    matrix: &Matrix,
    rows: &Rows,
    row: usize,
    weights: &[[u32; PANEL]],
) -> [f32; PANEL] {
    let mut sums = [0.0; PANEL];
    for place in 0..matrix.n_in {
        let x = rows.raw(row, place);
        if matrix.format == Format::F32 {
            for (sum, word) in sums.iter_mut().zip(&weights[place]) {
                *sum += x * f32::from_bits(*word);
            }
        } else {
            let shift = 16 * (place % 2);
            for (sum, word) in sums.iter_mut().zip(&weights[place / 2]) {
                *sum += x * f32_from_bf16((word >> shift) as u16);
            }
        }
    }
    sums
}

/// Sums of a row's products with the whole numbers of a panel, before any scale.
fn integers<const PANEL: usize>(
    matrix: &Matrix,
    rows: &Rows,
    row: usize,
    weights: &[[u32; PANEL]],
) -> [f32; PANEL] {
    // Exact: at most 255 * 127 for each input.
    let mut sums = [0_i32; PANEL];
    let per_word = matrix.format.per_word();
    for place in 0..matrix.n_in {
        let x = rows.raw(row, place) as i32;
        let shift = 32 / per_word * (place % per_word);
        for (sum, word) in sums.iter_mut().zip(&weights[place / per_word]) {
            // Both kinds have their sign in the low byte: a weight is within 127 of 0.
            *sum += x * i32::from(((word >> shift) as u8).cast_signed());
        }
    }
    sums.map(|sum| sum as f32)
}

fn write(out: &mut Out<'_>, start: usize, y: &[f32]) {
    let at = start..start + y.len();
    match out {
        Out::Store(out) => out[at].copy_from_slice(y),
        Out::Add(out) => out[at].iter_mut().zip(y).for_each(|(out, y)| *out += y),
        Out::Bf16(out) => {
            for (out, y) in out[at].iter_mut().zip(y) {
                *out = bf16_from_f32(*y);
            }
        }
    }
}
