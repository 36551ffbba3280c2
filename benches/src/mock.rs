//! A mock LLM upstream: OpenAI and Anthropic shapes, whole and streamed, told by the model name
//! what to do.
//!
//! A model name is `mock;key=value;key=value`:
//! - `tokens=N`: chunks in a stream; 16
//! - `gap=MS`: pause between chunks; none
//! - `delay=MS`: pause before the answer; none
//! - `stamp=1`: each token is the time it was sent, in nanoseconds of the wall clock
//! - `distinct=1`: each answer is another text, so that no verdict cache can know it
//!
//! Each chunk is one event and one frame; without a gap the server may put several in one write.

use crate::{Error, wall_ns, words};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{Instant, Sleep};

/// Words of an answer; about 350 bytes with its JSON.
const ANSWER_WORDS: usize = 24;

type Answer = BoxBody<Bytes, Infallible>;

/// Serves until the process ends.
///
/// # Errors
/// When accepting fails for good.
pub async fn serve(listener: TcpListener) -> Result<(), Error> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer));
            // A client that leaves in the middle ends its connection, and nothing else.
            drop(connection.await);
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Answer>, hyper::Error> {
    let dialect = Dialect::of(request.uri().path());
    let body = request.into_body().collect().await?.to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let script = Script::of(body["model"].as_str().unwrap_or_default());
    let streamed = body["stream"] == json!(true);
    if !script.delay.is_zero() {
        tokio::time::sleep(script.delay).await;
    }
    let (content_type, answer) = if streamed {
        ("text/event-stream", Events::new(dialect, script).boxed())
    } else {
        (
            "application/json",
            Full::new(dialect.whole(&script.text()).into()).boxed(),
        )
    };
    let mut response = Response::new(answer);
    response.headers_mut().insert(
        "content-type",
        hyper::header::HeaderValue::from_static(content_type),
    );
    Ok(response)
}

/// What the model name asks for.
#[derive(Clone, Copy)]
struct Script {
    tokens: u64,
    gap: Duration,
    delay: Duration,
    stamp: bool,
    distinct: bool,
}

impl Script {
    fn of(model: &str) -> Self {
        let mut script = Self {
            tokens: 16,
            gap: Duration::ZERO,
            delay: Duration::ZERO,
            stamp: false,
            distinct: false,
        };
        for (key, value) in model.split(';').filter_map(|pair| pair.split_once('=')) {
            let number = value.parse().unwrap_or(0);
            match key {
                "tokens" => script.tokens = number,
                "gap" => script.gap = Duration::from_millis(number),
                "delay" => script.delay = Duration::from_millis(number),
                "stamp" => script.stamp = 0 < number,
                "distinct" => script.distinct = 0 < number,
                _ => {}
            }
        }
        script
    }

    /// The text of a whole answer.
    fn text(self) -> String {
        static ANSWERS: AtomicU64 = AtomicU64::new(1);
        let number = if self.distinct {
            ANSWERS.fetch_add(1, Ordering::Relaxed)
        } else {
            0
        };
        // Answers and prompts must differ from each other too.
        words::sentence(number | 1 << 63, ANSWER_WORDS)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    OpenAi,
    Anthropic,
}

impl Dialect {
    fn of(path: &str) -> Self {
        if path.starts_with("/v1/messages") {
            Self::Anthropic
        } else {
            Self::OpenAi
        }
    }

    fn whole(self, text: &str) -> String {
        match self {
            Self::OpenAi => json!({
                "id": "chatcmpl-mock", "object": "chat.completion", "created": 1_700_000_000,
                "model": "mock",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text},
                             "logprobs": null, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 30, "completion_tokens": 24, "total_tokens": 54},
            }),
            Self::Anthropic => json!({
                "id": "msg_mock", "type": "message", "role": "assistant", "model": "mock",
                "content": [{"type": "text", "text": text}],
                "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 30, "output_tokens": 24},
            }),
        }
        .to_string()
    }

    /// What comes before the first token.
    fn opening(self) -> &'static [u8] {
        match self {
            Self::OpenAi => b"data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
            Self::Anthropic => b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_mock\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"mock\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":30,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        }
    }

    fn token(self, token: &str) -> String {
        match self {
            Self::OpenAi => format!(
                "data: {{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{token}\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n"
            ),
            Self::Anthropic => format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{token}\"}}}}\n\n"
            ),
        }
    }

    /// What comes after the last token.
    fn ending(self) -> &'static [u8] {
        match self {
            Self::OpenAi => b"data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
            Self::Anthropic => b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":24}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        }
    }
}

/// A stream of events: the opening, then a token each `gap`, then the ending.
struct Events {
    dialect: Dialect,
    script: Script,
    words: Vec<String>,
    next: u64,
    pause: Pin<Box<Sleep>>,
}

impl Events {
    fn new(dialect: Dialect, script: Script) -> Self {
        let words = script
            .text()
            .split(' ')
            .map(|word| format!("{word} "))
            .collect();
        Self {
            dialect,
            script,
            words,
            next: 0,
            pause: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    /// The event number `idx`: 0 is the opening, `tokens + 1` the ending.
    fn event(&self, idx: u64) -> Option<Bytes> {
        let last = self.script.tokens + 1;
        match idx {
            0 => Some(Bytes::from_static(self.dialect.opening())),
            _ if idx < last => Some(self.dialect.token(&self.word(idx)).into()),
            _ if idx == last => Some(Bytes::from_static(self.dialect.ending())),
            _ => None,
        }
    }

    fn word(&self, idx: u64) -> String {
        if self.script.stamp {
            return format!("{} ", wall_ns());
        }
        self.words[(idx as usize - 1) % self.words.len()].clone()
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let paced = 1 < self.next && self.next <= self.script.tokens;
        if paced && !self.script.gap.is_zero() {
            ready!(self.pause.as_mut().poll(cx));
        }
        let due = Instant::now() + self.script.gap;
        self.pause.as_mut().reset(due);
        let event = self.event(self.next);
        self.next += 1;
        Poll::Ready(event.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
