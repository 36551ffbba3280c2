//! Tiles of up to 6 rows by 64 outputs, whose 24 sums stay in registers.
//!
//! Only the innermost loop needs more than the common part of AVX-512; it is there once for each
//! format, compiled for what that format needs.

use super::{Matrix, Out, share};
use crate::activation::{Activation, avx512 as vector};
use crate::rows::avx512::lanes;
use crate::rows::{Format, Rows};
use std::arch::x86_64::*;

const PANEL: usize = 64;
const TILE_ROWS: usize = 6;

const F32: u8 = 0;
const BF16: u8 = 1;
const U8: u8 = 2;
const I16: u8 = 3;

/// Sums of one tile, `[row][output of the panel]`.
#[repr(align(64))]
struct Sums([[f32; PANEL]; TILE_ROWS]);

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) fn apply(matrix: &Matrix, rows: &Rows, activation: Activation, out: Out<'_>) {
    match matrix.format {
        Format::F32 => product::<F32>(matrix, rows, activation, out),
        Format::Bf16 => product::<BF16>(matrix, rows, activation, out),
        Format::U8 => product::<U8>(matrix, rows, activation, out),
        Format::I16 => product::<I16>(matrix, rows, activation, out),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
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
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn tile_of<const FORMAT: u8, const ROWS: usize>(
    x: &[u32],
    words: usize,
    weights: &[u32],
    sums: &mut Sums,
) {
    match FORMAT {
        F32 => tile_f32::<ROWS>(x, words, weights, sums),
        I16 => tile_i16::<ROWS>(x, words, weights, sums),
        // SAFETY: rows are bf16 only where the machine has BF16.
        BF16 => unsafe { tile_bf16::<ROWS>(x, words, weights, sums) },
        // SAFETY: rows are of unsigned bytes only where the machine has VNNI.
        _ => unsafe { tile_u8::<ROWS>(x, words, weights, sums) },
    }
}

macro_rules! tile {
    ($name:ident, $dot:ident, $features:tt) => {
        /// `ROWS` rows of `words` words each, times a panel.
        #[target_feature(enable = $features)]
        fn $name<const ROWS: usize>(x: &[u32], words: usize, weights: &[u32], sums: &mut Sums) {
            assert!(x.len() == ROWS * words && weights.len() == PANEL * words);
            let (x, weights) = (x.as_ptr(), weights.as_ptr());
            let mut sum = [[_mm512_setzero_si512(); 4]; ROWS];
            for k in 0..words {
                let mut w = [_mm512_setzero_si512(); 4];
                for (l, w) in w.iter_mut().enumerate() {
                    // SAFETY: `k < words` and `l < 4`, so these 16 words lie within the panel.
                    *w = unsafe { _mm512_loadu_si512(weights.add(k * PANEL + 16 * l).cast()) };
                }
                for r in 0..ROWS {
                    // SAFETY: `r < ROWS` and `k < words`, so the word lies within the rows.
                    let word = unsafe { *x.add(r * words + k) };
                    let v = _mm512_set1_epi32(word.cast_signed());
                    for l in 0..4 {
                        sum[r][l] = $dot(sum[r][l], v, w[l]);
                    }
                }
            }
            for r in 0..ROWS {
                for l in 0..4 {
                    let to = sums.0[r].as_mut_ptr().wrapping_add(16 * l);
                    // SAFETY: `l < 4`, so these 16 numbers lie within the row of sums.
                    unsafe { _mm512_storeu_si512(to.cast(), sum[r][l]) };
                }
            }
        }
    };
}
tile!(tile_f32, dot_f32, "avx512f");
tile!(tile_bf16, dot_bf16, "avx512f,avx512bf16");
tile!(tile_u8, dot_u8, "avx512f,avx512vnni");
tile!(tile_i16, dot_i16, "avx512f,avx512bw");

/// One product and sum for each word.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn dot_f32(sum: __m512i, x: __m512i, w: __m512i) -> __m512i {
    _mm512_castps_si512(_mm512_fmadd_ps(
        _mm512_castsi512_ps(x),
        _mm512_castsi512_ps(w),
        _mm512_castsi512_ps(sum),
    ))
}

/// Two products for each word.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
pub(crate) fn dot_bf16(sum: __m512i, x: __m512i, w: __m512i) -> __m512i {
    _mm512_castps_si512(_mm512_dpbf16_ps(
        _mm512_castsi512_ps(sum),
        pairs(x),
        pairs(w),
    ))
}

/// Four products for each word.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
pub(crate) fn dot_u8(sum: __m512i, x: __m512i, w: __m512i) -> __m512i {
    _mm512_dpbusd_epi32(sum, x, w)
}

/// Two products of 16-bit numbers for each word.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn dot_i16(sum: __m512i, x: __m512i, w: __m512i) -> __m512i {
    _mm512_add_epi32(sum, _mm512_madd_epi16(x, w))
}

