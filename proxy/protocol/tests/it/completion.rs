//! Whole answers: nothing unread, and text put in where it may be.

use crate::support::{ANTHROPIC, OPENAI, completion, saw};
use portcullis_protocol::{CompletionEdit, Dialect, PartKind, Reason};
use portcullis_text::Surface;
use serde_json::{Value, json};

const W: &str = "bomb";

fn choice(message: &Value) -> Value {
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})
}

fn message(content: &Value) -> Value {
    json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": "end_turn"})
}

fn check(dialect: Dialect, body: &Value, surface: Surface) {
    let read = completion(dialect, body);
    assert!(saw(&read.parts, read.seams(), W), "unseen: {body}");
    let part = read
        .parts
        .iter()
        .find(|part| part.content.expose().contains(W));
    assert!(part.is_none_or(|part| part.surface == surface), "{body}");
}

#[test]
fn no_way_out_of_an_openai_answer_passes_unseen() {
    let said = Surface::Completion;
    check(
        OPENAI,
        &choice(&json!({"role": "assistant", "content": W})),
        said,
    );
    check(
        OPENAI,
        &choice(
            &json!({"content": [{"type": "text", "text": "bo"}, {"type": "text", "text": "mb"}]}),
        ),
        said,
    );
    check(
        OPENAI,
        &choice(&json!({"content": null, "refusal": W})),
        said,
    );
    check(
        OPENAI,
        &choice(&json!({"content": "", "reasoning_content": W})),
        Surface::Reasoning,
    );
    check(
        OPENAI,
        &choice(&json!({"content": "", "reasoning": W})),
        Surface::Reasoning,
    );
    check(
        OPENAI,
        &choice(
            &json!({"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":\"\\u0062omb\"}"}}]}),
        ),
        Surface::ToolCall,
    );
    check(
        OPENAI,
        &choice(&json!({"tool_calls": [{"function": {"name": W, "arguments": "{}"}}]})),
        Surface::ToolCall,
    );
    check(
        OPENAI,
        &choice(&json!({"function_call": {"name": "f", "arguments": W}})),
        Surface::ToolCall,
    );
    check(
        OPENAI,
        &choice(&json!({"audio": {"id": "a", "data": "UklG", "transcript": W}})),
        said,
    );
    check(
        OPENAI,
        &choice(&json!({"annotations": [{"type": "url_citation", "url_citation": {"title": W}}]})),
        said,
    );
    check(OPENAI, &choice(&json!({"unknown": {"a": [W]}})), said);
    let mut body = choice(&json!({"content": "x"}));
    body["choices"][0]["logprobs"] =
        json!({"content": [{"token": "bo", "logprob": -1.0}, {"token": "mb", "logprob": -1.0}]});
    check(OPENAI, &body, said);
    let mut body = choice(&json!({"content": "x"}));
    body["choices"][0]["index"] = json!(1);
    body["choices"][0]["message"]["content"] = json!(W);
    check(OPENAI, &body, said);
    let mut body = choice(&json!({"content": "x"}));
    body["guard"] = json!({"text": W});
    check(OPENAI, &body, said);
}

#[test]
fn no_way_out_of_an_anthropic_answer_passes_unseen() {
    let said = Surface::Completion;
    let block = |block: Value| message(&json!([block]));
    check(ANTHROPIC, &block(json!({"type": "text", "text": W})), said);
    check(
        ANTHROPIC,
        &message(&json!([{"type": "text", "text": "bo"}, {"type": "text", "text": "mb"}])),
        said,
    );
    check(
        ANTHROPIC,
        &block(
            json!({"type": "text", "text": "x", "citations": [{"type": "char_location", "cited_text": W}]}),
        ),
        said,
    );
    check(
        ANTHROPIC,
        &block(json!({"type": "thinking", "thinking": W, "signature": "cw=="})),
        Surface::Reasoning,
    );
    check(
        ANTHROPIC,
        &block(json!({"type": "tool_use", "id": "t", "name": "n", "input": {"a": [W]}})),
        Surface::ToolCall,
    );
    check(
        ANTHROPIC,
        &block(
            json!({"type": "web_search_tool_result", "tool_use_id": "t", "content": [{"type": "web_search_result", "title": W, "encrypted_content": "x"}]}),
        ),
        said,
    );
    check(
        ANTHROPIC,
        &block(json!({"type": "new_block", "text": W})),
        said,
    );
    let mut body = message(&json!([]));
    body["stop_details"] = json!({"type": "refusal", "category": null, "explanation": W});
    check(ANTHROPIC, &body, said);
    let mut body = message(&json!([]));
    body["unknown"] = json!(W);
    check(ANTHROPIC, &body, said);
}

#[test]
fn opaque_parts_of_an_answer_are_reported() {
    let read = completion(
        ANTHROPIC,
        &message(&json!([{"type": "redacted_thinking", "data": "abc"}])),
    );
    assert_eq!(read.unscreened[0].reason, Reason::Opaque);
}

