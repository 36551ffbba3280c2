//! The tree.

use super::Span;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
    /// Something below was wrong and is gone; what is left says nothing about what was meant.
    pub(crate) is_damaged: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    /// Text without YAML around it (a variable, a flag): it is whatever its reader wants.
    Plain(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

/// A step down the tree.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    Key(&'a str),
    Item(usize),
}

impl Node {
    pub(crate) const fn new(value: Value, span: Span) -> Self {
        Self {
            value,
            span,
            is_damaged: false,
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Plain(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The node at the end of a path.
    pub(crate) fn at(&self, path: &[Step<'_>]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| match step {
            Step::Key(key) => node.get(key),
            Step::Item(idx) => node.items().get(*idx),
        })
    }

    /// What stands here, in words: "the number 3", "a list".
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("{value}"),
            Value::Int(value) => format!("the number {value}"),
            Value::Float(value) => format!("the number {value}"),
            Value::Text(text) | Value::Plain(text) => format!("`{}`", shortened(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The span of one byte offset of a text value, where the writing (quotes, escapes) allows to
    /// find it; the whole value otherwise.
    pub(crate) fn span_in_text(&self, offset: usize) -> Span {
        let Some(text) = self.text() else {
            return self.span.clone();
        };
        let inside = super::source_offset(self.span.text(), text, offset);
        inside.map_or_else(
            || self.span.clone(),
            |inside| {
                let start = self.span.range.start + inside;
                let end = (start + 1).min(self.span.range.end).max(start);
                Span::new(&self.span.source, start..end)
            },
        )
    }
}

fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= SHOWN && line.len() == text.len() {
        return text.to_owned();
    }
    line.chars().take(SHOWN).chain("…".chars()).collect()
}
