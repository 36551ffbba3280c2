//! Tiles of up to 12 queries by 32 keys, then by 32 numbers of the values.
//!
//! Words are one f32 or two bf16 throughout, so both kinds share all but how words are made. Keys
//! are transposed once per head into groups of 16, `[word of dim][key]`; values are laid out as
//! `[32 numbers of dim][word of keys][number]`.

use super::{Job, Scratch};
use crate::activation::avx512::exp2;
use crate::matrix::avx512::{dot_bf16, dot_f32};
use crate::matrix::share;
use crate::rows::avx512::{bits, lanes};
use std::arch::x86_64::*;

const F32: u8 = 0;
const BF16: u8 = 1;

const QUERIES: usize = 12;
/// Keys side by side in a vector.
const GROUP: usize = 16;
/// Numbers of the values that one tile sums.
pub(super) const PANEL: usize = 32;

/// Sizes of one head of one sequence, in words.
#[derive(Clone, Copy)]
struct Sizes {
    /// Tokens of the sequence.
    n_keys: usize,
    /// Words of a head's row.
    dim: usize,
    /// Words that hold a weight for each key.
    key_words: usize,
    /// Words from one token's row to the next.
    stride: usize,
    /// Scores from one query to the next.
    score_stride: usize,
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) fn attend_f32(job: &Job, qkv: &[f32], scratch: &mut Scratch, out: &mut [f32]) {
    each_head::<F32>(job, qkv.as_ptr().cast(), scratch, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
pub(super) fn attend_bf16(job: &Job, qkv: &[u16], scratch: &mut Scratch, out: &mut [f32]) {
    each_head::<BF16>(job, qkv.as_ptr().cast(), scratch, out);
}

/// `qkv` points to words of `[tokens, 3, heads, dim]`, whose bounds `super::attend` checked. For
/// bf16 it may lie on half a word; all loads are unaligned.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn each_head<const KIND: u8>(job: &Job, qkv: *const u32, scratch: &mut Scratch, out: &mut [f32]) {
    let per_word = if KIND == F32 { 1 } else { 2 };
    let hidden = job.heads.count * job.heads.dim;
    let n_keys = job.tokens.len();
    let sizes = Sizes {
        n_keys,
        dim: job.heads.dim / per_word,
        key_words: n_keys.div_ceil(per_word),
        stride: 3 * hidden / per_word,
        score_stride: n_keys.next_multiple_of(2 * GROUP),
    };
    scratch.keys.grow(sizes.score_stride * sizes.dim);
    scratch.values.grow(sizes.key_words * job.heads.dim);
    scratch.scores.grow(QUERIES * sizes.score_stride);
    for head in 0..job.heads.count {
        let part = |token: usize, part: usize| {
            qkv.wrapping_add(
                token * sizes.stride + (part * hidden + head * job.heads.dim) / per_word,
            )
        };
        keys(part(job.tokens.start, 1), sizes, &mut scratch.keys);
        values::<KIND>(
            part(job.tokens.start, 2),
            sizes,
            job.heads.dim,
            &mut scratch.values,
        );
        let tiles = job.queries.len().div_ceil(QUERIES);
        let mut done = 0;
        for tile in 0..tiles {
            let n_rows = share(job.queries.len(), tiles, tile);
            let q = part(job.queries.start + done, 0);
            let y = &mut out[done * hidden..(done + n_rows) * hidden];
            let out = &mut y[head * job.heads.dim..];
            queries::<KIND>(n_rows, q, sizes, scratch, (out, hidden));
            done += n_rows;
        }
    }
}

/// Transposes keys in groups of 16; keys beyond the last are 0.
#[inline]
#[target_feature(enable = "avx512f")]
fn keys(k: *const u32, sizes: Sizes, to: &mut [u32]) {
    for group in 0..sizes.n_keys.div_ceil(GROUP) {
        for first in (0..sizes.dim).step_by(16) {
            let mut rows = [_mm512_setzero_si512(); 16];
            for (r, row) in rows.iter_mut().enumerate() {
                let key = group * GROUP + r;
                if key < sizes.n_keys {
                    // SAFETY: the key is one of the sequence's, and `dim` is a multiple of 16
                    // words, so 16 follow `first`.
                    *row = unsafe { _mm512_loadu_si512(k.add(key * sizes.stride + first).cast()) };
                }
            }
            let at = group * GROUP * sizes.dim + first * GROUP;
            let to = &mut to[at..at + 16 * GROUP];
            for (to, row) in to.chunks_exact_mut(GROUP).zip(transpose(rows)) {
                // SAFETY: the chunk has 16 words.
                unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), row) };
            }
        }
    }
}