#[test]
fn the_bytes_of_tokens_are_read_as_what_they_say() {
    let read = |content: Value| {
        let mut body = choice(&json!({"content": "x"}));
        body["choices"][0]["logprobs"] = json!({"content": content});
        let read = completion(OPENAI, &body);
        let reasons: Vec<Reason> = read.unscreened.iter().map(|gap| gap.reason).collect();
        (saw(&read.parts, &[], W), reasons)
    };
    let token = |token: &str, bytes: &[u32]| json!({"token": token, "bytes": bytes});
    let others = json!([token("x", &[98, 111]), token("y", &[109, 98])]);
    assert_eq!(read(others), (true, vec![]));
    let same = json!([token("x", &[120]), {"token": "y", "bytes": null}]);
    assert_eq!(read(same), (false, vec![]));
    let no_bytes = json!([token("x", &[98, 111, 109_000])]);
    assert_eq!(read(no_bytes), (false, vec![Reason::Numbers]));
    let alternative = json!([{"token": "x", "top_logprobs": [{"token": W}]}]);
    assert_eq!(read(alternative), (true, vec![]));
    let twin = json!([{"token": "x", "top_logprobs": [token("x", W.as_bytes().iter().map(|byte| u32::from(*byte)).collect::<Vec<_>>().as_slice())]}]);
    assert_eq!(read(twin), (true, vec![]));
    let beside = json!([{"token": "x", "top_logprobs": [{"token": "x", "new": W}]}]);
    assert_eq!(read(beside), (true, vec![]));
}

#[test]
fn text_is_appended_to_plain_answers_only() {
    let check = |dialect: Dialect, body: &Value, pointer: &str, expected: &str| {
        let read = completion(dialect, body);
        let out: Value =
            serde_json::from_slice(&read.edited(&read.append_to_all("Note."))).unwrap();
        let mut want = body.clone();
        *want.pointer_mut(pointer).unwrap() = json!(expected);
        assert_eq!(out, want);
    };
    let content = "/choices/0/message/content";
    check(
        OPENAI,
        &choice(&json!({"content": "Hi \"x\""})),
        content,
        "Hi \"x\"\n\nNote.",
    );
    check(
        OPENAI,
        &choice(&json!({"content": "{\"a\": 1}"})),
        content,
        "{\"a\": 1}",
    );
    check(
        OPENAI,
        &choice(&json!({"content": " [1]\n"})),
        content,
        " [1]\n",
    );
    check(
        OPENAI,
        &choice(&json!({"content": "Hi", "tool_calls": [{"id": "c"}]})),
        content,
        "Hi",
    );
    check(
        OPENAI,
        &choice(&json!({"content": "", "refusal": "no"})),
        content,
        "",
    );
    let blocks = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    check(
        ANTHROPIC,
        &message(&blocks),
        "/content/1/text",
        "b\n\nNote.",
    );
    let blocks = json!([{"type": "text", "text": "a"}, {"type": "tool_use", "id": "t", "name": "n", "input": {}}]);
    check(ANTHROPIC, &message(&blocks), "/content/0/text", "a");
}

#[test]
fn replacing_and_adding_go_together() {
    let read = completion(OPENAI, &choice(&json!({"content": "secret"})));
    let edits = [
        CompletionEdit::Append {
            choice: 0,
            text: "one".into(),
        },
        CompletionEdit::Replace {
            part: read.parts[0].id,
            text: "[x]".into(),
        },
        CompletionEdit::Append {
            choice: 0,
            text: "two".into(),
        },
        CompletionEdit::Prepend {
            choice: 0,
            text: "zero".into(),
        },
        CompletionEdit::Append {
            choice: 7,
            text: "nowhere".into(),
        },
    ];
    let out: Value = serde_json::from_slice(&read.edited(&edits)).unwrap();
    assert_eq!(
        out["choices"][0]["message"]["content"],
        "zero\n\n[x]\n\none\n\ntwo"
    );
}

#[test]
fn replaced_tokens_are_taken_out_altogether() {
    let mut body = choice(&json!({"content": "secret"}));
    body["choices"][0]["logprobs"] =
        json!({"content": [{"token": "sec", "bytes": [1]}, {"token": "ret"}], "refusal": null});
    let read = completion(OPENAI, &body);
    let tokens = read
        .parts
        .iter()
        .find(|part| part.kind == PartKind::Logprobs)
        .unwrap();
    assert!(tokens.content.expose().contains("secret"));
    let edit = CompletionEdit::Replace {
        part: tokens.id,
        text: "[x]".into(),
    };
    let out: Value = serde_json::from_slice(&read.edited(&[edit])).unwrap();
    assert_eq!(out["choices"][0]["logprobs"], Value::Null);
}

#[test]
fn unedited_answers_keep_their_bytes() {
    let read = completion(OPENAI, &choice(&json!({"content": "x"})));
    assert_eq!(read.edited(&[]).as_ptr(), read.body.as_ptr());
}
