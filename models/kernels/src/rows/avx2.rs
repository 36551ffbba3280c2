//! 16 numbers at a time to 16 bits each.

use super::{Rows, steps};
use crate::aligned::as_u16_mut;
use std::array::from_fn;

#[target_feature(enable = "avx2,fma")]
pub(super) fn quantise(rows: &mut Rows, x: &[f32]) {
    let (width, stride) = (rows.width, rows.stride());
    let each = rows.words.chunks_mut(stride).zip(x.chunks(width));
    for ((words, x), (scale, zero)) in each.zip(rows.scale.iter_mut().zip(rows.zero.iter_mut())) {
        (*scale, *zero) = quantise_row(x, words);
    }
}

/// Scale and the place of 0 of one row, whose steps go to `words`.
#[target_feature(enable = "avx2,fma")]
pub(crate) fn quantise_row(x: &[f32], words: &mut [u32]) -> (f32, f32) {
    let (mut low, mut high, mut nan) = ([0.0_f32; 16], [0.0_f32; 16], [0.0_f32; 16]);
    let (chunks, tail) = x.as_chunks::<16>();
    for x in chunks {
        low = from_fn(|l| if x[l] < low[l] { x[l] } else { low[l] });
        high = from_fn(|l| if high[l] < x[l] { x[l] } else { high[l] });
        // 0 times what is not finite is not a number, and stays so.
        nan = from_fn(|l| x[l].mul_add(0.0, nan[l]));
    }
    let low = low.iter().chain(tail).fold(0.0_f32, |a, &x| a.min(x));
    let high = high.iter().chain(tail).fold(0.0_f32, |a, &x| a.max(x));
    if nan.iter().chain(tail).any(|x| !x.is_finite()) {
        words.fill(0);
        return (f32::NAN, 0.0);
    }
    let (scale, inverse, zero) = steps(low, high);
    let step = |x: f32| (x * inverse).round_ties_even() + zero;
    // Between 0 and 255 but for rounding, so the conversion needs no care for other numbers.
    let halves = as_u16_mut(words);
    let (to, to_tail) = halves.split_at_mut(16 * chunks.len());
    for (to, x) in to.as_chunks_mut::<16>().0.iter_mut().zip(chunks) {
        *to = from_fn(|l| step(x[l]).clamp(0.0, 255.0) as i32 as u16);
    }
    to_tail.fill(0);
    for (to, x) in to_tail.iter_mut().zip(tail) {
        *to = step(*x).clamp(0.0, 255.0) as u16;
    }
    (scale, zero)
}
