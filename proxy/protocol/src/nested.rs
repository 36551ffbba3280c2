//! JSON inside a JSON string: the arguments of tool calls.
//!
//! `{"city": "\u0062erlin"}` is read by the tool as `berlin`, so that is what has to be screened.
//! [`readable`] undoes the escapes that hide letters and spacing and keeps those of quotes and
//! backslashes, so that the structure stays visible; [`writable`] makes JSON of it again.

use crate::json::{hex4, simple_escape};
use std::borrow::Cow;

/// The text with its inner escapes undone, but for those of quotes and backslashes.
pub(crate) fn readable(inner: &str) -> Cow<'_, str> {
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut undoing = Undoing::default();
    let mut out = undoing.push(inner);
    out.push_str(&undoing.rest());
    Cow::Owned(out)
}

/// The inverse of [`readable`]: control characters that stand in inner strings are escaped again.
pub(crate) fn writable(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut in_string = false;
    let mut after_backslash = false;
    for character in text.chars() {
        let is_escaped = std::mem::take(&mut after_backslash);
        match character {
            '"' if !is_escaped => in_string = !in_string,
            '\\' if !is_escaped => after_backslash = true,
            _ => {}
        }
        if in_string && character < ' ' {
            let quoted = crate::json::quote(character.encode_utf8(&mut [0; 4]));
            out.push_str(&quoted[1..quoted.len() - 1]);
        } else {
            out.push(character);
        }
    }
    out
}

/// [`readable`] for text that comes in pieces: an escape may be cut in two.
#[derive(Clone, Debug, Default)]
pub(crate) struct Undoing {
    /// The start of an escape whose end has not come.
    pending: String,
}

impl Undoing {
    /// The readable form of what is whole now.
    pub(crate) fn push(&mut self, piece: &str) -> String {
        let joined;
        let mut rest = piece;
        if !self.pending.is_empty() {
            joined = std::mem::take(&mut self.pending) + piece;
            rest = &joined;
        }
        let mut out = String::with_capacity(rest.len());
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let Some(len) = escape_len(rest) else {
                rest.clone_into(&mut self.pending);
                return out;
            };
            undo(&rest[..len], &mut out);
            rest = &rest[len..];
        }
        out.push_str(rest);
        out
    }

    /// What is left at the end: an escape that never ended, as it came.
    pub(crate) fn rest(&mut self) -> String {
        std::mem::take(&mut self.pending)
    }
}

/// Bytes of the escape at the start; `None` when its end has not come.
fn escape_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if *bytes.get(1)? != b'u' {
        let letter = text[1..].chars().next()?;
        return Some(1 + letter.len_utf8());
    }
    let (unit, len) = match unit(bytes) {
        Unit::Is(unit) => (unit, 6),
        Unit::Cut => return None,
        // No escape at all: shown as it is.
        Unit::Broken => return Some(2),
    };
    if !(0xd800..0xdc00).contains(&unit) {
        return Some(len);
    }
    let low = &bytes[6..];
    if low.is_empty() || low == b"\\" {
        return None;
    }
    if !low.starts_with(b"\\u") {
        return Some(len);
    }
    match self::unit(low) {
        Unit::Is(low) if (0xdc00..0xe000).contains(&low) => Some(12),
        Unit::Cut => None,
        _ => Some(len),
    }
}

enum Unit {
    Is(u32),
    Cut,
    Broken,
}

fn unit(bytes: &[u8]) -> Unit {
    let digits = &bytes[2..bytes.len().min(6)];
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Unit::Broken;
    }
    hex4(digits).map_or(Unit::Cut, Unit::Is)
}

fn undo(escape: &str, out: &mut String) {
    let bytes = escape.as_bytes();
    let undone = match bytes[1] {
        b'u' => undo_unicode(bytes),
        letter => simple_escape(letter),
    };
    match undone {
        Some(character) if !matches!(character, '"' | '\\') => out.push(character),
        _ => out.push_str(escape),
    }
}

fn undo_unicode(bytes: &[u8]) -> Option<char> {
    let first = hex4(bytes.get(2..)?)?;
    if bytes.len() < 12 {
        return char::from_u32(first);
    }
    let second = hex4(&bytes[8..])?;
    char::from_u32(0x1_0000 + ((first & 0x3ff) << 10) + (second & 0x3ff))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(inner: &str, expected: &str) {
        assert_eq!(readable(inner), expected, "{inner}");
    }

    #[test]
    fn escapes_that_hide_letters_are_undone() {
        check(r#"{"a":"\u0062omb"}"#, r#"{"a":"bomb"}"#);
        check(r#"{"a":"bo\/mb"}"#, r#"{"a":"bo/mb"}"#);
        check(r#"{"a":"x\nbomb"}"#, "{\"a\":\"x\nbomb\"}");
        check(r#"{"a":"\ud83d\ude00"}"#, r#"{"a":"😀"}"#);
    }

    #[test]
    fn quotes_and_backslashes_keep_their_escapes() {
        check(
            r#"{"a":"\"\\u0062\u0022\u005c"}"#,
            r#"{"a":"\"\\u0062\u0022\u005c"}"#,
        );
    }

    #[test]
    fn broken_escapes_are_shown_as_they_are() {
        for broken in [
            r"\",
            r"\u00",
            r"\u00zz",
            r"\ud83d",
            r"\ud83d\u0041",
            r"\é",
            r"\q",
            r"\ud83d\",
        ] {
            let shown = readable(broken);
            assert!(!shown.is_empty(), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn a_readable_document_means_the_same_when_written(texts in prop::collection::vec(any::<String>(), 1..4)) {
            let ascii: String = serde_json::to_string(&texts).unwrap().chars().map(|c| {
                let mut units = [0; 2];
                let units = c.encode_utf16(&mut units).to_vec();
                let one = if c.is_ascii() { c.to_string() } else { String::new() };
                if one.is_empty() { units.iter().map(|u| format!("\\u{u:04X}")).collect() } else { one }
            }).collect();
            let back: Vec<String> = serde_json::from_str(&writable(&readable(&ascii))).unwrap();
            prop_assert_eq!(back, texts);
        }

        #[test]
        fn pieces_read_like_the_whole(text in r#"(\\u[0-9a-fA-F]{4}|\\ud83d\\ude00|\\["\\/nt]|[a-z"é]){0,12}"#, cuts in prop::collection::vec(0_usize..60, 0..4)) {
            let mut undoing = Undoing::default();
            let mut out = String::new();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| text.floor_char_boundary(at)).collect();
            cuts.sort_unstable();
            cuts.push(text.len());
            let mut from = 0;
            for cut in cuts {
                out.push_str(&undoing.push(&text[from..cut]));
                from = cut;
            }
            out.push_str(&undoing.rest());
            prop_assert_eq!(out, readable(&text).into_owned());
        }
    }
}
