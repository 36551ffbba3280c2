//! The properties of characters that both views need, one page of 256 at a time.
//!
//! A page is computed when its first character is met (about 100 µs) and kept; looking a character
//! up is then two array reads. All pages together would take 13 MB.

use super::fold::{fold, is_ignorable};
use std::sync::OnceLock;
use unicode_normalization::char::{canonical_combining_class, decompose_compatible};
use unicode_normalization::{IsNormalized, is_nfkc_quick};

/// What a character becomes in the folded view.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fold {
    /// Nothing.
    Drop,
    /// One character.
    One(char),
    /// Several characters.
    Many(&'static str),
}

/// How a character behaves under NFKC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// It is its own NFKC form, and nothing before it can change it.
    Plain,
    /// Nothing before it can combine with it.
    Starts,
    /// It may combine or change places with what stands before.
    Joins,
    /// Default-ignorable: dropped from every view.
    Ignorable,
}

const N_PAGES: usize = 0x1100;
const DROPPED: u32 = 0x11_0000;
const LONG: u32 = 0x20_0000;

static PAGES: [OnceLock<Box<Page>>; N_PAGES] = [const { OnceLock::new() }; N_PAGES];

struct Page {
    entries: [Entry; 256],
    long: Vec<Box<str>>,
}

#[derive(Clone, Copy)]
struct Entry {
    alone: u32,
    joined: u32,
    shape: Shape,
}

/// What `c` becomes in the folded view; `joined` says that it stands right after a plain letter
/// or digit of the folded text.
pub(crate) fn fold_of(c: char, joined: bool) -> Fold {
    let (page, entry) = lookup(c);
    match if joined { entry.joined } else { entry.alone } {
        DROPPED => Fold::Drop,
        code if code < DROPPED => char::from_u32(code).map_or(Fold::Drop, Fold::One),
        code => page
            .long
            .get((code - LONG) as usize)
            .map_or(Fold::Drop, |s| Fold::Many(s)),
    }
}

/// How `c` behaves under NFKC.
pub(crate) fn shape_of(c: char) -> Shape {
    lookup(c).1.shape
}

fn lookup(c: char) -> (&'static Page, &'static Entry) {
    let code = u32::from(c) as usize;
    let page = PAGES[code >> 8].get_or_init(|| Box::new(Page::build((code >> 8) as u32)));
    (page, &page.entries[code & 0xFF])
}

impl Page {
    fn build(number: u32) -> Self {
        let unused = Entry {
            alone: DROPPED,
            joined: DROPPED,
            shape: Shape::Ignorable,
        };
        let mut page = Self {
            entries: [unused; 256],
            long: Vec::new(),
        };
        for idx in 0..256 {
            // Surrogates are no characters and keep the unused entry.
            if let Some(c) = char::from_u32(number << 8 | idx) {
                page.entries[idx as usize] = page.entry(c);
            }
        }
        page
    }

    fn entry(&mut self, c: char) -> Entry {
        let (alone, joined) = (fold(c, false), fold(c, true));
        let alone_code = self.code(&alone);
        let joined_code = if alone == joined {
            alone_code
        } else {
            self.code(&joined)
        };
        Entry {
            alone: alone_code,
            joined: joined_code,
            shape: shape(c),
        }
    }

    fn code(&mut self, folded: &str) -> u32 {
        let mut chars = folded.chars();
        match (chars.next(), chars.next()) {
            (None, _) => DROPPED,
            (Some(c), None) => u32::from(c),
            _ => {
                self.long.push(folded.into());
                LONG + self.long.len() as u32 - 1
            }
        }
    }
}

fn shape(c: char) -> Shape {
    if is_ignorable(c) {
        return Shape::Ignorable;
    }
    if starts_alone(c) && is_nfkc_quick(std::iter::once(c)) == IsNormalized::Yes {
        return Shape::Plain;
    }
    let mut first = None;
    decompose_compatible(c, |part| first = first.or(Some(part)));
    if first.is_some_and(starts_alone) {
        Shape::Starts
    } else {
        Shape::Joins
    }
}

/// A starter that never composes with a character before it.
fn starts_alone(c: char) -> bool {
    canonical_combining_class(c) == 0 && is_nfkc_quick(std::iter::once(c)) != IsNormalized::Maybe
}
