//! Canonical views of a text, with offsets back to the original.
//!
//! Text can be disguised so that a classifier reads something else than the model does: characters
//! that show nothing, letters of another script, mathematical or circled letters, marks. Each view
//! takes some disguises off. *Raw* keeps the writing of every language and takes off only what no
//! reader sees; *folded* turns everything that looks like a plain letter into it, and so mangles
//! Cyrillic and Greek: it is scored beside the raw view, never instead of it.
//!
//! Both are linear in time, never fail, and map back to bytes of the original on character
//! boundaries. The folded view is a mapping character by character that looks at most one
//! character back, so a stream folds to the same text however it was cut.

mod compose;
mod fold;
mod offsets;
mod table;

pub(crate) use compose::{Composer, Segment};
pub(crate) use table::{Fold, fold_of};

use offsets::OffsetMap;
use std::fmt;
use std::ops::Range;

/// Name and version of the canonicaliser, part of records and cache keys.
///
/// Any change to what a text becomes changes it; the Unicode tables are pinned by `Cargo.lock`.
pub const VERSION: &str = "canonical-2";

/// One view of a text, with a map from its bytes back to the bytes of the original.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Canonical {
    text: String,
    map: OffsetMap,
}

impl Canonical {
    /// The text of the view.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bytes of the original that `range` of the view came from.
    ///
    /// The whole original characters, with whatever was dropped between the first and the last.
    /// `range` is widened to character boundaries and cut to the view; an empty range gives an
    /// empty one.
    #[must_use]
    pub fn original_range(&self, range: Range<usize>) -> Range<usize> {
        self.map.original_range(widen(&self.text, range))
    }

    /// Stretches of the view that do not stand as they stood in the original, in order; an empty one
    /// where something was left out before it.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Range<usize>> {
        self.map.changes()
    }

    /// Whether every byte of the view stands where it stood in the original.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.map.is_identity()
    }

    /// Appends text that stands at `at` in the original, byte for byte.
    pub(crate) fn copy(&mut self, text: &str, at: usize) {
        self.text.push_str(text);
        self.map.copy(text.len(), at);
    }

    /// Appends text that stands for all of `original` together.
    pub(crate) fn put(&mut self, text: &str, original: Range<usize>) {
        self.text.push_str(text);
        self.map.replace(text.len(), original);
    }
}

impl fmt::Debug for Canonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Canonical({} bytes)", self.text.len())
    }
}

/// The raw view: NFKC without default-ignorable characters (zero-width, tags, variation
/// selectors, bidi controls, soft hyphens …); case and scripts are kept.
#[must_use]
pub fn raw(text: &str) -> Canonical {
    let mut view = Canonical {
        text: String::with_capacity(text.len()),
        ..Canonical::default()
    };
    let mut composer = Composer::default();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let n_ascii = ascii_prefix(rest);
        // The last ASCII character may carry marks that follow it, unless the text ends there.
        let n_safe = if n_ascii == rest.len() {
            n_ascii
        } else {
            n_ascii.saturating_sub(1)
        };
        if n_safe > 0 {
            composer.flush(&mut |segment| view.append(&segment));
            view.copy(&rest[..n_safe], at);
            at += n_safe;
        }
        let stop = text[at..]
            .char_indices()
            .skip(1)
            .find(|(_, c)| c.is_ascii());
        let stop = stop.map_or(text.len(), |(idx, _)| at + idx);
        for (idx, c) in text[at..stop].char_indices() {
            composer.push(c, at + idx, &mut |segment| view.append(&segment));
        }
        at = stop;
    }
    composer.flush(&mut |segment| view.append(&segment));
    view
}

impl Canonical {
    fn append(&mut self, segment: &Segment<'_>) {
        if segment.unchanged {
            self.copy(segment.text, segment.original.start);
        } else {
            self.put(segment.text, segment.original.clone());
        }
    }
}

/// The folded view: compatibility forms, look-alikes of other scripts, mathematical, circled and
/// flag letters become plain ones; marks on letters and default-ignorable characters are dropped;
/// everything is lower-cased. ASCII only loses its case.
#[must_use]
pub fn folded(text: &str) -> Canonical {
    fold_with(text, Case::Lower)
}

