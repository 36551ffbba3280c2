//! What goes into a decision and what comes out of it.

use portcullis_config::{Action, Mode};
use portcullis_text::{
    Category, Detector, Label, PartId, PatternId, Span, Surface, Vectors, View, Window,
};
use serde::Serialize;

/// A place where a pattern of the policy matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Match {
    /// Which pattern.
    pub id: PatternId,
    /// Where the text stands.
    pub surface: Surface,
    /// The bytes that matched, in the part's original text.
    pub span: Span,
    /// The reading it was seen in.
    pub view: View,
    /// Whether the text can still be replaced. In a stream, what a disguise hides may have begun to
    /// leave before it can be read; what would be redacted is then blocked.
    pub replaceable: bool,
}

/// Everything that is known about an exchange, or about one side of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// What the classifiers gave, in any order.
    pub windows: &'a [Window],
    /// What the patterns matched, in any order.
    pub matches: &'a [Match],
}

/// What a policy concludes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// The verdict: the strongest action that any row asks for.
    pub action: Action,
    /// What is really done: the verdict, or `allow` in observe mode.
    pub enforced: Action,
    /// Where the exchange goes from here; always [`Terminal::Forward`] in observe mode.
    pub terminal: Terminal,
    /// What is replaced, by part and position, without overlaps; empty in observe mode.
    pub redactions: Vec<Redaction>,
    /// What is appended to the answer, each text once; empty in observe mode.
    pub disclaimers: Vec<String>,
    /// Every row that was reached, strongest first; the first one decided.
    pub rows: Vec<RowHit>,
    /// Whether the decision is acted on.
    pub mode: Mode,
}

impl Decision {
    /// The refusal, when the exchange is blocked.
    #[must_use]
    pub const fn refusal(&self) -> Option<&RefusalText> {
        match &self.terminal {
            Terminal::Block(refusal) => Some(refusal),
            Terminal::Forward | Terminal::Redirect(_) => None,
        }
    }

    /// The row that decided.
    #[must_use]
    pub fn deciding(&self) -> Option<&RowHit> {
        self.rows.first()
    }
}

/// Where an exchange goes after a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Terminal {
    /// On its way.
    Forward,
    /// Nowhere: the person is told so.
    Block(RefusalText),
    /// Nowhere: the person gets this text instead.
    Redirect(String),
}

/// What a person is told when something is refused: the clause, never the words that matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusalText {
    /// The sentence.
    pub text: String,
    /// What the deciding row is about.
    pub label: Label,
    /// The clause, as the policy cites it.
    pub cite: Option<String>,
}

impl RefusalText {
    /// The category, when a classifier's row decided.
    #[must_use]
    pub const fn category(&self) -> Option<Category> {
        match self.label {
            Label::Category(category) => Some(category),
            Label::Pattern(_) => None,
        }
    }
}

/// Bytes that are replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Redaction {
    /// What goes, in bytes of the part's original text.
    pub span: Span,
    /// What comes in its place.
    pub replacement: String,
}

/// A row of the policy that was reached, with the evidence that reached it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RowHit {
    /// The category or pattern.
    pub label: Label,
    /// Where the text stands.
    pub surface: Surface,
    /// What the row asks for.
    pub action: Action,
    /// The score: the largest over the windows of that surface, 1 for patterns.
    pub score: f32,
    /// What the score was compared with, 1 for patterns.
    pub threshold: f32,
    /// Who saw it.
    pub detector: Detector,
    /// The part in which it was seen first at that score.
    pub part: PartId,
    /// The reading it was seen in.
    pub view: View,
    /// By which ways the text tries to get round a guard.
    pub vectors: Vectors,
}
