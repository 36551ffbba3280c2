//! bfloat16: the upper half of an f32.

/// Rounds to the nearest, ties to even; a NaN stays a NaN.
#[must_use]
pub fn bf16_from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

/// Exact.
#[must_use]
pub fn f32_from_bf16(value: u16) -> f32 {
    f32::from_bits(u32::from(value) << 16)
}
