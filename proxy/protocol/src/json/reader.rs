//! The reader itself: one pass, no recursion, and the check for duplicate keys.

use super::{Kind, MAX_VALUES, Node, Value, hex4, simple_escape};
use std::borrow::Cow;

/// Objects up to this many keys are checked for duplicates pair by pair.
const FEW_KEYS: usize = 12;

/// What is wrong, and where.
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) offset: usize,
}

/// Reads a whole text into its nodes.
pub(super) fn read(text: &str, depth: usize) -> Result<Vec<Node>, Wrong> {
    let mut reader = Reader {
        bytes: text.as_bytes(),
        text,
        at: 0,
        nodes: Vec::with_capacity(16 + text.len() / 32),
        open: Vec::with_capacity(16),
        depth,
    };
    reader.document()?;
    Ok(reader.nodes)
}

/// Where the first quote, backslash or control character stands: eight bytes at a time, for nearly
/// all of a document is strings.
pub(super) fn first_special(bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = u64::MAX / 255;
    const HIGH: u64 = LOW << 7;
    // The high bit of each byte that is zero, and perhaps of bytes above it.
    let zeros = |word: u64| word.wrapping_sub(LOW) & !word;
    let (words, rest) = bytes.as_chunks::<8>();
    for (idx, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = zeros(word ^ (LOW * u64::from(b'"')));
        let escape = zeros(word ^ (LOW * u64::from(b'\\')));
        let control = word.wrapping_sub(LOW * 0x20) & !word;
        let found = (quote | escape | control) & HIGH;
        if found != 0 {
            // The lowest is exact: what is borrowed only reaches bytes above a true one.
            return Some(8 * idx + found.trailing_zeros() as usize / 8);
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    let at = rest.iter().position(is_special)?;
    Some(8 * words.len() + at)
}

struct Reader<'t> {
    bytes: &'t [u8],
    text: &'t str,
    at: usize,
    nodes: Vec<Node>,
    /// Indexes of the arrays and objects that are open.
    open: Vec<u32>,
    depth: usize,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<(), Wrong> {
        loop {
            self.skip_space();
            let is_open = self.value()?;
            if is_open {
                continue;
            }
            if !self.after_value()? {
                break;
            }
        }
        self.skip_space();
        if self.at < self.bytes.len() {
            return self.wrong("something stands after the value");
        }
        Ok(())
    }

    fn wrong<T>(&self, what: &str) -> Result<T, Wrong> {
        self.wrong_at(what, self.at)
    }

    fn wrong_at<T>(&self, what: &str, offset: usize) -> Result<T, Wrong> {
        Err(Wrong {
            what: what.to_owned(),
            offset,
        })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Reads a value. Whether it is an array or object with something in it, whose first value is
    /// to be read next.
    fn value(&mut self) -> Result<bool, Wrong> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => return self.open(Kind::Object, b'}'),
            Some(b'[') => return self.open(Kind::Array, b']'),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Kind::Bool(true)),
            Some(b'f') => self.literal("false", Kind::Bool(false)),
            Some(b'n') => self.literal("null", Kind::Null),
            Some(_) => self.wrong("expected a value"),
            None => self.wrong("the text ends where a value is expected"),
        }?;
        Ok(false)
    }

    fn push(&mut self, kind: Kind, start: usize) -> Result<usize, Wrong> {
        let idx = self.nodes.len();
        if idx >= MAX_VALUES {
            return self.wrong_at("more values than may be read", start);
        }
        // Lengths fit since `parse` refuses longer texts.
        let (start, end) = (start as u32, self.at as u32);
        self.nodes.push(Node {
            kind,
            start,
            end,
            next: idx as u32 + 1,
        });
        Ok(idx)
    }

    fn open(&mut self, kind: Kind, close: u8) -> Result<bool, Wrong> {
        if self.open.len() >= self.depth {
            return self.wrong("nesting is deeper than allowed");
        }
        let idx = self.push(kind, self.at)?;
        self.open.push(idx as u32);
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(close) {
            self.close()?;
            return Ok(false);
        }
        if kind == Kind::Object {
            self.key()?;
        }
        Ok(true)
    }

    fn close(&mut self) -> Result<(), Wrong> {
        self.at += 1;
        let Some(idx) = self.open.pop() else {
            return self.wrong("nothing is open");
        };
        let next = self.nodes.len() as u32;
        let node = &mut self.nodes[idx as usize];
        node.end = self.at as u32;
        node.next = next;
        if node.kind == Kind::Object {
            return self.refuse_duplicate_keys(idx as usize);
        }
        Ok(())
    }

    /// After a value: whether another one follows.
    fn after_value(&mut self) -> Result<bool, Wrong> {
        loop {
            let Some(idx) = self.open.last() else {
                return Ok(false);
            };
            let is_object = self.nodes[*idx as usize].kind == Kind::Object;
            self.skip_space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    if is_object {
                        self.skip_space();
                        self.key()?;
                    }
                    return Ok(true);
                }
                Some(b'}') if is_object => self.close()?,
                Some(b']') if !is_object => self.close()?,
                Some(_) if is_object => return self.wrong("expected `,` or `}`"),
                Some(_) => return self.wrong("expected `,` or `]`"),
                None => return self.wrong("the text ends within an array or object"),
            }
        }
    }

    fn key(&mut self) -> Result<(), Wrong> {
        if self.peek() != Some(b'"') {
            return self.wrong("expected a key in quotes");
        }
        self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return self.wrong("expected `:` after the key");
        }
        self.at += 1;
        Ok(())
    }

    fn literal(&mut self, word: &str, kind: Kind) -> Result<(), Wrong> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return self.wrong("expected a value");
        }
        let start = self.at;
        self.at += word.len();
        self.push(kind, start).map(drop)
    }

    fn number(&mut self) -> Result<(), Wrong> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        self.push(Kind::Number, start).map(drop)
    }

    fn digits(&mut self) -> Result<(), Wrong> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if start == self.at {
            self.wrong("expected a digit")
        } else {
            Ok(())
        }
    }

    fn string(&mut self) -> Result<(), Wrong> {
        let start = self.at;
        self.at += 1;
        let mut escaped = false;
        loop {
            let rest = &self.bytes[self.at..];
            let Some(plain) = first_special(rest) else {
                return self.wrong_at("a string is not closed", start);
            };
            self.at += plain;
            match rest[plain] {
                b'"' => break,
                b'\\' => self.escape()?,
                _ => return self.wrong("a bare control character stands in a string"),
            }
            escaped = true;
        }
        self.at += 1;
        self.push(Kind::String(escaped), start).map(drop)
    }

    fn escape(&mut self) -> Result<(), Wrong> {
        let start = self.at;
        match self.bytes.get(start + 1) {
            Some(b'u') => {}
            Some(letter) if simple_escape(*letter).is_some() => {
                self.at += 2;
                return Ok(());
            }
            _ => return self.wrong("unknown escape in a string"),
        }
        let Some(unit) = hex4(&self.bytes[start + 2..]) else {
            return self.wrong("`\\u` needs four hexadecimal digits");
        };
        self.at += 6;
        if !(0xd800..0xe000).contains(&unit) {
            return Ok(());
        }
        let rest = &self.bytes[self.at..];
        let low = if rest.starts_with(b"\\u") {
            hex4(&rest[2..])
        } else {
            None
        };
        let is_pair = unit < 0xdc00 && low.is_some_and(|low| (0xdc00..0xe000).contains(&low));
        if !is_pair {
            return self.wrong_at("a lone surrogate stands in a string", start);
        }
        self.at += 6;
        Ok(())
    }

    fn refuse_duplicate_keys(&self, idx: usize) -> Result<(), Wrong> {
        let object = Value {
            text: self.text,
            nodes: &self.nodes,
            idx,
        };
        let keys = || object.members().map(|(key, _)| key);
        let twice = match are_distinct(keys()) {
            Some(true) => return Ok(()),
            Some(false) => among_few(keys()),
            None if keys().nth(FEW_KEYS).is_some() => among_many(keys()),
            None => among_few(keys()),
        };
        let Some(twice) = twice else { return Ok(()) };
        let name: String = twice
            .as_str()
            .unwrap_or_default()
            .chars()
            .take(40)
            .collect();
        self.wrong_at(
            &format!("duplicate key `{}`", name.escape_debug()),
            twice.span().start,
        )
    }
}

