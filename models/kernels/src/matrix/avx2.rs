//! Tiles of up to 6 rows by 16 outputs, whose 12 sums stay in registers.
//!
//! 8-bit numbers lie in 16 bits each and are multiplied in pairs: the instruction for bytes would
//! overflow its 16-bit sums.

#![expect(
    clippy::needless_range_loop,
    reason = "tiles of registers are walked by row and vector, several at once"
)]

use super::{Matrix, Out};
use crate::activation::{Activation, lanes};
use crate::bf16_from_f32;
use crate::rows::{Format, Rows};
use std::arch::x86_64::*;
use std::array::from_fn;

const PANEL: usize = 16;
const TILE_ROWS: usize = 6;

/// Sums of one tile, `[row][output of the panel]`.
#[repr(align(32))]
struct Sums([[f32; PANEL]; TILE_ROWS]);

#[target_feature(enable = "avx2,fma")]
pub(super) fn apply(matrix: &Matrix, rows: &Rows, activation: Activation, out: Out<'_>) {
    match matrix.format {
        Format::F32 => product::<false>(matrix, rows, activation, out),
        _ => product::<true>(matrix, rows, activation, out),
    }
}

#[target_feature(enable = "avx2,fma")]
fn product<const I16: bool>(
    matrix: &Matrix,
    rows: &Rows,
    activation: Activation,
    mut out: Out<'_>,
) {
    let words = rows.stride();
    let mut sums = Sums([[0.0; PANEL]; TILE_ROWS]);
    for (panel, weights) in matrix.panels.chunks_exact(PANEL * words).enumerate() {
        for row in (0..rows.len).step_by(TILE_ROWS) {
            let n_rows = TILE_ROWS.min(rows.len - row);
            let x = &rows.words[row * words..(row + n_rows) * words];
            match n_rows {
                1 => tile_of::<I16, 1>(x, words, weights, &mut sums),
                2 => tile_of::<I16, 2>(x, words, weights, &mut sums),
                3 => tile_of::<I16, 3>(x, words, weights, &mut sums),
                4 => tile_of::<I16, 4>(x, words, weights, &mut sums),
                5 => tile_of::<I16, 5>(x, words, weights, &mut sums),
                _ => tile_of::<I16, 6>(x, words, weights, &mut sums),
            }
            for (r, sums) in sums.0[..n_rows].iter().enumerate() {
                let scales = (rows.scale[row + r], rows.zero[row + r]);
                let y = finish::<I16>(matrix, panel, sums, scales, activation);
                let start = (row + r) * matrix.n_out + panel * PANEL;
                let len = PANEL.min(matrix.n_out - panel * PANEL);
                write(&mut out, start, &y[..len]);
            }
        }
    }
}

/// `ROWS` rows of `words` words each, times a panel.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn tile_of<const I16: bool, const ROWS: usize>(
    x: &[u32],
    words: usize,
    weights: &[u32],
    sums: &mut Sums,
) {
    assert!(x.len() == ROWS * words && weights.len() == PANEL * words);
    let (x, weights) = (x.as_ptr(), weights.as_ptr());
    let mut sum = [[_mm256_setzero_si256(); 2]; ROWS];
    for k in 0..words {
        // SAFETY: `k < words`, so these 8 words lie within the panel.
        let low = unsafe { _mm256_loadu_si256(weights.add(k * PANEL).cast()) };
        // SAFETY: as above.
        let high = unsafe { _mm256_loadu_si256(weights.add(k * PANEL + 8).cast()) };
        for r in 0..ROWS {
            // SAFETY: `r < ROWS` and `k < words`, so the word lies within the rows.
            let v = _mm256_set1_epi32(unsafe { *x.add(r * words + k) }.cast_signed());
            sum[r] = [
                dot::<I16>(sum[r][0], v, low),
                dot::<I16>(sum[r][1], v, high),
            ];
        }
    }
    for r in 0..ROWS {
        for l in 0..2 {
            // SAFETY: `l < 2`, so these 8 numbers lie within the row of sums.
            unsafe { _mm256_storeu_si256(sums.0[r].as_mut_ptr().add(8 * l).cast(), sum[r][l]) };
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn dot<const I16: bool>(sum: __m256i, x: __m256i, w: __m256i) -> __m256i {
    if I16 {
        return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w));
    }
    _mm256_castps_si256(_mm256_fmadd_ps(
        _mm256_castsi256_ps(x),
        _mm256_castsi256_ps(w),
        _mm256_castsi256_ps(sum),
    ))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn finish<const I16: bool>(
    matrix: &Matrix,
    panel: usize,
    sums: &[f32; PANEL],
    (x_scale, x_zero): (f32, f32),
    activation: Activation,
) -> [f32; PANEL] {
    let outputs = panel * PANEL..(panel + 1) * PANEL;
    let (bias, scale) = (
        &matrix.bias[outputs.clone()],
        &matrix.scale[outputs.clone()],
    );
    let sum = &matrix.sum[outputs];
    let mut y = from_fn(|l| {
        if !I16 {
            return sums[l] + bias[l];
        }
        let steps = sums[l].to_bits().cast_signed() as f32 * scale[l];
        x_scale.mul_add(sum[l].mul_add(-x_zero, steps), bias[l])
    });
    lanes::apply(activation, &mut y);
    y
}

#[inline]
#[target_feature(enable = "avx2,fma")]
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
