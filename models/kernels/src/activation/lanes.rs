//! Element-wise functions as straight-line code, for the compiler to run in all lanes of whatever
//! vectors the calling function enables. They need a fused multiply-add to be worth it.

use super::{Activation, EXP2, PHI_FINE, PHI_FINE_END, ROOT};

/// On a whole array, so that the choice is made once.
#[inline(always)]
pub(crate) fn apply<const N: usize>(activation: Activation, y: &mut [f32; N]) {
    match activation {
        Activation::Identity => {}
        Activation::Gelu => y.iter_mut().for_each(|y| *y = gelu(*y)),
        Activation::GeluTanh => y.iter_mut().for_each(|y| *y = gelu_tanh(*y)),
        Activation::Relu => y
            .iter_mut()
            .for_each(|y| *y = if *y < 0.0 { 0.0 } else { *y }),
        Activation::Tanh => y.iter_mut().for_each(|y| *y = tanh(*y)),
    }
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    let cut = x.clamp(-PHI_FINE_END, PHI_FINE_END);
    let u = (cut * cut).mul_add(2.0 / (PHI_FINE_END * PHI_FINE_END), -1.0);
    let sum = horner(u, &PHI_FINE);
    x * sum.mul_add(cut, 0.5)
}

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    let inner = x * (x * x).mul_add(ROOT * 0.044_715, ROOT);
    let half = 0.5 * x;
    half.mul_add(tanh(inner), half)
}

/// `1 - 2 / (e^2x + 1)`, which saturates by itself.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let power = exp2(x.clamp(-16.0, 16.0) * (2.0 * std::f32::consts::LOG2_E));
    1.0 - 2.0 / (power + 1.0)
}

/// `2^x` for `x` below 127; 0 far below, and a NaN stays one.
#[inline(always)]
pub(crate) fn exp2(x: f32) -> f32 {
    let whole = x.round_ties_even();
    let f = x - whole;
    let power = horner(f, &EXP2).mul_add(f, 1.0);
    // The exponent's bits of 2^whole; below them all, 0.
    let scale = f32::from_bits((((whole.max(-127.0)) as i32 + 127) as u32) << 23);
    power * scale
}

#[inline(always)]
fn horner<const N: usize>(x: f32, c: &[f32; N]) -> f32 {
    let mut sum = c[N - 1];
    for place in (0..N - 1).rev() {
        sum = sum.mul_add(x, c[place]);
    }
    sum
}
