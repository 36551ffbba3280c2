//! Softmax attention within one sequence.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;
#[cfg(test)]
mod tests;

use crate::aligned::Aligned;
use crate::isa::{Isa, Kind};
use std::ops::Range;

/// Attention heads, which share a row of `count * dim` numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// How many.
    pub count: usize,
    /// Numbers of each.
    pub dim: usize,
}

/// Queries, keys and values of all tokens, `[tokens, 3, heads, dim]`.
///
/// Scores are powers of two: queries come divided by `ln(2) * sqrt(dim)`.
#[derive(Clone, Copy, Debug)]
pub enum Qkv<'a> {
    /// In f32; so is all that follows.
    F32(&'a [f32]),
    /// In bf16; weights are rounded to bf16 too, sums are f32.
    Bf16(&'a [u16]),
}

impl Qkv<'_> {
    fn len(&self) -> usize {
        match self {
            Self::F32(of) => of.len(),
            Self::Bf16(of) => of.len(),
        }
    }
}

/// Memory for keys, values and scores, grown to the longest sequence seen.
#[derive(Debug, Default)]
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "the reference needs scores alone")
)]
pub struct Scratch {
    keys: Aligned<u32>,
    keys_f32: Aligned<f32>,
    values: Aligned<u32>,
    scores: Aligned<f32>,
}

/// Whether heads of this width run in bf16; elsewhere they run faster in f32. The reference has
/// both.
#[must_use]
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(unused_variables, reason = "the reference takes any width")
)]
pub fn has_bf16(isa: Isa, dim: usize) -> bool {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => dim.is_multiple_of(avx512::PANEL),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512Vnni | Kind::Avx512Base | Kind::AvxVnni | Kind::Avx2 => false,
        Kind::Scalar => true,
    }
}

/// For each of the tokens `queries` of the sequence `tokens`, the mean of the sequence's values
/// weighted by the softmax of its scores; to `out`, `[queries, heads, dim]`.
///
/// # Panics
/// When ranges or lengths do not fit each other.
pub fn attend(
    isa: Isa,
    heads: Heads,
    qkv: Qkv<'_>,
    (tokens, queries): (Range<usize>, Range<usize>),
    (scratch, out): (&mut Scratch, &mut [f32]),
) {
    let hidden = heads.count * heads.dim;
    assert!(0 < hidden, "there must be heads");
    assert!(
        tokens.start <= queries.start && queries.end <= tokens.end,
        "queries must lie within the sequence"
    );
    assert!(
        tokens.end * 3 * hidden <= qkv.len(),
        "tokens must lie within qkv"
    );
    assert!(
        out.len() == queries.len() * hidden,
        "out must be [queries, hidden]"
    );
    if queries.is_empty() {
        return;
    }
    let job = Job {
        heads,
        tokens,
        queries,
    };
    match (isa.kind(), qkv) {
        #[cfg(target_arch = "x86_64")]
        (Kind::Avx512 | Kind::Avx512Vnni | Kind::Avx512Base, Qkv::F32(of))
            if heads.dim.is_multiple_of(avx512::PANEL) =>
        {
            // SAFETY: the kinds exist only where their features were found.
            unsafe { avx512::attend_f32(&job, of, scratch, out) }
        }
        #[cfg(target_arch = "x86_64")]
        (Kind::Avx512, Qkv::Bf16(of)) if heads.dim.is_multiple_of(avx512::PANEL) => {
            // SAFETY: the kind exists only where its features were found.
            unsafe { avx512::attend_bf16(&job, of, scratch, out) }
        }
        #[cfg(target_arch = "x86_64")]
        (
            Kind::Avx512 | Kind::Avx512Vnni | Kind::Avx512Base | Kind::AvxVnni | Kind::Avx2,
            Qkv::F32(of),
        ) => {
            // SAFETY: the kinds exist only where AVX2 was found.
            unsafe { avx2::attend(&job, of, scratch, out) }
        }
        (_, Qkv::Bf16(_)) | (Kind::Scalar, Qkv::F32(_)) => {
            scalar::attend(&job, qkv, scratch, out);
        }
    }
}

/// What to compute.
struct Job {
    heads: Heads,
    tokens: Range<usize>,
    queries: Range<usize>,
}
