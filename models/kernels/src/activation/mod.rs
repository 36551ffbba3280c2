//! Element-wise functions, as the end of a product applies them.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod scalar;

/// An element-wise function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Activation {
    /// `x`.
    #[default]
    Identity,
    /// `x * Phi(x)` with the normal distribution: exact to 1e-6 for f32, to 3e-5 where the result
    /// is rounded to bf16 or 8 bits.
    Gelu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

/// `(Phi(x) - 1/2) / x` for `|x| <= 5.5` as a polynomial in `2 (x / 5.5)^2 - 1`.
///
/// Least maximum of `|x| * |x * error|` by Lawson's weights; the error of GELU is below 1e-6.
#[cfg(target_arch = "x86_64")]
pub(crate) const PHI_FINE: [f32; 15] = [
    1.285_519_5e-1,
    -6.417_238e-2,
    4.773_671e-2,
    -3.879_075e-2,
    3.208_811_6e-2,
    -2.607_841e-2,
    2.023_628e-2,
    -1.481_129_6e-2,
    1.065_983_2e-2,
    -7.399_623e-3,
    3.884_868e-3,
    -1.485_451e-3,
    1.336_397_1e-3,
    -1.278_191e-3,
    4.310_459_8e-4,
];
/// Where [`PHI_FINE`] ends.
#[cfg(target_arch = "x86_64")]
pub(crate) const PHI_FINE_END: f32 = 5.5;

/// The same for `|x| <= 4.4`; the error of GELU is below 3e-5, a hundredth of bf16's at 1.
#[cfg(target_arch = "x86_64")]
pub(crate) const PHI_COARSE: [f32; 9] = [
    1.604_044e-1,
    -7.861_192e-2,
    5.525_077e-2,
    -4.009_487e-2,
    2.680_435_2e-2,
    -1.595_863_1e-2,
    1.097_528_5e-2,
    -7.900_11e-3,
    2.767_162_4e-3,
];
/// Where [`PHI_COARSE`] ends.
#[cfg(target_arch = "x86_64")]
pub(crate) const PHI_COARSE_END: f32 = 4.4;

/// `2^f - 1` over `f` for `|f| <= 1/2`, relative error of `2^f` below 2.2e-9 before rounding.
#[cfg(target_arch = "x86_64")]
pub(crate) const EXP2: [f32; 6] = [
    6.931_472e-1,
    2.402_264_8e-1,
    5.550_329e-2,
    9.618_373e-3,
    1.339_984_8e-3,
    1.537_070_5e-4,
];
/// The same below 3.1e-6: a thousandth of bf16's rounding.
#[cfg(target_arch = "x86_64")]
pub(crate) const EXP2_COARSE: [f32; 4] =
    [6.931_22e-1, 2.402_371_8e-1, 5.591_689_4e-2, 9.600_396e-3];

/// The root of `2 / pi`.
#[cfg(target_arch = "x86_64")]
pub(crate) const ROOT: f32 = std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2;
