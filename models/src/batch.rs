//! Sequences laid end to end, without padding.

use std::fmt;

/// A packed batch.
///
/// `cu_seqlens` is `[n_seqs + 1]`, rises strictly from 0 to `input_ids.len()`, and bounds the
/// sequences within `input_ids`. Each sequence carries its special tokens. Printed as its bounds:
/// ids are text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Batch {
    input_ids: Vec<u32>,
    cu_seqlens: Vec<u32>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({:?})", self.cu_seqlens)
    }
}

impl Batch {
    /// Lays one more sequence behind those there are; an empty one is left out.
    pub fn push(&mut self, ids: &[u32]) {
        if ids.is_empty() {
            return;
        }
        if self.cu_seqlens.is_empty() {
            self.cu_seqlens.push(0);
        }
        self.input_ids.extend_from_slice(ids);
        self.cu_seqlens
            .push(u32::try_from(self.input_ids.len()).unwrap_or(u32::MAX));
    }

    /// Takes all sequences out and keeps the memory.
    pub fn clear(&mut self) {
        self.input_ids.clear();
        self.cu_seqlens.clear();
    }

    /// Token ids, `[total_tokens]`.
    #[must_use]
    pub fn input_ids(&self) -> &[u32] {
        &self.input_ids
    }

    /// Sequence bounds, `[n_seqs + 1]`; empty for an empty batch.
    #[must_use]
    pub fn cu_seqlens(&self) -> &[u32] {
        &self.cu_seqlens
    }

    /// Sequences in it.
    #[must_use]
    pub fn n_seqs(&self) -> usize {
        self.cu_seqlens.len().saturating_sub(1)
    }
}
