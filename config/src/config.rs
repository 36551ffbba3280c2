//! The configuration document: where to listen, what stands behind, how much is too much.

use crate::Policy;
use crate::units::{address, duration, size};
use crate::{schema, units};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything the server needs to know.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the data plane; 127.0.0.1:8080.
    #[serde(default = "default_listen", with = "address")]
    #[schemars(with = "units::Address")]
    pub listen: SocketAddr,
    /// Address of the admin plane (metrics, health); 127.0.0.1:9090.
    #[serde(default = "default_admin", with = "address")]
    #[schemars(with = "units::Address")]
    pub admin: SocketAddr,
    /// TLS on the data plane; plain HTTP without it.
    #[serde(default)]
    #[schemars(with = "Tls")]
    pub tls: Option<Tls>,
    /// Where requests go; `--upstream` sets both.
    #[serde(default)]
    pub upstreams: Upstreams,
    /// How much is too much.
    #[serde(default)]
    pub limits: Limits,
    /// How long is too long.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// What passes besides text.
    #[serde(default)]
    pub content: ContentRules,
    /// Paths we do not know: refused, or passed on unscreened; refuse.
    #[serde(default = "refuse")]
    pub unknown_endpoints: UnknownEndpoints,
    /// How a refusal looks, by dialect.
    #[serde(default)]
    pub refusals: Refusals,
    /// AI labels.
    #[serde(default)]
    pub labels: Labels,
    /// Chat commands.
    #[serde(default)]
    pub commands: Commands,
    /// Moderation of streams.
    #[serde(default)]
    pub stream: Stream,
    /// Where decision records go; stdout.
    #[serde(default)]
    pub record: RecordSink,
    /// Who is asking.
    #[serde(default)]
    pub identity: IdentityRules,
    /// The transformer encoder above the linear tier; the embedded one.
    #[serde(default)]
    pub encoder: Encoder,
    /// The policy: a shipped name, or a mapping that is a policy, names a `file`, or changes a
    /// shipped `base`; balanced.
    #[schemars(schema_with = "schema::policy_choice")]
    pub policy: Policy,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

fn default_admin() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9090))
}

const fn refuse() -> UnknownEndpoints {
    UnknownEndpoints::Refuse
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
    /// For `/v1/chat/completions` and `/v1/models`; none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "units::Url")]
    pub openai: Option<String>,
    /// For `/v1/messages`; none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "units::Url")]
    pub anthropic: Option<String>,
}

/// Limits; each is refused with an error that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of a request body, after decompression; 32 MiB.
    #[serde(with = "size")]
    #[schemars(with = "units::Size")]
    pub body: u64,
    /// Bytes of an upstream's whole answer, after decompression; 64 MiB.
    #[serde(with = "size")]
    #[schemars(with = "units::Size")]
    pub answer: u64,
    /// Bytes of one stream event; 16 MiB.
    #[serde(with = "size")]
    #[schemars(with = "units::Size")]
    pub event: u64,
    /// Nesting of JSON; 64.
    #[schemars(range(min = 1, max = 512))]
    pub depth: usize,
    /// Decompressed bytes per compressed byte; 100.
    #[schemars(range(min = 1))]
    pub decompression_ratio: u32,
    /// Bytes of a request head; 64 KiB, at least 8 KiB.
    #[serde(with = "size")]
    #[schemars(with = "units::Size")]
    pub header: usize,
    /// Bytes of all bodies and of the text of all streams together; 1 GiB. What does not fit is refused with a time to come back.
    #[serde(with = "size")]
    #[schemars(with = "units::Size")]
    pub memory: u64,
    /// Requests in flight; 4096, at least 8. One more is refused with a time to come back.
    #[schemars(range(min = 8))]
    pub requests: u64,
}

/// Time limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Connecting to an upstream; 5 s.
    #[serde(with = "duration")]
    #[schemars(with = "units::Span")]
    pub connect: Duration,
    /// From the request to the head of the answer; 120 s.
    #[serde(with = "duration")]
    #[schemars(with = "units::Span")]
    pub upstream: Duration,
    /// Between two pieces of an answer; 60 s.
    #[serde(with = "duration")]
    #[schemars(with = "units::Span")]
    pub idle: Duration,
    /// Reading a request head or body, and waiting for a client that takes nothing of its answer (HTTP/1.1); 30 s.
    #[serde(with = "duration")]
    #[schemars(with = "units::Span")]
    pub read: Duration,
    /// For one screening; 5 s.
    #[serde(with = "duration")]
    #[schemars(with = "units::Span")]
    pub screen: Duration,
    /// For exchanges in flight at shutdown; 30 s.
    #[serde(with = "duration")]
    #[schemars(with = "units::Span")]
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
    EveryTurns(#[schemars(range(min = 1))] u32),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub text: Option<String>,
}

