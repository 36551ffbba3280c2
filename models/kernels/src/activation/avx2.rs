//! Element-wise functions on vectors of 8.

use super::{Activation, EXP2, PHI_COARSE, PHI_COARSE_END, PHI_FINE, PHI_FINE_END, ROOT};
use std::arch::x86_64::*;

/// Two vectors, which is what one row of a tile has.
pub(crate) type Two = [__m256; 2];

/// `FINE` for results kept in f32, else for those rounded to 8 bits.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn apply<const FINE: bool>(activation: Activation, x: Two) -> Two {
    match activation {
        Activation::Identity => x,
        Activation::Gelu if FINE => gelu(x, &PHI_FINE, PHI_FINE_END),
        Activation::Gelu => gelu(x, &PHI_COARSE, PHI_COARSE_END),
        Activation::GeluTanh => each(x, |v| gelu_tanh(v)),
        // `max` gives its second operand where the first is a NaN or both are 0.
        Activation::Relu => each(x, |v| _mm256_max_ps(_mm256_setzero_ps(), v)),
        Activation::Tanh => each(x, |v| tanh(v)),
    }
}

#[inline(always)]
fn each(x: Two, f: impl Fn(__m256) -> __m256) -> Two {
    [f(x[0]), f(x[1])]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn gelu<const N: usize>(x: Two, phi: &[f32; N], end: f32) -> Two {
    // The value comes second, so that a NaN is kept.
    let cut = each(x, |v| clamp(v, end));
    let scale = _mm256_set1_ps(2.0 / (end * end));
    let u = each(cut, |v| {
        _mm256_fmsub_ps(_mm256_mul_ps(v, v), scale, _mm256_set1_ps(1.0))
    });
    let mut sum = [_mm256_set1_ps(phi[N - 1]); 2];
    for &c in phi[..N - 1].iter().rev() {
        let c = _mm256_set1_ps(c);
        sum = [
            _mm256_fmadd_ps(sum[0], u[0], c),
            _mm256_fmadd_ps(sum[1], u[1], c),
        ];
    }
    let half = _mm256_set1_ps(0.5);
    let share = |l: usize| _mm256_mul_ps(x[l], _mm256_fmadd_ps(sum[l], cut[l], half));
    [share(0), share(1)]
}

/// Within `end` of 0; a NaN stays one.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn clamp(x: __m256, end: f32) -> __m256 {
    _mm256_max_ps(_mm256_set1_ps(-end), _mm256_min_ps(_mm256_set1_ps(end), x))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn gelu_tanh(x: __m256) -> __m256 {
    let (a, b) = (_mm256_set1_ps(ROOT), _mm256_set1_ps(ROOT * 0.044_715));
    let inner = _mm256_mul_ps(x, _mm256_fmadd_ps(_mm256_mul_ps(x, x), b, a));
    let half = _mm256_mul_ps(x, _mm256_set1_ps(0.5));
    _mm256_fmadd_ps(half, tanh(inner), half)
}

/// `1 - 2 / (e^2x + 1)`, which saturates by itself; absolute error below 2e-7.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn tanh(x: __m256) -> __m256 {
    let one = _mm256_set1_ps(1.0);
    let double = _mm256_set1_ps(2.0 * std::f32::consts::LOG2_E);
    let power = exp2(_mm256_mul_ps(clamp(x, 16.0), double));
    let below = _mm256_div_ps(_mm256_set1_ps(2.0), _mm256_add_ps(power, one));
    _mm256_sub_ps(one, below)
}

/// `2^x` for `x` below 127; 0 far below, and a NaN stays one.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn exp2(x: __m256) -> __m256 {
    let whole = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
    let f = _mm256_sub_ps(x, whole);
    let mut sum = _mm256_set1_ps(EXP2[EXP2.len() - 1]);
    for &c in EXP2[..EXP2.len() - 1].iter().rev() {
        sum = _mm256_fmadd_ps(sum, f, _mm256_set1_ps(c));
    }
    let power = _mm256_fmadd_ps(sum, f, _mm256_set1_ps(1.0));
    // The exponent's bits of 2^whole; below them all, 0.
    let bias = _mm256_set1_ps(127.0);
    let exponent = _mm256_add_ps(_mm256_max_ps(whole, _mm256_set1_ps(-127.0)), bias);
    let scale = _mm256_slli_epi32::<23>(_mm256_cvtps_epi32(exponent));
    _mm256_mul_ps(power, _mm256_castsi256_ps(scale))
}
