//! Tiles of up to 6 rows by 16 outputs, whose 12 sums stay in registers.
//!
//! Without VNNI 8-bit numbers lie in 16 bits each and are multiplied in pairs: the instruction for
//! bytes would overflow its 16-bit sums.

use super::{Matrix, Out, share};
use crate::activation::{Activation, avx2 as vector};
use crate::bf16_from_f32;
use crate::rows::avx2::{LANES, load, numbers, store};
use crate::rows::{Format, Rows};
use std::arch::x86_64::*;
use std::ops::Range;

const PANEL: usize = 16;
const TILE_ROWS: usize = 6;

const F32: u8 = 0;
const U8: u8 = 2;
const I16: u8 = 3;

/// Sums of one tile, `[row][output of the panel]`.
#[repr(align(32))]
struct Sums([[f32; PANEL]; TILE_ROWS]);

#[target_feature(enable = "avx2,fma")]
pub(super) fn apply(matrix: &Matrix, rows: &Rows, activation: Activation, out: Out<'_>) {
    match matrix.format {
        Format::U8 => product::<U8>(matrix, rows, activation, out),
        Format::I16 => product::<I16>(matrix, rows, activation, out),
        Format::F32 | Format::Bf16 => product::<F32>(matrix, rows, activation, out),
    }
}

#[target_feature(enable = "avx2,fma")]
fn product<const FORMAT: u8>(
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
                1 => tile_of::<FORMAT, 1>(x, words, weights, &mut sums),
                2 => tile_of::<FORMAT, 2>(x, words, weights, &mut sums),
                3 => tile_of::<FORMAT, 3>(x, words, weights, &mut sums),
                4 => tile_of::<FORMAT, 4>(x, words, weights, &mut sums),
                5 => tile_of::<FORMAT, 5>(x, words, weights, &mut sums),
                _ => tile_of::<FORMAT, 6>(x, words, weights, &mut sums),
            }
            let place = Place {
                matrix,
                rows,
                panel,
                row,
                n_rows,
            };
            finish::<FORMAT>(&place, &sums, activation, &mut out);
            row += n_rows;
        }
    }
}

/// A tile in the way of the format, whose instructions the machine has: [`Matrix::format_of`] gives
/// no other.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn tile_of<const FORMAT: u8, const ROWS: usize>(
    x: &[u32],
    words: usize,
    weights: &[u32],
    sums: &mut Sums,
) {
    match FORMAT {
        F32 => tile_f32::<ROWS>(x, words, weights, sums),
        I16 => tile_i16::<ROWS>(x, words, weights, sums),
        _ if is_x86_feature_detected!("avxvnni") => {
            // SAFETY: just detected.
            unsafe { tile_u8::<ROWS>(x, words, weights, sums) }
        }
        // SAFETY: rows are of unsigned bytes only where the machine has VNNI, of one kind or other.
        _ => unsafe { tile_u8_of_avx512::<ROWS>(x, words, weights, sums) },
    }
}

macro_rules! tile {
    ($name:ident, $dot:ident, $at_once:literal, $features:tt) => {
        /// `ROWS` rows of `words` words each, times a panel.
        #[target_feature(enable = $features)]
        fn $name<const ROWS: usize>(x: &[u32], words: usize, weights: &[u32], sums: &mut Sums) {
            assert!(x.len() == ROWS * words && weights.len() == PANEL * words);
            let (x, weights) = (x.as_ptr(), weights.as_ptr());
            let mut sum = [[_mm256_setzero_si256(); 2]; ROWS];
            let mut step = |k: usize| {
                // SAFETY: `k < words`, so these 8 words lie within the panel.
                let low = unsafe { _mm256_loadu_si256(weights.add(k * PANEL).cast()) };
                // SAFETY: as above.
                let high = unsafe { _mm256_loadu_si256(weights.add(k * PANEL + LANES).cast()) };
                for r in 0..ROWS {
                    // SAFETY: `r < ROWS` and `k < words`, so the word lies within the rows.
                    let word = unsafe { *x.add(r * words + k) };
                    let v = _mm256_set1_epi32(word.cast_signed());
                    sum[r] = [$dot(sum[r][0], v, low), $dot(sum[r][1], v, high)];
                }
            };
            let whole = words / $at_once * $at_once;
            for k in (0..whole).step_by($at_once) {
                for l in 0..$at_once {
                    step(k + l);
                }
            }
            (whole..words).for_each(step);
            for r in 0..ROWS {
                for l in 0..2 {
                    let to = sums.0[r].as_mut_ptr().wrapping_add(LANES * l);
                    // SAFETY: `l < 2`, so these 8 numbers lie within the row of sums.
                    unsafe { _mm256_storeu_si256(to.cast(), sum[r][l]) };
                }
            }
        }
    };
}
// Steps taken at once share the reckoning of places; for 16 bits it has room beside the products.
tile!(tile_f32, dot_f32, 4, "avx2,fma");
tile!(tile_i16, dot_i16, 1, "avx2");
tile!(tile_u8, dot_u8, 4, "avx2,avxvnni");
tile!(
    tile_u8_of_avx512,
    dot_u8_of_avx512,
    4,
    "avx2,avx512vl,avx512vnni"
);

/// One product and sum for each word.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn dot_f32(sum: __m256i, x: __m256i, w: __m256i) -> __m256i {
    _mm256_castps_si256(_mm256_fmadd_ps(
        _mm256_castsi256_ps(x),
        _mm256_castsi256_ps(w),
        _mm256_castsi256_ps(sum),
    ))
}

/// Two products of 16-bit numbers for each word.
#[inline]
#[target_feature(enable = "avx2")]
fn dot_i16(sum: __m256i, x: __m256i, w: __m256i) -> __m256i {
    _mm256_add_epi32(sum, _mm256_madd_epi16(x, w))
}

/// Four products for each word.
#[inline]
#[target_feature(enable = "avx2,avxvnni")]
pub(crate) fn dot_u8(sum: __m256i, x: __m256i, w: __m256i) -> __m256i {
    _mm256_dpbusd_avx_epi32(sum, x, w)
}

/// The same as AVX-512 spells it.
#[inline]
#[target_feature(enable = "avx2,avx512vl,avx512vnni")]
pub(crate) fn dot_u8_of_avx512(sum: __m256i, x: __m256i, w: __m256i) -> __m256i {
    _mm256_dpbusd_epi32(sum, x, w)
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
fn finish<const FORMAT: u8>(
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
            y[l] = if FORMAT == F32 {
                _mm256_add_ps(s, bias[l])
            } else {
                let steps = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_castps_si256(s)), scale[l]);
                _mm256_fmadd_ps(x_scale, _mm256_fnmadd_ps(x_zero, sum[l], steps), bias[l])
            };
        }
        y = if FORMAT == F32 {
            vector::apply::<true>(activation, y)
        } else {
            vector::apply::<false>(activation, y)
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
