//! Splices: how a body is changed without being written anew.
//!
//! Every byte outside a splice stays as it came. A part's text is replaced by a new string literal
//! in the place of the old one; a turn is left out together with one of its commas.

use crate::exchange::{Exchange, Part, PartKind};
use crate::{json, nested};
use bytes::{Bytes, BytesMut};
use portcullis_text::PartId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What stands between a text of ours and the model's.
pub(crate) const BLANK_LINE: &str = "\n\n";

/// A change to a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Edit {
    /// Another text in place of a part's.
    Replace {
        /// The part.
        part: PartId,
        /// Its new text.
        text: String,
    },
    /// A turn is left out.
    DropTurn(usize),
}

impl std::fmt::Debug for Edit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Replace { part, text } => {
                write!(f, "Replace(part {}, {} bytes)", part.0, text.len())
            }
            Self::DropTurn(turn) => write!(f, "DropTurn({turn})"),
        }
    }
}

/// An edit that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// There is no such part.
    #[error("there is no part {0}")]
    NoPart(u32),
    /// The part's text cannot be replaced.
    #[error("part {0} cannot be replaced")]
    NotEditable(u32),
    /// There is no such turn.
    #[error("there is no turn {0}")]
    NoTurn(usize),
}

/// New bytes in place of a range of the old ones.
pub(crate) type Splice = (Range<usize>, String);

pub(crate) fn outgoing(exchange: &Exchange, edits: &[Edit]) -> Result<Bytes, EditError> {
    if edits.is_empty() {
        return Ok(exchange.body.clone());
    }
    let mut texts: BTreeMap<PartId, &str> = BTreeMap::new();
    let mut dropped = BTreeSet::new();
    for edit in edits {
        match edit {
            Edit::Replace { part, text } => drop(texts.insert(*part, text)),
            Edit::DropTurn(turn) => drop(dropped.insert(*turn)),
        }
    }
    let mut splices = Vec::with_capacity(edits.len());
    let turns: Vec<Range<usize>> = exchange
        .turns
        .iter()
        .map(|turn| turn.literal.clone())
        .collect();
    let first_kept = first_kept(&dropped);
    for turn in &dropped {
        let bytes = without_item(&turns, *turn, first_kept).ok_or(EditError::NoTurn(*turn))?;
        splices.push((bytes, String::new()));
    }
    let mut emptied = Vec::new();
    for (id, text) in texts {
        let part = exchange.part(id).ok_or(EditError::NoPart(id.0))?;
        if !part.editable {
            return Err(EditError::NotEditable(id.0));
        }
        if part.turn.is_some_and(|turn| dropped.contains(&turn)) {
            continue;
        }
        match text.is_empty() && part.kind == PartKind::Text {
            true => emptied.push(part),
            false => splices.push((part.literal.clone(), replacement(part, text))),
        }
    }
    splices.extend(without_blocks(exchange, &emptied));
    Ok(splice(&exchange.body, splices))
}

/// The first item of an array that is not dropped.
fn first_kept(dropped: &BTreeSet<usize>) -> usize {
    dropped
        .iter()
        .enumerate()
        .take_while(|(place, idx)| place == *idx)
        .count()
}

/// The bytes of a dropped item with the comma before it, or after it where no kept item stands
/// before.
fn without_item(items: &[Range<usize>], idx: usize, first_kept: usize) -> Option<Range<usize>> {
    let own = items.get(idx)?;
    Some(match (idx < first_kept, items.get(idx + 1)) {
        (true, Some(next)) => own.start..next.start,
        (true, None) => own.clone(),
        (false, _) => items[idx - 1].end..own.end,
    })
}

/// What becomes of texts that are empty now. A content block that held nothing else goes with
/// its text, since upstreams refuse empty ones; the last block of a message stays.
fn without_blocks(exchange: &Exchange, emptied: &[&Part]) -> Vec<Splice> {
    let mut splices: Vec<Splice> = Vec::new();
    let mut by_turn: BTreeMap<usize, Vec<&Part>> = BTreeMap::new();
    for part in emptied {
        match part.turn {
            Some(turn) => by_turn.entry(turn).or_default().push(part),
            None => splices.push(emptied_literal(part)),
        }
    }
    for (turn, parts) in by_turn {
        let message = exchange
            .turns
            .get(turn)
            .map(|turn| &exchange.body[turn.literal.clone()]);
        let start = exchange
            .turns
            .get(turn)
            .map_or(0, |turn| turn.literal.start);
        let document = message.and_then(|bytes| json::parse(bytes, json::MAX_DEPTH).ok());
        match document {
            Some(document) => splices.extend(without_blocks_of(document.root(), start, &parts)),
            None => splices.extend(parts.into_iter().map(emptied_literal)),
        }
    }
    splices
}

