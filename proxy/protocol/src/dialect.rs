//! The dialects, and which code speaks which.

use crate::{
    Completion, ErrorKind, ErrorReply, Exchange, LocalAnswer, ParseError, ParseRules, Refusal,
    Reply, StreamReader, anthropic, openai,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName};

/// Only clients of Anthropic's send it.
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// How a client and its upstream speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `POST /v1/chat/completions`.
    OpenAiChat,
    /// `POST /v1/messages`.
    AnthropicMessages,
}

impl Dialect {
    /// The name used in config, metrics and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai_chat",
            Self::AnthropicMessages => "anthropic_messages",
        }
    }

    /// The route's name in metrics and records.
    #[must_use]
    pub const fn route_name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "chat_completions",
            Self::AnthropicMessages => "messages",
        }
    }

    /// The dialect whose shapes a client of this path most likely reads: Anthropic's when the path
    /// begins like its endpoint or the request carries `anthropic-version`, else OpenAI's.
    #[must_use]
    pub fn guess(path: &str, headers: &HeaderMap) -> Self {
        const NAME: &str = "/messages";
        let mut places = path.as_bytes().windows(NAME.len());
        let named = places.any(|place| place.eq_ignore_ascii_case(NAME.as_bytes()))
            || headers.contains_key(ANTHROPIC_VERSION);
        if named {
            Self::AnthropicMessages
        } else {
            Self::OpenAiChat
        }
    }

    /// Reads a request. Nothing in it is left out: every text is a part, or is reported as
    /// unscreened with a reason, or is refused.
    ///
    /// # Errors
    /// The body is not strict JSON, not of the dialect's shape, or holds something that `rules`
    /// refuse. The message names the place and the mend.
    pub fn parse(self, body: Bytes, rules: &ParseRules) -> Result<Exchange, ParseError> {
        match self {
            Self::OpenAiChat => openai::request::parse(body, rules),
            Self::AnthropicMessages => anthropic::request::parse(body, rules),
        }
    }

    /// Reads a whole answer of the upstream; `depth` bounds the nesting.
    ///
    /// # Errors
    /// The body is not strict JSON or not an answer of the dialect.
    pub fn parse_completion(self, body: Bytes, depth: usize) -> Result<Completion, ParseError> {
        match self {
            Self::OpenAiChat => openai::response::parse(body, depth),
            Self::AnthropicMessages => anthropic::response::parse(body, depth),
        }
    }

    /// A whole refusal of our own, as JSON or as an event stream by `refusal.stream`.
    #[must_use]
    pub fn refusal(self, refusal: &Refusal<'_>) -> Reply {
        match self {
            Self::OpenAiChat => openai::reply::refusal(refusal),
            Self::AnthropicMessages => anthropic::reply::refusal(refusal),
        }
    }

    /// A whole answer of our own, as JSON or as an event stream by `answer.stream`.
    #[must_use]
    pub fn answer(self, answer: &LocalAnswer<'_>) -> Reply {
        match self {
            Self::OpenAiChat => openai::reply::answer(answer),
            Self::AnthropicMessages => anthropic::reply::answer(answer),
        }
    }

    /// An error in the dialect's own shape.
    #[must_use]
    pub fn error(self, kind: ErrorKind, message: &str, request_id: &str) -> ErrorReply {
        match self {
            Self::OpenAiChat => openai::reply::error(kind, message),
            Self::AnthropicMessages => anthropic::reply::error(kind, message, request_id),
        }
    }

    /// A reader for the stream that answers `exchange`.
    #[must_use]
    pub fn stream(self, exchange: &Exchange) -> StreamReader {
        StreamReader::new(self, exchange)
    }
}
