//! Strings of a JSON document put side by side: `{"a": "bo", "b": "mb"}` as `bomb`.

use super::Reading;
use crate::View;
use crate::canonical::Canonical;

/// Stands between two texts that were put side by side: it shows nothing and no word goes on over it.
const JOINT: &str = "\u{2060}";

/// Most bytes between two strings, of which one may be a key.
const MAX_GAP: usize = 64;

/// Backslashes before a quote of a document, and of one that stands in a string of another.
const LEVELS: [usize; 3] = [0, 1, 3];

/// A string of a document: its bytes without the quotes.
struct Literal {
    start: usize,
    end: usize,
    is_key: bool,
}

/// The values put side by side, and the same with the keys where they stand.
pub(super) fn members(text: &str) -> Vec<Reading> {
    if !text.contains(['{', '[']) {
        return Vec::new();
    }
    let mut readings = Vec::new();
    for level in LEVELS {
        let literals = literals(text, level);
        let values: Vec<&Literal> = literals.iter().filter(|one| !one.is_key).collect();
        let n_values = values.len();
        readings.extend(side_by_side(text, &values));
        if n_values < literals.len() {
            readings.extend(side_by_side(text, &literals.iter().collect::<Vec<_>>()));
        }
    }
    readings
}

fn side_by_side(text: &str, literals: &[&Literal]) -> Option<Reading> {
    let mut out = Canonical::default();
    let mut copied = 0;
    for pair in literals.windows(2) {
        let [before, after] = pair else { continue };
        if after.start - before.end <= MAX_GAP {
            out.copy(&text[copied..before.end], copied);
            out.put(JOINT, before.end..after.start);
            copied = after.start;
        }
    }
    if copied == 0 {
        return None;
    }
    out.copy(&text[copied..], copied);
    Some(Reading {
        view: View::Joined,
        text: out,
        weighty: false,
        bounded: true,
    })
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