/// 16 rows of 16 words.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(r: [__m512i; 16]) -> [__m512i; 16] {
    let mut a = r;
    for i in 0..8 {
        a[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    let mut b = a;
    for i in 0..4 {
        b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
    // `b[4 i + j]` holds column `j` of each of four quarters, rows `4 i..4 i + 4`.
    let mut t = b;
    for j in 0..4 {
        let low = _mm512_shuffle_i32x4::<0x88>(b[j], b[4 + j]);
        let high = _mm512_shuffle_i32x4::<0x88>(b[8 + j], b[12 + j]);
        let low_odd = _mm512_shuffle_i32x4::<0xdd>(b[j], b[4 + j]);
        let high_odd = _mm512_shuffle_i32x4::<0xdd>(b[8 + j], b[12 + j]);
        t[j] = _mm512_shuffle_i32x4::<0x88>(low, high);
        t[8 + j] = _mm512_shuffle_i32x4::<0xdd>(low, high);
        t[4 + j] = _mm512_shuffle_i32x4::<0x88>(low_odd, high_odd);
        t[12 + j] = _mm512_shuffle_i32x4::<0xdd>(low_odd, high_odd);
    }
    t
}

/// Lays values out by 32 numbers; for bf16, two keys to a word, the one beyond the last being 0.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn values<const KIND: u8>(v: *const u32, sizes: Sizes, dim: usize, to: &mut [u32]) {
    for panel in 0..dim / PANEL {
        for word in 0..sizes.key_words {
            let at = (panel * sizes.key_words + word) * PANEL;
            let pair = if KIND == F32 {
                let row = v.wrapping_add(word * sizes.stride + panel * PANEL);
                // SAFETY: the key is one of the sequence's, and 32 numbers follow.
                let low = unsafe { _mm512_loadu_si512(row.cast()) };
                // SAFETY: as above.
                [low, unsafe { _mm512_loadu_si512(row.add(16).cast()) }]
            } else {
                let row = v.wrapping_add(2 * word * sizes.stride + panel * PANEL / 2);
                // SAFETY: the first key is one of the sequence's, and 32 halves follow.
                let even = unsafe { _mm512_loadu_si512(row.cast()) };
                let odd = if 2 * word + 1 < sizes.n_keys {
                    // SAFETY: so is the second.
                    unsafe { _mm512_loadu_si512(row.add(sizes.stride).cast()) }
                } else {
                    _mm512_setzero_si512()
                };
                interleave(even, odd)
            };
            let to = &mut to[at..at + PANEL];
            for (to, v) in to.chunks_exact_mut(16).zip(pair) {
                // SAFETY: the chunk has 16 words.
                unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), v) };
            }
        }
    }
}

/// 32 words of which each holds a half of `even` below the same half of `odd`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn interleave(even: __m512i, odd: __m512i) -> [__m512i; 2] {
    let widen = |v, high: bool| {
        _mm512_cvtepu16_epi32(if high {
            _mm512_extracti64x4_epi64::<1>(v)
        } else {
            _mm512_castsi512_si256(v)
        })
    };
    let word = |high| _mm512_or_si512(widen(even, high), _mm512_slli_epi32::<16>(widen(odd, high)));
    [word(false), word(true)]
}

/// Up to 12 queries of one head.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn queries<const KIND: u8>(
    n_rows: usize,
    q: *const u32,
    sizes: Sizes,
    scratch: &mut Scratch,
    out: (&mut [f32], usize),
) {
    macro_rules! tiles {
        ($($n:literal)*) => { match n_rows {
            $($n if KIND == F32 => of_f32::queries::<$n>(q, sizes, scratch, out),
            // SAFETY: only `attend_bf16`, which has BF16, asks for this kind.
            $n => unsafe { of_bf16::queries::<$n>(q, sizes, scratch, out) },)*
            _ => {}
        } };
    }
    tiles!(1 2 3 4 5 6 7 8 9 10 11 12);
}