/// Whether a few keys that are written without an escape, as nearly all are, differ. `None` where
/// they are not few, or one holds an escape.
fn are_distinct<'d>(keys: impl Iterator<Item = Value<'d>>) -> Option<bool> {
    let mut seen: [&[u8]; FEW_KEYS] = [&[]; FEW_KEYS];
    for (idx, key) in keys.enumerate() {
        let literal = key.literal()?;
        let before = seen.get(..idx)?;
        if before.contains(&literal) {
            return Some(false);
        }
        *seen.get_mut(idx)? = literal;
    }
    Some(true)
}

/// The first key that stands there a second time.
fn among_few<'d>(keys: impl Iterator<Item = Value<'d>>) -> Option<Value<'d>> {
    let mut seen: smallvec::SmallVec<[Cow<'d, str>; FEW_KEYS]> = smallvec::SmallVec::new();
    for key in keys {
        let name = key.as_str()?;
        if seen.contains(&name) {
            return Some(key);
        }
        seen.push(name);
    }
    None
}

/// The same in `n log n`, without hashing.
fn among_many<'d>(keys: impl Iterator<Item = Value<'d>>) -> Option<Value<'d>> {
    let mut named: Vec<(Cow<'d, str>, usize)> = Vec::new();
    let mut all = Vec::new();
    for key in keys {
        named.push((key.as_str()?, all.len()));
        all.push(key);
    }
    named.sort_unstable();
    let twice = named
        .windows(2)
        .filter(|pair| pair[0].0 == pair[1].0)
        .map(|pair| pair[1].1);
    twice.min().map(|at| all[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_special_byte_is_found_wherever_it_stands(
            bytes in prop::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), any::<u8>(), b' '..], 0..40),
        ) {
            let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
            prop_assert_eq!(first_special(&bytes), bytes.iter().position(is_special));
        }
    }
}
