//! 16 numbers at a time.

use super::{Rows, steps};
use crate::aligned::{as_u8_mut, as_u16_mut};
use std::arch::x86_64::*;

/// Lanes of the vector that begins at `at` which lie before `len`.
#[inline(always)]
pub(crate) fn lanes(at: usize, len: usize) -> __mmask16 {
    match len.saturating_sub(at) {
        n if 16 <= n => !0,
        n => (1 << n) - 1,
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
pub(super) fn bf16(rows: &mut Rows, x: &[f32]) {
    let (width, stride) = (rows.width, rows.stride());
    for (row, x) in rows.words.chunks_mut(stride).zip(x.chunks(width)) {
        let halves = as_u16_mut(row);
        for at in (0..width).step_by(16) {
            let mask = lanes(at, width);
            // SAFETY: `mask` keeps the lanes within the row.
            let v = unsafe { _mm512_maskz_loadu_ps(mask, x.as_ptr().add(at)) };
            let half: __m256i = bits(_mm512_cvtneps_pbh(v));
            // The row is padded to an even width, with zeros.
            let mask = lanes(at, halves.len());
            // SAFETY: `mask` keeps the lanes within the padded row.
            unsafe { _mm256_mask_storeu_epi16(halves.as_mut_ptr().add(at).cast(), mask, half) };
        }
    }
}

#[inline(always)]
pub(crate) fn bits(v: __m256bh) -> __m256i {
    // SAFETY: both are 256 bits of which every pattern is a value.
    unsafe { std::mem::transmute(v) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) fn quantise(rows: &mut Rows, x: &[f32]) {
    let (width, stride) = (rows.width, rows.stride());
    let each = rows.words.chunks_mut(stride).zip(x.chunks(width));
    for ((words, x), (scale, zero)) in each.zip(rows.scale.iter_mut().zip(rows.zero.iter_mut())) {
        (*scale, *zero) = quantise_row(x, words);
    }
}

/// Scale and the place of 0 of one row, whose steps go to `words`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(crate) fn quantise_row(x: &[f32], words: &mut [u32]) -> (f32, f32) {
    let (scale, inverse, zero) = range(x);
    write(as_u8_mut(words), x, inverse, zero);
    (scale, zero)
}

/// Scale, its inverse and the place of 0 for one row.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn range(x: &[f32]) -> (f32, f32, f32) {
    let none = _mm512_setzero_ps();
    let (mut low, mut high, mut nan) = ([none; 2], [none; 2], [none; 2]);
    let mut take = |lane: usize, v: __m512| {
        low[lane] = _mm512_min_ps(low[lane], v);
        high[lane] = _mm512_max_ps(high[lane], v);
        // 0 times what is not finite is not a number, and stays so.
        nan[lane] = _mm512_fmadd_ps(v, none, nan[lane]);
    };
    let mut at = 0;
    while at + 32 <= x.len() {
        // SAFETY: 32 numbers follow `at`.
        take(0, unsafe { _mm512_loadu_ps(x.as_ptr().add(at)) });
        // SAFETY: as above.
        take(1, unsafe { _mm512_loadu_ps(x.as_ptr().add(at + 16)) });
        at += 32;
    }
    while at < x.len() {
        // SAFETY: the mask keeps the lanes within the row.
        take(0, unsafe {
            _mm512_maskz_loadu_ps(lanes(at, x.len()), x.as_ptr().add(at))
        });
        at += 16;
    }
    if _mm512_reduce_add_ps(_mm512_add_ps(nan[0], nan[1])) != 0.0 {
        return (f32::NAN, 0.0, 0.0);
    }
    steps(
        _mm512_reduce_min_ps(_mm512_min_ps(low[0], low[1])),
        _mm512_reduce_max_ps(_mm512_max_ps(high[0], high[1])),
    )
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn write(bytes: &mut [u8], x: &[f32], inverse: f32, zero: f32) {
    let (inverse, zero) = (_mm512_set1_ps(inverse), _mm512_set1_epi32(zero as i32));
    let step = |v| {
        // Rounds to the nearest, ties to even, as `vcvtps2dq` does by default.
        let whole = _mm512_cvtps_epi32(_mm512_mul_ps(v, inverse));
        let step = _mm512_max_epi32(_mm512_add_epi32(whole, zero), _mm512_setzero_si512());
        _mm512_cvtusepi32_epi8(step)
    };
    let mut at = 0;
    while at + 16 <= x.len() {
        // SAFETY: 16 numbers follow `at`, in `x` and in the padded row.
        let q = step(unsafe { _mm512_loadu_ps(x.as_ptr().add(at)) });
        // SAFETY: as above.
        unsafe { _mm_storeu_si128(bytes.as_mut_ptr().add(at).cast(), q) };
        at += 16;
    }
    if at < bytes.len() {
        let inside = lanes(at, x.len());
        // SAFETY: the mask keeps the lanes within the row.
        let q = step(unsafe { _mm512_maskz_loadu_ps(inside, x.as_ptr().add(at)) });
        let q = _mm_maskz_mov_epi8(inside, q);
        // SAFETY: the mask keeps the lanes within the padded row.
        unsafe {
            _mm_mask_storeu_epi8(bytes.as_mut_ptr().add(at).cast(), lanes(at, bytes.len()), q);
        };
    }
}
