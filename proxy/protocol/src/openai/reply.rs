//! Answers of our own in the shapes of a chat completion.

use crate::{ErrorKind, ErrorReply, LocalAnswer, Refusal, Reply};
use bytes::Bytes;
use serde_json::{Value, json};

/// What every object of an answer carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) id: &'a str,
    pub(crate) model: &'a str,
    pub(crate) created: u64,
}

pub(crate) fn refusal(refusal: &Refusal<'_>) -> Reply {
    let head = Head {
        id: refusal.id,
        model: refusal.model,
        created: refusal.created,
    };
    if refusal.stream {
        let mut out = String::new();
        for choice in 0..refusal.n_choices {
            refused_choice(&mut out, head, choice, refusal, true);
        }
        end(&mut out, head, refusal.include_usage);
        return Reply::events(out);
    }
    let content = if refusal.in_content {
        json!(refusal.text)
    } else {
        Value::Null
    };
    let message = json!({"role": "assistant", "content": content, "refusal": refusal.text});
    whole(head, refusal.n_choices, &message, "content_filter")
}

pub(crate) fn answer(answer: &LocalAnswer<'_>) -> Reply {
    let head = Head {
        id: answer.id,
        model: answer.model,
        created: answer.created,
    };
    if answer.stream {
        let mut out = String::new();
        for choice in 0..answer.n_choices {
            chunk(&mut out, head, choice, &role(), None);
            chunk(
                &mut out,
                head,
                choice,
                &json!({"content": answer.text}),
                None,
            );
            chunk(&mut out, head, choice, &json!({}), Some("stop"));
        }
        end(&mut out, head, answer.include_usage);
        return Reply::events(out);
    }
    let message = json!({"role": "assistant", "content": answer.text, "refusal": null});
    whole(head, answer.n_choices, &message, "stop")
}

fn whole(head: Head<'_>, n_choices: u32, message: &Value, finish_reason: &str) -> Reply {
    let choice = |index: u32| json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish_reason});
    let body = json!({
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": (0..n_choices).map(choice).collect::<Vec<Value>>(),
        "usage": no_usage(),
    });
    Reply::json(body.to_string())
}

/// The chunks that refuse one choice; `begins` where the client has seen nothing of it.
pub(crate) fn refused_choice(
    out: &mut String,
    head: Head<'_>,
    choice: u32,
    refusal: &Refusal<'_>,
    begins: bool,
) {
    if begins {
        chunk(out, head, choice, &role(), None);
    }
    chunk(out, head, choice, &json!({"refusal": refusal.text}), None);
    if refusal.in_content {
        let gap = if begins { "" } else { crate::edit::BLANK_LINE };
        chunk(
            out,
            head,
            choice,
            &json!({"content": format!("{gap}{}", refusal.text)}),
            None,
        );
    }
    chunk(out, head, choice, &json!({}), Some("content_filter"));
}

fn role() -> Value {
    json!({"role": "assistant", "content": ""})
}

/// Writes one chunk.
pub(crate) fn chunk(
    out: &mut String,
    head: Head<'_>,
    choice: u32,
    delta: &Value,
    finish_reason: Option<&str>,
) {
    let choice = json!({
        "index": choice,
        "delta": delta,
        "logprobs": null,
        "finish_reason": finish_reason,
    });
    event(out, &chunk_of(head, &json!([choice])));
}

fn chunk_of(head: Head<'_>, choices: &Value) -> Value {
    json!({
        "id": head.id,
        "object": "chat.completion.chunk",
        "created": head.created,
        "model": head.model,
        "choices": choices,
    })
}

/// Writes the proper end of a stream.
pub(crate) fn end(out: &mut String, head: Head<'_>, usage: bool) {
    if usage {
        let mut last = chunk_of(head, &json!([]));
        last["usage"] = no_usage();
        event(out, &last);
    }
    out.push_str("data: [DONE]\n\n");
}

fn event(out: &mut String, data: &Value) {
    out.push_str("data: ");
    out.push_str(&data.to_string());
    out.push_str("\n\n");
}

fn no_usage() -> Value {
    json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})
}

pub(crate) fn error(kind: ErrorKind, message: &str) -> ErrorReply {
    let (name, code) = names(kind);
    let mut error = json!({"message": message, "type": name, "param": null, "code": code});
    if kind == ErrorKind::PolicyError {
        error["param"] = json!("prompt");
        error["innererror"] = json!({"code": "ResponsibleAIPolicyViolation"});
    }
    let body = json!({"error": error}).to_string();
    ErrorReply {
        status: kind.status(),
        body: Bytes::from(body),
        retry_after: kind.retry_after(),
    }
}

/// The event that ends a broken stream.
pub(crate) fn fault(message: &str) -> Bytes {
    let mut out = String::new();
    let error =
        json!({"message": message, "type": "server_error", "param": null, "code": "stream_error"});
    event(&mut out, &json!({"error": error}));
    Bytes::from(out)
}

const fn names(kind: ErrorKind) -> (&'static str, Option<&'static str>) {
    match kind {
        ErrorKind::BadRequest => ("invalid_request_error", None),
        ErrorKind::PolicyError => ("invalid_request_error", Some("content_filter")),
        ErrorKind::Unauthorized => ("invalid_request_error", Some("invalid_api_key")),
        ErrorKind::NotFound => ("invalid_request_error", Some("not_found")),
        ErrorKind::MethodNotAllowed => ("invalid_request_error", Some("method_not_allowed")),
        ErrorKind::RequestTimeout => ("invalid_request_error", Some("request_timeout")),
        ErrorKind::TooLarge => ("invalid_request_error", Some("request_too_large")),
        ErrorKind::UnsupportedMedia => ("invalid_request_error", Some("unsupported_media_type")),
        ErrorKind::RateLimited => ("rate_limit_error", Some("rate_limit_exceeded")),
        ErrorKind::Internal => ("server_error", None),
        ErrorKind::BadGateway => ("server_error", Some("bad_gateway")),
        ErrorKind::Unavailable => ("server_error", Some("service_unavailable")),
        ErrorKind::GatewayTimeout => ("server_error", Some("gateway_timeout")),
    }
}
