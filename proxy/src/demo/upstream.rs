//! A scripted LLM endpoint for the demo: both dialects, streaming and not, no model behind it.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// What the script says to a last user message that contains the key, checked in order.
pub(super) type Script = &'static [(&'static str, &'static str)];

/// Starts the endpoint on a free loopback port; it lives as long as the runtime.
///
/// # Errors
/// When no port can be had.
pub(super) async fn start(script: Script) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(listener, script));
    Ok(address)
}

async fn serve(listener: TcpListener, script: Script) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = service_fn(move |request| answer(request, script));
        let http = auto::Builder::new(TokioExecutor::new());
        tokio::spawn(async move {
            drop(http.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    script: Script,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let anthropic = request.uri().path().ends_with("/messages");
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    };
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = say(script, &last_message(&request));
    let streams = request["stream"] == json!(true);
    let (kind, body) = match (anthropic, streams) {
        (false, false) => ("application/json", openai(text).to_string()),
        (true, false) => ("application/json", anthropic_message(text).to_string()),
        (false, true) => ("text/event-stream", openai_stream(text)),
        (true, true) => ("text/event-stream", anthropic_stream(text)),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

fn say(script: Script, message: &str) -> &'static str {
    let message = message.to_lowercase();
    let line = script.iter().find(|(key, _)| message.contains(key));
    line.map_or(
        "I am a scripted model; this is my answer to everything else.",
        |(_, text)| text,
    )
}

fn last_message(request: &Value) -> String {
    let last = request["messages"]
        .as_array()
        .and_then(|messages| messages.last());
    match last.map(|message| &message["content"]) {
        Some(Value::String(text)) => text.clone(),
        Some(parts) => parts.to_string(),
        None => String::new(),
    }
}

fn openai(text: &str) -> Value {
    json!({
        "id": "chatcmpl-demo", "object": "chat.completion", "created": 1_700_000_000,
        "model": "scripted",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": null},
            "logprobs": null, "finish_reason": "stop"
        }],
        "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    })
}

fn openai_stream(text: &str) -> String {
    let chunk = |delta: Value, finish: Value| {
        json!({
            "id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": "scripted",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]
        })
    };
    let mut stream = String::new();
    let mut event = |value: &Value| {
        let _ = write!(stream, "data: {value}\n\n");
    };
    event(&chunk(
        json!({"role": "assistant", "content": ""}),
        Value::Null,
    ));
    for token in text.split_inclusive(' ') {
        event(&chunk(json!({"content": token}), Value::Null));
    }
    event(&chunk(json!({}), json!("stop")));
    stream.push_str("data: [DONE]\n\n");
    stream
}

fn anthropic_message(text: &str) -> Value {
    json!({
        "id": "msg_demo", "type": "message", "role": "assistant", "model": "scripted",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 10}
    })
}

fn anthropic_stream(text: &str) -> String {
    let mut stream = String::new();
    let mut event = |value: &Value| {
        let _ = write!(
            stream,
            "event: {}\ndata: {value}\n\n",
            value["type"].as_str().unwrap_or("")
        );
    };
    let mut message = anthropic_message("");
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    event(&json!({"type": "message_start", "message": message}));
    event(
        &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    );
    for token in text.split_inclusive(' ') {
        event(
            &json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": token}}),
        );
    }
    event(&json!({"type": "content_block_stop", "index": 0}));
    event(
        &json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 10}}),
    );
    event(&json!({"type": "message_stop"}));
    stream
}
