//! Texts read across parts.
//!
//! A word that is cut in two by the end of a part, of a turn or of a content block is whole again
//! for the model that reads both. So neighbouring parts that stand on one surface are also read
//! together, once put side by side and once with a space between. Of a long part only its ends
//! take part: they fill a classifier's window together, and of a chat that resends its history no
//! more than those has to be read anew.

use crate::exchange::{Part, PartKind};
use portcullis_text::{Content, PartId, Surface};
use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes of a long part that are read together with its neighbour.
const REACH: usize = 192;

/// Bytes of a part's ends that are put side by side with those before and after it.
const ENDS: usize = 64;

/// Between two of them: it shows nothing, and no word goes on over it.
const NOTHING: &str = "\u{2060}";

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

/// The chains of some parts, in the order in which a model reads them: what stands outside of the
/// turns first, and of an answer the reasoning. Once all of them; once without keys; and each
/// field of a list by itself, since others stand between its items.
pub(crate) fn chains(parts: &[Part]) -> Vec<Chain> {
    if parts.len() < 2 {
        return Vec::new();
    }
    let mut links: Vec<Link<'_>> = parts.iter().flat_map(links).collect();
    links.sort_by_key(|link| {
        let part = link.part;
        let is_in_turn = part.turn.is_some();
        let is_last = part.surface == Surface::System && !is_in_turn;
        (
            is_in_turn,
            is_last,
            part.choice,
            part.surface != Surface::Reasoning,
        )
    });
    let mut chains = Vec::new();
    chain(&links.iter(), &mut chains);
    if links.iter().any(|link| link.is_key) {
        chain(&links.iter().filter(|link| !link.is_key), &mut chains);
    }
    let mut columns: BTreeMap<(String, bool), Vec<&Link<'_>>> = BTreeMap::new();
    for link in links.iter().filter(|link| link.part.kind != PartKind::Text) {
        let column = column_of(&link.part.path);
        columns.entry((column, link.is_key)).or_default().push(link);
    }
    for column in columns.into_values().filter(|column| 1 < column.len()) {
        chain(&column.into_iter(), &mut chains);
    }
    chains
}

/// The chains of some parts in the order in which they come.
pub(crate) fn in_order(parts: &[Part]) -> Vec<Chain> {
    let links: Vec<Link<'_>> = parts.iter().flat_map(links).collect();
    let mut chains = Vec::new();
    chain(&links.iter(), &mut chains);
    chains
}

/// A text that stands in a chain: a part, or a string of the JSON document that a part is.
struct Link<'p> {
    part: &'p Part,
    range: Range<usize>,
    is_key: bool,
}

fn links(part: &Part) -> Vec<Link<'_>> {
    let text = part.content.expose();
    if part.kind != PartKind::Arguments || !text.contains('"') {
        return vec![Link {
            part,
            range: 0..text.len(),
            is_key: part.kind == PartKind::Key,
        }];
    }
    let mut links = Vec::new();
    let mut at = 0;
    for piece in text.split('"') {
        let range = at..at + piece.len();
        at = range.end + 1;
        let is_structure = |c: char| !c.is_alphanumeric() || c.is_ascii_digit();
        let is_word = |word: &str| matches!(word, "" | "true" | "false" | "null");
        if !piece.split(is_structure).all(is_word) {
            let rest = text.get(at..).unwrap_or_default().trim_start();
            links.push(Link {
                part,
                range,
                is_key: rest.starts_with(':'),
            });
        }
    }
    links
}

/// A place without the numbers of items.
fn column_of(path: &str) -> String {
    let is_number =
        |step: &&str| !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
    let steps = path.split('/');
    let steps = steps.map(|step| if is_number(&step) { "*" } else { step });
    steps.collect::<Vec<_>>().join("/")
}

/// Joins links, with a space between them and with nothing.
fn chain<'p>(links: &(impl Iterator<Item = &'p Link<'p>> + Clone), chains: &mut Vec<Chain>) {
    let empty = || Chain {
        text: String::new(),
        pieces: Vec::new(),
    };
    for between in [NOTHING, " "] {
        let mut open = empty();
        for Link { part, range, .. } in links.clone() {
            let text = part.content.expose();
            let Range { start, end } = range.clone();
            if end - start <= 2 * ENDS {
                open.push(between, part, start..end);
                continue;
            }
            open.push(between, part, start..text.floor_char_boundary(start + ENDS));
            chains.push(std::mem::replace(&mut open, empty()));
            open.push(between, part, text.ceil_char_boundary(end - ENDS)..end);
        }
        chains.push(open);
    }
    chains.retain(|chain| 1 < chain.pieces.len());
}

/// Texts before one that are looked at for the same text.
const MAX_SAME: usize = 8;

/// Up to so many bytes a text may be a piece of a word, and is read each time it stands there.
const SHORT: usize = 16;

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
        if parts.len() < 2 {
            return seams;
        }
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
            // Saying the same again adds nothing.
            let said = |(before, _): &(&Part, Range<usize>)| before.content.expose() == text;
            if SHORT < text.len() && run.iter().rev().take(MAX_SAME).any(said) {
                continue;
            }
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
