//! Texts in disguise, with the disguise taken off.
//!
//! What a model can read it can be asked in: base64, hexadecimal, percent signs, entities, rot13,
//! `b0mb`, `b o m b`. Each such reading of a text is a view of it, made beside the canonical ones
//! and mapped back to the original. A view stands only where there is something to take off, so
//! ordinary text costs one pass for each kind of sign and has none.
//!
//! The work is bounded by the length of the text and not by a budget that padding could use up:
//! a decoder rewrites the whole text in one pass and never makes it longer, and decoders run on
//! each other's results at most four deep. What is encoded deeper is not read.
//!
//! Readings are guesses. They are scored and matched in addition to the text as written, never
//! instead of it, and a wrong guess gives gibberish that no rule is about.

mod encoded;
mod escapes;
mod letters;
mod likelier;
mod markup;
mod members;
mod spelling;

use crate::View;
use crate::canonical::{self, Canonical};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// How many encodings that were put on top of each other are taken off.
const MAX_LAYERS: usize = 4;

/// One reading of a text.
#[derive(Clone)]
pub struct Decoded {
    view: View,
    weighty: bool,
    bounded: bool,
    layer: Arc<Layer>,
}

/// A text and what it was made from.
struct Layer {
    text: Canonical,
    /// `None` when that is the original itself.
    below: Option<Arc<Layer>>,
}

impl Decoded {
    /// Which disguise was taken off last.
    #[must_use]
    pub const fn view(&self) -> View {
        self.view
    }

    /// Whether so much was changed that a classifier may see another text. A hyphen taken out of a
    /// word is worth looking for patterns in, and no more.
    #[must_use]
    pub const fn is_weighty(&self) -> bool {
        self.weighty
    }

    /// Whether what is found in it counts only where it begins and ends with a word. Strings that
    /// were put side by side make words that nobody wrote: `club` and `ombudsman`.
    #[must_use]
    pub const fn is_bounded(&self) -> bool {
        self.bounded
    }

    /// The reading. Its canonical views have not been taken.
    #[must_use]
    pub fn text(&self) -> &str {
        self.layer.text.text()
    }

    /// The bytes of the original that `range` of the reading came from.
    #[must_use]
    pub fn original_range(&self, range: Range<usize>) -> Range<usize> {
        self.layer.original_range(range)
    }

    /// Where the last disguise was taken off, in order; empty ranges where something was left out.
    /// What was taken off before it is another reading's.
    pub fn changes(&self) -> impl Iterator<Item = Range<usize>> {
        self.layer.text.changes()
    }
}

impl fmt::Debug for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.text().len();
        write!(f, "Decoded({}, {len} bytes)", self.view.name())
    }
}

impl Layer {
    const fn canonical(text: Canonical) -> Self {
        Self { text, below: None }
    }

    fn original_range(&self, range: Range<usize>) -> Range<usize> {
        let below = self.text.original_range(range);
        match &self.below {
            Some(layer) => layer.original_range(below),
            None => below,
        }
    }
}

/// What a decoder made of a text.
struct Reading {
    view: View,
    text: Canonical,
    weighty: bool,
    bounded: bool,
}

impl Reading {
    fn weighty(view: View, text: Canonical) -> Self {
        Self {
            view,
            text,
            weighty: true,
            bounded: false,
        }
    }
}

/// Every reading of a text that differs from the text.
#[must_use]
pub fn decoded(text: &str) -> Vec<Decoded> {
    let mut found = Found(Vec::new());
    if text.is_ascii() {
        found.read_letters(text, None);
        found.unwrap(text, None);
    } else {
        // Decoders know ASCII only, so other characters for it are taken off first. Encodings
        // depend on case, which the folded view does not keep of all of them.
        let folded = Arc::new(Layer::canonical(canonical::folded(text)));
        found.read_letters(folded.text.text(), Some(&folded));
        for hidden in escapes::hidden(text) {
            let layer = found.take(hidden, None);
            found.unwrap(layer.text.text(), Some(&layer));
        }
        let raw = Arc::new(Layer::canonical(canonical::raw(text)));
        found.unwrap(raw.text.text(), Some(&raw));
    }
    if text.contains(['\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}']) {
        found.take(letters::reversed(text), None);
    }
    found.0
}

