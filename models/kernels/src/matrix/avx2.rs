//! Tiles of up to 6 rows by 16 outputs, whose 12 sums stay in registers.
//!
//! 8-bit numbers lie in 16 bits each and are multiplied in pairs: the instruction for bytes would
//! overflow its 16-bit sums.

#![expect(
    clippy::needless_range_loop,
    reason = "tiles of registers are walked by row and vector, several at once"
)]

use super::{Matrix, Out, share};
use crate::activation::{Activation, avx2 as vector};
use crate::bf16_from_f32;
use crate::rows::avx2::{LANES, load, numbers, store};
use crate::rows::{Format, Rows};
use std::arch::x86_64::*;
use std::ops::Range;

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
        let mut row = 0;
        for tile in 0..rows.len.div_ceil(TILE_ROWS) {
            let n_rows = share(rows.len, rows.len.div_ceil(TILE_ROWS), tile);
            let x = &rows.words[row * words..(row + n_rows) * words];
            match n_rows {
                1 => tile_of::<I16, 1>(x, words, weights, &mut sums),
                2 => tile_of::<I16, 2>(x, words, weights, &mut sums),
                3 => tile_of::<I16, 3>(x, words, weights, &mut sums),
                4 => tile_of::<I16, 4>(x, words, weights, &mut sums),
                5 => tile_of::<I16, 5>(x, words, weights, &mut sums),
                _ => tile_of::<I16, 6>(x, words, weights, &mut sums),
            }
            let place = Place {
                matrix,
                rows,
                panel,
                row,
                n_rows,
            };
            finish::<I16>(&place, &sums, activation, &mut out);
            row += n_rows;
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

/// Where a tile's sums belong.
struct Place<'a> {
    matrix: &'a Matrix,
    rows: &'a Rows,
    panel: usize,
    row: usize,
    n_rows: usize,
}

/// Scales the sums, adds the bias, applies `activation` and writes to `out`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn finish<const I16: bool>(
    place: &Place<'_>,
    sums: &Sums,
    activation: Activation,
    out: &mut Out<'_>,
) {
    let Place {
        matrix,
        rows,
        panel,
        row,
        n_rows,
    } = *place;
    let first = panel * PANEL;
    let per_output = |of: &[f32]| [load(of, first, 0.0), load(of, first + LANES, 0.0)];
    let bias = per_output(&matrix.bias);
    let (scale, sum) = (per_output(&matrix.scale), per_output(&matrix.sum));
    for (r, sums) in sums.0[..n_rows].iter().enumerate() {
        let x_scale = _mm256_set1_ps(rows.scale[row + r]);
        let x_zero = _mm256_set1_ps(rows.zero[row + r]);
        let mut y = [_mm256_setzero_ps(); 2];
        for l in 0..2 {
            let s = load(sums, LANES * l, 0.0);
            y[l] = if I16 {
                let steps = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_castps_si256(s)), scale[l]);
                _mm256_fmadd_ps(x_scale, _mm256_fnmadd_ps(x_zero, sum[l], steps), bias[l])
            } else {
                _mm256_add_ps(s, bias[l])
            };
        }
        y = if I16 {
            vector::apply::<false>(activation, y)
        } else {
            vector::apply::<true>(activation, y)
        };
        let start = (row + r) * matrix.n_out + first;
        write(out, start..start + PANEL.min(matrix.n_out - first), y);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn write(out: &mut Out<'_>, at: Range<usize>, y: [__m256; 2]) {
    match out {
        Out::Store(out) => {
            let out = &mut out[at];
            store(out, 0, y[0]);
            store(out, LANES, y[1]);
        }
        Out::Add(out) => {
            let out = &mut out[at];
            for (l, y) in y.into_iter().enumerate() {
                let sum = _mm256_add_ps(load(out, LANES * l, 0.0), y);
                store(out, LANES * l, sum);
            }
        }
        Out::Bf16(out) => {
            let y = numbers(y[0]).into_iter().chain(numbers(y[1]));
            for (out, y) in out[at].iter_mut().zip(y) {
                *out = bf16_from_f32(y);
            }
        }
    }
}
