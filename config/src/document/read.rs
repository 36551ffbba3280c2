//! A tree into a type, reporting every fault on the way.
//!
//! serde stops at the first fault. So the fault is reported, what is wrong is cut out of the tree,
//! and the rest is read again: each round removes a value, so the rounds end.

use super::fault::{Fault, FaultKind};
use super::typed::Reader;
use super::{Entry, Node, Span, Value};
use crate::Problem;
use crate::error::{list, nearest};
use serde::de::DeserializeOwned;

/// Reports after which reading stops; more would not be read anyway.
const MAX_PROBLEMS: usize = 50;

/// Keys that the design names and this version does not have.
const LATER: [&str; 5] = ["cel", "layers", "tenants", "rollout", "locked"];

/// Reads a type out of a tree. What was wrong is reported and cut out of the tree; `None` when
/// nothing usable is left.
pub(crate) fn read<T: DeserializeOwned>(node: &mut Node, problems: &mut Vec<Problem>) -> Option<T> {
    while problems.len() < MAX_PROBLEMS {
        let mut fault = match T::deserialize(Reader(node)) {
            Ok(value) => return Some(value),
            Err(fault) => fault,
        };
        fault.steps.reverse();
        let target = Target::find(node, &fault)?;
        if !target.is_consequence(&fault.kind) {
            problems.push(target.problem(&fault.kind));
        }
        if fault.steps.is_empty() {
            return None;
        }
        cut(node, &fault.steps);
    }
    None
}

/// The place a fault is about.
struct Target<'a> {
    node: &'a Node,
    /// The entry, when the fault is about a key or a value under one.
    entry: Option<&'a Entry>,
    is_key: bool,
    /// `limits.body`, `patterns[2].then`.
    path: String,
}

impl<'a> Target<'a> {
    fn find(root: &'a Node, fault: &Fault) -> Option<Self> {
        let mut target = Self {
            node: root,
            entry: None,
            is_key: fault.is_key,
            path: String::new(),
        };
        for &idx in &fault.steps {
            if let Some(item) = target.node.items().get(idx) {
                target.path.push_str(&format!("[{idx}]"));
                (target.node, target.entry) = (item, None);
                continue;
            }
            let entry = target.node.entries().get(idx)?;
            if !target.path.is_empty() {
                target.path.push('.');
            }
            target.path.push_str(&entry.key);
            (target.node, target.entry) = (&entry.value, Some(entry));
        }
        Some(target)
    }

    /// Whether the fault only follows from one that was reported before.
    fn is_consequence(&self, kind: &FaultKind) -> bool {
        self.node.is_damaged && matches!(kind, FaultKind::Missing { .. })
    }

