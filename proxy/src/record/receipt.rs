//! The coverage receipt: which text was screened, by what, what was not and why.

use portcullis_text::{Detector, Surface};
use serde::Serialize;
use smallvec::SmallVec;
use std::fmt;

/// What happened to one part.
#[derive(Clone, Debug, Serialize)]
pub struct PartReceipt {
    /// Where it stands.
    pub surface: Surface,
    /// Number of the part; streams count channels.
    pub part: u32,
    /// The choice it belongs to, for completions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<u32>,
    /// Bytes of text.
    pub bytes: usize,
    /// Who screened it.
    pub by: SmallVec<[Detector; 4]>,
    /// Why a detector that should have screened it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<&'static str>,
}

/// What was screened in an exchange, and what not.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Receipt {
    /// One entry per part, prompt first.
    pub parts: SmallVec<[PartReceipt; 2]>,
    /// Things that hold no text we can read, by reason.
    pub unscreened: Vec<&'static str>,
}

/// How much of an exchange was screened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// All of it.
    Full,
    /// All but something.
    Partial(&'static str),
    /// Nothing.
    None(&'static str),
    /// Not yet known: a stream is running.
    Pending,
}

impl Receipt {
    /// Notes something that could not be screened.
    pub fn gap(&mut self, reason: &'static str) {
        if !self.unscreened.contains(&reason) {
            self.unscreened.push(reason);
        }
    }

    /// How much was screened.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        let gap = self
            .parts
            .iter()
            .find_map(|part| part.gap)
            .or(self.unscreened.first().copied());
        let screened = self.parts.iter().any(|part| !part.by.is_empty());
        match gap {
            None => Coverage::Full,
            Some(reason) if screened => Coverage::Partial(reason),
            Some(reason) => Coverage::None(reason),
        }
    }
}

impl Coverage {
    /// The metric label `result`.
    #[must_use]
    pub const fn result(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial(_) => "partial",
            Self::None(_) => "none",
            Self::Pending => "pending",
        }
    }

    /// The metric label `reason`.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Full | Self::Pending => "",
            Self::Partial(reason) | Self::None(reason) => reason,
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full | Self::Pending => f.write_str(self.result()),
            Self::Partial(reason) | Self::None(reason) => {
                write!(f, "{};reason={reason}", self.result())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(by: &[Detector], gap: Option<&'static str>) -> PartReceipt {
        PartReceipt {
            surface: Surface::User,
            part: 0,
            choice: None,
            bytes: 3,
            by: SmallVec::from_slice(by),
            gap,
        }
    }

    #[test]
    fn coverage_is_full_only_without_a_gap() {
        let linear = [Detector::Linear];
        let receipt = |parts: Vec<PartReceipt>, unscreened| Receipt {
            parts: parts.into(),
            unscreened,
        };
        assert_eq!(
            receipt(vec![part(&linear, None)], vec![]).coverage(),
            Coverage::Full
        );
        let image = receipt(vec![part(&linear, None)], vec!["image"]);
        assert_eq!(image.coverage().to_string(), "partial;reason=image");
        let failed = receipt(vec![part(&[], Some("timed_out"))], vec![]);
        assert_eq!(failed.coverage().to_string(), "none;reason=timed_out");
    }
}
