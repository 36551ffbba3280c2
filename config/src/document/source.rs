//! Where a value was written: a text with a name, and a range in it.

use crate::Place;
use std::ops::Range;
use std::sync::Arc;

/// A text that an operator wrote: a file, an environment variable, a flag.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: Arc<str>,
}

impl Source {
    /// A byte-order mark at the start is no part of the text.
    pub(crate) fn new(name: &str, text: &str) -> Arc<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Arc::new(Self {
            name: name.to_owned(),
            text: text.into(),
        })
    }
}

/// Bytes of a source; the range lies within the text, on character boundaries.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) source: Arc<Source>,
    pub(crate) range: Range<usize>,
}

impl Span {
    /// Bends the range into the text where it does not fit.
    pub(crate) fn new(source: &Arc<Source>, range: Range<usize>) -> Self {
        let text = &source.text;
        let start = text.floor_char_boundary(range.start);
        let end = text.ceil_char_boundary(range.end.max(start));
        Self {
            source: Arc::clone(source),
            range: start..end,
        }
    }

    /// The whole source.
    pub(crate) fn whole(source: &Arc<Source>) -> Self {
        Self::new(source, 0..source.text.len())
    }

    pub(crate) fn text(&self) -> &str {
        self.source.text.get(self.range.clone()).unwrap_or_default()
    }

    /// Line and column of the start, from 1; columns count characters.
    pub(crate) fn place(&self) -> Place {
        let before = self.source.text.get(..self.range.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            name: self.source.name.clone(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }
}