/// A text with its misspelt words put right, where it is English and has enough of them: by a letter
/// longer for each of them. It is for classifiers, which know words; a pattern is about letters.
#[must_use]
pub fn respelt(text: &str) -> Option<Decoded> {
    let mut found = Found(Vec::new());
    if text.is_ascii() {
        found.take(spelling::respelt(text)?, None);
    } else {
        let folded = Arc::new(Layer::canonical(canonical::folded(text)));
        found.take(spelling::respelt(folded.text.text())?, Some(&folded));
    }
    found.0.pop()
}

struct Found(Vec<Decoded>);

impl Found {
    /// Takes encodings off until none is left, and reads the letters of what is inside.
    fn unwrap(&mut self, text: &str, layer: Option<&Arc<Layer>>) {
        let mut innermost: Option<Arc<Layer>> = None;
        for _ in 0..MAX_LAYERS {
            let below = innermost.as_ref().or(layer);
            let current = innermost.as_ref().map_or(text, |layer| layer.text.text());
            let Some(reading) = unwrap(current) else {
                break;
            };
            innermost = Some(self.take(reading, below));
        }
        if let Some(layer) = innermost {
            let text = layer.text.text();
            if text.is_ascii() {
                return self.read_letters(text, Some(&layer));
            }
            let folded = Arc::new(Layer {
                text: canonical::folded(text),
                below: Some(layer),
            });
            self.read_letters(folded.text.text(), Some(&folded));
        }
    }

    /// Letters that stand apart or moved; on top of either, those that are written as digits.
    fn read_letters(&mut self, text: &str, layer: Option<&Arc<Layer>>) {
        for reading in letters::spaced(text).chain(letters::joined(text)) {
            let is_moved = reading.weighty;
            let layer = self.take(reading, layer);
            self.read_leet(layer.text.text(), Some(&layer));
            if is_moved {
                self.read_likelier(layer.text.text(), Some(&layer));
            }
            if let Some(reading) = unwrap(layer.text.text()) {
                self.take(reading, Some(&layer));
            }
        }
        self.read_leet(text, layer);
        for reading in members::members(text)
            .chain(members::added_up(text))
            .chain(markup::unmarked(text))
        {
            self.take(reading, layer);
        }
        if let Some(reading) = letters::evened(text) {
            self.take(reading, layer);
        }
        for reading in likelier::readings(text) {
            self.take(reading, layer);
        }
        if letters::speaks_of_reversal(text) {
            self.take(letters::reversed(text), layer);
        }
    }

    fn read_leet(&mut self, text: &str, layer: Option<&Arc<Layer>>) {
        for reading in letters::leet(text) {
            let layer = self.take(reading, layer);
            self.read_likelier(layer.text.text(), Some(&layer));
        }
    }

    fn read_likelier(&mut self, text: &str, layer: Option<&Arc<Layer>>) {
        for reading in likelier::usual_readings(text) {
            self.take(reading, layer);
        }
    }

    fn take(&mut self, reading: Reading, below: Option<&Arc<Layer>>) -> Arc<Layer> {
        let layer = Arc::new(Layer {
            text: reading.text,
            below: below.cloned(),
        });
        self.0.push(Decoded {
            view: reading.view,
            weighty: reading.weighty,
            bounded: reading.bounded,
            layer: Arc::clone(&layer),
        });
        layer
    }
}

/// Whether letters of another script stand beside an ASCII word, which then is only what of a Russian
/// word looks like Latin letters.
fn is_of_longer_word(text: &str, word: Range<usize>) -> bool {
    let is_letter = |c: char| !c.is_ascii() && c.is_alphabetic();
    text[..word.start].ends_with(is_letter) || text[word.end..].starts_with(is_letter)
}

fn unwrap(text: &str) -> Option<Reading> {
    escapes::undo(text).or_else(|| encoded::decode(text))
}

/// The readings of a text that put the strings of JSON documents in it side by side.
pub(crate) fn members(text: &str) -> Vec<Decoded> {
    let mut found = Found(Vec::new());
    for reading in members::members(text) {
        found.take(reading, None);
    }
    found.0
}

#[cfg(test)]
mod tests;
