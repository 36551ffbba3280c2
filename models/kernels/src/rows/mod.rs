//! Activations as a product reads them: one row per token, in words of 32 bits.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod scalar;
#[cfg(test)]
mod tests;

use crate::aligned::{Aligned, as_f32, as_f32_mut, as_u8, as_u16, as_u16_mut};
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::isa::Kind;

/// What a word of 32 bits holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One f32.
    F32,
    /// Two bf16.
    Bf16,
    /// Four unsigned bytes, which stand for `scale * (byte - zero)` with both per row.
    U8,
    /// The same numbers in 16 bits each, two to a word.
    I16,
}

impl Format {
    /// Numbers in a word.
    #[must_use]
    pub const fn per_word(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Bf16 | Self::I16 => 2,
            Self::U8 => 4,
        }
    }
}

/// Rows of activations, `[len, width]`, each padded with zeros to whole words.
#[derive(Debug)]
pub struct Rows {
    pub(crate) format: Format,
    pub(crate) len: usize,
    pub(crate) width: usize,
    pub(crate) words: Aligned<u32>,
    /// Per row; 1 where the format has no scale. Not a number where the row holds none.
    pub(crate) scale: Aligned<f32>,
    /// Per row; a whole number in `[0, 255]`.
    pub(crate) zero: Aligned<f32>,
    /// One row of numbers on their way to 8 bits.
    pub(crate) spare: Aligned<f32>,
}

impl Rows {
    /// No rows.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            len: 0,
            width: 0,
            words: Aligned::default(),
            scale: Aligned::default(),
            zero: Aligned::default(),
            spare: Aligned::default(),
        }
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Words from one row to the next.
    pub(crate) const fn stride(&self) -> usize {
        self.width.div_ceil(self.format.per_word())
    }

    pub(crate) fn shape(&mut self, len: usize, width: usize) {
        self.len = len;
        self.width = width;
        self.words.grow(len * self.stride());
        self.scale.grow(len);
        self.zero.grow(len);
    }

    /// Takes `x`, `[len, width]`, over in this format; rounds to the nearest.
    ///
    /// For 8 bits each row's range, widened to hold 0, is cut into 255 steps. A row with a value
    /// that is not finite gets a scale that is not a number, so that no product hides it.
    ///
    /// # Panics
    /// When `width` does not divide `x.len()`.
    pub fn fill(&mut self, isa: Isa, x: &[f32], width: usize) {
        assert!(
            0 < width && x.len().is_multiple_of(width),
            "rows must divide x"
        );
        self.shape(x.len() / width, width);
        match (isa.kind(), self.format) {
            (_, Format::F32) => as_f32_mut(&mut self.words)[..x.len()].copy_from_slice(x),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the kind exists only where its features were found.
            (Kind::Avx512, Format::Bf16) => unsafe { avx512::bf16(self, x) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the kind exists only where its features were found.
            (Kind::Avx512 | Kind::Avx512Vnni | Kind::Avx512Base, Format::U8) => unsafe {
                avx512::quantise(self, x);
            },
            #[cfg(target_arch = "x86_64")]
            (
                Kind::Avx512 | Kind::Avx512Vnni | Kind::Avx512Base | Kind::AvxVnni | Kind::Avx2,
                Format::U8 | Format::I16,
            ) => {
                // SAFETY: the kinds exist only where AVX2 was found.
                unsafe { avx2::quantise(self, x) }
            }
            (_, Format::Bf16) => scalar::bf16(self, x),
            (_, Format::U8 | Format::I16) => scalar::quantise(self, x),
        }
    }

    /// Room for a product to write `[len, width]` in bf16, where no row needs padding.
    pub fn bf16_mut(&mut self, len: usize, width: usize) -> Option<&mut [u16]> {
        if self.format != Format::Bf16 || !width.is_multiple_of(2) {
            return None;
        }
        self.shape(len, width);
        as_u16_mut(&mut self.words).get_mut(..len * width)
    }

    /// Room for a product to write `[len, width]` in f32.
    pub fn f32_mut(&mut self, len: usize, width: usize) -> Option<&mut [f32]> {
        if self.format != Format::F32 {
            return None;
        }
        self.shape(len, width);
        as_f32_mut(&mut self.words).get_mut(..len * width)
    }

    /// The number in a place of a row as the format keeps it, before scale and zero.
    pub(crate) fn raw(&self, row: usize, place: usize) -> f32 {
        let row = &self.words[row * self.stride()..(row + 1) * self.stride()];
        match self.format {
            Format::F32 => as_f32(row)[place],
            Format::Bf16 => crate::f32_from_bf16(as_u16(row)[place]),
            Format::U8 => f32::from(as_u8(row)[place]),
            Format::I16 => f32::from(as_u16(row)[place]),
        }
    }
}

/// Scale, its inverse and the place of 0 for a range that holds 0.
///
/// The scale is kept off zero and below the largest number, so that neither it nor its inverse
/// becomes infinite.
fn steps(low: f32, high: f32) -> (f32, f32, f32) {
    let scale = (high / 255.0 - low / 255.0).max(1e-30);
    let inverse = 1.0 / scale;
    (scale, inverse, (-low * inverse).round_ties_even())
}
