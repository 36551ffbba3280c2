//! Instruction sets.

use std::fmt;

/// A set of kernels that this machine can run.
///
/// A value exists only for a set whose features were found, which is what makes calling its
/// kernels sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Isa(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// With VNNI and BF16.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// With VNNI; bf16 has no kernels.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// With neither; 8-bit numbers are multiplied in 16 bits.
    #[cfg(target_arch = "x86_64")]
    Avx512Base,
    /// AVX2 with VNNI on its vectors of 256 bits, as small cores have it.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Scalar,
}

/// From the fastest to the reference.
#[cfg(target_arch = "x86_64")]
const ORDER: [Kind; 6] = [
    Kind::Avx512,
    Kind::Avx512Vnni,
    Kind::Avx512Base,
    Kind::AvxVnni,
    Kind::Avx2,
    Kind::Scalar,
];
#[cfg(not(target_arch = "x86_64"))]
const ORDER: [Kind; 1] = [Kind::Scalar];

impl Kind {
    fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx512Vnni.is_available() && is_x86_feature_detected!("avx512bf16")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => {
                Self::Avx512Base.is_available() && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Base => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
            }
            // AVX-512 has the same instruction under another code, so the kernels can be tested
            // where there is no other.
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => {
                Self::Avx2.is_available()
                    && (is_x86_feature_detected!("avxvnni") || Self::Avx512Vnni.is_available())
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Scalar => true,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => "avx512_vnni",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Base => "avx512_base",
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => "avx_vnni",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            Self::Scalar => "scalar",
        }
    }
}

impl Isa {
    /// The plain reference, which every machine has.
    pub const SCALAR: Self = Self(Kind::Scalar);

    /// The fastest set that this machine has.
    #[must_use]
    pub fn detect() -> Self {
        Self::available().next().unwrap_or(Self::SCALAR)
    }

    /// All sets that this machine has, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        ORDER.into_iter().filter(|k| k.is_available()).map(Self)
    }

    /// `avx512` (with VNNI and BF16), `avx512_vnni` (without BF16), `avx512_base` (with neither),
    /// `avx_vnni` (AVX2 with VNNI), `avx2` (with FMA) or `scalar`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0.name()
    }

    pub(crate) const fn kind(self) -> Kind {
        self.0
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_always_there_and_comes_last() {
        assert_eq!(Isa::available().last(), Some(Isa::SCALAR));
        assert_eq!(Isa::available().next(), Some(Isa::detect()));
    }
}
