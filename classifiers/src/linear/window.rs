//! The pieces of a text that are scored: overlapping windows of its raw and folded views, and of
//! its readings where it wears a disguise. Of a reading only what says something else than the
//! text, with what stands around it: a long text with one odd word is not read twice.
//!
//! Windows are cut on the views and not on the original, so characters that no reader sees cannot
//! thin a window out.

use portcullis_text::decoded::{Decoded, decoded, respelt};
use portcullis_text::{View, canonical, canonical::Canonical};
use std::ops::Range;

/// How windows of a view are cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// Longest window, in bytes of the view.
    window: usize,
    /// How far a window begins after the one before it.
    stride: usize,
}

/// What a model learns from and scores: about 170 English words, so far apart that no phrase of up
/// to 256 bytes is only seen cut in two.
const WIDE: Cut = Cut {
    window: 1024,
    stride: 768,
};
/// A closer look: in a wide window what is harmless in it outweighs a sentence.
const CLOSE: Cut = Cut {
    window: 256,
    stride: 128,
};
/// How far back a cut looks for white space.
const SLACK_BYTES: usize = 32;
/// What is read before and after a change of a reading: as much as no window cuts in two.
const AROUND_BYTES: usize = WIDE.window - WIDE.stride;

/// The views of a text that say something of their own.
#[derive(Debug)]
pub(crate) struct Views {
    raw: Canonical,
    folded: Option<Canonical>,
    excerpts: Vec<Excerpt>,
}

/// A stretch of a reading.
#[derive(Debug)]
struct Excerpt {
    reading: Decoded,
    /// Where it begins in the reading.
    start: usize,
    folded: Canonical,
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
        let readings = weighty.chain(respelt(text));
        Self {
            raw,
            folded,
            excerpts: readings.flat_map(excerpts).collect(),
        }
    }

    /// Every window of every view and reading; at least one.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.texts().flat_map(|view| view.pieces(WIDE))
    }

    /// The same, and narrow windows of what is longer than these.
    pub(crate) fn close_pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let longer = self.texts().filter(|view| CLOSE.window < view.text().len());
        self.pieces()
            .chain(longer.flat_map(|view| view.pieces(CLOSE)))
    }

    /// Every window of the raw and folded views: what a model learns from.
    pub(crate) fn as_written(&self) -> impl Iterator<Item = Piece<'_>> {
        let n_written = 1 + usize::from(self.folded.is_some());
        let written = self.texts().take(n_written);
        written.flat_map(|view| view.pieces(WIDE))
    }

    /// Raw first, whole, then folded where it differs, then what the readings say.
    pub(crate) fn texts(&self) -> impl Iterator<Item = ViewText<'_>> {
        let written = [
            (View::Raw, Some(&self.raw)),
            (View::Folded, self.folded.as_ref()),
        ];
        let written = written.into_iter().filter_map(|(view, canonical)| {
            Some(ViewText {
                view,
                canonical: canonical?,
                excerpt: None,
            })
        });
        let excerpts = self.excerpts.iter().map(|excerpt| ViewText {
            view: excerpt.reading.view(),
            canonical: &excerpt.folded,
            excerpt: Some(excerpt),
        });
        written.chain(excerpts)
    }
}

/// A reading where it says something else than the text, and what stands around that.
fn excerpts(reading: Decoded) -> impl Iterator<Item = Excerpt> {
    let text = reading.text();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for change in reading.changes() {
        let start = cut(text, change.start.saturating_sub(AROUND_BYTES));
        let end = cut(text, change.end + AROUND_BYTES + SLACK_BYTES);
        match ranges.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            _ => ranges.push(start..end),
        }
    }
    ranges.into_iter().map(move |range| Excerpt {
        start: range.start,
        folded: canonical::folded(&reading.text()[range]),
        reading: reading.clone(),
    })
}

/// One view of a text, or a stretch of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ViewText<'a> {
    pub(crate) view: View,
    canonical: &'a Canonical,
    excerpt: Option<&'a Excerpt>,
}

impl<'a> ViewText<'a> {
    pub(crate) fn text(&self) -> &'a str {
        self.canonical.text()
    }

    /// The bytes of the original that a range of the view came from.
    pub(crate) fn origin(&self, range: Range<usize>) -> Range<usize> {
        let range = self.canonical.original_range(range);
        match self.excerpt {
            None => range,
            Some(Excerpt { reading, start, .. }) => {
                reading.original_range(start + range.start..start + range.end)
            }
        }
    }

    fn pieces(self, cut: Cut) -> impl Iterator<Item = Piece<'a>> {
        let ranges = Ranges {
            text: self.text(),
            cut,
            next: Some(0),
        };
        ranges.map(move |range| Piece {
            view: self.view,
            text: &self.text()[range.clone()],
            origin: self.origin(range),
        })
    }
}

/// Byte ranges of the windows of one view, on character boundaries.
#[derive(Debug)]
struct Ranges<'a> {
    text: &'a str,
    cut: Cut,
    next: Option<usize>,
}

impl Iterator for Ranges<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.next?;
        if self.text.len() - start <= self.cut.window {
            self.next = None;
            return Some(start..self.text.len());
        }
        self.next = Some(cut(self.text, start + self.cut.stride));
        Some(start..cut(self.text, start + self.cut.window))
    }
}

/// The last boundary at or before `at`, after white space when some is near; the end of a text that
/// is no longer.
fn cut(text: &str, at: usize) -> usize {
    if text.len() <= at {
        return text.len();
    }
    let at = text.floor_char_boundary(at);
    let nearest = at.saturating_sub(SLACK_BYTES);
    let space = text.as_bytes()[nearest..at]
        .iter()
        .rposition(u8::is_ascii_whitespace);
    space.map_or(at, |found| nearest + found + 1)
}
