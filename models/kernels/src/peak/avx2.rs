//! Twelve sums at once, so that none waits for itself.

use crate::matrix::avx2::{dot_u8, dot_u8_of_avx512};
use std::arch::x86_64::*;
use std::hint::black_box;

const SUMS: usize = 12;
const TURNS: u64 = 50_000;

macro_rules! burst {
    ($name:ident, $operations:literal, $features:tt, $step:expr) => {
        /// Gives the operations done.
        #[target_feature(enable = $features)]
        pub(super) fn $name() -> u64 {
            let x = black_box(_mm256_setzero_si256());
            let mut sum = [x; SUMS];
            for _ in 0..TURNS {
                for sum in &mut sum {
                    *sum = $step(*sum, x);
                }
                sum = keep(sum);
            }
            black_box(sum);
            TURNS * SUMS as u64 * $operations
        }
    };
}
burst!(f32, 16, "avx2,fma", |sum, x| _mm256_castps_si256(
    _mm256_fmadd_ps(
        _mm256_castsi256_ps(x),
        _mm256_castsi256_ps(x),
        _mm256_castsi256_ps(sum),
    )
));
// As the products here do it: 16-bit pairs, then an addition.
burst!(int8, 32, "avx2", |sum, x| _mm256_add_epi32(
    sum,
    _mm256_madd_epi16(sum, x)
));
burst!(vnni, 64, "avx2,avxvnni", |sum, x| dot_u8(sum, sum, x));
burst!(vnni_of_avx512, 64, "avx2,avx512vl,avx512vnni", |sum, x| {
    dot_u8_of_avx512(sum, sum, x)
});

/// Hides the sums from the optimiser, which would else see that they stay what they are.
#[inline]
#[target_feature(enable = "avx2")]
fn keep(mut sum: [__m256i; SUMS]) -> [__m256i; SUMS] {
    for sum in &mut sum {
        // SAFETY: no instruction; the register is only said to change.
        unsafe {
            std::arch::asm!(
                "/* {0} */",
                inout(ymm_reg) * sum,
                options(pure, nomem, nostack, preserves_flags)
            );
        };
    }
    sum
}