/// The same for one message, which begins at `start` in the body.
fn without_blocks_of(message: json::Value<'_>, start: usize, parts: &[&Part]) -> Vec<Splice> {
    let shift = |span: Range<usize>| span.start + start..span.end + start;
    let blocks: Vec<json::Value<'_>> = message
        .get("content")
        .into_iter()
        .flat_map(json::Value::items)
        .collect();
    let spans: Vec<Range<usize>> = blocks.iter().map(|block| shift(block.span())).collect();
    let texts = blocks
        .iter()
        .enumerate()
        .filter_map(|(idx, block)| Some((shift(block.get("text")?.span()).start, idx)));
    let texts: BTreeMap<usize, usize> = texts.collect();
    let holding = |part: &Part| texts.get(&part.literal.start).copied();
    let gone: BTreeSet<usize> = parts.iter().filter_map(|part| holding(part)).collect();
    let first_kept = first_kept(&gone);
    let splice_of = |part: &&Part| {
        let block = holding(part).filter(|_| gone.len() < blocks.len());
        let bytes = block.and_then(|block| without_item(&spans, block, first_kept));
        bytes.map_or_else(|| emptied_literal(part), |bytes| (bytes, String::new()))
    };
    parts.iter().map(splice_of).collect()
}

fn emptied_literal(part: &Part) -> Splice {
    (part.literal.clone(), json::quote(""))
}

/// What is written in place of a part's literal.
pub(crate) fn replacement(part: &Part, text: &str) -> String {
    match part.kind {
        PartKind::Arguments => json::quote(&writable_arguments(part.content.expose(), text)),
        PartKind::Logprobs => "null".to_owned(),
        _ => json::quote(text),
    }
}

/// New arguments of a tool call. A JSON document stays one: where the new text is none any more,
/// the call has no arguments at all.
pub(crate) fn writable_arguments(before: &str, after: &str) -> String {
    let is_document = |text: &str| json::parse(text.as_bytes(), json::MAX_DEPTH).is_ok();
    let (before, after) = (nested::writable(before), nested::writable(after));
    if is_document(&before) && !is_document(&after) {
        "{}".to_owned()
    } else {
        after
    }
}

/// Puts splices in. They must not overlap; of two that do, the one that begins first is made.
pub(crate) fn splice(body: &Bytes, mut splices: Vec<Splice>) -> Bytes {
    if splices.is_empty() {
        return body.clone();
    }
    splices.sort_by_key(|(range, _)| (range.start, range.end));
    let added: usize = splices.iter().map(|(_, text)| text.len()).sum();
    let mut out = BytesMut::with_capacity(body.len() + added);
    let mut done = 0;
    for (range, text) in splices {
        if range.start >= done {
            out.extend_from_slice(&body[done..range.start]);
            out.extend_from_slice(text.as_bytes());
            done = range.end;
        }
    }
    out.extend_from_slice(&body[done..]);
    out.freeze()
}

/// Whether a text is one of ours altogether, in a block of its own.
pub(crate) fn is_inserted(text: &str, inserted: &[&str]) -> bool {
    let own = text.strip_prefix(BLANK_LINE).unwrap_or(text);
    !own.is_empty() && inserted.contains(&own)
}

/// A text without the texts of ours at its start and end. A text that is ours altogether stays.
pub(crate) fn without_inserted<'t>(text: &'t str, inserted: &[&str]) -> &'t str {
    let mut rest = text;
    while let Some(shorter) = inserted.iter().find_map(|own| without_one(rest, own)) {
        rest = shorter;
    }
    rest
}

fn without_one<'t>(text: &'t str, own: &str) -> Option<&'t str> {
    if own.is_empty() {
        return None;
    }
    let before = text
        .strip_suffix(own)
        .and_then(|rest| rest.strip_suffix(BLANK_LINE));
    let after = || {
        text.strip_prefix(own)
            .and_then(|rest| rest.strip_prefix(BLANK_LINE))
    };
    before.or_else(after)
}
