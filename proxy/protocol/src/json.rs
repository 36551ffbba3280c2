//! A strict JSON reader that knows where everything stands.
//!
//! We forward the bytes that we read, so our reading has to equal that of any upstream. Whatever
//! parsers are known to read differently is refused: a byte order mark, invalid UTF-8, lone
//! surrogates, duplicate keys (after undoing escapes), bare control characters, `NaN`, anything
//! after the value. Numbers are checked for their grammar only and never converted.
//!
//! A [`Document`] is one flat list of nodes in the order of the text; each knows its bytes and the
//! node after its subtree. Neither reading nor walking allocates per value.

mod reader;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Deepest nesting that any configuration can ask for: walks are recursive.
pub(crate) const MAX_DEPTH: usize = 256;

/// Most values in one document, so that memory stays in proportion to the body (16 bytes each).
pub(crate) const MAX_VALUES: usize = 4 << 20;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number,
    /// Whether it holds escapes.
    String(bool),
    Array,
    Object,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    start: u32,
    end: u32,
    /// Index of the node after this one's subtree.
    next: u32,
}

/// Why a text is not strict JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonError {
    what: String,
    offset: usize,
    line: usize,
    column: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            offset,
            line,
            column,
        } = self;
        write!(
            f,
            "invalid JSON: {what} at line {line} column {column} (byte {offset})"
        )
    }
}

/// A text that was read.
#[derive(Clone, Debug)]
pub(crate) struct Document<'t> {
    text: &'t str,
    nodes: Vec<Node>,
}

/// A value within a document.
#[derive(Clone, Copy)]
pub(crate) struct Value<'d> {
    text: &'d str,
    nodes: &'d [Node],
    idx: usize,
}

/// Reads a whole text; `depth` bounds the nesting.
pub(crate) fn parse(bytes: &[u8], depth: usize) -> Result<Document<'_>, JsonError> {
    let fail = |what: &str, offset: usize| Err(JsonError::new(what.to_owned(), offset, bytes));
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return fail("a byte order mark stands before the value", 0);
    }
    if u32::try_from(bytes.len()).is_err() {
        return fail("the text is larger than 4 GiB", 0);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return fail("the text is not UTF-8", error.valid_up_to()),
    };
    match reader::read(text, depth.min(MAX_DEPTH)) {
        Ok(nodes) => Ok(Document { text, nodes }),
        Err(wrong) => Err(JsonError::new(wrong.what, wrong.offset, bytes)),
    }
}

impl JsonError {
    fn new(what: String, offset: usize, bytes: &[u8]) -> Self {
        let before = &bytes[..offset.min(bytes.len())];
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self {
            what,
            offset,
            line,
            column: 1 + offset - line_start,
        }
    }
}

impl<'t> Document<'t> {
    /// The outermost value.
    pub(crate) fn root(&self) -> Value<'_> {
        Value {
            text: self.text,
            nodes: &self.nodes,
            idx: 0,
        }
    }
}

impl<'d> Value<'d> {
    fn node(self) -> Node {
        self.nodes[self.idx]
    }

    /// What it is.
    pub(crate) fn kind(self) -> Kind {
        self.node().kind
    }

    /// Its bytes.
    pub(crate) fn span(self) -> Range<usize> {
        let node = self.node();
        node.start as usize..node.end as usize
    }

