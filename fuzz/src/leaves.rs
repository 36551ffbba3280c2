//! A reading of JSON that owes nothing to the gate's: every string with its place and its bytes.
//!
//! `serde_json` says whether a body is JSON at all. The scanner here runs over such a body, so it
//! needs no error handling, and finds what `serde_json` hides: where strings stand, how deep the
//! nesting goes, and whether a key comes twice.

use serde_json::Value;
use std::collections::BTreeSet;
use std::ops::Range;

/// What an independent reader says about a body.
#[derive(Clone, Debug)]
pub enum Reading {
    /// No JSON, or a key stands in one object twice: the gate must refuse it.
    Broken,
    /// JSON by its grammar, with a number that `serde_json` cannot hold.
    HugeNumber,
    /// JSON that every reader reads alike.
    Sound(Document),
}

/// A body that every reader reads alike.
#[derive(Clone, Debug)]
pub struct Document {
    /// What `serde_json` makes of it.
    pub value: Value,
    /// Every string, keys too, in the order of the body.
    pub leaves: Vec<Leaf>,
    /// Deepest nesting of arrays and objects.
    pub depth: usize,
}

/// A string of a body.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The way to it; for a key the way to its object.
    pub path: Vec<Step>,
    /// Its literal, quotes included.
    pub span: Range<usize>,
    /// Its text, escapes undone by `serde_json`.
    pub text: String,
    /// Whether it is a key.
    pub is_key: bool,
}

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A member, and the byte at which its key begins.
    Key(String, usize),
    /// An item.
    Item(usize),
}

/// Reads a body.
#[must_use]
pub fn read(body: &[u8]) -> Reading {
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) if error.to_string().starts_with("number out of range") => {
            return Reading::HugeNumber;
        }
        Err(_) => return Reading::Broken,
    };
    let mut scan = Scan {
        body,
        at: 0,
        path: Vec::new(),
        leaves: Vec::new(),
        depth: 0,
        level: 0,
        has_twins: false,
    };
    scan.value();
    if scan.has_twins {
        return Reading::Broken;
    }
    Reading::Sound(Document {
        value,
        leaves: scan.leaves,
        depth: scan.depth,
    })
}

impl Document {
    /// The value with another string in the place of the leaf whose literal is `span`.
    #[must_use]
    pub fn replaced(&self, span: &Range<usize>, text: &str) -> Option<Value> {
        let leaf = self
            .leaves
            .iter()
            .find(|leaf| !leaf.is_key && leaf.span == *span)?;
        let mut value = self.value.clone();
        let mut place = &mut value;
        for step in &leaf.path {
            place = match step {
                Step::Key(key, _) => place.get_mut(key)?,
                Step::Item(idx) => place.get_mut(idx)?,
            };
        }
        *place = Value::from(text);
        Some(value)
    }

    /// The leaf of a literal.
    #[must_use]
    pub fn leaf_at(&self, span: &Range<usize>) -> Option<&Leaf> {
        self.leaves
            .iter()
            .find(|leaf| !leaf.is_key && leaf.span == *span)
    }
}

impl Leaf {
    /// The key it stands under, items aside.
    #[must_use]
    pub fn name(&self) -> &str {
        let keys = self.path.iter().rev().find_map(|step| match step {
            Step::Key(key, _) => Some(key.as_str()),
            Step::Item(_) => None,
        });
        keys.unwrap_or_default()
    }

    /// Whether some key on the way to it is one of these.
    #[must_use]
    pub fn is_below(&self, names: &[&str]) -> bool {
        self.path
            .iter()
            .any(|step| matches!(step, Step::Key(key, _) if names.contains(&key.as_str())))
    }
}

struct Scan<'b> {
    body: &'b [u8],
    at: usize,
    path: Vec<Step>,
    leaves: Vec<Leaf>,
    depth: usize,
    level: usize,
    has_twins: bool,
}

impl Scan<'_> {
    fn skip_space(&mut self) -> u8 {
        while self.body[self.at].is_ascii_whitespace() {
            self.at += 1;
        }
        self.body[self.at]
    }

    fn value(&mut self) {
        match self.skip_space() {
            b'"' => {
                self.string(false);
            }
            b'{' => self.container(true),
            b'[' => self.container(false),
            _ => {
                let ends =
                    |byte: &u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
                let rest = &self.body[self.at..];
                self.at += rest.iter().position(ends).unwrap_or(rest.len());
            }
        }
    }

    fn container(&mut self, is_object: bool) {
        self.level += 1;
        self.depth = self.depth.max(self.level);
        let mut keys = BTreeSet::new();
        let mut idx = 0;
        self.at += 1;
        while !matches!(self.skip_space(), b'}' | b']') {
            let step = if is_object {
                let start = self.at;
                let key = self.string(true);
                self.skip_space();
                self.at += 1;
                self.has_twins |= !keys.insert(key.clone());
                Step::Key(key, start)
            } else {
                Step::Item(idx)
            };
            idx += 1;
            self.path.push(step);
            self.value();
            self.path.pop();
            if self.skip_space() == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        self.level -= 1;
    }

    fn string(&mut self, is_key: bool) -> String {
        let start = self.at;
        self.at += 1;
        while self.body[self.at] != b'"' {
            self.at += if self.body[self.at] == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        let span = start..self.at;
        let text: String = serde_json::from_slice(&self.body[span.clone()]).expect("a string");
        self.leaves.push(Leaf {
            path: self.path.clone(),
            span,
            text: text.clone(),
            is_key,
        });
        text
    }
}