    fn span(&self) -> &'a Span {
        match self.entry {
            Some(entry) if self.is_key => &entry.key_span,
            // A value left blank has no place of its own.
            Some(entry)
                if self.node.span.range.is_empty() && matches!(self.node.value, Value::Null) =>
            {
                &entry.key_span
            }
            _ => &self.node.span,
        }
    }

    fn word(&self) -> &'a str {
        match self.entry {
            Some(entry) if self.is_key => &entry.key,
            _ => self.node.text().unwrap_or_default(),
        }
    }

    /// The mapping around a key, for a message: ` in `limits``.
    fn around(&self) -> String {
        let around = self
            .path
            .rsplit_once('.')
            .map(|(around, _)| format!(" in `{around}`"));
        around.unwrap_or_default()
    }

    fn problem(&self, kind: &FaultKind) -> Problem {
        match kind {
            FaultKind::WrongType { expected } => self.wrong_type(expected),
            FaultKind::UnknownKey { within, valid } => self.unknown_key(within, valid),
            FaultKind::UnknownWord { of, valid } => self.unknown_word(of, valid),
            FaultKind::Missing { key } => self.missing(key),
            FaultKind::Refused { message } => {
                Problem::new(self.span(), format!("{}{message}", self.prefix()))
            }
        }
    }

    fn prefix(&self) -> String {
        if self.path.is_empty() {
            String::new()
        } else {
            format!("`{}`: ", self.path)
        }
    }

    fn wrong_type(&self, expected: &str) -> Problem {
        let found = self.node.describe();
        let message = format!("{}expected {expected}, found {found}", self.prefix());
        let problem = Problem::new(self.span(), message).label(format!("expected {expected}"));
        match (&self.node.value, expected) {
            (Value::Null, _) => problem.help("give it a value, or remove the key"),
            (Value::Int(_) | Value::Float(_) | Value::Bool(_), "text") => {
                problem.help(format!("put it in quotes: \"{}\"", self.node.span.text()))
            }
            _ => problem,
        }
    }

    fn unknown_key(&self, within: &str, valid: &[&str]) -> Problem {
        let (key, span) = (self.word(), self.span());
        if within == "Thresholds" && key == "redact" {
            return Problem::new(
                span,
                "`redact` cannot stand in a row: classifiers give no spans",
            )
            .label("what would be replaced?")
            .help("use a pattern with `then: redact`");
        }
        if within == "Thresholds" && key == "allow" {
            return Problem::new(
                span,
                "`allow` needs no threshold: it is what happens below all others",
            )
            .help("remove it");
        }
        if LATER.contains(&key) {
            return Problem::new(span, format!("`{key}` is not supported yet"))
                .label("comes in a later version")
                .help(format!("remove it; the keys here are {}", list(valid)));
        }
        let meant = nearest(key, valid.iter().copied());
        let suggestion =
            meant.map(|meant| format!(", did you mean `{}`?", as_written(span, meant)));
        let message = format!(
            "unknown key `{key}`{}{}",
            self.around(),
            suggestion.unwrap_or_default()
        );
        Problem::new(span, message)
            .label("no such key")
            .help(format!("the keys here are {}", list(valid)))
    }

    fn unknown_word(&self, of: &str, valid: &[&str]) -> Problem {
        let (word, span, noun) = (self.word(), self.span(), noun(of));
        if of == "StreamMode" && ["speculative", "strict"].contains(&word) {
            return Problem::new(span, format!("stream mode `{word}` is not supported yet"))
                .help(format!("use one of {}", list(valid)));
        }
        let meant = nearest(word, valid.iter().copied());
        let suggestion = meant
            .map(|meant| format!(", did you mean `{meant}`?"))
            .unwrap_or_default();
        Problem::new(span, format!("unknown {noun} `{word}`{suggestion}"))
            .label(format!("no such {noun}"))
            .help(format!("expected one of {}", list(valid)))
    }

    fn missing(&self, key: &str) -> Problem {
        let around = if self.path.is_empty() {
            String::new()
        } else {
            format!(" in `{}`", self.path)
        };
        let problem = Problem::new(self.span(), format!("the key `{key}` is missing{around}"));
        let is_policy = key == "name" && (self.path.is_empty() || self.path == "policy");
        if is_policy {
            return problem
                .label("this policy has no name")
                .help("give it a `name`, or change a shipped policy with `base: balanced`");
        }
        problem
            .label(format!("`{key}` belongs here"))
            .help(format!("add `{key}: …`"))
    }
}

/// A key as it must be written at its source: a variable's name is in capitals and has a prefix.
fn as_written(span: &Span, key: &str) -> String {
    let before = span.source.text.get(..span.range.start).unwrap_or_default();
    if before.starts_with(crate::environment::PREFIX) {
        return format!("{before}{}", key.to_uppercase());
    }
    key.to_owned()
}

/// What people call the words of an enum.
fn noun(name: &str) -> &'static str {
    match name {
        "Action" => "action",
        "BlockStyle" => "block style",
        "Category" => "category",
        "Direction" => "direction",
        "FailureRule" => "failure rule",
        "Mode" => "mode",
        "Notice" => "notice rule",
        "RecordSink" => "record sink",
        "StreamMode" => "stream mode",
        "Surface" => "surface",
        _ => "word",
    }
}

/// Removes what the steps lead to and marks the way there.
fn cut(node: &mut Node, steps: &[usize]) {
    node.is_damaged = true;
    let Some((&idx, rest)) = steps.split_first() else {
        return;
    };
    match &mut node.value {
        Value::List(items) if rest.is_empty() && idx < items.len() => drop(items.remove(idx)),
        Value::Map(entries) if rest.is_empty() && idx < entries.len() => drop(entries.remove(idx)),
        Value::List(items) => {
            if let Some(item) = items.get_mut(idx) {
                cut(item, rest);
            }
        }
        Value::Map(entries) => {
            if let Some(entry) = entries.get_mut(idx) {
                cut(&mut entry.value, rest);
            }
        }
        _ => {}
    }
}
