//! NFKC as the text arrives.
//!
//! A character that nothing before it can combine with ends the segment before it; only the last
//! segment is open. A segment is at most [`MAX_SEGMENT`] characters: honest text has no more marks
//! on one letter, and the bound keeps sorting them linear.

use super::fold::is_ignorable;
use super::table::{Shape, shape_of};
use std::ops::Range;
use unicode_normalization::UnicodeNormalization;

const MAX_SEGMENT: usize = 32;

/// A finished segment of the raw view.
#[derive(Clone, Debug)]
pub(crate) struct Segment<'a> {
    /// Its NFKC form.
    pub text: &'a str,
    /// The original bytes it came from.
    pub original: Range<usize>,
    /// One original character that stayed as it was.
    pub unchanged: bool,
}

/// Composes characters pushed one by one.
#[derive(Clone, Default)]
pub(crate) struct Composer {
    open: String,
    n_chars: usize,
    original: Range<usize>,
}

impl Composer {
    /// Takes the character that stands at byte `at`, and gives the segment it ends, if any.
    /// Says whether the character stays in the view.
    pub(crate) fn push(&mut self, c: char, at: usize, emit: &mut impl FnMut(Segment<'_>)) -> bool {
        match shape_of(c) {
            Shape::Ignorable => return false,
            Shape::Joins if self.n_chars < MAX_SEGMENT => {}
            _ => self.flush(emit),
        }
        if self.n_chars == 0 {
            self.original.start = at;
        }
        self.open.push(c);
        self.n_chars += 1;
        self.original.end = at + c.len_utf8();
        true
    }

    /// Ends the open segment.
    pub(crate) fn flush(&mut self, emit: &mut impl FnMut(Segment<'_>)) {
        if self.n_chars == 0 {
            return;
        }
        let original = self.original.clone();
        if self.is_plain() {
            emit(Segment {
                text: &self.open,
                original,
                unchanged: true,
            });
        } else {
            let text: String = self.open.nfkc().filter(|&c| !is_ignorable(c)).collect();
            emit(Segment {
                text: &text,
                original,
                unchanged: false,
            });
        }
        self.open.clear();
        self.n_chars = 0;
    }

    /// The open segment as written.
    pub(crate) fn open(&self) -> Option<Segment<'_>> {
        let original = self.original.clone();
        let segment = Segment {
            text: &self.open,
            original,
            unchanged: self.is_plain(),
        };
        (self.n_chars > 0).then_some(segment)
    }

    fn is_plain(&self) -> bool {
        let first = self.open.chars().next();
        self.n_chars == 1 && first.is_some_and(|c| shape_of(c) == Shape::Plain)
    }
}