    /// Its bytes as text.
    pub(crate) fn raw(self) -> &'d str {
        &self.text[self.span()]
    }

    /// A string's text, its escapes undone.
    pub(crate) fn as_str(self) -> Option<Cow<'d, str>> {
        let Kind::String(escaped) = self.kind() else {
            return None;
        };
        let span = self.span();
        let inner = &self.text[span.start + 1..span.end - 1];
        Some(if escaped {
            Cow::Owned(unescape(inner))
        } else {
            Cow::Borrowed(inner)
        })
    }

    pub(crate) fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    pub(crate) fn is_string(self) -> bool {
        matches!(self.kind(), Kind::String(_))
    }

    /// A small whole number, written plainly.
    pub(crate) fn as_u32(self) -> Option<u32> {
        if self.kind() == Kind::Number {
            self.raw().parse().ok()
        } else {
            None
        }
    }

    /// The members of an object; none of anything else.
    pub(crate) fn members(self) -> impl Iterator<Item = (Value<'d>, Value<'d>)> {
        let end = if self.kind() == Kind::Object {
            self.node().next as usize
        } else {
            0
        };
        let mut idx = self.idx + 1;
        std::iter::from_fn(move || {
            if idx >= end {
                return None;
            }
            let key = Value { idx, ..self };
            let value = Value {
                idx: idx + 1,
                ..self
            };
            idx = value.node().next as usize;
            Some((key, value))
        })
    }

    /// The items of an array; none of anything else.
    pub(crate) fn items(self) -> impl Iterator<Item = Value<'d>> {
        let end = if self.kind() == Kind::Array {
            self.node().next as usize
        } else {
            0
        };
        let mut idx = self.idx + 1;
        std::iter::from_fn(move || {
            if idx >= end {
                return None;
            }
            let item = Value { idx, ..self };
            idx = item.node().next as usize;
            Some(item)
        })
    }

    /// Every string of the subtree in order, keys included.
    pub(crate) fn strings(self) -> impl Iterator<Item = Value<'d>> {
        let subtree = self.idx..self.node().next as usize;
        subtree
            .map(move |idx| Value { idx, ..self })
            .filter(|value| value.is_string())
    }

    /// The member of this name.
    pub(crate) fn get(self, name: &str) -> Option<Value<'d>> {
        self.members()
            .find(|(key, _)| key.is(name))
            .map(|(_, value)| value)
    }

    /// Whether it is this string.
    #[inline]
    pub(crate) fn is(self, text: &str) -> bool {
        match self.literal() {
            Some(literal) => literal == text.as_bytes(),
            None => self.as_str().is_some_and(|own| own == text),
        }
    }

    /// The bytes of a string that says what it means without an escape.
    #[inline]
    pub(crate) fn literal(self) -> Option<&'d [u8]> {
        let Node {
            kind, start, end, ..
        } = self.node();
        if kind != Kind::String(false) {
            return None;
        }
        self.text
            .as_bytes()
            .get(start as usize + 1..end as usize - 1)
    }

    /// How many items or members it has, up to `most`.
    pub(crate) fn has_any(self) -> bool {
        self.node().next as usize > self.idx + 1
    }
}

/// Whether bytes within quotes are a string that says what it means: nothing in them ends it, and
/// nothing is an escape or a bare control character. UTF-8 is the caller's to check.
pub(crate) fn is_plain_literal(inner: &[u8]) -> bool {
    reader::first_special(inner).is_none()
}

/// Undoes the escapes of a string that was read by [`parse`].
fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (undone, len) = undo_escape(&rest[at..]);
        out.push(undone);
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    out
}

/// The character of the valid escape at the start of `text`, and the bytes it takes.
fn undo_escape(text: &str) -> (char, usize) {
    let bytes = text.as_bytes();
    match bytes[1] {
        b'u' => undo_unicode(bytes),
        letter => (simple_escape(letter).unwrap_or(letter as char), 2),
    }
}

fn undo_unicode(bytes: &[u8]) -> (char, usize) {
    let first = hex4(&bytes[2..]).unwrap_or_default();
    if let Some(only) = char::from_u32(first) {
        return (only, 6);
    }
    let second = bytes.get(8..).and_then(hex4).unwrap_or_default();
    let joined = 0x1_0000 + ((first & 0x3ff) << 10) + (second & 0x3ff);
    (
        char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER),
        12,
    )
}

/// The character that a one-letter escape stands for.
pub(crate) const fn simple_escape(letter: u8) -> Option<char> {
    Some(match letter {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return None,
    })
}

/// The number that the first four bytes say in hexadecimal.
pub(crate) fn hex4(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.get(..4)?;
    digits.iter().try_fold(0, |number, digit| {
        let digit = (*digit as char).to_digit(16)?;
        Some(number * 16 + digit)
    })
}

/// Writes a text as a JSON string literal, quotes included.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' => {
                use fmt::Write as _;
                let _ = write!(out, "\\u{:04x}", character as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
