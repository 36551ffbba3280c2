//! The reference: by the definitions, in f64.

use super::Activation;

pub(crate) fn apply(activation: Activation, values: &mut [f32]) {
    for value in values {
        let x = f64::from(*value);
        let y = match activation {
            Activation::Identity => x,
            Activation::Gelu => x * 0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Activation::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }
            // Not `max`, which would turn a NaN into 0.
            Activation::Relu => {
                if x < 0.0 {
                    0.0
                } else {
                    x
                }
            }
            Activation::Tanh => x.tanh(),
        };
        *value = y as f32;
    }
}

/// The error function: its power series near 0, its continued fraction beyond (Abramowitz and
/// Stegun 7.1.6 and 7.1.14); below 1e-14.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    if x.is_nan() {
        return x;
    }
    if 6.0 < a {
        return x.signum();
    }
    let scale = (-a * a).exp() / std::f64::consts::PI.sqrt();
    if a < 3.0 {
        // erf(a) = 2/sqrt(pi) exp(-a^2) sum 2^n a^(2n+1) / (2n+1)!!
        let (mut term, mut sum) = (a, a);
        for n in 1..80 {
            term *= 2.0 * a * a / f64::from(2 * n + 1);
            sum += term;
        }
        return x.signum() * 2.0 * scale * sum;
    }
    let mut fraction = a;
    for n in (1..60).rev() {
        fraction = a + f64::from(n) / 2.0 / fraction;
    }
    x.signum() * (1.0 - scale / fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `erf` from Abramowitz and Stegun, table 7.1.
    #[test]
    fn erf_agrees_with_the_table() {
        for (x, expected) in [
            (0.1, 0.112_462_916_0),
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (2.0, 0.995_322_265_0),
            (2.99, 0.999_976_4),
            (3.01, 0.999_979_3),
            (-1.0, -0.842_700_792_9),
        ] {
            assert!((erf(x) - expected).abs() < 1e-7, "erf({x}) = {}", erf(x));
        }
    }
}
