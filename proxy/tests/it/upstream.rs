//! A scripted LLM endpoint. What it does is said by the model's name: `echo`, `fault:reset`, …
//!
//! It speaks HTTP/1.1 by hand, so that it can break the protocol at any byte.

use crate::script::{self, Act};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify, mpsc};

/// A request as the upstream read it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    /// Connections that the gate closed while an answer was owed.
    pub(crate) cancelled: Arc<AtomicUsize>,
    pub(crate) was_cancelled: Arc<Notify>,
    /// Steps that a `steps` answer waits for.
    pub(crate) step: mpsc::UnboundedSender<String>,
    /// Connections that were accepted.
    pub(crate) connections: Arc<AtomicUsize>,
    /// Bytes that the gate took of a flood.
    pub(crate) flooded: Arc<AtomicUsize>,
    script: Arc<Mutex<Vec<Act>>>,
}

/// What all connections of the upstream share.
#[derive(Clone)]
pub(crate) struct Shared {
    seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) cancelled: Arc<AtomicUsize>,
    pub(crate) was_cancelled: Arc<Notify>,
    pub(crate) steps: Arc<Mutex<mpsc::UnboundedReceiver<String>>>,
    pub(crate) flooded: Arc<AtomicUsize>,
    script: Arc<Mutex<Vec<Act>>>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (step, steps) = mpsc::unbounded_channel();
        let shared = Shared {
            seen: Arc::default(),
            cancelled: Arc::default(),
            was_cancelled: Arc::default(),
            steps: Arc::new(Mutex::new(steps)),
            flooded: Arc::default(),
            script: Arc::default(),
        };
        let connections = Arc::new(AtomicUsize::new(0));
        let upstream = Self {
            address,
            seen: Arc::clone(&shared.seen),
            cancelled: Arc::clone(&shared.cancelled),
            was_cancelled: Arc::clone(&shared.was_cancelled),
            step,
            connections: Arc::clone(&connections),
            flooded: Arc::clone(&shared.flooded),
            script: Arc::clone(&shared.script),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        upstream
    }

    /// What the model `script` does from now on.
    pub(crate) async fn script(&self, acts: Vec<Act>) {
        *self.script.lock().await = acts;
    }

    pub(crate) async fn requests(&self) -> Vec<Seen> {
        self.seen.lock().await.clone()
    }

    pub(crate) async fn last(&self) -> Seen {
        self.requests()
            .await
            .pop()
            .expect("the upstream saw no request")
    }
}

