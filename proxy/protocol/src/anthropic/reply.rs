//! Answers of our own in the shapes of the messages endpoint.

use crate::{ErrorKind, ErrorReply, LocalAnswer, Refusal, Reply};
use bytes::Bytes;
use serde_json::{Value, json};

/// Values of `stop_details.category` that the SDKs know.
const CATEGORIES: &[&str] = &[
    "cyber",
    "bio",
    "frontier_llm",
    "reasoning_extraction",
    "general_harms",
];

pub(crate) fn refusal(refusal: &Refusal<'_>) -> Reply {
    let details = stop_details(refusal);
    if refusal.stream {
        return stream(
            (refusal.id, refusal.model),
            refusal.text,
            "refusal",
            &details,
        );
    }
    whole(
        (refusal.id, refusal.model),
        refusal.text,
        "refusal",
        &details,
    )
}

pub(crate) fn answer(answer: &LocalAnswer<'_>) -> Reply {
    let head = (answer.id, answer.model);
    if answer.stream {
        return stream(head, answer.text, "end_turn", &Value::Null);
    }
    whole(head, answer.text, "end_turn", &Value::Null)
}

/// Why the message stopped; an unknown category is written as `null`.
pub(crate) fn stop_details(refusal: &Refusal<'_>) -> Value {
    let category = refusal
        .category
        .filter(|category| CATEGORIES.contains(category));
    json!({"type": "refusal", "category": category, "explanation": refusal.text})
}

fn whole(head: (&str, &str), text: &str, stop_reason: &str, details: &Value) -> Reply {
    let mut message = message(head.0, head.1);
    message["content"] = json!([{"type": "text", "text": text}]);
    message["stop_reason"] = json!(stop_reason);
    if !details.is_null() {
        message["stop_details"] = details.clone();
    }
    Reply::json(message.to_string())
}

fn stream(head: (&str, &str), text: &str, stop_reason: &str, details: &Value) -> Reply {
    let mut out = String::new();
    message_start(&mut out, head.0, head.1);
    text_block(&mut out, 0, text);
    message_end(&mut out, stop_reason, details);
    Reply::events(out)
}

fn message(id: &str, model: &str) -> Value {
    json!({
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    })
}

/// Writes one event, named by its type.
pub(crate) fn event(out: &mut String, data: &Value) {
    out.push_str("event: ");
    out.push_str(data["type"].as_str().unwrap_or_default());
    out.push_str("\ndata: ");
    out.push_str(&data.to_string());
    out.push_str("\n\n");
}

/// Writes the start of a message.
pub(crate) fn message_start(out: &mut String, id: &str, model: &str) {
    event(
        out,
        &json!({"type": "message_start", "message": message(id, model)}),
    );
}

/// Writes a whole text block.
pub(crate) fn text_block(out: &mut String, index: u32, text: &str) {
    let block = json!({"type": "text", "text": ""});
    event(
        out,
        &json!({"type": "content_block_start", "index": index, "content_block": block}),
    );
    let delta = json!({"type": "text_delta", "text": text});
    event(
        out,
        &json!({"type": "content_block_delta", "index": index, "delta": delta}),
    );
    event(out, &json!({"type": "content_block_stop", "index": index}));
}

/// Writes the proper end of a message.
pub(crate) fn message_end(out: &mut String, stop_reason: &str, details: &Value) {
    let mut delta = json!({"stop_reason": stop_reason, "stop_sequence": null});
    if !details.is_null() {
        delta["stop_details"] = details.clone();
    }
    let usage = json!({"output_tokens": 0});
    event(
        out,
        &json!({"type": "message_delta", "delta": delta, "usage": usage}),
    );
    event(out, &json!({"type": "message_stop"}));
}

pub(crate) fn error(kind: ErrorKind, message: &str, request_id: &str) -> ErrorReply {
    let body = json!({
        "type": "error",
        "error": {"type": name(kind), "message": message},
        "request_id": request_id,
    });
    let status = if kind == ErrorKind::Unavailable {
        529
    } else {
        kind.status()
    };
    let body = Bytes::from(body.to_string());
    ErrorReply {
        status,
        body,
        retry_after: kind.retry_after(),
    }
}

/// The event that ends a broken stream.
pub(crate) fn fault(message: &str) -> Bytes {
    let mut out = String::new();
    let error = json!({"type": "api_error", "message": message});
    event(&mut out, &json!({"type": "error", "error": error}));
    Bytes::from(out)
}

const fn name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::BadRequest
        | ErrorKind::PolicyError
        | ErrorKind::MethodNotAllowed
        | ErrorKind::RequestTimeout
        | ErrorKind::UnsupportedMedia => "invalid_request_error",
        ErrorKind::Unauthorized => "authentication_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::RateLimited => "rate_limit_error",
        ErrorKind::Internal | ErrorKind::BadGateway => "api_error",
        ErrorKind::Unavailable => "overloaded_error",
        ErrorKind::GatewayTimeout => "timeout_error",
    }
}
