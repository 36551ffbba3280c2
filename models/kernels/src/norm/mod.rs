//! Layer normalisation of rows, in place, and on to the form that the next product reads.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;
#[cfg(test)]
mod tests;

use crate::aligned::Aligned;
use crate::isa::{Isa, Kind};
use crate::rows::{Format, Rows};

/// Shifts a row to mean 0 and variance 1, then scales by `gamma` and adds `beta`.
#[derive(Debug)]
pub struct Norm {
    gamma: Aligned<f32>,
    beta: Aligned<f32>,
    eps: f32,
    spread: Aligned<f32>,
}

impl Norm {
    /// `gamma` and `beta` are `[width]`.
    ///
    /// `spread`, `[width]`, stands for `gamma` in rows of 8 bits, where `beta` is left out. It is
    /// for the owner of the weights to make up for both: by `gamma / spread` in the weights and by
    /// the weights times `beta` in the bias.
    ///
    /// # Panics
    /// When the three are not of one length, or empty.
    #[must_use]
    pub fn new(gamma: &[f32], beta: &[f32], eps: f32, spread: &[f32]) -> Self {
        assert!(
            !gamma.is_empty() && gamma.len() == beta.len() && gamma.len() == spread.len(),
            "gamma, beta and spread must be of one length"
        );
        Self {
            gamma: Aligned::copied(gamma),
            beta: Aligned::copied(beta),
            eps,
            spread: Aligned::copied(spread),
        }
    }

    /// Numbers in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.gamma.len()
    }

    /// Memory it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        4 * (self.gamma.len() + self.beta.len() + self.spread.len())
    }

    /// Normalises each row of `x`, `[len, width]`, and takes it over to `rows` where there are
    /// some.
    ///
    /// # Panics
    /// When the width does not divide `x`.
    pub fn apply(&self, isa: Isa, x: &mut [f32], rows: Option<&mut Rows>) {
        assert!(x.len().is_multiple_of(self.width()), "rows must divide x");
        let Some(rows) = rows else {
            return self.each(isa, x, None);
        };
        if matches!(rows.format, Format::U8 | Format::I16) {
            rows.shape(x.len() / self.width(), self.width());
            self.each(isa, x, Some(rows));
        } else {
            self.each(isa, x, None);
            rows.fill(isa, x, self.width());
        }
    }

    fn each(&self, isa: Isa, x: &mut [f32], quantised: Option<&mut Rows>) {
        match isa.kind() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the kind exists only where its features were found.
            Kind::Avx512 | Kind::Avx512Vnni | Kind::Avx512Base => unsafe {
                avx512::norm(self, x, quantised);
            },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the kind exists only where its features were found.
            Kind::AvxVnni | Kind::Avx2 => unsafe { avx2::norm(self, x, quantised) },
            Kind::Scalar => scalar::norm(self, x, quantised),
        }
    }
}
