//! Products with packed weights: `y = activation(x W^T + b)`, per row of `x`.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
mod scalar;
#[cfg(test)]
mod tests;

use crate::activation::Activation;
use crate::aligned::Aligned;
use crate::bf16_from_f32;
use crate::isa::{Isa, Kind};
use crate::rows::{Format, Rows};

/// What the operands of a product are held in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// bfloat16 with sums in f32.
    Bf16,
    /// 8-bit integers: weights scaled per output, activations per row.
    Int8,
}

/// Where a product goes; `[rows, outputs]` each.
#[derive(Debug)]
pub enum Out<'a> {
    /// Overwrites.
    Store(&'a mut [f32]),
    /// Adds to what is there: the residual.
    Add(&'a mut [f32]),
    /// Overwrites, rounded to bf16.
    Bf16(&'a mut [u16]),
}

impl Out<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Store(y) | Self::Add(y) => y.len(),
            Self::Bf16(y) => y.len(),
        }
    }
}

/// Weights of one linear map, packed for one precision and instruction set.
///
/// Outputs are grouped in panels; within a panel, the words of all its outputs for one word of
/// inputs lie side by side, so that a product reads the panel straight through.
#[derive(Debug)]
pub struct Matrix {
    isa: Isa,
    format: Format,
    n_in: usize,
    n_out: usize,
    panels: Aligned<u32>,
    /// Per output, padded with zeros to whole panels, as are the next two.
    bias: Aligned<f32>,
    /// Of an 8-bit weight.
    scale: Aligned<f32>,
    /// `scale` times the sum of the output's 8-bit weights: what a row's zero takes off.
    sum: Aligned<f32>,
}

/// Outputs in a panel.
const fn panel_width(kind: Kind) -> usize {
    match kind {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 | Kind::Avx512Vnni | Kind::Avx512Base => 64,
        _ => 16,
    }
}

impl Matrix {
    /// Packs `weight`, `[n_out, n_in]` row-major as in PyTorch, and `bias`, `[n_out]`.
    ///
    /// # Panics
    /// When the lengths do not fit each other or there is no input or output.
    #[must_use]
    pub fn pack(isa: Isa, precision: Precision, weight: &[f32], bias: &[f32]) -> Self {
        let n_out = bias.len();
        assert!(
            0 < n_out && !weight.is_empty() && weight.len().is_multiple_of(n_out),
            "outputs must divide weights"
        );
        let panel = panel_width(isa.kind());
        let format = Self::format_of(isa, precision);
        let (n_in, padded) = (weight.len() / n_out, n_out.next_multiple_of(panel));
        let mut this = Self {
            isa,
            format,
            n_in,
            n_out,
            panels: Aligned::zeroed(padded * n_in.div_ceil(format.per_word())),
            bias: Aligned::zeroed(padded),
            scale: Aligned::zeroed(padded),
            sum: Aligned::zeroed(padded),
        };
        this.bias[..n_out].copy_from_slice(bias);
        let mut words = vec![0; n_in.div_ceil(format.per_word())];
        for (output, row) in weight.chunks(n_in).enumerate() {
            (this.scale[output], this.sum[output]) = words_of(format, row, &mut words);
            let start = output / panel * panel * words.len() + output % panel;
            for (place, word) in words.iter().enumerate() {
                this.panels[start + place * panel] = *word;
            }
        }
        this
    }

    /// What rows have to be held in for a product with such a matrix.
    ///
    /// Only AVX-512 with BF16 and the reference multiply bf16; elsewhere f32 stands in. Without
    /// VNNI 8-bit numbers are multiplied in 16 bits, which gives the same sums.
    #[must_use]
    pub fn format_of(isa: Isa, precision: Precision) -> Format {
        match (precision, isa.kind()) {
            (Precision::F32, _) => Format::F32,
            #[cfg(target_arch = "x86_64")]
            (Precision::Bf16, Kind::Avx512Vnni | Kind::Avx512Base | Kind::AvxVnni | Kind::Avx2) => {
                Format::F32
            }
            #[cfg(target_arch = "x86_64")]
            (Precision::Int8, Kind::Avx512Base | Kind::Avx2) => Format::I16,
            (Precision::Bf16, _) => Format::Bf16,
            (Precision::Int8, _) => Format::U8,
        }
    }

