//! The pieces of a text that are scored: overlapping windows of its raw and folded views, and of
//! its readings where it wears a disguise.
//!
//! Windows are cut on the views and not on the original, so characters that no reader sees cannot
//! thin a window out.

use portcullis_text::decoded::{Decoded, decoded, respelt};
use portcullis_text::{View, canonical, canonical::Canonical};
use std::ops::Range;

/// Longest window, in bytes of the view: about 170 English words.
const WINDOW_BYTES: usize = 1024;
/// How far a window begins after the one before it, so that no phrase of up to 256 bytes is only
/// seen cut in two.
const STRIDE_BYTES: usize = 768;
/// How far back a cut looks for white space.
const SLACK_BYTES: usize = 32;

/// The views of a text that say something of their own.
#[derive(Debug)]
pub(crate) struct Views {
    raw: Canonical,
    folded: Option<Canonical>,
    readings: Vec<(Decoded, Canonical)>,
}

/// One window of one view.
#[derive(Clone, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) view: View,
    /// The text to score.
    pub(crate) text: &'a str,
    /// The bytes of the original it came from.
    pub(crate) origin: Range<usize>,
}

impl Views {
    pub(crate) fn of(text: &str) -> Self {
        let (raw, folded) = canonical::views(text);
        let weighty = decoded(text).into_iter().filter(Decoded::is_weighty);
        let readings = weighty.chain(respelt(text)).map(|reading| {
            let folded = canonical::folded(reading.text());
            (reading, folded)
        });
        Self {
            raw,
            folded,
            readings: readings.collect(),
        }
    }

    /// Every window of every view and reading; at least one.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.texts().flat_map(ViewText::pieces)
    }

    /// Every window of the raw and folded views: what a model learns from.
    pub(crate) fn as_written(&self) -> impl Iterator<Item = Piece<'_>> {
        let n_written = 1 + usize::from(self.folded.is_some());
        self.texts().take(n_written).flat_map(ViewText::pieces)
    }

    /// Every view and reading whole: raw first, then folded where it differs, then the readings.
    pub(crate) fn texts(&self) -> impl Iterator<Item = ViewText<'_>> {
        let written = [
            (View::Raw, Some(&self.raw)),
            (View::Folded, self.folded.as_ref()),
        ];
        let written = written.into_iter().filter_map(|(view, canonical)| {
            Some(ViewText {
                view,
                canonical: canonical?,
                reading: None,
            })
        });
        let readings = self.readings.iter().map(|(reading, folded)| ViewText {
            view: reading.view(),
            canonical: folded,
            reading: Some(reading),
        });
        written.chain(readings)
    }
}

/// One view of a text, whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ViewText<'a> {
    pub(crate) view: View,
    canonical: &'a Canonical,
    reading: Option<&'a Decoded>,
}

impl<'a> ViewText<'a> {
    pub(crate) fn text(&self) -> &'a str {
        self.canonical.text()
    }

    /// The bytes of the original that a range of the view came from.
    pub(crate) fn origin(&self, range: Range<usize>) -> Range<usize> {
        let range = self.canonical.original_range(range);
        match self.reading {
            None => range,
            Some(reading) => reading.original_range(range),
        }
    }

    fn pieces(self) -> impl Iterator<Item = Piece<'a>> {
        windows(self.canonical).map(move |range| Piece {
            view: self.view,
            text: &self.text()[range.clone()],
            origin: self.origin(range),
        })
    }
}

fn windows(canonical: &Canonical) -> Ranges<'_> {
    Ranges {
        text: canonical.text(),
        next: Some(0),
    }
}

/// Byte ranges of the windows of one view, on character boundaries.
#[derive(Debug)]
struct Ranges<'a> {
    text: &'a str,
    next: Option<usize>,
}

impl Iterator for Ranges<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.next?;
        if self.text.len() - start <= WINDOW_BYTES {
            self.next = None;
            return Some(start..self.text.len());
        }
        self.next = Some(self.cut(start + STRIDE_BYTES));
        Some(start..self.cut(start + WINDOW_BYTES))
    }
}

impl Ranges<'_> {
    /// The last boundary at or before `at`, after white space when some is near.
    fn cut(&self, at: usize) -> usize {
        let at = self.text.floor_char_boundary(at);
        let near = &self.text.as_bytes()[at - SLACK_BYTES..at];
        let space = near.iter().rposition(u8::is_ascii_whitespace);
        space.map_or(at, |found| at - SLACK_BYTES + found + 1)
    }
}
