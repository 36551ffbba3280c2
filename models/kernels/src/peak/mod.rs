//! What one core of this machine can do at most, measured.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use crate::isa::{Isa, Kind};
#[cfg(target_arch = "x86_64")]
use std::time::{Duration, Instant};

/// Operations per second of one core, a multiply-add being two, by what it multiplies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// 32-bit floats.
    pub f32: f64,
    /// bfloat16; 0 where the instruction set has none.
    pub bf16: f64,
    /// 8-bit integers; 0 where the instruction set has none.
    pub int8: f64,
}

/// How long each kind is measured.
#[cfg(target_arch = "x86_64")]
const SPAN: Duration = Duration::from_millis(8);

/// Measures by multiply-adds that never leave registers; takes about 25 ms of one core.
///
/// `None` for the reference, which has no vectors to measure.
#[must_use]
pub fn peak(isa: Isa) -> Option<Peak> {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => Some(Peak {
            // SAFETY: the kind exists only where its features were found.
            f32: rate(|| unsafe { avx512::f32() }),
            // SAFETY: as above.
            bf16: rate(|| unsafe { avx512::bf16() }),
            // SAFETY: as above.
            int8: rate(|| unsafe { avx512::int8() }),
        }),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512Vnni => Some(Peak {
            // SAFETY: the kind exists only where its features were found.
            f32: rate(|| unsafe { avx512::f32() }),
            bf16: 0.0,
            // SAFETY: as above.
            int8: rate(|| unsafe { avx512::int8() }),
        }),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512Base => Some(Peak {
            // SAFETY: the kind exists only where its features were found.
            f32: rate(|| unsafe { avx512::f32() }),
            bf16: 0.0,
            // SAFETY: as above.
            int8: rate(|| unsafe { avx512::int16() }),
        }),
        #[cfg(target_arch = "x86_64")]
        Kind::AvxVnni => Some(Peak {
            // SAFETY: the kind exists only where its features were found.
            f32: rate(|| unsafe { avx2::f32() }),
            bf16: 0.0,
            int8: if is_x86_feature_detected!("avxvnni") {
                // SAFETY: just detected.
                rate(|| unsafe { avx2::vnni() })
            } else {
                // SAFETY: the kind exists only where one of the two was found.
                rate(|| unsafe { avx2::vnni_of_avx512() })
            },
        }),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => Some(Peak {
            // SAFETY: the kind exists only where its features were found.
            f32: rate(|| unsafe { avx2::f32() }),
            bf16: 0.0,
            // SAFETY: as above.
            int8: rate(|| unsafe { avx2::int8() }),
        }),
        Kind::Scalar => None,
    }
}

/// The best rate of `burst`, which gives the operations it did, over [`SPAN`].
#[cfg(target_arch = "x86_64")]
fn rate(burst: impl Fn() -> u64) -> f64 {
    let begin = Instant::now();
    let mut best = 0.0_f64;
    while begin.elapsed() < SPAN {
        let start = Instant::now();
        let n_operations = burst();
        best = best.max(n_operations as f64 / start.elapsed().as_secs_f64());
    }
    best
}
