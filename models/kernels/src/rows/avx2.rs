//! 8 numbers at a time, to bytes or to 16 bits each.

use super::{Format, Rows, steps};
use crate::aligned::as_u8_mut;
use std::arch::x86_64::*;

/// Numbers in a vector.
pub(crate) const LANES: usize = 8;

#[target_feature(enable = "avx2,fma")]
pub(super) fn quantise(rows: &mut Rows, x: &[f32]) {
    let (width, stride, format) = (rows.width, rows.stride(), rows.format);
    let each = rows.words.chunks_mut(stride).zip(x.chunks(width));
    for ((words, x), (scale, zero)) in each.zip(rows.scale.iter_mut().zip(rows.zero.iter_mut())) {
        (*scale, *zero) = quantise_row(format, x, words);
    }
}

/// Scale and the place of 0 of one row, whose steps go to `words`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn quantise_row(format: Format, x: &[f32], words: &mut [u32]) -> (f32, f32) {
    let (scale, inverse, zero) = range(x);
    if format == Format::U8 {
        write::<true>(as_u8_mut(words), x, inverse, zero);
    } else {
        write::<false>(as_u8_mut(words), x, inverse, zero);
    }
    (scale, zero)
}

/// The vector that begins at `at`; `beyond` stands in the lanes beyond the end.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn load(x: &[f32], at: usize, beyond: f32) -> __m256 {
    if let Some(full) = x.get(at..at + LANES) {
        // SAFETY: the slice has 8 numbers.
        return unsafe { _mm256_loadu_ps(full.as_ptr()) };
    }
    let tail = x.get(at..).unwrap_or_default();
    let mut lanes = [beyond; LANES];
    lanes[..tail.len()].copy_from_slice(tail);
    // SAFETY: the array has 8 numbers.
    unsafe { _mm256_loadu_ps(lanes.as_ptr()) }
}

/// Writes the lanes that lie within `to` from `at` on.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn store(to: &mut [f32], at: usize, v: __m256) {
    if let Some(full) = to.get_mut(at..at + LANES) {
        // SAFETY: the slice has 8 numbers.
        return unsafe { _mm256_storeu_ps(full.as_mut_ptr(), v) };
    }
    let tail = to.get_mut(at..).unwrap_or_default();
    let n = tail.len();
    tail.copy_from_slice(&numbers(v)[..n]);
}

/// The lanes as an array.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn numbers(v: __m256) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    // SAFETY: the array has 8 numbers.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), v) };
    lanes
}

/// Scale, its inverse and the place of 0 for one row.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn range(x: &[f32]) -> (f32, f32, f32) {
    let none = _mm256_setzero_ps();
    let (mut low, mut high, mut nan) = ([none; 2], [none; 2], [none; 2]);
    for at in (0..x.len()).step_by(2 * LANES) {
        for l in 0..2 {
            let v = load(x, at + l * LANES, 0.0);
            low[l] = _mm256_min_ps(low[l], v);
            high[l] = _mm256_max_ps(high[l], v);
            // 0 times what is not finite is not a number, and stays so.
            nan[l] = _mm256_fmadd_ps(v, none, nan[l]);
        }
    }
    if numbers(_mm256_add_ps(nan[0], nan[1])) != [0.0; LANES] {
        return (f32::NAN, 0.0, 0.0);
    }
    let low = numbers(_mm256_min_ps(low[0], low[1]));
    let high = numbers(_mm256_max_ps(high[0], high[1]));
    steps(
        low.into_iter().fold(0.0, f32::min),
        high.into_iter().fold(0.0, f32::max),
    )
}

/// To bytes, or to halves of words, which are the same with a zero behind each.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn write<const BYTES: bool>(bytes: &mut [u8], x: &[f32], inverse: f32, zero: f32) {
    let (inverse, zero) = (_mm256_set1_ps(inverse), _mm256_set1_epi32(zero as i32));
    let step = |v| {
        // Rounds to the nearest, ties to even, as `vcvtps2dq` does by default.
        let whole = _mm256_cvtps_epi32(_mm256_mul_ps(v, inverse));
        let step = _mm256_max_epi32(_mm256_add_epi32(whole, zero), _mm256_setzero_si256());
        _mm256_min_epi32(step, _mm256_set1_epi32(255))
    };
    let n_bytes = if BYTES { 1 } else { 2 };
    for at in (0..x.len()).step_by(2 * LANES) {
        let (low, high) = (step(load(x, at, 0.0)), step(load(x, at + LANES, 0.0)));
        // Packs within each half of the vectors; the quarters go back to their order.
        let halves = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(low, high));
        let mut steps = [0_u8; 4 * LANES];
        let packed = if BYTES {
            let upper = _mm256_extracti128_si256::<1>(halves);
            let both = _mm_packus_epi16(_mm256_castsi256_si128(halves), upper);
            _mm256_zextsi128_si256(both)
        } else {
            halves
        };
        // SAFETY: the array has 32 bytes.
        unsafe { _mm256_storeu_si256(steps.as_mut_ptr().cast(), packed) };
        let to = &mut bytes[n_bytes * at..];
        if at + 2 * LANES <= x.len() {
            let n = 2 * LANES * n_bytes;
            to[..n].copy_from_slice(&steps[..n]);
        } else {
            let n = (x.len() - at) * n_bytes;
            to[..n].copy_from_slice(&steps[..n]);
            // The row is padded to whole words.
            to[n..].fill(0);
        }
    }
}
