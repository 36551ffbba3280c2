//! Four queries by 16 keys, then by 16 numbers of the values, in f32.
//!
//! Keys are transposed once per head into groups of 16, `[number][key]`; values are read where
//! they lie.

use super::{Job, Scratch};
use crate::activation::lanes::exp2;
use std::array::from_fn;

const LANES: usize = 16;
const QUERIES: usize = 4;

#[target_feature(enable = "avx2,fma")]
pub(super) fn attend(job: &Job, qkv: &[f32], scratch: &mut Scratch, out: &mut [f32]) {
    let (dim, hidden) = (job.heads.dim, job.heads.count * job.heads.dim);
    let n_keys = job.tokens.len();
    let padded = n_keys.next_multiple_of(LANES);
    scratch.keys_f32.grow(padded * dim);
    scratch.scores.grow(QUERIES * padded);
    let row = |token: usize, part: usize, head: usize| {
        &qkv[token * 3 * hidden + part * hidden + head * dim..][..dim]
    };
    for head in 0..job.heads.count {
        transpose(job, |token| row(token, 1, head), &mut scratch.keys_f32);
        let keys = &scratch.keys_f32[..padded * dim];
        for first in job.queries.clone().step_by(QUERIES) {
            let n = QUERIES.min(job.queries.end - first);
            // Beyond the last query the first is asked again; nobody reads what it gives.
            let q = from_fn(|r| row(if r < n { first + r } else { first }, 0, head));
            scores_of(q, keys, padded, &mut scratch.scores);
            for r in 0..n {
                let scores = &mut scratch.scores[r * padded..(r + 1) * padded];
                let share = 1.0 / weights(scores, n_keys);
                let at = (first + r - job.queries.start) * hidden + head * dim;
                let out = &mut out[at..at + dim];
                let values = job.tokens.clone().map(|token| row(token, 2, head));
                weighted(&scores[..n_keys], &values, share, out);
            }
        }
    }
}

/// Keys beyond the last are 0.
#[inline(always)]
fn transpose<'a>(job: &Job, key: impl Fn(usize) -> &'a [f32], to: &mut [f32]) {
    let dim = job.heads.dim;
    for (group, to) in to.chunks_mut(LANES * dim).enumerate() {
        for lane in 0..LANES {
            let token = job.tokens.start + group * LANES + lane;
            let key = (token < job.tokens.end).then(|| key(token));
            for d in 0..dim {
                if let Some(to) = to.get_mut(d * LANES + lane) {
                    *to = key.map_or(0.0, |key| key[d]);
                }
            }
        }
    }
}

#[inline(always)]
fn scores_of(q: [&[f32]; QUERIES], keys: &[f32], padded: usize, scores: &mut [f32]) {
    let dim = q[0].len();
    for (group, keys) in keys.chunks_exact(LANES * dim).enumerate() {
        let mut sum = [[0.0_f32; LANES]; QUERIES];
        for (d, key) in keys.as_chunks::<LANES>().0.iter().enumerate() {
            for r in 0..QUERIES {
                let q = q[r][d];
                sum[r] = from_fn(|l| q.mul_add(key[l], sum[r][l]));
            }
        }
        for (r, sum) in sum.iter().enumerate() {
            scores[r * padded + group * LANES..][..LANES].copy_from_slice(sum);
        }
    }
}

/// Turns scores into weights relative to the largest, and gives their sum.
#[inline(always)]
fn weights(scores: &mut [f32], n_keys: usize) -> f32 {
    scores[n_keys..].fill(-1e30);
    let (chunks, _) = scores.as_chunks_mut::<LANES>();
    let mut most = [-1e30_f32; LANES];
    for scores in chunks.iter() {
        most = from_fn(|l| {
            if most[l] < scores[l] {
                scores[l]
            } else {
                most[l]
            }
        });
    }
    let most = most.iter().fold(-1e30_f32, |a, &b| a.max(b));
    let mut total = [0.0_f32; LANES];
    for scores in chunks {
        *scores = from_fn(|l| exp2(scores[l] - most));
        total = from_fn(|l| total[l] + scores[l]);
    }
    total.iter().sum()
}

/// The values' sum by weights, times `share`.
#[inline(always)]
fn weighted<'a>(
    weights: &[f32],
    values: &(impl Iterator<Item = &'a [f32]> + Clone),
    share: f32,
    out: &mut [f32],
) {
    let (chunks, tail) = out.as_chunks_mut::<LANES>();
    let n_chunked = chunks.len() * LANES;
    for (chunk, out) in chunks.iter_mut().enumerate() {
        let mut sum = [0.0_f32; LANES];
        for (weight, value) in weights.iter().zip(values.clone()) {
            let value = &value[chunk * LANES..(chunk + 1) * LANES];
            sum = from_fn(|l| weight.mul_add(value[l], sum[l]));
        }
        *out = sum.map(|sum| sum * share);
    }
    for (place, out) in tail.iter_mut().enumerate() {
        let pairs = weights.iter().zip(values.clone());
        *out = pairs.map(|(w, v)| w * v[n_chunked + place]).sum::<f32>() * share;
    }
}
