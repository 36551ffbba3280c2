//! Answers of our own: shapes that the SDKs take, whole, streamed and in the middle of a stream.

use crate::support::{ANTHROPIC, OPENAI, completion, data, named, read_all, reader, values};
use portcullis_protocol::moderations::{self, ModerationResult};
use portcullis_protocol::{Dialect, ErrorKind, GuardCheck, LocalAnswer, ParseRules, Refusal};
use portcullis_text::Surface;
use serde_json::{Value, json};

const REFUSAL: Refusal<'_> = Refusal {
    text: "No (rule 1).",
    model: "m",
    id: "id-1",
    created: 7,
    stream: false,
    include_usage: true,
    n_choices: 2,
    in_content: false,
    category: Some("hate"),
};

fn body(dialect: Dialect, refusal: &Refusal<'_>) -> Value {
    let reply = dialect.refusal(refusal);
    assert_eq!(
        (reply.status, reply.content_type),
        (200, "application/json")
    );
    completion(dialect, &serde_json::from_slice(&reply.body).unwrap());
    serde_json::from_slice(&reply.body).unwrap()
}

#[test]
fn a_whole_refusal_is_a_native_one() {
    let openai = body(OPENAI, &REFUSAL);
    assert_eq!(openai["choices"].as_array().unwrap().len(), 2);
    let choice = &openai["choices"][1];
    assert_eq!(
        (&choice["index"], &choice["finish_reason"]),
        (&json!(1), &json!("content_filter"))
    );
    assert_eq!(
        choice["message"],
        json!({"role": "assistant", "content": null, "refusal": "No (rule 1)."})
    );
    let both = body(
        OPENAI,
        &Refusal {
            in_content: true,
            ..REFUSAL
        },
    );
    assert_eq!(both["choices"][0]["message"]["content"], "No (rule 1).");

    let anthropic = body(ANTHROPIC, &REFUSAL);
    assert_eq!(anthropic["stop_reason"], "refusal");
    assert_eq!(
        anthropic["stop_details"],
        json!({"type": "refusal", "category": null, "explanation": "No (rule 1)."})
    );
    let known = body(
        ANTHROPIC,
        &Refusal {
            category: Some("bio"),
            ..REFUSAL
        },
    );
    assert_eq!(known["stop_details"]["category"], "bio");
}