/// The folded view with the case of ASCII kept, which is what patterns read.
pub(crate) fn folded_keeping_case(text: &str) -> Canonical {
    fold_with(text, Case::AsWritten)
}

fn fold_with(text: &str, case: Case) -> Canonical {
    let mut folder = Folder {
        case,
        ..Folder::default()
    };
    folder.view.text.reserve(text.len());
    folder.push(text);
    folder.view
}

/// The raw view, and the folded one when it says something else than the raw one in lower case.
#[must_use]
pub fn views(text: &str) -> (Canonical, Option<Canonical>) {
    let raw = raw(text);
    if text.is_ascii() {
        return (raw, None);
    }
    let folded = folded(text);
    let lower = raw.text.chars().flat_map(char::to_lowercase);
    let same = lower.eq(folded.text.chars());
    (raw, (!same).then_some(folded))
}

/// What becomes of the case of ASCII letters.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Case {
    #[default]
    Lower,
    AsWritten,
}

/// The folded view of a stream, built as it arrives; any split gives the same text and map.
#[derive(Clone, Default)]
pub struct Folder {
    view: Canonical,
    original_len: usize,
    case: Case,
}

impl Folder {
    /// Starts with nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends original text.
    pub fn push(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let n_ascii = ascii_prefix(rest);
            let taken = if n_ascii > 0 { n_ascii } else { c.len_utf8() };
            if n_ascii > 0 {
                self.push_ascii(&rest[..n_ascii]);
            } else {
                self.push_char(c);
            }
            self.original_len += taken;
            rest = &rest[taken..];
        }
    }

    fn push_ascii(&mut self, run: &str) {
        let from = self.view.text.len();
        self.view.copy(run, self.original_len);
        if self.case == Case::Lower {
            self.view.text[from..].make_ascii_lowercase();
        }
    }

    fn push_char(&mut self, c: char) {
        let before = self.view.text.as_bytes().last();
        let joined = before.is_some_and(u8::is_ascii_alphanumeric);
        let original = self.original_len..self.original_len + c.len_utf8();
        match fold_of(c, joined) {
            Fold::Drop => {}
            Fold::One(plain) => {
                self.view.text.push(plain);
                if plain.len_utf8() == c.len_utf8() {
                    self.view.map.copy(c.len_utf8(), original.start);
                } else {
                    self.view.map.replace(plain.len_utf8(), original);
                }
            }
            Fold::Many(plain) => {
                self.view.text.push_str(plain);
                self.view.map.replace(plain.len(), original);
            }
        }
    }

    /// The folded text so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.view.text
    }

    /// Original bytes taken so far.
    #[must_use]
    pub fn original_len(&self) -> usize {
        self.original_len
    }

    /// The bytes of the original that `range` of the folded text came from; as
    /// [`Canonical::original_range`].
    #[must_use]
    pub fn original_range(&self, range: Range<usize>) -> Range<usize> {
        self.view.original_range(range)
    }

    /// The view as a whole.
    #[must_use]
    pub fn finish(self) -> Canonical {
        self.view
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Folder({} bytes)", self.original_len)
    }
}

/// Length of the ASCII run a text begins with.
pub(crate) fn ascii_prefix(text: &str) -> usize {
    const STRIDE: usize = 32;
    let bytes = text.as_bytes();
    let whole = bytes.chunks(STRIDE).take_while(|chunk| chunk.is_ascii());
    let at = whole.map(<[u8]>::len).sum::<usize>();
    at + bytes[at..]
        .iter()
        .take_while(|byte| byte.is_ascii())
        .count()
}

/// Moves the ends of a range outwards to character boundaries, and into the text.
fn widen(text: &str, range: Range<usize>) -> Range<usize> {
    let end = text.ceil_char_boundary(range.end.min(text.len()));
    text.floor_char_boundary(range.start.min(end))..end
}

#[cfg(test)]
mod tests;
