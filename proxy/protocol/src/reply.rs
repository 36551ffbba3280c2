//! Answers of our own: what they say, whatever the dialect.

use bytes::Bytes;

/// A refusal.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    /// What the person reads.
    pub text: &'a str,
    /// The model asked for.
    pub model: &'a str,
    /// The answer's id.
    pub id: &'a str,
    /// Seconds since 1970.
    pub created: u64,
    /// Whether the client waits for an event stream.
    pub stream: bool,
    /// Whether the stream shall end with a usage chunk.
    pub include_usage: bool,
    /// Choices asked for.
    pub n_choices: u32,
    /// Whether `content` carries the text too (OpenAI).
    pub in_content: bool,
    /// `stop_details.category` (Anthropic); values that its SDK does not know become `null`.
    pub category: Option<&'a str>,
}

/// An answer of our own: a command's, or a redirection.
#[derive(Clone, Copy, Debug)]
pub struct LocalAnswer<'a> {
    /// What the person reads.
    pub text: &'a str,
    /// The model asked for.
    pub model: &'a str,
    /// The answer's id.
    pub id: &'a str,
    /// Seconds since 1970.
    pub created: u64,
    /// Whether the client waits for an event stream.
    pub stream: bool,
    /// Whether the stream shall end with a usage chunk.
    pub include_usage: bool,
    /// Choices asked for.
    pub n_choices: u32,
}

/// A whole response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `content-type`.
    pub content_type: &'static str,
    /// Body.
    pub body: Bytes,
}

impl Reply {
    pub(crate) fn json(body: String) -> Self {
        Self {
            status: 200,
            content_type: "application/json",
            body: Bytes::from(body),
        }
    }

    pub(crate) fn events(body: String) -> Self {
        Self {
            status: 200,
            content_type: "text/event-stream; charset=utf-8",
            body: Bytes::from(body),
        }
    }
}