#[test]
fn a_streamed_refusal_ends_properly() {
    let refusal = Refusal {
        stream: true,
        n_choices: 1,
        ..REFUSAL
    };
    let reply = OPENAI.refusal(&refusal);
    assert!(reply.content_type.starts_with("text/event-stream"));
    assert!(reply.body.ends_with(b"data: [DONE]\n\n"));
    let events = values(&reply.body);
    let deltas: Vec<&Value> = events
        .iter()
        .map(|event| &event["choices"][0]["delta"])
        .collect();
    assert_eq!(deltas[0]["role"], "assistant");
    assert_eq!(deltas[1]["refusal"], "No (rule 1).");
    assert_eq!(events[2]["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(
        (
            events[3]["choices"].as_array().unwrap().len(),
            &events[3]["usage"]["total_tokens"]
        ),
        (0, &json!(0))
    );

    let reply = ANTHROPIC.refusal(&refusal);
    let kinds: Vec<String> = values(&reply.body)
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
}

#[test]
fn our_streams_are_read_as_complete_by_our_reader() {
    for dialect in [OPENAI, ANTHROPIC] {
        let answer = LocalAnswer {
            text: "Done.",
            model: "m",
            id: "i",
            created: 7,
            stream: true,
            include_usage: true,
            n_choices: 1,
        };
        for reply in [
            dialect.answer(&answer),
            dialect.refusal(&Refusal {
                stream: true,
                n_choices: 1,
                ..REFUSAL
            }),
        ] {
            let mut reader = reader(dialect);
            read_all(&mut reader, std::str::from_utf8(&reply.body).unwrap());
            assert!(reader.is_complete());
        }
        let whole = dialect.answer(&LocalAnswer {
            stream: false,
            ..answer
        });
        let read = completion(dialect, &serde_json::from_slice(&whole.body).unwrap());
        assert_eq!(read.parts[0].content.expose(), "Done.");
    }
}

/// Reads a stream of which the client gets the first `n_sent` events, then refuses.
fn refused_after(dialect: Dialect, stream: &str, n_sent: usize) -> Vec<Value> {
    let mut reader = reader(dialect);
    read_all(&mut reader, stream);
    reader.sent(n_sent);
    let refusal = Refusal {
        stream: true,
        n_choices: 1,
        ..REFUSAL
    };
    let closing = reader.refuse(&refusal);
    assert!(reader.refuse(&refusal).is_empty(), "a stream ends once");
    if dialect == OPENAI && !closing.is_empty() {
        assert!(closing.ends_with(b"data: [DONE]\n\n"));
    }
    values(&closing)
}

#[test]
fn an_openai_stream_is_closed_by_what_the_client_saw() {
    let chunk = |delta: Value, finish: Option<&str>| json!({"id": "up", "model": "up-m", "created": 3, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let stream = data(&[
        chunk(json!({"role": "assistant"}), None),
        chunk(json!({"content": "hello"}), None),
        chunk(json!({}), Some("stop")),
    ]) + "data: [DONE]\n\n";
    let check = |n_sent: usize, n_events: usize, has_role: bool, id: &str| {
        let events = refused_after(OPENAI, &stream, n_sent);
        assert_eq!(events.len(), n_events, "after {n_sent}: {events:?}");
        let first = &events[0];
        assert_eq!(
            (
                first["choices"][0]["delta"]["role"].is_string(),
                first["id"].as_str()
            ),
            (has_role, Some(id))
        );
    };
    check(0, 4, true, "id-1");
    check(1, 3, false, "up");
    check(2, 3, false, "up");
    check(3, 1, false, "up");
    assert!(refused_after(OPENAI, &stream, 4).is_empty());
}

#[test]
fn an_anthropic_stream_is_closed_by_what_the_client_saw() {
    let stream = named(&[
        json!({"type": "message_start", "message": {"id": "up", "model": "m", "content": []}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
        json!({"type": "message_stop"}),
    ]);
    let check = |n_sent: usize, expected: &[&str]| {
        let events = refused_after(ANTHROPIC, &stream, n_sent);
        let kinds: Vec<&str> = events
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, expected, "after {n_sent}");
    };
    let block = [
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
    ];
    let end = ["message_delta", "message_stop"];
    check(0, &[&["message_start"], &block[..], &end].concat());
    check(1, &[&block[..], &end].concat());
    check(2, &[&["content_block_stop"], &block[..], &end].concat());
    check(3, &["content_block_stop", "message_delta", "message_stop"]);
    check(4, &end);
    check(5, &["message_stop"]);
    check(6, &[]);
}

#[test]
fn a_fault_never_looks_like_an_end() {
    let openai = reader(OPENAI).fault("cut");
    assert_eq!(values(&openai)[0]["error"]["message"], "cut");
    assert!(!openai.ends_with(b"[DONE]\n\n"));
    let anthropic = reader(ANTHROPIC).fault("cut");
    assert!(anthropic.starts_with(b"event: error\n"));
    for (dialect, fault) in [(OPENAI, openai), (ANTHROPIC, anthropic)] {
        let mut reader = reader(dialect);
        let read = read_all(&mut reader, std::str::from_utf8(&fault).unwrap());
        assert!(read[0].error && !reader.is_complete());
    }
}

#[test]
fn errors_speak_the_dialect() {
    let check = |kind: ErrorKind, openai: u16, anthropic: u16, name: &str| {
        let reply = OPENAI.error(kind, "why", "req_1");
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(
            (reply.status, &body["error"]["message"]),
            (openai, &json!("why"))
        );
        let reply = ANTHROPIC.error(kind, "why", "req_1");
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        let expected = json!({"type": "error", "error": {"type": name, "message": "why"}, "request_id": "req_1"});
        assert_eq!((reply.status, body), (anthropic, expected));
    };
    check(ErrorKind::BadRequest, 400, 400, "invalid_request_error");
    check(ErrorKind::Unauthorized, 401, 401, "authentication_error");
    check(ErrorKind::NotFound, 404, 404, "not_found_error");
    check(
        ErrorKind::MethodNotAllowed,
        405,
        405,
        "invalid_request_error",
    );
    check(ErrorKind::TooLarge, 413, 413, "request_too_large");
    check(
        ErrorKind::UnsupportedMedia,
        415,
        415,
        "invalid_request_error",
    );
    check(ErrorKind::RateLimited, 429, 429, "rate_limit_error");
    check(ErrorKind::Internal, 500, 500, "api_error");
    check(ErrorKind::BadGateway, 502, 502, "api_error");
    check(ErrorKind::Unavailable, 503, 529, "overloaded_error");
    check(ErrorKind::GatewayTimeout, 504, 504, "timeout_error");
    let reply = OPENAI.error(ErrorKind::PolicyError, "why", "r");
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        (reply.status, &body["error"]["code"]),
        (400, &json!("content_filter"))
    );
    assert_eq!(
        OPENAI.error(ErrorKind::Unavailable, "", "").retry_after,
        Some(1)
    );
}

fn moderated(body: &Value) -> Option<Vec<String>> {
    let read = moderations::parse(body.to_string().into(), &ParseRules::default()).ok()?;
    Some(
        read.parts
            .iter()
            .map(|part| part.content.expose().to_owned())
            .collect(),
    )
}

#[test]
fn every_form_of_moderation_input_is_read() {
    let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
    assert_eq!(moderated(&json!({"input": "a"})), texts(&["a"]));
    assert_eq!(
        moderated(&json!({"input": ["a", "", "b"]})),
        texts(&["a", "", "b"])
    );
    let parts = json!([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://x"}}, {"type": "text", "text": "b"}]);
    assert_eq!(
        moderated(&json!({"input": parts})),
        texts(&["a\nhttps://x\nb"])
    );
    for bad in [
        json!({}),
        json!({"input": 1}),
        json!({"input": []}),
        json!({"input": [1, 2]}),
        json!({"input": ["a", 1]}),
    ] {
        assert_eq!(moderated(&bad), None, "{bad}");
    }
}

#[test]
fn a_moderation_answer_names_all_categories() {
    let result = ModerationResult {
        flagged: true,
        categories: vec![("hate", 0.5, true)],
    };
    let body: Value =
        serde_json::from_slice(&moderations::reply("modr-1", "m", &[result])).unwrap();
    let result = &body["results"][0];
    assert_eq!(result["categories"].as_object().unwrap().len(), 13);
    assert_eq!(
        (
            &result["categories"]["hate"],
            &result["category_scores"]["hate"]
        ),
        (&json!(true), &json!(0.5))
    );
    assert_eq!(
        result["category_applied_input_types"]["hate"],
        json!(["text"])
    );
    assert_eq!(result["flagged"], true);
}

#[test]
fn a_guard_check_takes_a_text_or_messages() {
    let check = |body: Value| GuardCheck::parse(body.to_string().into(), &ParseRules::default());
    let text = check(json!({"text": "a", "surface": "completion"})).unwrap();
    assert_eq!(
        (text.parts.len(), text.parts[0].surface),
        (1, Surface::Completion)
    );
    let messages = json!([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]);
    let read = check(json!({"messages": messages})).unwrap();
    assert_eq!((read.parts.len(), read.seams().len()), (2, 2));
    for (bad, why) in [
        (json!({}), "either `text`"),
        (json!({"text": 1}), "either `text`"),
        (json!({"text": "a", "messages": []}), "either `text`"),
        (
            json!({"text": "a", "surface": "x"}),
            "`surface` must be one of",
        ),
        (json!({"text": "a", "txt": "b"}), "unknown field"),
    ] {
        let error = check(bad).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
