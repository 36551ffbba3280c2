//! What a detector saw, and how sure it is.

use crate::{Category, CategorySet, PartId, Surface, Vectors};
use serde::Serialize;
use std::ops::{Index, Range};

/// One score per category, on the score scale.
///
/// A score of `s` means that only a share `1 - s` of ordinary harmless texts on that surface
/// reaches it. Every score lies in `[0, 1]` and none is NaN: [`Scores::new`] refuses others, so a
/// broken classifier cannot look safe.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scores([f32; Category::COUNT]);

impl Scores {
    /// No evidence at all: every score is 0.
    pub const ZERO: Self = Self([0.0; Category::COUNT]);

    /// Checks and wraps; `None` when a score is not a number in `[0, 1]`.
    #[must_use]
    pub fn new(scores: [f32; Category::COUNT]) -> Option<Self> {
        let sound = scores.iter().all(|score| (0.0..=1.0).contains(score));
        sound.then_some(Self(scores))
    }

    /// The larger score of each category.
    #[must_use]
    pub fn max(mut self, other: &Self) -> Self {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.max(theirs);
        }
        self
    }

    /// These, and 0 for some categories.
    #[must_use]
    pub fn without(mut self, categories: CategorySet) -> Self {
        for category in Category::ALL {
            if categories.contains(category) {
                self.0[category.index()] = 0.0;
            }
        }
        self
    }

    /// Scores in category order.
    #[must_use]
    pub const fn as_array(&self) -> &[f32; Category::COUNT] {
        &self.0
    }
}

impl Index<Category> for Scores {
    type Output = f32;

    fn index(&self, category: Category) -> &f32 {
        &self.0[category.index()]
    }
}

/// Bytes of one part: `range` is in UTF-8 bytes of the part's *original* text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The part.
    pub part: PartId,
    /// Bytes of its original text.
    pub range: Range<usize>,
}

/// Which reading of the text a detector saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// As written, in NFKC and without default-ignorable characters.
    Raw,
    /// Confusable characters folded to plain ones.
    Folded,
    /// Base64 read as the text it stands for.
    #[serde(rename = "decoded:base64")]
    Base64,
    /// Base32 read as the text it stands for.
    #[serde(rename = "decoded:base32")]
    Base32,
    /// Hexadecimal bytes read as text.
    #[serde(rename = "decoded:hex")]
    Hex,
    /// Character codes in binary, octal or decimal digits read as text.
    #[serde(rename = "decoded:codes")]
    Codes,
    /// Text in tag characters or variation selectors, which show nothing.
    #[serde(rename = "decoded:hidden")]
    Hidden,
    /// Percent signs, entities of HTML and backslash escapes undone, tags taken out.
    #[serde(rename = "decoded:escapes")]
    Escapes,
    /// Letters moved by 13 moved back.
    #[serde(rename = "decoded:rot13")]
    Rot13,
    /// Letters that stood apart put together.
    #[serde(rename = "decoded:spaced")]
    Spaced,
    /// Punctuation within words taken out.
    #[serde(rename = "decoded:joined")]
    Joined,
    /// Digits and symbols that stand for letters read as these.
    #[serde(rename = "decoded:leet")]
    Leet,
    /// Misspelt words read as the usual ones they were meant to be.
    #[serde(rename = "decoded:spelling")]
    Respelt,
    /// Read from the end to the beginning.
    #[serde(rename = "decoded:reversed")]
    Reversed,
    /// The turns of a conversation taken together; no text of its own.
    Conversation,
}

impl View {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Folded => "folded",
            Self::Base64 => "decoded:base64",
            Self::Base32 => "decoded:base32",
            Self::Hex => "decoded:hex",
            Self::Codes => "decoded:codes",
            Self::Hidden => "decoded:hidden",
            Self::Escapes => "decoded:escapes",
            Self::Rot13 => "decoded:rot13",
            Self::Spaced => "decoded:spaced",
            Self::Joined => "decoded:joined",
            Self::Leet => "decoded:leet",
            Self::Respelt => "decoded:spelling",
            Self::Reversed => "decoded:reversed",
            Self::Conversation => "conversation",
        }
    }
}

/// The scores of one window of one part: what a classifier gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The bytes that were scored.
    pub span: Span,
    /// Where the part stands.
    pub surface: Surface,
    /// The view with the highest score.
    pub view: View,
    /// Who scored it.
    pub detector: Detector,
    /// Scores, the larger of all views that were scored.
    pub scores: Scores,
    /// The ways round a guard that the detector saw in it.
    pub vectors: Vectors,
}

/// Index of a pattern in its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct PatternId(pub u16);

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// A category of the taxonomy.
    Category(Category),
    /// A pattern of the operator's policy.
    Pattern(PatternId),
}

impl Label {
    /// The metric label: the category's name, or `pattern`.
    #[must_use]
    pub const fn metric(self) -> &'static str {
        match self {
            Self::Category(category) => category.name(),
            Self::Pattern(_) => "pattern",
        }
    }
}

/// Which kind of detector made a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// Patterns of the policy.
    Pattern,
    /// The linear n-gram tier.
    Linear,
    /// A transformer encoder.
    Encoder,
}

impl Detector {
    /// The name used in config (`on_failure`), metrics and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pattern => "pattern",
            Self::Linear => "linear",
            Self::Encoder => "encoder",
        }
    }
}

/// A detector's observation that reaches a row of the policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub label: Label,
    /// Where the text stands.
    pub surface: Surface,
    /// How rare such a score is among harmless texts; 1 for patterns.
    pub score: f32,
    /// The bytes concerned; for classifiers the scored window.
    pub spans: Vec<Span>,
    /// The view it was seen in.
    pub view: View,
    /// Who saw it.
    pub detector: Detector,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_that_are_not_numbers_are_refused() {
        let mut scores = [0.5; Category::COUNT];
        assert!(Scores::new(scores).is_some());
        for bad in [f32::NAN, f32::INFINITY, -0.1, 1.1] {
            scores[3] = bad;
            assert!(Scores::new(scores).is_none(), "{bad} must be refused");
        }
    }
}
