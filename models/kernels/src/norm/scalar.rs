//! The reference.

use super::Norm;
use crate::rows::{Rows, scalar::quantise_row};

pub(super) fn norm(norm: &Norm, x: &mut [f32], mut quantised: Option<&mut Rows>) {
    let width = norm.width();
    for (place, row) in x.chunks_mut(width).enumerate() {
        let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / width as f64;
        let square = |&x: &f32| (f64::from(x) - mean).powi(2);
        let variance = row.iter().map(square).sum::<f64>() / width as f64;
        let scale = 1.0 / (variance + f64::from(norm.eps)).sqrt();
        for x in row.iter_mut() {
            *x = ((f64::from(*x) - mean) * scale) as f32;
        }
        if let Some(rows) = quantised.as_deref_mut() {
            rows.spare.grow(width);
            for (to, (x, spread)) in rows
                .spare
                .iter_mut()
                .zip(row.iter().zip(norm.spread.iter()))
            {
                *to = x * spread;
            }
            let words = rows.stride() * place..rows.stride() * (place + 1);
            (rows.scale[place], rows.zero[place]) =
                quantise_row(rows.format, &rows.spare[..width], &mut rows.words[words]);
        }
        for (x, (gamma, beta)) in row.iter_mut().zip(norm.gamma.iter().zip(norm.beta.iter())) {
            *x = *x * gamma + beta;
        }
    }
}
