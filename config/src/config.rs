//! The configuration document: where to listen, what stands behind, how much is too much.

use crate::Policy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything the server needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Data plane; 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// Admin plane; 127.0.0.1:9090.
    pub admin: SocketAddr,
    /// TLS on the data plane; plain HTTP without it.
    pub tls: Option<Tls>,
    /// Where requests go.
    pub upstreams: Upstreams,
    /// How much is too much.
    pub limits: Limits,
    /// How long is too long.
    pub timeouts: Timeouts,
    /// What passes besides text.
    pub content: ContentRules,
    /// Paths we do not know.
    pub unknown_endpoints: UnknownEndpoints,
    /// How a refusal looks, by dialect.
    pub refusals: Refusals,
    /// AI labels.
    pub labels: Labels,
    /// Chat commands.
    pub commands: Commands,
    /// Moderation of streams.
    pub stream: Stream,
    /// Where decision records go.
    pub record: RecordSink,
    /// Who is asking.
    pub identity: IdentityRules,
    /// The policy, resolved from a shipped name, a file or inline.
    pub policy: Policy,
}

/// Certificate and key, PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain file.
    pub cert: PathBuf,
    /// Private key file.
    pub key: PathBuf,
}

/// Base URLs, without a path of an endpoint (`https://api.openai.com`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Upstreams {
    /// For `/v1/chat/completions` and `/v1/models`.
    pub openai: Option<String>,
    /// For `/v1/messages`.
    pub anthropic: Option<String>,
}

/// Limits; each is refused with an error that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request body, after decompression; 32 MiB.
    pub body: u64,
    /// Bytes of an upstream's whole answer, after decompression; 64 MiB.
    pub answer: u64,
    /// Bytes of one stream event; 16 MiB.
    pub event: u64,
    /// Nesting of JSON; 64.
    pub depth: usize,
    /// Decompressed bytes per compressed byte; 100.
    pub decompression_ratio: u32,
    /// Bytes of all request heads; 64 KiB.
    pub header: usize,
}

/// Time limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Connecting to an upstream; 5 s.
    pub connect: Duration,
    /// From the request to the head of the answer; 120 s.
    pub upstream: Duration,
    /// Between two pieces of an answer; 60 s.
    pub idle: Duration,
    /// Reading a request head or body; 30 s.
    pub read: Duration,
    /// For one screening; 5 s.
    pub screen: Duration,
    /// For exchanges in flight at shutdown; 30 s.
    pub drain: Duration,
}

/// Pass or refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PassOrRefuse {
    /// Let it pass; coverage is partial.
    Pass,
    /// Refuse the request.
    Refuse,
}

/// What passes besides text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContentRules {
    /// Images; pass.
    pub images: PassOrRefuse,
    /// Audio; pass.
    pub audio: PassOrRefuse,
    /// Files; refuse.
    pub files: PassOrRefuse,
    /// Part types we do not know; refuse.
    pub unknown: PassOrRefuse,
}

impl Default for ContentRules {
    fn default() -> Self {
        Self {
            images: PassOrRefuse::Pass,
            audio: PassOrRefuse::Pass,
            files: PassOrRefuse::Refuse,
            unknown: PassOrRefuse::Refuse,
        }
    }
}

/// What happens on paths we do not know.
pub type UnknownEndpoints = PassOrRefuse;

/// How a block looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlockStyle {
    /// The dialect's own refusal, status 200.
    #[default]
    Refusal,
    /// Status 400, `code: content_filter`.
    Error,
}

/// How a block looks on one route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RefusalRules {
    /// Refusal or error.
    pub block_style: BlockStyle,
    /// OpenAI: put the text into `content` too, for clients that drop `refusal`.
    pub refusal_in_content: bool,
}

/// How a block looks, by dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Refusals {
    /// `/v1/chat/completions`.
    pub openai: RefusalRules,
    /// `/v1/messages`.
    pub anthropic: RefusalRules,
}

/// When the visible notice is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// Never; the headers still say it.
    #[default]
    Never,
    /// In the first answer of a conversation.
    FirstTurn,
    /// In the first answer and every `n` user turns after it.
    EveryTurns(u32),
}

/// AI labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Labels {
    /// When the visible notice is shown; never.
    pub notice: Notice,
    /// Its language, a key of the built-in texts; `en`.
    pub language: String,
    /// Its text, instead of the built-in one.
    pub text: Option<String>,
}

impl Default for Labels {
    fn default() -> Self {
        Self { notice: Notice::Never, language: "en".to_owned(), text: None }
    }
}

/// A command of the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomCommand {
    /// With its slash: `/help`.
    pub name: String,
    /// What is answered.
    pub say: String,
}

/// Chat commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Commands {
    /// Whether commands are answered at all; yes.
    pub enabled: bool,
    /// Other spellings of `/reset-ai`.
    pub reset_aliases: Vec<String>,
    /// The operator's own.
    pub custom: Vec<CustomCommand>,
}

impl Default for Commands {
    fn default() -> Self {
        Self { enabled: true, reset_aliases: Vec::new(), custom: Vec::new() }
    }
}

/// How streams are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamMode {
    /// Whole events leave as soon as their text is screened.
    #[default]
    Balanced,
    /// Nothing leaves before the whole answer is screened.
    Buffer,
}

/// Moderation of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// How text is held.
    pub mode: StreamMode,
    /// How often a tail short of a grid point is scored; 100 ms.
    pub pace: Duration,
    /// A comment is sent when nothing left for so long; 15 s.
    pub keep_alive: Duration,
}

/// Where decision records go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordSink {
    /// Nowhere but the metrics.
    None,
    /// Standard output, one JSON object a line.
    #[default]
    Stdout,
    /// Appended to a file.
    File(PathBuf),
}

/// Who is asking.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityRules {
    /// Believe `x-portcullis-subject` and `x-portcullis-conversation`; only behind a trusted backend.
    pub trust_headers: bool,
}
