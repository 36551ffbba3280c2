//! Texts read across parts.
//!
//! A word that is cut in two by the end of a part, of a turn or of a content block is whole again
//! for the model that reads both. So neighbouring parts that stand on one surface are also read
//! together, once put side by side and once with a space between. Of a long part only its ends
//! take part, so the whole costs no more than a kilobyte for each part.

use crate::exchange::{Part, PartKind};
use portcullis_text::{Content, PartId, Surface};
use std::ops::Range;

/// Bytes of a long part that are read together with its neighbour.
const REACH: usize = 512;

/// Bytes of a part's ends that are put side by side with those before and after it.
const ENDS: usize = 64;

/// Texts that stand one after the other in a body, put side by side whatever they are: a name and
/// a content, two members of an object, a question and the begun answer. Of a long one only its
/// ends. A pattern may match over such an end; for a classifier it is no text.
#[derive(Clone, Debug)]
pub struct Chain {
    text: String,
    pieces: Vec<Piece>,
}

impl Chain {
    /// The texts side by side.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bytes of ordinary parts that bytes of it stand for.
    #[must_use]
    pub fn locate(&self, range: Range<usize>) -> Vec<(PartId, Range<usize>)> {
        let pieces = self.pieces.iter();
        pieces.filter_map(|piece| piece.overlap(&range)).collect()
    }

    fn push(&mut self, between: &str, part: &Part, range: Range<usize>) {
        if !self.text.is_empty() {
            self.text.push_str(between);
        }
        let text = &part.content.expose()[range.clone()];
        self.pieces.push(Piece {
            at: self.text.len(),
            part: part.id,
            range,
        });
        self.text.push_str(text);
    }
}

/// The chains of some parts: with a space at each end and without, and where there are keys, with
/// them and without.
pub(crate) fn chains(parts: &[Part]) -> Vec<Chain> {
    if parts.len() < 2 {
        return Vec::new();
    }
    let has_keys = parts.iter().any(|part| part.kind == PartKind::Key);
    let mut chains = Vec::new();
    for with_keys in [true, false] {
        if with_keys && !has_keys {
            continue;
        }
        let taken = || {
            let parts = parts.iter();
            parts.filter(move |part| with_keys || part.kind != PartKind::Key)
        };
        for between in ["", " "] {
            chain(taken(), between, &mut chains);
        }
    }
    chains
}

fn chain<'p>(parts: impl Iterator<Item = &'p Part>, between: &str, chains: &mut Vec<Chain>) {
    let empty = || Chain {
        text: String::new(),
        pieces: Vec::new(),
    };
    let mut open = empty();
    for part in parts {
        let text = part.content.expose();
        if text.len() <= 2 * ENDS {
            open.push(between, part, 0..text.len());
            continue;
        }
        open.push(between, part, 0..text.floor_char_boundary(ENDS));
        chains.push(std::mem::replace(&mut open, empty()));
        open.push(
            between,
            part,
            text.ceil_char_boundary(text.len() - ENDS)..text.len(),
        );
    }
    chains.push(open);
    chains.retain(|chain| 1 < chain.pieces.len());
}

/// Which bytes of a part stand where in a seam.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where it begins in the seam.
    at: usize,
    part: PartId,
    range: Range<usize>,
}

/// The seams of some parts, and where their bytes come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seams {
    pub(crate) parts: Vec<Part>,
    pieces: Vec<Vec<Piece>>,
}

impl Seams {
    pub(crate) fn of(parts: &[Part]) -> Self {
        let mut seams = Self::default();
        for surface in Surface::ALL {
            seams.join(parts, surface);
        }
        seams
    }

    /// Reads the texts of one surface across their ends.
    fn join(&mut self, parts: &[Part], surface: Surface) {
        let seams = self;
        let mut run: Vec<(&Part, Range<usize>)> = Vec::new();
        let is_text = |part: &&Part| {
            part.kind == PartKind::Text
                && part.surface == surface
                && !part.content.expose().trim().is_empty()
        };
        for part in parts.iter().filter(is_text) {
            let joins = run
                .last()
                .is_some_and(|(last, _)| are_neighbours(last, part));
            if !joins {
                seams.close(&mut run, parts.len());
            }
            let text = part.content.expose();
            if text.len() <= 2 * REACH {
                run.push((part, 0..text.len()));
                continue;
            }
            run.push((part, 0..text.floor_char_boundary(REACH)));
            seams.close(&mut run, parts.len());
            run.push((
                part,
                text.ceil_char_boundary(text.len() - REACH)..text.len(),
            ));
        }
        seams.close(&mut run, parts.len());
    }

    fn close(&mut self, run: &mut Vec<(&Part, Range<usize>)>, n_parts: usize) {
        let run = std::mem::take(run);
        if run.len() < 2 {
            return;
        }
        self.push(&run, "", n_parts);
        let touches = run.windows(2).any(|pair| {
            let (before, after) = (text_of(&pair[0]), text_of(&pair[1]));
            !before.ends_with(char::is_whitespace) && !after.starts_with(char::is_whitespace)
        });
        if touches {
            self.push(&run, " ", n_parts);
        }
    }

    fn push(&mut self, run: &[(&Part, Range<usize>)], between: &str, n_parts: usize) {
        let mut text = String::new();
        let mut pieces = Vec::with_capacity(run.len());
        for piece in run {
            if !text.is_empty() {
                text.push_str(between);
            }
            let (part, range) = piece;
            pieces.push(Piece {
                at: text.len(),
                part: part.id,
                range: range.clone(),
            });
            text.push_str(text_of(piece));
        }
        let last = run[run.len() - 1].0;
        self.parts.push(Part {
            id: PartId((n_parts + self.parts.len()) as u32),
            content: Content::from(text),
            editable: false,
            kind: PartKind::Seam,
            ..last.clone()
        });
        self.pieces.push(pieces);
    }

    /// A part or seam by its number.
    pub(crate) fn part<'p>(&'p self, parts: &'p [Part], id: PartId) -> Option<&'p Part> {
        let idx = id.0 as usize;
        parts
            .get(idx)
            .or_else(|| self.parts.get(idx.checked_sub(parts.len())?))
    }

    /// The bytes of ordinary parts that bytes of a part or seam stand for.
    pub(crate) fn locate(
        &self,
        parts: &[Part],
        id: PartId,
        range: Range<usize>,
    ) -> Vec<(PartId, Range<usize>)> {
        let Some(seam) = (id.0 as usize).checked_sub(parts.len()) else {
            return vec![(id, range)];
        };
        let pieces = self.pieces.get(seam).map_or(&[][..], Vec::as_slice);
        pieces
            .iter()
            .filter_map(|piece| piece.overlap(&range))
            .collect()
    }
}

impl Piece {
    fn overlap(&self, range: &Range<usize>) -> Option<(PartId, Range<usize>)> {
        let end = self.at + self.range.len();
        let from = range.start.clamp(self.at, end) - self.at;
        let to = range.end.clamp(self.at, end) - self.at;
        (from < to).then(|| (self.part, self.range.start + from..self.range.start + to))
    }
}

fn text_of<'p>((part, range): &(&'p Part, Range<usize>)) -> &'p str {
    &part.content.expose()[range.clone()]
}

fn are_neighbours(first: &Part, second: &Part) -> bool {
    let near = match (first.turn, second.turn) {
        // A person goes on after an answer.
        (Some(first), Some(second)) => first.abs_diff(second) <= 2,
        (first, second) => first == second,
    };
    near && first.surface == second.surface && first.choice == second.choice
}
