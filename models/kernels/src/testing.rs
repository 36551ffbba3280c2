//! Numbers for tests.

/// A fixed sequence of numbers in `[-1, 1)`, after Knuth's MMIX generator.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn one(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 40) as f32 / (1 << 23) as f32) - 1.0
    }

    pub(crate) fn many(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.one()).collect()
    }
}

/// Panics unless each number is within `tolerance` of what is expected, relative to the larger of
/// it and 1.
pub(crate) fn check_close(case: &str, actual: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(actual.len(), expected.len(), "{case}");
    for (place, (a, e)) in actual.iter().zip(expected).enumerate() {
        let allowed = tolerance * e.abs().max(1.0);
        assert!((a - e).abs() <= allowed, "{case}: {a} for {e} at {place}");
    }
}
