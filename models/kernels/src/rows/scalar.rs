//! The reference.

use super::{Format, Rows};
use crate::aligned::{as_u8_mut, as_u16_mut};
use crate::bf16_from_f32;

pub(super) fn bf16(rows: &mut Rows, x: &[f32]) {
    let (width, stride) = (rows.width, rows.stride());
    for (row, x) in rows.words.chunks_mut(stride).zip(x.chunks(width)) {
        let halves = as_u16_mut(row);
        halves.fill(0);
        for (half, x) in halves.iter_mut().zip(x) {
            *half = bf16_from_f32(*x);
        }
    }
}

pub(super) fn quantise(rows: &mut Rows, x: &[f32]) {
    let (width, stride, format) = (rows.width, rows.stride(), rows.format);
    let each = rows.words.chunks_mut(stride).zip(x.chunks(width));
    for ((words, x), (scale, zero)) in each.zip(rows.scale.iter_mut().zip(rows.zero.iter_mut())) {
        (*scale, *zero) = quantise_row(format, x, words);
    }
}

/// Scale and the place of 0 of one row, whose steps go to `words`.
pub(crate) fn quantise_row(format: Format, x: &[f32], words: &mut [u32]) -> (f32, f32) {
    let (scale, inverse, zero) = range(x);
    words.fill(0);
    for (place, &x) in x.iter().enumerate() {
        // A NaN becomes 0 here; the row's scale keeps it.
        let step = ((x * inverse).round_ties_even() + zero).clamp(0.0, 255.0) as u8;
        if format == Format::U8 {
            as_u8_mut(words)[place] = step;
        } else {
            as_u16_mut(words)[place] = u16::from(step);
        }
    }
    (scale, zero)
}

/// Scale, its inverse and the place of 0 for one row.
fn range(x: &[f32]) -> (f32, f32, f32) {
    let low = x.iter().fold(0.0_f32, |low, &x| low.min(x));
    let high = x.iter().fold(0.0_f32, |high, &x| high.max(x));
    if !x.iter().all(|x| x.is_finite()) {
        return (f32::NAN, 0.0, 0.0);
    }
    super::steps(low, high)
}
