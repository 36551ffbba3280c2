//! Patterns of the operator as automata, whole-text and streaming.
//!
//! Regexes are case-insensitive and are matched against both canonical views, so that a disguised
//! letter does not hide a word and a pattern in any script works. Regexes with letters that the
//! folded view does not have are matched against it in folded form as well.
//!
//! What is reported for one pattern and one view is a set, and so does not depend on how the text
//! arrived: the union of the ranges of all deny matches, less those that lie within an allow
//! match. Matches that overlap are one range; a regex that matches at several lengths counts with
//! the longest. Of a match longer than [`MAX_MATCH`] the last [`MAX_MATCH`] characters are
//! reported, so a stream is held back by at most that and no padding makes a match disappear.
//!
//! Time is linear in the text for every regex: [`PatternSet::find`] first asks whether anything
//! matches at all, and only then runs the automaton of the [`Scanner`], which never backtracks.
//! `\b` and the other looks are Unicode's and are taken on the view.

mod compose;
mod engine;
mod ledger;
mod program;
mod scanner;
mod syntax;

pub use scanner::Scanner;

use crate::decoded::{Decoded, decoded, members};
use crate::{PatternId, View, canonical};
use program::Program;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Longest reported match, in characters of a view. Dropped characters do not count, or padding
/// with them would outlast a match; so the range in the original may be longer.
pub const MAX_MATCH: usize = 512;

/// A pattern as the policy states it: regexes that find, and regexes that excuse.
#[derive(Clone, Copy, Debug)]
pub struct PatternSpec<'a> {
    /// Its index in the policy.
    pub id: PatternId,
    /// What is looked for.
    pub deny: &'a [String],
    /// A deny match that lies within a match of one of these does not count.
    pub allow: &'a [String],
}

/// Which list of a pattern a regex stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// `deny`.
    Deny,
    /// `allow`.
    Allow,
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        })
    }
}

/// A regex that cannot be used, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{list} regex {index} of pattern {}: {message}", id.0)]
pub struct PatternError {
    /// The pattern.
    pub id: PatternId,
    /// The list within it.
    pub list: List,
    /// Position in that list, from 0.
    pub index: usize,
    /// Byte offset of the fault in the regex, where there is one place to point at.
    pub offset: Option<usize>,
    /// What is wrong and how to mend it.
    pub message: String,
}

/// A place where a pattern matched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PatternMatch {
    /// The pattern.
    pub id: PatternId,
    /// Bytes of the original text.
    pub range: Range<usize>,
    /// The view it was found in; raw where the range is plain ASCII, which both views share. The
    /// same range can be found once in each view.
    pub view: View,
}

impl PatternMatch {
    /// The order in which matches are reported.
    fn place(&self) -> (usize, usize, PatternId, &'static str) {
        (self.range.start, self.range.end, self.id, self.view.name())
    }
}

/// The patterns of a policy, compiled. Cheap to clone.
#[derive(Clone, Default)]
pub struct PatternSet {
    program: Option<Arc<Program>>,
}

impl PatternSet {
    /// Compiles the patterns of a policy; 50 plain ones take a few milliseconds.
    ///
    /// # Errors
    /// [`PatternError`] names the first regex that does not parse, can match the empty string,
    /// can never match, or is too large.
    pub fn compile(specs: &[PatternSpec<'_>]) -> Result<Self, PatternError> {
        Ok(Self {
            program: Program::compile(specs)?.map(Arc::new),
        })
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.program.is_none()
    }

    /// Every match in a whole text, ordered by place: what a [`Scanner`] gives in all, however
    /// the text is split.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<PatternMatch> {
        let Some(program) = &self.program else {
            return Vec::new();
        };
        if !may_match(program, text) {
            return Vec::new();
        }
        let mut scanner = self.scanner();
        let mut found = scanner.push(text);
        found.append(&mut scanner.finish());
        found.sort_unstable_by_key(PatternMatch::place);
        found
    }

    /// Every match in a text and in its readings, ordered by place; a range that is found in the
    /// text as written is not named again for a reading of it.
    #[must_use]
    pub fn find_disguised(&self, text: &str) -> Vec<PatternMatch> {
        let mut found = self.find(text);
        let n_plain = found.len();
        for hit in self.find_in_readings(text) {
            let is_same = |seen: &PatternMatch| seen.range == hit.range && seen.id == hit.id;
            if !found.iter().any(is_same) {
                found.push(hit);
            }
        }
        if n_plain < found.len() {
            found.sort_unstable_by_key(PatternMatch::place);
        }
        found
    }

    /// Every match in the readings of a text, in no order.
    #[must_use]
    pub fn find_in_readings(&self, text: &str) -> Vec<PatternMatch> {
        if self.is_empty() {
            return Vec::new();
        }
        self.find_in(decoded(text))
    }

    /// Every match over the places where texts were put side by side: as written, and in JSON
    /// documents from string to string. Only what begins and ends with a word counts.
    #[must_use]
    pub fn find_across(&self, text: &str) -> Vec<PatternMatch> {
        let mut found = self.find(text);
        found.retain(|found| is_bounded(text, &found.range));
        if !self.is_empty() {
            found.extend(self.find_in(members(text)));
        }
        found
    }

    fn find_in(&self, readings: Vec<Decoded>) -> Vec<PatternMatch> {
        let readings = readings.into_iter();
        readings
            .flat_map(|reading| {
                let mut found = self.find(reading.text());
                if reading.is_bounded() {
                    found.retain(|found| is_bounded(reading.text(), &found.range));
                }
                found.into_iter().map(move |found| PatternMatch {
                    id: found.id,
                    range: reading.original_range(found.range),
                    view: reading.view(),
                })
            })
            .collect()
    }

    /// A scanner for a stream. Costs one allocation of a few KiB.
    #[must_use]
    pub fn scanner(&self) -> Scanner {
        Scanner::new(self.program.as_ref())
    }
}

impl fmt::Debug for PatternSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_patterns = self.program.as_ref().map_or(0, |program| program.ids.len());
        write!(f, "PatternSet({n_patterns} patterns)")
    }
}

/// Whether no word goes on before or behind some bytes.
fn is_bounded(text: &str, range: &Range<usize>) -> bool {
    let goes_on = |one: Option<char>, next: Option<char>| {
        one.is_some_and(char::is_alphanumeric) && next.is_some_and(char::is_alphanumeric)
    };
    let within = &text[range.clone()];
    let (before, after) = (&text[..range.start], &text[range.end..]);
    !goes_on(before.chars().next_back(), within.chars().next())
        && !goes_on(within.chars().next_back(), after.chars().next())
}

fn may_match(program: &Program, text: &str) -> bool {
    if text.is_ascii() {
        return program.gate.is_match(text);
    }
    program.gate.is_match(canonical::raw(text).text())
        || program
            .gate
            .is_match(canonical::folded_keeping_case(text).text())
}

#[cfg(test)]
mod tests;
