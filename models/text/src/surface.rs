//! Where a text stands in an exchange.

use serde::{Deserialize, Serialize};

/// Where a text stands: who wrote it, and which way it goes.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// System and developer text: the operator's own.
    System,
    /// What the person wrote.
    User,
    /// Earlier answers of the model, as the client sends them back (untrusted: a client can forge them).
    Assistant,
    /// Arguments of a tool call, in the history or in an answer.
    ToolCall,
    /// What a tool gave back.
    ToolResult,
    /// Documents, tool descriptions, schemas and other material that came along.
    Document,
    /// The answer of the model.
    Completion,
    /// Reasoning of the model shown beside its answer.
    Reasoning,
}

impl Surface {
    /// Every surface, in declaration order; `ALL[s.index()] == s`.
    pub const ALL: [Self; 8] = [
        Self::System,
        Self::User,
        Self::Assistant,
        Self::ToolCall,
        Self::ToolResult,
        Self::Document,
        Self::Completion,
        Self::Reasoning,
    ];

    /// Number of surfaces.
    pub const COUNT: usize = Self::ALL.len();

    /// Position in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name used in config, metrics and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::ToolCall => "tool_call",
            Self::ToolResult => "tool_result",
            Self::Document => "document",
            Self::Completion => "completion",
            Self::Reasoning => "reasoning",
        }
    }

    /// Whether this text goes towards the model (the policy's `prompt`).
    #[must_use]
    pub const fn is_prompt(self) -> bool {
        !matches!(self, Self::Completion | Self::Reasoning)
    }
}

/// Number of a part within its exchange: prompt parts first, then completion parts, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartId(pub u32);
