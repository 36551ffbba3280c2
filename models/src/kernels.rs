//! What encoders of the BERT family run on.

use portcullis_kernels::Isa;
use std::fmt;
use std::str::FromStr;

/// What an encoder of the BERT family runs on; the others run on candle whatever is said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernels {
    /// Our own, for an instruction set that this machine has.
    Own(Isa),
    /// candle-transformers in f32: for processors that have none of ours.
    Candle,
}

impl Kernels {
    /// The fastest of this machine: ours where it has vectors for them, else candle, which has
    /// vectors on other processors too.
    #[must_use]
    pub fn fastest() -> Self {
        let isa = Isa::detect();
        if isa == Isa::SCALAR {
            return Self::Candle;
        }
        Self::Own(isa)
    }

    /// All of this machine.
    pub fn available() -> impl Iterator<Item = Self> {
        Isa::available().map(Self::Own).chain([Self::Candle])
    }

    /// The name of the instruction set, or `candle`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own(isa) => isa.name(),
            Self::Candle => "candle",
        }
    }
}

impl fmt::Display for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a name gives no [`Kernels`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this machine has no `{name}` kernels; it has {}", names())]
pub struct KernelsError {
    name: String,
}

fn names() -> String {
    let quoted: Vec<String> = Kernels::available().map(|k| format!("`{k}`")).collect();
    quoted.join(", ")
}

impl FromStr for Kernels {
    type Err = KernelsError;

    fn from_str(name: &str) -> Result<Self, KernelsError> {
        Self::available()
            .find(|kernels| kernels.name() == name)
            .ok_or_else(|| KernelsError { name: name.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_what_the_machine_has() {
        for kernels in Kernels::available() {
            assert_eq!(kernels.name().parse(), Ok(kernels));
        }
        let error = "neon".parse::<Kernels>().unwrap_err().to_string();
        assert!(error.starts_with("this machine has no `neon` kernels; it has `"));
        assert!(error.contains("`scalar`"), "{error}");
        assert!(error.ends_with("`candle`"), "{error}");
    }

    #[test]
    fn plain_code_is_never_chosen() {
        assert_ne!(Kernels::fastest(), Kernels::Own(Isa::SCALAR));
    }
}