async fn serve(mut stream: TcpStream, shared: Shared) {
    while let Some(request) = read_request(&mut stream).await {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        shared.seen.lock().await.push(request.clone());
        if answer(&mut stream, &request, &body, &shared)
            .await
            .is_none()
        {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.ok()?;
        if read == 0 {
            return None;
        }
        bytes.extend_from_slice(&piece[..read]);
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut seen = Seen {
        head,
        body: bytes[head_end..].to_vec(),
    };
    let length = seen
        .header("content-length")
        .map_or(0, |value| value.parse().unwrap());
    while seen.body.len() < length {
        let mut piece = vec![0; 65536];
        let read = stream.read(&mut piece).await.ok()?;
        if read == 0 {
            return None;
        }
        seen.body.extend_from_slice(&piece[..read]);
    }
    Some(seen)
}

/// Answers as the model's name says; `None` when the connection is over.
async fn answer(
    stream: &mut TcpStream,
    request: &Seen,
    body: &Value,
    shared: &Shared,
) -> Option<()> {
    let anthropic = request.head.contains("/v1/messages");
    let model = body["model"].as_str().unwrap_or("echo").to_owned();
    let streams = body["stream"] == json!(true);
    match model.as_str() {
        "status:429" => {
            let body = r#"{"error":{"message":"slow down","type":"rate_limit"}}"#;
            let head = format!(
                "HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            send(stream, &(head + body)).await
        }
        "fault:close" => None,
        "fault:hang" => hang(stream, shared).await,
        "script" => {
            let acts = shared.script.lock().await.clone();
            script::play(stream, &acts, shared).await
        }
        "steps" => steps(stream, shared).await,
        _ if streams => {
            let text = text_of(request);
            start_events(stream).await?;
            chunk(stream, &events(anthropic, &text, true)).await?;
            send(stream, "0\r\n\r\n").await
        }
        _ => {
            let text = text_of(request);
            let whole = whole(anthropic, &text).to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-upstream: yes\r\ncontent-length: {}\r\n\r\n",
                whole.len()
            );
            send(stream, &(head + &whole)).await
        }
    }
}

/// What the test wants said, or something harmless.
fn text_of(request: &Seen) -> String {
    request
        .header("x-say")
        .unwrap_or("a harmless answer")
        .to_owned()
}

/// Waits until the gate goes away, and counts that.
pub(crate) async fn hang(stream: &mut TcpStream, shared: &Shared) -> Option<()> {
    let mut byte = [0; 1];
    while stream.read(&mut byte).await.is_ok_and(|read| read > 0) {}
    shared.cancelled.fetch_add(1, Ordering::SeqCst);
    shared.was_cancelled.notify_waiters();
    shared.was_cancelled.notify_one();
    None
}

/// Sends what the test says, when it says it; an empty step ends the stream.
async fn steps(stream: &mut TcpStream, shared: &Shared) -> Option<()> {
    start_events(stream).await?;
    let mut steps = shared.steps.lock().await;
    let mut byte = [0; 1];
    loop {
        tokio::select! {
            step = steps.recv() => match step.as_deref() {
                Some("") | None => return send(stream, "0\r\n\r\n").await,
                Some(text) => chunk(stream, text).await?,
            },
            _ = stream.read(&mut byte) => {
                shared.cancelled.fetch_add(1, Ordering::SeqCst);
                shared.was_cancelled.notify_one();
                return None;
            }
        }
    }
}

async fn start_events(stream: &mut TcpStream) -> Option<()> {
    send(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )
    .await
}

async fn chunk(stream: &mut TcpStream, text: &str) -> Option<()> {
    send(stream, &format!("{:x}\r\n{text}\r\n", text.len())).await
}

async fn send(stream: &mut TcpStream, text: &str) -> Option<()> {
    stream.write_all(text.as_bytes()).await.ok()?;
    stream.flush().await.ok()
}

pub(crate) fn openai_chunk(delta: &Value, finish: &Value) -> String {
    let event = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]
    });
    format!("data: {event}\n\n")
}

/// The events of an answer, a word at a time, with their proper end when `whole`.
pub(crate) fn events(anthropic: bool, text: &str, whole: bool) -> String {
    if anthropic {
        anthropic_events(text, whole)
    } else {
        openai_events(text, whole)
    }
}

fn openai_events(text: &str, whole: bool) -> String {
    let mut out = openai_chunk(&json!({"role": "assistant", "content": ""}), &Value::Null);
    for word in text.split_inclusive(' ') {
        out += &openai_chunk(&json!({"content": word}), &Value::Null);
    }
    if whole {
        out += &openai_chunk(&json!({}), &json!("stop"));
        out += "data: [DONE]\n\n";
    }
    out
}

fn anthropic_events(text: &str, whole: bool) -> String {
    let event = |value: Value| {
        format!(
            "event: {}\ndata: {value}\n\n",
            value["type"].as_str().unwrap()
        )
    };
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}});
    let mut out = event(json!({"type": "message_start", "message": message}));
    out += &event(
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    );
    for word in text.split_inclusive(' ') {
        out += &event(
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}),
        );
    }
    if whole {
        out += &event(json!({"type": "content_block_stop", "index": 0}));
        out += &event(
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 3}}),
        );
        out += &event(json!({"type": "message_stop"}));
    }
    out
}

pub(crate) fn whole(anthropic: bool, text: &str) -> Value {
    if anthropic {
        return json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}});
    }
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null}, "logprobs": null, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
}