impl Default for Labels {
    fn default() -> Self {
        Self {
            notice: Notice::Never,
            language: "en".to_owned(),
            text: None,
        }
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
        Self {
            enabled: true,
            reset_aliases: Vec::new(),
            custom: Vec::new(),
        }
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stream {
    /// How text is held.
    pub mode: StreamMode,
    /// How often a tail short of a grid point is scored, unless half the way to that point has come;
    /// 100 ms.
    #[serde(with = "duration")]
    #[schemars(with = "units::Span")]
    pub pace: Duration,
    /// A comment is sent when nothing left for so long; 15 s.
    #[serde(with = "duration")]
    #[schemars(with = "units::Span")]
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

/// The transformer encoder above the linear tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// `embedded`, `none`, or a Hugging Face directory: `config.json`, `tokenizer.json`,
    /// `*.safetensors`, and a `portcullis.json` whose `scale` names the score scale
    /// (`portcullis model scale`); embedded.
    #[serde(default)]
    #[schemars(with = "String")]
    pub model: EncoderModel,
    /// What large products run in; int8 for the embedded model, for others bf16 where the processor
    /// multiplies it natively, else f32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Precision")]
    pub precision: Option<Precision>,
    /// Threads that run the model; as many as cores, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 1024))]
    pub workers: Option<u32>,
    /// What runs it; the fastest of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Kernels")]
    pub kernels: Option<Kernels>,
    /// What windows that were scored before may take; 64 MiB.
    #[serde(default = "default_known", with = "size")]
    #[schemars(with = "units::Size")]
    pub known: u64,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            model: EncoderModel::default(),
            precision: None,
            workers: None,
            kernels: None,
            known: default_known(),
        }
    }
}

/// Which encoder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub enum EncoderModel {
    /// The one in the binary.
    #[default]
    Embedded,
    /// The linear tier stands alone.
    None,
    /// A Hugging Face directory.
    Directory(PathBuf),
}

impl From<PathBuf> for EncoderModel {
    fn from(path: PathBuf) -> Self {
        match path.to_str() {
            Some("embedded") => Self::Embedded,
            Some("none") => Self::None,
            _ => Self::Directory(path),
        }
    }
}

impl From<EncoderModel> for PathBuf {
    fn from(model: EncoderModel) -> Self {
        match model {
            EncoderModel::Embedded => "embedded".into(),
            EncoderModel::None => "none".into(),
            EncoderModel::Directory(path) => path,
        }
    }
}

const fn default_known() -> u64 {
    64 << 20
}

/// What an encoder's large products run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// bfloat16.
    Bf16,
    /// 8-bit integers.
    Int8,
}

/// What to run encoders on, where the processor has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kernels {
    /// AVX-512 with VNNI and BF16.
    Avx512,
    /// AVX-512 with VNNI: bf16 runs as f32.
    Avx512Vnni,
    /// AVX-512 with neither: bf16 runs as f32, int8 in 16 bits.
    Avx512Base,
    /// AVX2 with VNNI: bf16 runs as f32.
    AvxVnni,
    /// AVX2 with FMA: bf16 runs as f32, int8 in 16 bits.
    Avx2,
    /// Plain Rust: for comparing, not for serving.
    Scalar,
    /// candle, in f32 only: what processors without any of the others use.
    Candle,
}

impl Default for Config {
    /// What runs without a file: loopback, no upstream, the balanced policy.
    fn default() -> Self {
        Self {
            listen: default_listen(),
            admin: default_admin(),
            tls: None,
            upstreams: Upstreams::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            content: ContentRules::default(),
            unknown_endpoints: refuse(),
            refusals: Refusals::default(),
            labels: Labels::default(),
            commands: Commands::default(),
            stream: Stream::default(),
            record: RecordSink::default(),
            identity: IdentityRules::default(),
            encoder: Encoder::default(),
            policy: crate::shipped::balanced(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 32 << 20,
            answer: 64 << 20,
            event: 16 << 20,
            depth: 64,
            decompression_ratio: 100,
            header: 64 << 10,
            memory: 1 << 30,
            requests: 4096,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            upstream: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            read: Duration::from_secs(30),
            screen: Duration::from_secs(5),
            drain: Duration::from_secs(30),
        }
    }
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            mode: StreamMode::Balanced,
            pace: Duration::from_millis(100),
            keep_alive: Duration::from_secs(15),
        }
    }
}
