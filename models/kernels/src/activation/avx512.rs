//! Element-wise functions on vectors of 16.

use super::{
    Activation, EXP2, EXP2_COARSE, PHI_COARSE, PHI_COARSE_END, PHI_FINE, PHI_FINE_END, ROOT,
};
use std::arch::x86_64::*;

/// Four vectors at once: enough to hide the latency of a multiply-add.
pub(crate) type Four = [__m512; 4];

/// `FINE` for results kept in f32, else for those rounded to bf16 or 8 bits.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(crate) fn apply<const FINE: bool>(activation: Activation, x: Four) -> Four {
    match activation {
        Activation::Identity => x,
        Activation::Gelu if FINE => gelu(x, &PHI_FINE, PHI_FINE_END),
        Activation::Gelu => gelu(x, &PHI_COARSE, PHI_COARSE_END),
        Activation::GeluTanh => gelu_tanh(x),
        // `max` gives its second operand where the first is a NaN or both are 0.
        Activation::Relu => each(x, |v| _mm512_max_ps(_mm512_setzero_ps(), v)),
        Activation::Tanh => each(x, |v| tanh(v)),
    }
}

#[inline(always)]
fn each(x: Four, f: impl Fn(__m512) -> __m512) -> Four {
    [f(x[0]), f(x[1]), f(x[2]), f(x[3])]
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn gelu<const N: usize>(x: Four, phi: &[f32; N], end: f32) -> Four {
    let (low, high) = (_mm512_set1_ps(-end), _mm512_set1_ps(end));
    let scale = _mm512_set1_ps(2.0 / (end * end));
    // The value comes second, so that a NaN is kept.
    let cut = each(x, |v| _mm512_max_ps(low, _mm512_min_ps(high, v)));
    let u = each(cut, |v| {
        _mm512_fmsub_ps(_mm512_mul_ps(v, v), scale, _mm512_set1_ps(1.0))
    });
    let mut sum = [_mm512_set1_ps(phi[N - 1]); 4];
    for &c in phi[..N - 1].iter().rev() {
        let c = _mm512_set1_ps(c);
        for l in 0..4 {
            sum[l] = _mm512_fmadd_ps(sum[l], u[l], c);
        }
    }
    let mut y = x;
    for l in 0..4 {
        let share = _mm512_fmadd_ps(sum[l], cut[l], _mm512_set1_ps(0.5));
        y[l] = _mm512_mul_ps(x[l], share);
    }
    y
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn gelu_tanh(x: Four) -> Four {
    let (a, b) = (_mm512_set1_ps(ROOT), _mm512_set1_ps(ROOT * 0.044_715));
    each(x, |v| {
        let inner = _mm512_mul_ps(v, _mm512_fmadd_ps(_mm512_mul_ps(v, v), b, a));
        let half = _mm512_mul_ps(v, _mm512_set1_ps(0.5));
        _mm512_fmadd_ps(half, tanh(inner), half)
    })
}

/// `1 - 2 / (e^2x + 1)`, which saturates by itself; absolute error below 2e-7.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn tanh(x: __m512) -> __m512 {
    let one = _mm512_set1_ps(1.0);
    let cut = _mm512_max_ps(
        _mm512_set1_ps(-16.0),
        _mm512_min_ps(_mm512_set1_ps(16.0), x),
    );
    let power = exp2::<true>(_mm512_mul_ps(
        cut,
        _mm512_set1_ps(2.0 * std::f32::consts::LOG2_E),
    ));
    _mm512_sub_ps(
        one,
        _mm512_div_ps(_mm512_set1_ps(2.0), _mm512_add_ps(power, one)),
    )
}

/// `2^x`; 0 far below, and a NaN stays one.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(crate) fn exp2<const FINE: bool>(x: __m512) -> __m512 {
    let one = _mm512_set1_ps(1.0);
    let whole = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
    let f = _mm512_sub_ps(x, whole);
    let c: &[f32] = if FINE { &EXP2 } else { &EXP2_COARSE };
    let mut sum = _mm512_set1_ps(c[c.len() - 1]);
    for &c in c[..c.len() - 1].iter().rev() {
        sum = _mm512_fmadd_ps(sum, f, _mm512_set1_ps(c));
    }
    _mm512_scalef_ps(_mm512_fmadd_ps(sum, f, one), whole)
}