/// What is compiled once for each kind, with the instructions that it needs.
macro_rules! queries {
    ($module:ident, $dot:ident, $power:ident, $store:ident, $values_per_word:literal, $features:tt) => {
        mod $module {
            use super::*;

            /// `ROWS` queries of one head: scores, weights, weighted values.
            #[target_feature(enable = $features)]
            pub(super) fn queries<const ROWS: usize>(
                q: *const u32,
                sizes: Sizes,
                scratch: &mut Scratch,
                out: (&mut [f32], usize),
            ) {
                let scores = &mut scratch.scores;
                scores_of::<ROWS>(q, sizes, &scratch.keys, scores);
                let mut total = [0.0; QUERIES];
                for r in 0..ROWS {
                    let row = &mut scores[r * sizes.score_stride..(r + 1) * sizes.score_stride];
                    total[r] = weights(row, sizes.n_keys);
                }
                weighted::<ROWS>(sizes, &scratch.values, scores, &total, out);
            }

            /// Scores of `ROWS` queries for all keys.
            #[inline]
            #[target_feature(enable = $features)]
            fn scores_of<const ROWS: usize>(
                q: *const u32,
                sizes: Sizes,
                keys: &[u32],
                scores: &mut [f32],
            ) {
                let groups = sizes.n_keys.div_ceil(GROUP);
                let mut group = 0;
                while group < groups {
                    let keys = &keys[group * GROUP * sizes.dim..];
                    let scores = &mut scores[group * GROUP..];
                    if group + 2 <= groups {
                        score_tile::<ROWS, 2>(q, sizes, keys, scores);
                        group += 2;
                    } else {
                        score_tile::<ROWS, 1>(q, sizes, keys, scores);
                        group += 1;
                    }
                }
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn score_tile<const ROWS: usize, const GROUPS: usize>(
                q: *const u32,
                sizes: Sizes,
                keys: &[u32],
                scores: &mut [f32],
            ) {
                assert!(GROUPS * GROUP * sizes.dim <= keys.len());
                assert!((ROWS - 1) * sizes.score_stride + GROUPS * GROUP <= scores.len());
                let mut sum = [[_mm512_setzero_si512(); GROUPS]; ROWS];
                for d in 0..sizes.dim {
                    let mut k = [_mm512_setzero_si512(); GROUPS];
                    for (g, k) in k.iter_mut().enumerate() {
                        let at = keys.as_ptr().wrapping_add((g * sizes.dim + d) * GROUP);
                        // SAFETY: 16 words of one of `GROUPS` groups, which were checked to lie in `keys`.
                        *k = unsafe { _mm512_loadu_si512(at.cast()) };
                    }
                    for r in 0..ROWS {
                        // SAFETY: the query is one of the sequence's, and `d` a word of its head.
                        let word = unsafe { q.add(r * sizes.stride + d).read_unaligned() };
                        for g in 0..GROUPS {
                            sum[r][g] =
                                $dot(sum[r][g], _mm512_set1_epi32(word.cast_signed()), k[g]);
                        }
                    }
                }
                for r in 0..ROWS {
                    for g in 0..GROUPS {
                        let at = scores
                            .as_mut_ptr()
                            .wrapping_add(r * sizes.score_stride + g * GROUP);
                        // SAFETY: checked to lie within `scores`.
                        unsafe { _mm512_storeu_si512(at.cast(), sum[r][g]) };
                    }
                }
            }

            /// Turns a row of scores into weights relative to the largest, packed to words in its place, and
            /// gives the sum of the weights.
            #[inline]
            #[target_feature(enable = $features)]
            fn weights(row: &mut [f32], n_keys: usize) -> f32 {
                // What lies beyond the last key becomes a weight of 0.
                let far = _mm512_set1_ps(-1e30);
                let start = row.as_mut_ptr();
                let load = |at: usize| {
                    // SAFETY: the row is a multiple of 32 scores long, and `at` one of 16 before its end.
                    let v = unsafe { _mm512_loadu_ps(start.add(at)) };
                    if at + GROUP <= n_keys {
                        v
                    } else {
                        _mm512_mask_mov_ps(far, lanes(at, n_keys), v)
                    }
                };
                let mut most = [far; 2];
                for at in (0..row.len()).step_by(2 * GROUP) {
                    most[0] = _mm512_max_ps(most[0], load(at));
                    most[1] = _mm512_max_ps(most[1], load(at + GROUP));
                }
                let most = _mm512_set1_ps(_mm512_reduce_max_ps(_mm512_max_ps(most[0], most[1])));
                let mut total = [_mm512_setzero_ps(); 2];
                for at in (0..row.len()).step_by(2 * GROUP) {
                    let low = $power(load(at), most);
                    let high = $power(load(at + GROUP), most);
                    total[0] = _mm512_add_ps(total[0], low);
                    total[1] = _mm512_add_ps(total[1], high);
                    // SAFETY: the row has 32 numbers from `at` on, all of which have been read.
                    unsafe { $store(start, at, [low, high]) };
                }
                _mm512_reduce_add_ps(_mm512_add_ps(total[0], total[1]))
            }

            /// Values weighted and divided by the sum of the weights.
            #[inline]
            #[target_feature(enable = $features)]
            fn weighted<const ROWS: usize>(
                sizes: Sizes,
                values: &[u32],
                weights: &[f32],
                total: &[f32; QUERIES],
                (out, out_stride): (&mut [f32], usize),
            ) {
                let dim = $values_per_word * sizes.dim;
                assert!(
                    ROWS * sizes.score_stride <= weights.len()
                        && sizes.key_words <= sizes.score_stride
                );
                assert!((ROWS - 1) * out_stride + dim <= out.len());
                for panel in 0..dim / PANEL {
                    let values =
                        &values[panel * sizes.key_words * PANEL..][..sizes.key_words * PANEL];
                    let mut sum = [[_mm512_setzero_si512(); 2]; ROWS];
                    for key in 0..sizes.key_words {
                        let at = values.as_ptr().wrapping_add(key * PANEL);
                        // SAFETY: the panel has 32 words for each word of keys.
                        let low = unsafe { _mm512_loadu_si512(at.cast()) };
                        // SAFETY: as above.
                        let high = unsafe { _mm512_loadu_si512(at.add(16).cast()) };
                        for r in 0..ROWS {
                            let at = weights.as_ptr().wrapping_add(r * sizes.score_stride + key);
                            // SAFETY: the row was checked to hold a word for each word of keys.
                            let w = _mm512_set1_epi32(unsafe { at.cast::<i32>().read() });
                            sum[r] = [$dot(sum[r][0], w, low), $dot(sum[r][1], w, high)];
                        }
                    }
                    for r in 0..ROWS {
                        let share = _mm512_set1_ps(1.0 / total[r]);
                        for l in 0..2 {
                            let y = _mm512_mul_ps(_mm512_castsi512_ps(sum[r][l]), share);
                            let at = r * out_stride + panel * PANEL + 16 * l;
                            // SAFETY: checked to lie within `out`.
                            unsafe { _mm512_storeu_ps(out.as_mut_ptr().add(at), y) };
                        }
                    }
                }
            }
        }
    };
}
queries!(
    of_f32,
    dot_f32,
    power_f32,
    store_f32,
    1,
    "avx512f,avx512bw,avx512vl,avx512dq"
);
queries!(
    of_bf16,
    dot_bf16,
    power_bf16,
    store_bf16,
    2,
    "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16"
);

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn power_f32(score: __m512, most: __m512) -> __m512 {
    exp2::<true>(_mm512_sub_ps(score, most))
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn power_bf16(score: __m512, most: __m512) -> __m512 {
    exp2::<false>(_mm512_sub_ps(score, most))
}

/// 32 weights in the place of 32 scores.
///
/// # Safety
/// There is room for 32 numbers at `start + at`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store_f32(start: *mut f32, at: usize, [low, high]: [__m512; 2]) {
    // SAFETY: the caller's.
    unsafe { _mm512_storeu_ps(start.add(at), low) };
    // SAFETY: the caller's.
    unsafe { _mm512_storeu_ps(start.add(at + GROUP), high) };
}

/// 32 weights of 16 bits: in a row they take the room of the first half of the scores so far.
///
/// # Safety
/// There is room for 32 numbers at `start + at`, and for as many as `at` before.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512bf16")]
unsafe fn store_bf16(start: *mut f32, at: usize, [low, high]: [__m512; 2]) {
    let (low, high) = (_mm512_cvtneps_pbh(low), _mm512_cvtneps_pbh(high));
    let both = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(bits(low)), bits(high));
    // SAFETY: 16 words fit from half of `at` on, by the caller.
    unsafe { _mm512_storeu_si512(start.add(at / 2).cast(), both) };
}
