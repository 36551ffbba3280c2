//! 16 numbers at a time, in four sums.

use super::Norm;
use crate::rows::avx512::{lanes, quantise_row};
use crate::rows::{Format, Rows, avx2};
use std::arch::x86_64::*;

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) fn norm(norm: &Norm, x: &mut [f32], mut quantised: Option<&mut Rows>) {
    let width = norm.width();
    for (place, row) in x.chunks_mut(width).enumerate() {
        let mean = _mm512_set1_ps(fold(row, |sum, v, _| _mm512_add_ps(sum, v)) / width as f32);
        let squares = fold(row, |sum, v, mask| {
            let d = _mm512_maskz_sub_ps(mask, v, mean);
            _mm512_fmadd_ps(d, d, sum)
        });
        let scale = _mm512_set1_ps(1.0 / (squares / width as f32 + norm.eps).sqrt());
        if let Some(rows) = quantised.as_deref_mut() {
            rows.spare.grow(width);
            finish::<true>(norm, row, (mean, scale), &mut rows.spare);
            let words = rows.stride() * place..rows.stride() * (place + 1);
            let (x, words) = (&rows.spare[..width], &mut rows.words[words]);
            (rows.scale[place], rows.zero[place]) = match rows.format {
                Format::U8 => quantise_row(x, words),
                format => avx2::quantise_row(format, x, words),
            };
        } else {
            finish::<false>(norm, row, (mean, scale), &mut []);
        }
    }
}

/// Writes the row with `gamma` and `beta`; and, for `SPREAD`, with `spread` alone to `to`.
#[inline]
#[target_feature(enable = "avx512f")]
fn finish<const SPREAD: bool>(
    norm: &Norm,
    row: &mut [f32],
    (mean, scale): (__m512, __m512),
    to: &mut [f32],
) {
    let (gamma, beta, spread) = (
        norm.gamma.as_ptr(),
        norm.beta.as_ptr(),
        norm.spread.as_ptr(),
    );
    assert!(norm.gamma.len() == row.len() && norm.beta.len() == row.len());
    assert!(!SPREAD || (norm.spread.len() == row.len() && row.len() <= to.len()));
    for at in (0..row.len()).step_by(16) {
        let mask = lanes(at, row.len());
        let place = row.as_mut_ptr().wrapping_add(at);
        // SAFETY: the mask keeps the lanes within the row.
        let v = unsafe { _mm512_maskz_loadu_ps(mask, place) };
        let unit = _mm512_mul_ps(_mm512_sub_ps(v, mean), scale);
        // SAFETY: as long as the row.
        let gamma = unsafe { _mm512_maskz_loadu_ps(mask, gamma.add(at)) };
        // SAFETY: as long as the row.
        let beta = unsafe { _mm512_maskz_loadu_ps(mask, beta.add(at)) };
        // SAFETY: the mask keeps the lanes within the row.
        unsafe { _mm512_mask_storeu_ps(place, mask, _mm512_fmadd_ps(unit, gamma, beta)) };
        if SPREAD {
            // SAFETY: as long as the row.
            let spread = unsafe { _mm512_maskz_loadu_ps(mask, spread.add(at)) };
            let to = to.as_mut_ptr().wrapping_add(at);
            // SAFETY: `to` is at least as long as the row.
            unsafe { _mm512_mask_storeu_ps(to, mask, _mm512_mul_ps(unit, spread)) };
        }
    }
}

/// Folds a row into four sums, which do not wait for each other, and adds them up.
#[inline]
#[target_feature(enable = "avx512f")]
fn fold(row: &[f32], f: impl Fn(__m512, __m512, __mmask16) -> __m512) -> f32 {
    let mut sum = [_mm512_setzero_ps(); 4];
    let mut at = 0;
    while at + 64 <= row.len() {
        for (l, sum) in sum.iter_mut().enumerate() {
            // SAFETY: 64 numbers follow `at`.
            *sum = f(
                *sum,
                unsafe { _mm512_loadu_ps(row.as_ptr().add(at + 16 * l)) },
                !0,
            );
        }
        at += 64;
    }
    while at < row.len() {
        let mask = lanes(at, row.len());
        // SAFETY: the mask keeps the lanes within the row.
        sum[0] = f(
            sum[0],
            unsafe { _mm512_maskz_loadu_ps(mask, row.as_ptr().add(at)) },
            mask,
        );
        at += 16;
    }
    let [a, b, c, d] = sum;
    _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)))
}