    /// What its rows have to be held in.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Numbers in a row of its product.
    #[must_use]
    pub const fn n_out(&self) -> usize {
        self.n_out
    }

    /// Memory it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        4 * (self.panels.len() + self.bias.len() + self.scale.len() + self.sum.len())
    }

    /// The product of `rows` with these weights, then the bias, `activation`, and `out`.
    ///
    /// # Panics
    /// When `rows` or `out` do not fit.
    pub fn apply(&self, rows: &Rows, activation: Activation, out: Out<'_>) {
        assert!(
            rows.format == self.format,
            "rows must be in the weights' format"
        );
        assert!(
            rows.width == self.n_in,
            "rows must be as wide as the weights"
        );
        assert!(
            out.len() == rows.len * self.n_out,
            "out must be [rows, outputs]"
        );
        match self.isa.kind() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the kinds exist only where their features were found, and `format_of` gave
            // a format that the kind has.
            Kind::Avx512 | Kind::Avx512Vnni | Kind::Avx512Base => unsafe {
                avx512::apply(self, rows, activation, out);
            },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Kind::AvxVnni | Kind::Avx2 => unsafe { avx2::apply(self, rows, activation, out) },
            Kind::Scalar => scalar::apply(self, rows, activation, out),
        }
    }
}

/// Rows of one of `tiles` tiles that share `rows` as evenly as can be.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) const fn share(rows: usize, tiles: usize, tile: usize) -> usize {
    rows / tiles + (tile < rows % tiles) as usize
}

/// Puts one output's weights into words; gives their scale and scaled sum.
fn words_of(format: Format, row: &[f32], words: &mut [u32]) -> (f32, f32) {
    words.fill(0);
    let per_word = format.per_word();
    let (scale, inverse) = match format {
        Format::F32 | Format::Bf16 => (1.0, 1.0),
        Format::U8 | Format::I16 => weight_scale(row),
    };
    let mut sum = 0.0;
    for (place, &weight) in row.iter().enumerate() {
        let (bits, width) = match format {
            Format::F32 => (weight.to_bits(), 0),
            Format::Bf16 => (u32::from(bf16_from_f32(weight)), 16),
            Format::U8 | Format::I16 => {
                let step = (weight * inverse).round_ties_even().clamp(-127.0, 127.0);
                sum += step;
                let step = step as i8;
                if format == Format::U8 {
                    (u32::from(step.cast_unsigned()), 8)
                } else {
                    (u32::from(i16::from(step).cast_unsigned()), 16)
                }
            }
        };
        words[place / per_word] |= bits << (width * (place % per_word));
    }
    (scale, scale * sum)
}

/// The scale, of those that cut off up to 30 % of the range, whose steps lie nearest the weights.
fn weight_scale(row: &[f32]) -> (f32, f32) {
    let largest = row.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
    if !largest.is_finite() || row.iter().any(|w| w.is_nan()) {
        return (f32::NAN, 0.0);
    }
    let largest = largest.max(1e-30);
    let error = |scale: f32| -> f64 {
        let inverse = 1.0 / scale;
        row.iter()
            .map(|w| {
                let step = (w * inverse).round_ties_even().clamp(-127.0, 127.0);
                f64::from(w - step * scale).powi(2)
            })
            .sum()
    };
    let scale = (0..=12)
        .map(|cut| largest * (1.0 - 0.025 * cut as f32) / 127.0)
        .map(|scale| (error(scale), scale))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(1.0, |(_, scale)| scale);
    (scale, 1.0 / scale)
}
