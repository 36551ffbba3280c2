//! Twelve sums at once, so that none waits for itself.

use crate::matrix::avx512::{dot_bf16, dot_f32, dot_i16, dot_u8};
use std::arch::x86_64::*;
use std::hint::black_box;

const SUMS: usize = 12;
const TURNS: u64 = 50_000;

macro_rules! burst {
    ($name:ident, $dot:ident, $features:tt, $per_lane:literal) => {
        /// Gives the operations done.
        #[target_feature(enable = $features)]
        pub(super) fn $name() -> u64 {
            let x = black_box(_mm512_setzero_si512());
            let mut sum = [x; SUMS];
            for _ in 0..TURNS {
                for sum in &mut sum {
                    *sum = $dot(*sum, *sum, x);
                }
                sum = keep(sum);
            }
            black_box(sum);
            TURNS * SUMS as u64 * 16 * $per_lane
        }
    };
}
burst!(f32, dot_f32, "avx512f", 2);
burst!(bf16, dot_bf16, "avx512f,avx512bf16", 4);
burst!(int8, dot_u8, "avx512f,avx512vnni", 8);
// As the products here do it without VNNI: 16-bit pairs, then an addition.
burst!(int16, dot_i16, "avx512f,avx512bw", 4);

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
