//! YAML text into a tree, under limits.

use super::{Entry, Node, Source, Span, Value};
use crate::Problem;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};
use std::fmt;
use std::sync::Arc;

/// Largest document in bytes; far above any configuration, far below harm.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// Reads one YAML document; `None` when a fault of syntax or a limit makes it unreadable. That is
/// reported, and so are duplicate keys, of which the later ones are dropped.
pub(crate) fn parse(source: &Arc<Source>, problems: &mut Vec<Problem>) -> Option<Node> {
    if source.text.len() > MAX_BYTES {
        let start = Span::new(source, 0..0);
        problems.push(Problem::new(&start, "the document is larger than 1 MiB"));
        return None;
    }
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(&source.text, options()) {
        Ok(tree) => Some(Builder { source, problems }.node(tree)),
        Err(error) => {
            problems.push(syntax_problem(source, &error));
            None
        }
    }
}

/// Everything that an alias bomb or deep nesting could use up is bounded.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        strict_booleans: true,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_nodes: 50_000,
            max_events: 200_000,
            max_aliases: 1_000,
            max_documents: 2,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 50_000,
            max_replay_stack_depth: 8,
        },
    }
}

fn syntax_problem(source: &Arc<Source>, error: &serde_saphyr::Error) -> Problem {
    let error = error.without_snippet();
    let location = error.location().unwrap_or(Location::UNKNOWN);
    let span = span(source, location);
    if matches!(error, serde_saphyr::Error::MultipleDocuments { .. }) {
        return Problem::new(&span, "a second YAML document begins here")
            .help("keep one document to a file and remove the `---`");
    }
    let message = error.to_string();
    let message = message
        .split(" at line ")
        .next()
        .unwrap_or_default()
        .trim_end_matches([':', ',']);
    Problem::new(&span, format!("the YAML cannot be read: {message}"))
}

/// Bytes where the parser knows them; else counted from line and column.
fn span(source: &Arc<Source>, location: Location) -> Span {
    let span = location.span();
    if let (Some(start), Some(len)) = (span.byte_offset(), span.byte_len()) {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::try_from(len).unwrap_or(0));
        return trimmed(Span::new(source, start..end));
    }
    let skipped = usize::try_from(location.line().saturating_sub(1)).unwrap_or(0);
    let column = usize::try_from(location.column().saturating_sub(1)).unwrap_or(0);
    let lines = source.text.split_inclusive('\n');
    let line_start = lines.clone().take(skipped).map(str::len).sum::<usize>();
    let line = lines.skip(skipped).take(1).collect::<String>();
    let inside = line.chars().take(column).map(char::len_utf8).sum::<usize>();
    let start = line_start + inside;
    Span::new(source, start..start + 1)
}

/// Block texts reach to the next token; white space at the end is no part of the value.
fn trimmed(span: Span) -> Span {
    let len = span.text().trim_end().len();
    let start = span.range.start;
    Span {
        range: start..start + len,
        ..span
    }
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    problems: &'a mut Vec<Problem>,
}

impl Builder<'_> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let span = span(self.source, raw.referenced);
        let value = match raw.value {
            Raw::Scalar(value) => value,
            Raw::List(items) => {
                Value::List(items.into_iter().map(|item| self.node(item)).collect())
            }
            Raw::Map(entries) => Value::Map(self.entries(entries)),
        };
        Node::new(value, span)
    }

    fn entries(&mut self, raw: Vec<(Spanned<String>, Spanned<Raw>)>) -> Vec<Entry> {
        let mut entries = Vec::<Entry>::with_capacity(raw.len());
        for (key, value) in raw {
            let key_span = span(self.source, key.referenced);
            let value = self.node(value);
            if let Some(first) = entries.iter().find(|entry| entry.key == key.value) {
                self.problems
                    .push(duplicate(&key.value, &key_span, &first.key_span));
                continue;
            }
            entries.push(Entry {
                key: key.value,
                key_span,
                value,
            });
        }
        entries
    }
}

fn duplicate(key: &str, span: &Span, first: &Span) -> Problem {
    Problem::new(span, format!("the key `{key}` stands twice in one mapping"))
        .label("here again")
        .also(first, "first here")
        .help("remove one of the two")
}

/// What the parser gives before places are turned into spans.
enum Raw {
    Scalar(Value),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Int(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Int(value.into())))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Int(value)))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Raw, E> {
        let value = i128::try_from(value).map_err(|_| E::custom("a number is too large"))?;
        Ok(Raw::Scalar(Value::Int(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Text(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
