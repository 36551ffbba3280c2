//! By which way a text tries to get round a guard, whatever it asks for.

use crate::{Category, Label, View};
use serde::{Serialize, Serializer};
use std::fmt;

/// A way round a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Vector {
    /// It pleads, threatens, rewards or claims authority.
    Psychological,
    /// It argues from a false premise, a hypothetical, or rules that are said not to hold.
    Logic,
    /// It is written so that it is hard to read: in code, encoded, misspelt, in pieces.
    Syntactic,
    /// It says one thing and means another.
    Semantic,
    /// It is put into a role, a story or somebody else's mouth.
    Perspective,
    /// It is in another language than English.
    NonEnglish,
    /// It gives orders to the application.
    Injection,
}

impl Vector {
    /// All, in order.
    pub const ALL: [Self; 7] = [
        Self::Psychological,
        Self::Logic,
        Self::Syntactic,
        Self::Semantic,
        Self::Perspective,
        Self::NonEnglish,
        Self::Injection,
    ];

    /// The name used in records; with `vector_` before it the label of a model that says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Psychological => "psychological",
            Self::Logic => "logic",
            Self::Syntactic => "syntactic",
            Self::Semantic => "semantic",
            Self::Perspective => "perspective",
            Self::NonEnglish => "non_english",
            Self::Injection => "injection",
        }
    }

    /// The vector of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vector| vector.name() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Some of the vectors; serialized as a list of names.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Vectors(u8);

impl Vectors {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// What is known of a finding without a model: a text that has to be read in a disguise was
    /// written so that it is hard to read, and orders to the application are an injection.
    #[must_use]
    pub const fn of_finding(label: Label, view: View) -> Self {
        let by_view = match view {
            // Punctuation, markup and white space within words are ordinary writing too, and so
            // are slips.
            View::Raw
            | View::Folded
            | View::Joined
            | View::Spaced
            | View::Escapes
            | View::Respelt
            | View::Conversation => Self::NONE,
            View::Base64
            | View::Base32
            | View::Hex
            | View::Codes
            | View::Hidden
            | View::Rot13
            | View::Leet
            | View::Reversed => Self::NONE.with(Vector::Syntactic),
        };
        match label {
            Label::Category(Category::Injection) => by_view.with(Vector::Injection),
            Label::Category(_) | Label::Pattern(_) => by_view,
        }
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, vector: Vector) -> Self {
        Self(self.0 | vector.bit())
    }

    /// These and those.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In order.
    pub fn iter(self) -> impl Iterator<Item = Vector> {
        let has = move |vector: &Vector| self.0 & vector.bit() != 0;
        Vector::ALL.into_iter().filter(has)
    }
}

impl fmt::Debug for Vectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Vectors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Vector::name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out_once_and_in_order() {
        let some = Vectors::NONE.with(Vector::Injection).with(Vector::Logic);
        let again = some.union(Vectors::NONE.with(Vector::Logic));
        let names = serde_json::to_string(&again).unwrap();
        assert_eq!(names, r#"["logic","injection"]"#);
        for vector in Vector::ALL {
            assert_eq!(Vector::of_name(vector.name()), Some(vector));
        }
    }

    #[test]
    fn a_disguise_and_an_injection_speak_for_themselves() {
        let seen = |category, view| Vectors::of_finding(Label::Category(category), view);
        assert_eq!(seen(Category::Crime, View::Raw), Vectors::NONE);
        let syntactic = Vectors::NONE.with(Vector::Syntactic);
        assert_eq!(seen(Category::Crime, View::Base64), syntactic);
        let both = syntactic.with(Vector::Injection);
        assert_eq!(seen(Category::Injection, View::Leet), both);
    }
}
