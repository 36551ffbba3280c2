//! 8 numbers at a time, in four sums.

use super::Norm;
use crate::rows::Rows;
use crate::rows::avx2::{LANES, load, numbers, quantise_row, store};
use std::arch::x86_64::*;

#[target_feature(enable = "avx2,fma")]
pub(super) fn norm(norm: &Norm, x: &mut [f32], mut quantised: Option<&mut Rows>) {
    let width = norm.width();
    for (place, row) in x.chunks_mut(width).enumerate() {
        let mean = fold(row, 0.0, |sum, v| _mm256_add_ps(sum, v)) / width as f32;
        let means = _mm256_set1_ps(mean);
        let squares = fold(row, mean, |sum, v| {
            let d = _mm256_sub_ps(v, means);
            _mm256_fmadd_ps(d, d, sum)
        });
        let scale = _mm256_set1_ps(1.0 / (squares / width as f32 + norm.eps).sqrt());
        if let Some(rows) = quantised.as_deref_mut() {
            rows.spare.grow(width);
            finish::<true>(norm, row, (means, scale), &mut rows.spare);
            let words = rows.stride() * place..rows.stride() * (place + 1);
            (rows.scale[place], rows.zero[place]) =
                quantise_row(rows.format, &rows.spare[..width], &mut rows.words[words]);
        } else {
            finish::<false>(norm, row, (means, scale), &mut []);
        }
    }
}

/// Writes the row with `gamma` and `beta`; and, for `SPREAD`, with `spread` alone to `to`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn finish<const SPREAD: bool>(
    norm: &Norm,
    row: &mut [f32],
    (mean, scale): (__m256, __m256),
    to: &mut [f32],
) {
    let width = row.len();
    for at in (0..width).step_by(LANES) {
        let unit = _mm256_mul_ps(_mm256_sub_ps(load(row, at, 0.0), mean), scale);
        let (gamma, beta) = (load(&norm.gamma, at, 0.0), load(&norm.beta, at, 0.0));
        store(row, at, _mm256_fmadd_ps(unit, gamma, beta));
        if SPREAD {
            let spread = load(&norm.spread, at, 0.0);
            store(&mut to[..width], at, _mm256_mul_ps(unit, spread));
        }
    }
}

/// Folds a row, padded with `beyond`, into four sums, which do not wait for each other, and adds
/// them up.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn fold(row: &[f32], beyond: f32, f: impl Fn(__m256, __m256) -> __m256) -> f32 {
    let mut sum = [_mm256_setzero_ps(); 4];
    for at in (0..row.len()).step_by(4 * LANES) {
        for (l, sum) in sum.iter_mut().enumerate() {
            *sum = f(*sum, load(row, at + l * LANES, beyond));
        }
    }
    let [a, b, c, d] = sum;
    let sum = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
    numbers(sum).iter().sum()
}
