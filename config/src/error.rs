//! What is wrong with an operator's file, and where.

use crate::document::Span;
use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A position in a file, an environment variable or a flag; lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, the environment variable, or `command line`.
    pub name: String,
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.name, self.line, self.column)
    }
}

/// One thing that is wrong: what, where, and how to mend it.
#[derive(Clone, Debug)]
pub struct Problem {
    message: String,
    place: Place,
    help: Option<String>,
    labels: Vec<LabeledSpan>,
    source: NamedSource<Arc<str>>,
}

impl Problem {
    /// Credentials in URLs show as stars, in the message and in the lines around it.
    pub(crate) fn new(span: &Span, message: impl Into<String>) -> Self {
        let len = span.range.len().max(1);
        let text = match without_credentials(&span.source.text) {
            Cow::Borrowed(_) => Arc::clone(&span.source.text),
            Cow::Owned(text) => text.into(),
        };
        Self {
            message: without_credentials(&message.into()).into_owned(),
            place: span.place(),
            help: None,
            labels: vec![LabeledSpan::new_primary_with_span(
                None,
                (span.range.start, len),
            )],
            source: NamedSource::new(&span.source.name, text),
        }
    }

    /// The words under the caret.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.set_label(Some(label.into()));
        }
        self
    }

    /// A second place in the same source.
    pub(crate) fn also(mut self, span: &Span, label: &str) -> Self {
        if span.source.name == self.place.name {
            let range = (span.range.start, span.range.len().max(1));
            self.labels
                .push(LabeledSpan::new_with_span(Some(label.to_owned()), range));
        }
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What is wrong, in one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// How to mend it.
    #[must_use]
    pub fn help_text(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// Why a configuration or a policy cannot be used. Rendered by miette it shows every problem with
/// its line and a caret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{} cannot be read{}", path.display(), named_in(named_at.as_ref()))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where another file names it.
        named_at: Option<Place>,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something in a document is wrong.
    #[error("{}", headline(problems))]
    Invalid {
        /// What, in reading order; never empty.
        problems: Vec<Problem>,
    },
}

fn named_in(place: Option<&Place>) -> String {
    place
        .map(|place| format!(" (named at {place})"))
        .unwrap_or_default()
}

fn headline(problems: &[Problem]) -> &str {
    problems
        .first()
        .map_or("the document cannot be used", Problem::message)
}

impl ConfigError {
    /// The error for at least one problem, in reading order.
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        let key = |problem: &Problem| (problem.place.line, problem.place.column);
        problems.sort_by(|a, b| a.place.name.cmp(&b.place.name).then(key(a).cmp(&key(b))));
        // `--upstream` stands in two places of the tree.
        problems.dedup_by(|a, b| a.place == b.place && a.message == b.message);
        Self::Invalid { problems }
    }

    /// Says which line named the file that cannot be read.
    pub(crate) fn named_at(self, place: Place) -> Self {
        match self {
            Self::Unreadable { path, source, .. } => Self::Unreadable {
                path,
                named_at: Some(place),
                source,
            },
            other => other,
        }
    }

    /// Every problem in the documents, in reading order; empty when a file could not be read.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        let problems = match self {
            Self::Unreadable { .. } => [].as_slice(),
            Self::Invalid { problems } => problems,
        };
        problems.iter()
    }

    /// Whether the surroundings are at fault (a file that cannot be read), not a document.
    #[must_use]
    pub const fn is_environment(&self) -> bool {
        matches!(self, Self::Unreadable { .. })
    }

    fn first(&self) -> Option<&Problem> {
        self.problems().next()
    }
}

impl Diagnostic for ConfigError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.first()?.help()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.first()?.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.first()?.labels()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(
            self.problems()
                .skip(1)
                .map(|problem| problem as &dyn Diagnostic),
        ))
    }
}

/// The text with a star for every byte of what may be credentials in a URL; offsets stay.
fn without_credentials(text: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(text);
    for (scheme_end, _) in text.match_indices("://") {
        let start = scheme_end + "://".len();
        let rest = text.get(start..).unwrap_or_default();
        let url = rest
            .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`'))
            .next();
        if let Some(len) = url.and_then(|url| url.rfind('@')) {
            shown
                .to_mut()
                .replace_range(start..start + len, &"*".repeat(len));
        }
    }
    shown
}

/// The valid word that was probably meant.
pub(crate) fn nearest<'a>(word: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = word.to_lowercase().replace(['-', ' '], "_");
    let distances = valid.into_iter().map(|valid| {
        let longest = plain.chars().count().max(valid.chars().count());
        (strsim::damerau_levenshtein(&plain, valid), longest, valid)
    });
    let (distance, longest, valid) = distances.min_by_key(|(distance, ..)| *distance)?;
    (distance <= longest.div_ceil(3)).then_some(valid)
}

/// `a, b and c`.
pub(crate) fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