#[inline(always)]
fn pairs(v: __m512i) -> __m512bh {
    // SAFETY: both are 512 bits of which every pattern is a value.
    unsafe { std::mem::transmute(v) }
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
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
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
    let per_output = |of: &[f32]| {
        let of = &of[first..first + PANEL];
        // SAFETY: the slice has 64 numbers.
        std::array::from_fn::<_, 4, _>(|l| unsafe { _mm512_loadu_ps(of.as_ptr().add(16 * l)) })
    };
    let bias = per_output(&matrix.bias);
    let (scale, sum) = (per_output(&matrix.scale), per_output(&matrix.sum));
    for (r, sums) in sums.0[..n_rows].iter().enumerate() {
        let mut y = [_mm512_setzero_ps(); 4];
        let x_scale = _mm512_set1_ps(rows.scale[row + r]);
        let x_zero = _mm512_set1_ps(rows.zero[row + r]);
        for l in 0..4 {
            // SAFETY: `l < 4`, so these 16 numbers lie within the row of sums.
            let s = unsafe { _mm512_loadu_ps(sums.as_ptr().add(16 * l)) };
            y[l] = if FORMAT == U8 || FORMAT == I16 {
                let steps = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_castps_si512(s)), scale[l]);
                _mm512_fmadd_ps(x_scale, _mm512_fnmadd_ps(x_zero, sum[l], steps), bias[l])
            } else {
                _mm512_add_ps(s, bias[l])
            };
        }
        y = match FORMAT {
            F32 => vector::apply::<true>(activation, y),
            _ => vector::apply::<false>(activation, y),
        };
        let start = (row + r) * matrix.n_out + first;
        let len = PANEL.min(matrix.n_out - first);
        match out {
            Out::Store(out) => store::<false>(&mut out[start..start + len], y),
            Out::Add(out) => store::<true>(&mut out[start..start + len], y),
            Out::Bf16(out) => store_bf16(&mut out[start..start + len], y),
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store<const ADD: bool>(out: &mut [f32], y: [__m512; 4]) {
    for (l, y) in y.into_iter().enumerate() {
        let mask = lanes(16 * l, out.len());
        let at = out.as_mut_ptr().wrapping_add(16 * l);
        let y = if ADD {
            // SAFETY: the mask keeps the lanes within `out`.
            _mm512_add_ps(unsafe { _mm512_maskz_loadu_ps(mask, at) }, y)
        } else {
            y
        };
        // SAFETY: the mask keeps the lanes within `out`.
        unsafe { _mm512_mask_storeu_ps(at, mask, y) };
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn store_bf16(out: &mut [u16], y: [__m512; 4]) {
    for (l, y) in y.into_iter().enumerate() {
        let at = out.as_mut_ptr().wrapping_add(16 * l).cast();
        // SAFETY: the mask keeps the lanes within `out`.
        unsafe { _mm256_mask_storeu_epi16(at, lanes(16 * l, out.len()), round(y)) };
    }
}

/// To bf16 without the instruction for it, which not every machine with these kernels has: to the
/// nearest, ties to even; a NaN stays one.
#[inline]
#[target_feature(enable = "avx512f")]
fn round(y: __m512) -> __m256i {
    let bits = _mm512_castps_si512(y);
    let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
    let up = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
    let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(y, y);
    let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x40_0000));
    let rounded = _mm512_mask_mov_epi32(_mm512_add_epi32(bits, up), nan, quiet);
    _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded))
}
