//! What a type had against a value, and the way down to that value.

use serde::de::{self, Expected, Unexpected};
use std::fmt;

/// A value that does not fit its type. `steps` lead to it from the root, deepest first.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) steps: Vec<usize>,
    /// Whether the key at the last step is meant, not its value.
    pub(crate) is_key: bool,
    pub(crate) kind: FaultKind,
}

#[derive(Debug)]
pub(crate) enum FaultKind {
    /// Another kind of value was wanted.
    WrongType { expected: String },
    /// A key that the type does not have; `within` is the type's name.
    UnknownKey {
        within: &'static str,
        valid: &'static [&'static str],
    },
    /// A word that the enum `of` does not have.
    UnknownWord {
        of: &'static str,
        valid: &'static [&'static str],
    },
    /// A mapping lacks a key.
    Missing { key: &'static str },
    /// The value's own type refused it, in its own words.
    Refused { message: String },
}

impl Fault {
    pub(crate) const fn here(kind: FaultKind) -> Self {
        Self {
            steps: Vec::new(),
            is_key: false,
            kind,
        }
    }

    pub(crate) fn wrong_type(expected: impl Into<String>) -> Self {
        Self::here(FaultKind::WrongType {
            expected: expected.into(),
        })
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::here(FaultKind::Refused {
            message: message.into(),
        })
    }

    /// The same fault, seen from one level up.
    pub(crate) fn below(mut self, idx: usize) -> Self {
        self.steps.push(idx);
        self
    }

    /// A fault of the key of entry `idx`.
    pub(crate) fn of_key(mut self, idx: usize) -> Self {
        self.is_key = true;
        self.below(idx)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::refused(message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::wrong_type(expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::wrong_type(expected.to_string())
    }

    fn missing_field(key: &'static str) -> Self {
        Self::here(FaultKind::Missing { key })
    }
}
