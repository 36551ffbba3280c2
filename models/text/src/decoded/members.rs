//! Strings put side by side: of a JSON document, `{"a": "bo", "b": "mb"}` as `bomb`, and those that a
//! program adds up, `a = 'how to'; b = 'do it'; a + b`.

use super::Reading;
use crate::View;
use crate::canonical::Canonical;
use std::collections::HashSet;

/// Stands between two texts that were put side by side: it shows nothing and no word goes on over it.
const JOINT: &str = "\u{2060}";

/// Most bytes between two strings, of which one may be a key.
const MAX_GAP: usize = 64;

/// Most quotes of its own kind that a string in quotes may have in it.
const MAX_APOSTROPHES: usize = 16;

/// Backslashes before a quote of a document, and of one that stands in a string of another.
const LEVELS: [usize; 3] = [0, 1, 3];

/// A string of a document: its bytes without the quotes.
struct Literal {
    start: usize,
    end: usize,
    is_key: bool,
}

/// The values put side by side, and the same with the keys where they stand.
pub(super) fn members(text: &str) -> impl Iterator<Item = Reading> {
    let mut readings = Vec::new();
    let levels = if text.contains(['{', '[']) {
        &LEVELS[..]
    } else {
        &[]
    };
    for level in levels.iter().copied() {
        let literals = literals(text, level);
        let values: Vec<&Literal> = literals.iter().filter(|one| !one.is_key).collect();
        let n_values = values.len();
        readings.extend(side_by_side(text, &values, JOINT));
        if n_values < literals.len() {
            let all = literals.iter().collect::<Vec<_>>();
            readings.extend(side_by_side(text, &all, JOINT));
        }
    }
    readings.into_iter().map(|text| Reading {
        view: View::Joined,
        text,
        weighty: false,
        bounded: true,
    })
}

/// Strings that are given names and added up by these, as one text: with a space between them, and
/// with nothing where that may make a word.
pub(super) fn added_up(text: &str) -> impl Iterator<Item = Reading> {
    let summands: HashSet<&str> = text
        .match_indices('+')
        .flat_map(|(at, _)| beside(text, at))
        .collect();
    let named = if summands.is_empty() {
        Vec::new()
    } else {
        named(text)
    };
    let added = named
        .into_iter()
        .filter(|(name, _)| summands.contains(name));
    let added: Vec<Literal> = added.map(|(_, literal)| literal).collect();
    let added: Vec<&Literal> = added.iter().collect();
    let meets = |pair: &[&Literal]| {
        text[..pair[0].end].ends_with(char::is_alphanumeric)
            && text[pair[1].start..].starts_with(char::is_alphanumeric)
    };
    let whole = if added.windows(2).any(meets) {
        side_by_side(text, &added, "")
    } else {
        None
    };
    let apart = side_by_side(text, &added, " ");
    let both = apart.into_iter().chain(whole);
    both.map(|text| Reading::weighty(View::Joined, text))
}

/// The names on both sides of a sign.
fn beside(text: &str, sign: usize) -> [&str; 2] {
    let before = text[..sign].trim_end_matches(' ');
    let after = text[sign + 1..].trim_start_matches(' ');
    let len = after.find(|c| !is_of_name(c)).unwrap_or(after.len());
    [last_name(before), &after[..len]]
}

fn last_name(text: &str) -> &str {
    &text[text.trim_end_matches(is_of_name).len()..]
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Strings in quotes behind a name and a sign of equality.
fn named(text: &str) -> Vec<(&str, Literal)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(skip) = text[at..].find('=') {
        let equals = at + skip;
        at = equals + 1;
        let name = last_name(text[..equals].trim_end_matches([' ', ':']));
        let behind = text[at..].trim_start_matches(' ');
        let Some(quote) = behind
            .chars()
            .next()
            .filter(|c| matches!(c, '\'' | '"' | '`'))
        else {
            continue;
        };
        let start = text.len() - behind.len() + 1;
        // An apostrophe has a letter behind it.
        let closes = |at: &usize| !text[at + 1..].starts_with(char::is_alphanumeric);
        let ends = text[start..]
            .match_indices(quote)
            .map(|(end, _)| start + end);
        if let Some(end) = ends.take(MAX_APOSTROPHES).find(closes)
            && !name.is_empty()
        {
            let is_key = false;
            found.push((name, Literal { start, end, is_key }));
            at = end + 1;
        }
    }
    found
}

/// Puts strings side by side that stand near each other.
fn side_by_side(text: &str, literals: &[&Literal], joint: &str) -> Option<Canonical> {
    let mut out = Canonical::default();
    let mut copied = 0;
    for pair in literals.windows(2) {
        let [before, after] = pair else { continue };
        if after.start - before.end <= MAX_GAP {
            out.copy(&text[copied..before.end], copied);
            out.put(joint, before.end..after.start);
            copied = after.start;
        }
    }
    if copied == 0 {
        return None;
    }
    out.copy(&text[copied..], copied);
    Some(out)
}

/// The strings of the documents in a text whose quotes have so many backslashes before them.
fn literals(text: &str, level: usize) -> Vec<Literal> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = next_document(text, at, level) {
        at = start;
        // From the quote that opens a string to the one that closes it, then to the next.
        while let Some(end) = next_quote(text, at, level) {
            let rest = &text[end + level + 1..];
            let gap = rest.find(['"', '\\']).unwrap_or(rest.len());
            let gap = &rest[..gap];
            let is_key = gap.trim_start().starts_with(':');
            found.push(Literal {
                start: at,
                end,
                is_key,
            });
            at = end + level + 1;
            let opens = gap.chars().all(is_structure) && quoted(text, at + gap.len(), level);
            if !opens {
                break;
            }
            at += gap.len() + level + 1;
        }
        // Where a string has no end, what follows may still hold a document.
        at = at.max(start);
    }
    found
}

/// What stands between the strings of a document: brackets, commas, numbers, `true` and its like.
fn is_structure(c: char) -> bool {
    c.is_ascii_whitespace() || c.is_ascii_alphanumeric() || "{}[],:+-.".contains(c)
}

/// The start of the first string behind the next bracket that a string follows.
fn next_document(text: &str, from: usize, level: usize) -> Option<usize> {
    let mut at = from;
    while let Some(skip) = text[at..].find(['{', '[']) {
        at += skip + 1;
        let rest = &text[at..];
        let quote = at + rest.len() - rest.trim_start().len();
        if quoted(text, quote, level) {
            return Some(quote + level + 1);
        }
    }
    None
}

/// Whether a quote with so many backslashes stands there.
fn quoted(text: &str, at: usize, level: usize) -> bool {
    let rest = &text.as_bytes()[at.min(text.len())..];
    let n_backslashes = rest.iter().take_while(|byte| **byte == b'\\').count();
    n_backslashes == level && rest.get(level) == Some(&b'"')
}

/// Where the next quote of this level begins, its backslashes included.
fn next_quote(text: &str, from: usize, level: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(skip) = text[at..].find('"') {
        let quote = at + skip;
        let before = &bytes[from..quote];
        let n_backslashes = before
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        if n_backslashes == level {
            return Some(quote - level);
        }
        if n_backslashes < level {
            // The document ends: its own text does.
            return None;
        }
        at = quote + 1;
    }
    None
}
