//! Twelve sums at once, so that none waits for itself.

use crate::matrix::avx512::dot;
use std::arch::x86_64::*;
use std::hint::black_box;

const SUMS: usize = 12;
const TURNS: u64 = 50_000;

macro_rules! burst {
    ($name:ident, $kind:literal, $per_lane:literal) => {
        /// Gives the operations done.
        #[target_feature(enable = "avx512f,avx512vnni,avx512bf16")]
        pub(super) fn $name() -> u64 {
            let x = black_box(_mm512_setzero_si512());
            let mut sum = [x; SUMS];
            for _ in 0..TURNS {
                for sum in &mut sum {
                    *sum = dot::<$kind>(*sum, x, x);
                }
                sum = keep(sum);
            }
            black_box(sum);
            TURNS * SUMS as u64 * 16 * $per_lane
        }
    };
}
burst!(f32, 0, 2);
burst!(bf16, 1, 4);
burst!(int8, 2, 8);

/// Hides the sums from the optimiser, which would else see that they stay what they are.
#[inline]
#[target_feature(enable = "avx512f")]
fn keep(mut sum: [__m512i; SUMS]) -> [__m512i; SUMS] {
    for sum in &mut sum {
        // SAFETY: no instruction; the register is only said to change.
        unsafe {
            std::arch::asm!(
                "/* {0} */",
                inout(zmm_reg) * sum,
                options(pure, nomem, nostack, preserves_flags)
            );
        };
    }
    sum
}
