//! The policy document: what the operator wants done about what.

use portcullis_text::{Category, Surface};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is done about an exchange, weakest first; the order is the precedence.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    #[default]
    Allow,
    /// Note it in the record and the metrics.
    Annotate,
    /// Replace the matched text.
    Redact,
    /// Let it pass with a disclaimer appended.
    Disclaim,
    /// Answer with the policy's own text instead of the model's.
    Redirect,
    /// Refuse.
    Block,
}

impl Action {
    /// Every action, weakest first.
    pub const ALL: [Self; 6] = [
        Self::Allow,
        Self::Annotate,
        Self::Redact,
        Self::Disclaim,
        Self::Redirect,
        Self::Block,
    ];

    /// The name used in policies, headers, metrics and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Annotate => "annotate",
            Self::Redact => "redact",
            Self::Disclaim => "disclaim",
            Self::Redirect => "redirect",
            Self::Block => "block",
        }
    }
}

/// Whether decisions are acted on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Act on the decision.
    #[default]
    Enforce,
    /// Only record it: nothing is changed and nothing is held.
    Observe,
}

impl Mode {
    /// The name used in metrics and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
        }
    }
}

/// A cut-off on the score scale, in `[0, 1]`: only a share `1 - t` of harmless texts reaches it.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f32", into = "f32")]
#[schemars(with = "f32", extend("minimum" = 0, "maximum" = 1))]
pub struct Threshold(f32);

/// A threshold outside `[0, 1]`.
#[derive(Debug, thiserror::Error)]
#[error("threshold {value} is not between 0 and 1; 0.99 is reached by 1 % of harmless texts")]
pub struct ThresholdError {
    /// The value that was written.
    pub value: f32,
}

impl Threshold {
    /// Checks and wraps.
    ///
    /// # Errors
    /// [`ThresholdError`] when the value is not in `[0, 1]`.
    pub fn new(value: f32) -> Result<Self, ThresholdError> {
        if (0.0..=1.0).contains(&value) {
            return Ok(Self(value));
        }
        Err(ThresholdError { value })
    }

    /// Whether a score reaches the cut-off.
    #[must_use]
    pub fn is_met_by(self, score: f32) -> bool {
        self.0 <= score
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> f32 {
        self.0
    }
}

impl TryFrom<f32> for Threshold {
    type Error = ThresholdError;

    fn try_from(value: f32) -> Result<Self, Self::Error> {
        Self::new(value)
    }
}

impl From<Threshold> for f32 {
    fn from(threshold: Threshold) -> Self {
        threshold.0
    }
}

/// One threshold per action; an action without one is never taken by this row.
///
/// A stronger action must not have a lower threshold than a weaker one beside it.
/// Classifiers give no spans, so `redact` belongs to patterns and is refused here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Record it from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotate: Option<Threshold>,
    /// Append the disclaimer from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disclaim: Option<Threshold>,
    /// Answer with `redirect_text` from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Threshold>,
    /// Refuse from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<Threshold>,
}

/// The rows of one category: thresholds by surface, and what is said.
///
/// `prompt` covers every input surface that has no thresholds of its own, except that
/// classifiers only annotate on `system`. `completion` covers `reasoning` likewise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CategoryRules {
    /// Every input surface without thresholds of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Thresholds>,
    /// System and developer text; only `annotate` is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<Thresholds>,
    /// User turns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Thresholds>,
    /// Assistant turns sent back by the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assistant: Option<Thresholds>,
    /// Tool-call arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call: Option<Thresholds>,
    /// Tool results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_result: Option<Thresholds>,
    /// Documents, tool descriptions and schemas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<Thresholds>,
    /// Answers of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion: Option<Thresholds>,
    /// Reasoning shown beside an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Thresholds>,
    /// The clause a refusal cites.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub cite: Option<String>,
    /// What is answered on `redirect`; required where a row redirects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub redirect_text: Option<String>,
    /// What is appended on `disclaim`; a sensible text is built in for each advice topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub disclaimer: Option<String>,
}

impl CategoryRules {
    /// The thresholds that hold on a surface.
    #[must_use]
    pub fn on(&self, surface: Surface) -> Option<&Thresholds> {
        let own = match surface {
            Surface::System => &self.system,
            Surface::User => &self.user,
            Surface::Assistant => &self.assistant,
            Surface::ToolCall => &self.tool_call,
            Surface::ToolResult => &self.tool_result,
            Surface::Document => &self.document,
            Surface::Completion => &self.completion,
            Surface::Reasoning => &self.reasoning,
        };
        let fallback = if surface.is_prompt() {
            &self.prompt
        } else {
            &self.completion
        };
        own.as_ref().or(fallback.as_ref())
    }
}

/// Which way a pattern looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Text towards the model, on every input surface.
    Prompt,
    /// Text from the model, reasoning and tool calls included.
    Completion,
}

/// A pattern of the operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Name, unique in the policy.
    pub id: String,
    /// Regular expressions (linear time, case-insensitive) that match.
    pub deny: Vec<String>,
    /// A match of `deny` inside a match of one of these does not count.
    #[serde(default)]
    pub allow: Vec<String>,
    /// What is done about a match.
    pub then: Action,
    /// Where it looks; both ways by default.
    #[serde(default = "both_directions")]
    pub directions: Vec<Direction>,
    /// What replaces a match on `redact`.
    #[serde(default = "default_replacement")]
    pub replacement: String,
    /// The clause a refusal cites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub cite: Option<String>,
    /// What is answered on `redirect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub redirect_text: Option<String>,
    /// What is appended on `disclaim`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub disclaimer: Option<String>,
}

fn both_directions() -> Vec<Direction> {
    vec![Direction::Prompt, Direction::Completion]
}

fn default_replacement() -> String {
    "[redacted]".to_owned()
}

/// What happens when a classifier cannot answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureRule {
    /// The exchange fails with a retryable error.
    Closed,
    /// The exchange goes on, and its coverage says what was not screened.
    Open,
    /// The next lower tier decides.
    LowerTier,
}

/// One failure rule per classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OnFailure {
    /// The transformer encoder.
    pub encoder: FailureRule,
    /// The linear tier; it has no lower tier.
    pub linear: FailureRule,
}

impl Default for OnFailure {
    fn default() -> Self {
        Self {
            encoder: FailureRule::LowerTier,
            linear: FailureRule::Closed,
        }
    }
}

/// A sentence and what the policy must do about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyTest {
    /// The text.
    pub say: String,
    /// Where it stands; a user turn by default.
    #[serde(default = "user_surface")]
    pub on: Surface,
    /// The action that must come out.
    pub expect: Action,
    /// The category whose row must decide, when that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Category")]
    pub category: Option<Category>,
}

const fn user_surface() -> Surface {
    Surface::User
}

/// A policy document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Name, shown in `x-portcullis-policy`.
    pub name: String,
    /// Whether decisions are acted on.
    #[serde(default)]
    pub mode: Mode,
    /// Rows by hazard or topic.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::category_rows")]
    pub categories: BTreeMap<Category, CategoryRules>,
    /// Rows by attack (`jailbreak`, `injection`).
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::attack_rows")]
    pub attacks: BTreeMap<Category, CategoryRules>,
    /// The operator's patterns.
    #[serde(default)]
    pub patterns: Vec<Pattern>,
    /// What happens when a classifier cannot answer.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Sentences for `portcullis policy test`.
    #[serde(default)]
    pub tests: Vec<PolicyTest>,
}
