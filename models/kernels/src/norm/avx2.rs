//! 32 numbers at a time, each lane its own sum.

use super::Norm;
use crate::rows::{Rows, avx2::quantise_row};
use std::array::from_fn;

#[target_feature(enable = "avx2,fma")]
pub(super) fn norm(norm: &Norm, x: &mut [f32], mut quantised: Option<&mut Rows>) {
    let width = norm.width();
    for (place, row) in x.chunks_mut(width).enumerate() {
        let mean = fold(row, |sum, x| sum + x) / width as f32;
        let squares = fold(row, |sum, x| (x - mean).mul_add(x - mean, sum));
        let scale = 1.0 / (squares / width as f32 + norm.eps).sqrt();
        if let Some(rows) = quantised.as_deref_mut() {
            rows.spare.grow(width);
            for ((to, x), spread) in rows
                .spare
                .iter_mut()
                .zip(row.iter())
                .zip(norm.spread.iter())
            {
                *to = (x - mean) * scale * spread;
            }
            let words = rows.stride() * place..rows.stride() * (place + 1);
            (rows.scale[place], rows.zero[place]) =
                quantise_row(&rows.spare[..width], &mut rows.words[words]);
        }
        for ((x, gamma), beta) in row.iter_mut().zip(norm.gamma.iter()).zip(norm.beta.iter()) {
            *x = ((*x - mean) * scale).mul_add(*gamma, *beta);
        }
    }
}

#[inline(always)]
fn fold(row: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let (chunks, tail) = row.as_chunks::<32>();
    let mut sum = [0.0; 32];
    for x in chunks {
        sum = from_fn(|l| f(sum[l], x[l]));
    }
    let all = sum.iter().sum();
    tail.iter().fold(all, |sum, x| f(sum, *x))
}
