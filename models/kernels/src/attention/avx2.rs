//! Tiles of up to 6 queries by 16 keys, then by 16 numbers of the values, in f32.
//!
//! Keys are transposed once per head into groups of 16, `[number][key]`; values are laid out as
//! `[16 numbers of dim][key][number]`, the last 16 padded with zeros.

#![expect(
    clippy::needless_range_loop,
    reason = "tiles of registers are walked by row and vector, several at once"
)]

use super::{Job, Scratch};
use crate::activation::avx2::exp2;
use crate::aligned::{as_f32, as_f32_mut};
use crate::matrix::share;
use crate::rows::avx2::{LANES, load, numbers, store};
use std::arch::x86_64::*;

const QUERIES: usize = 6;
/// Keys, or numbers of the values, side by side in a tile.
const GROUP: usize = 16;
/// Below any score; its power is 0.
const FAR: f32 = -1e30;

/// One head of one sequence.
#[derive(Clone, Copy)]
struct Head<'a> {
    /// From the sequence's first row on.
    qkv: &'a [f32],
    n_keys: usize,
    dim: usize,
    /// Numbers from one token's row to the next.
    stride: usize,
    /// Scores from one query to the next.
    padded: usize,
    /// Where the head's queries, keys and values begin in a row.
    parts: [usize; 3],
}

impl<'a> Head<'a> {
    fn row(&self, token: usize, part: usize) -> &'a [f32] {
        &self.qkv[token * self.stride + self.parts[part]..][..self.dim]
    }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn attend(job: &Job, qkv: &[f32], scratch: &mut Scratch, out: &mut [f32]) {
    let (dim, hidden) = (job.heads.dim, job.heads.count * job.heads.dim);
    let padded = job.tokens.len().next_multiple_of(GROUP);
    scratch.keys_f32.grow(padded * dim);
    scratch
        .values
        .grow(job.tokens.len() * dim.next_multiple_of(GROUP));
    scratch.scores.grow(QUERIES * padded);
    for head in 0..job.heads.count {
        let head = Head {
            qkv: &qkv[job.tokens.start * 3 * hidden..],
            n_keys: job.tokens.len(),
            dim,
            stride: 3 * hidden,
            padded,
            parts: [0, 1, 2].map(|part| part * hidden + head * dim),
        };
        keys(head, &mut scratch.keys_f32);
        values(head, &mut scratch.values);
        let tiles = job.queries.len().div_ceil(QUERIES);
        let mut done = 0;
        for tile in 0..tiles {
            let n_rows = share(job.queries.len(), tiles, tile);
            let first = job.queries.start - job.tokens.start + done;
            let out = &mut out[done * hidden..(done + n_rows) * hidden];
            match n_rows {
                1 => queries::<1>(head, first, scratch, (out, hidden)),
                2 => queries::<2>(head, first, scratch, (out, hidden)),
                3 => queries::<3>(head, first, scratch, (out, hidden)),
                4 => queries::<4>(head, first, scratch, (out, hidden)),
                5 => queries::<5>(head, first, scratch, (out, hidden)),
                _ => queries::<6>(head, first, scratch, (out, hidden)),
            }
            done += n_rows;
        }
    }
}

/// Keys beyond the last are 0.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn keys(head: Head<'_>, to: &mut [f32]) {
    for (group, to) in to[..head.padded * head.dim]
        .chunks_exact_mut(GROUP * head.dim)
        .enumerate()
    {
        for half in 0..2 {
            let first = group * GROUP + half * LANES;
            let mut rows: [&[f32]; LANES] = [&[]; LANES];
            for (r, row) in rows.iter_mut().enumerate() {
                if first + r < head.n_keys {
                    *row = head.row(first + r, 1);
                }
            }
            for at in (0..head.dim).step_by(LANES) {
                let square = transpose(rows.map(|row| load(row, at, 0.0)));
                for (d, v) in (at..head.dim).zip(square) {
                    store(&mut to[d * GROUP + half * LANES..][..LANES], 0, v);
                }
            }
        }
    }
}

