//! The reference: one head of one query at a time.

use super::{Job, Qkv, Scratch};
use crate::{bf16_from_f32, f32_from_bf16};

pub(super) fn attend(job: &Job, qkv: Qkv<'_>, scratch: &mut Scratch, out: &mut [f32]) {
    let (dim, hidden) = (job.heads.dim, job.heads.count * job.heads.dim);
    scratch.scores.grow(job.tokens.len());
    let scores = &mut scratch.scores[..job.tokens.len()];
    for (query, out) in job.queries.clone().zip(out.chunks_mut(hidden)) {
        for (head, out) in out.chunks_mut(dim).enumerate() {
            let place = |token, part, d| token * 3 * hidden + part * hidden + head * dim + d;
            for (score, key) in scores.iter_mut().zip(job.tokens.clone()) {
                *score = (0..dim)
                    .map(|d| at(qkv, place(query, 0, d)) * at(qkv, place(key, 1, d)))
                    .sum();
            }
            let total = softmax(scores);
            for (d, out) in out.iter_mut().enumerate() {
                *out = scores
                    .iter()
                    .zip(job.tokens.clone())
                    .map(|(&score, token)| round(qkv, score) * at(qkv, place(token, 2, d)))
                    .sum::<f32>()
                    / total;
            }
        }
    }
}

/// Turns scores into weights relative to the largest, and gives their sum.
fn softmax(scores: &mut [f32]) -> f32 {
    let largest = scores
        .iter()
        .fold(f32::NEG_INFINITY, |most, &s| most.max(s));
    for score in scores.iter_mut() {
        *score = (*score - largest).exp2();
    }
    scores.iter().sum()
}

fn at(qkv: Qkv<'_>, place: usize) -> f32 {
    match qkv {
        Qkv::F32(of) => of[place],
        Qkv::Bf16(of) => f32_from_bf16(of[place]),
    }
}

fn round(qkv: Qkv<'_>, weight: f32) -> f32 {
    match qkv {
        Qkv::F32(_) => weight,
        Qkv::Bf16(_) => f32_from_bf16(bf16_from_f32(weight)),
    }
}