/// 8 rows of 8 numbers.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn transpose(r: [__m256; LANES]) -> [__m256; LANES] {
    let mut a = r;
    for i in 0..4 {
        a[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    let mut b = a;
    for i in 0..2 {
        b[4 * i] = _mm256_shuffle_ps::<0x44>(a[4 * i], a[4 * i + 2]);
        b[4 * i + 1] = _mm256_shuffle_ps::<0xee>(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm256_shuffle_ps::<0x44>(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm256_shuffle_ps::<0xee>(a[4 * i + 1], a[4 * i + 3]);
    }
    // `b[4 i + j]` holds columns `j` and `4 + j` of the rows `4 i..4 i + 4`.
    let mut t = b;
    for j in 0..4 {
        t[j] = _mm256_permute2f128_ps::<0x20>(b[j], b[4 + j]);
        t[4 + j] = _mm256_permute2f128_ps::<0x31>(b[j], b[4 + j]);
    }
    t
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn values(head: Head<'_>, to: &mut [u32]) {
    for (panel, to) in to
        .chunks_exact_mut(head.n_keys * GROUP)
        .take(head.dim.div_ceil(GROUP))
        .enumerate()
    {
        for (key, to) in to.chunks_exact_mut(GROUP).enumerate() {
            let row = head.row(key, 2);
            let to = as_f32_mut(to);
            for l in 0..2 {
                store(to, l * LANES, load(row, panel * GROUP + l * LANES, 0.0));
            }
        }
    }
}

/// Up to 6 queries of one head, from the sequence's `first` on: scores, weights, weighted values.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn queries<const ROWS: usize>(
    head: Head<'_>,
    first: usize,
    scratch: &mut Scratch,
    (out, hidden): (&mut [f32], usize),
) {
    let mut q: [&[f32]; ROWS] = [&[]; ROWS];
    for (r, q) in q.iter_mut().enumerate() {
        *q = head.row(first + r, 0);
    }
    let scores = &mut scratch.scores;
    for (group, keys) in scratch.keys_f32[..head.padded * head.dim]
        .chunks_exact(GROUP * head.dim)
        .enumerate()
    {
        let scores = &mut scores[group * GROUP..];
        tile(q, keys, [1.0; ROWS], (scores, head.padded, GROUP));
    }
    let mut share = [0.0; ROWS];
    for (r, share) in share.iter_mut().enumerate() {
        let scores = &mut scores[r * head.padded..(r + 1) * head.padded];
        *share = 1.0 / weights(scores, head.n_keys);
    }
    let mut w: [&[f32]; ROWS] = [&[]; ROWS];
    for (r, w) in w.iter_mut().enumerate() {
        *w = &scores[r * head.padded..][..head.n_keys];
    }
    let panels = as_f32(&scratch.values).chunks_exact(head.n_keys * GROUP);
    for (panel, values) in panels.take(head.dim.div_ceil(GROUP)).enumerate() {
        let out = &mut out[head.parts[0] + panel * GROUP..];
        let len = GROUP.min(head.dim - panel * GROUP);
        tile(w, values, share, (out, hidden, len));
    }
}

/// Each of `x`, times a panel of 16 numbers for each of its own, times its share; the first `len`
/// of them go to `out`, a row of it each.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn tile<const ROWS: usize>(
    x: [&[f32]; ROWS],
    panel: &[f32],
    share: [f32; ROWS],
    (out, stride, len): (&mut [f32], usize, usize),
) {
    let n = panel.len() / GROUP;
    assert!(x.iter().all(|x| x.len() == n));
    let panel = panel.as_ptr();
    let mut sum = [[_mm256_setzero_ps(); 2]; ROWS];
    for k in 0..n {
        // SAFETY: `k < n`, so these 8 numbers lie within the panel.
        let low = unsafe { _mm256_loadu_ps(panel.add(k * GROUP)) };
        // SAFETY: as above.
        let high = unsafe { _mm256_loadu_ps(panel.add(k * GROUP + LANES)) };
        for r in 0..ROWS {
            // SAFETY: each row was checked to hold `n` numbers.
            let v = _mm256_set1_ps(unsafe { *x[r].as_ptr().add(k) });
            sum[r] = [
                _mm256_fmadd_ps(v, low, sum[r][0]),
                _mm256_fmadd_ps(v, high, sum[r][1]),
            ];
        }
    }
    for r in 0..ROWS {
        let (out, share) = (&mut out[r * stride..][..len], _mm256_set1_ps(share[r]));
        for l in 0..2 {
            store(out, l * LANES, _mm256_mul_ps(sum[r][l], share));
        }
    }
}

/// Turns scores into weights relative to the largest, and gives their sum.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn weights(scores: &mut [f32], n_keys: usize) -> f32 {
    scores[n_keys..].fill(FAR);
    let mut most = [_mm256_set1_ps(FAR); 2];
    for at in (0..scores.len()).step_by(GROUP) {
        for l in 0..2 {
            most[l] = _mm256_max_ps(most[l], load(scores, at + l * LANES, FAR));
        }
    }
    let most = numbers(_mm256_max_ps(most[0], most[1]));
    let most = _mm256_set1_ps(most.into_iter().fold(FAR, f32::max));
    let mut total = [_mm256_setzero_ps(); 2];
    for at in (0..scores.len()).step_by(GROUP) {
        for l in 0..2 {
            let below = _mm256_sub_ps(load(scores, at + l * LANES, FAR), most);
            let weight = exp2(below);
            total[l] = _mm256_add_ps(total[l], weight);
            store(scores, at + l * LANES, weight);
        }
    }
    numbers(_mm256_add_ps(total[0], total[1])).iter().sum()
}
