//! Requests: nothing unread, turns, edits.

use crate::support::{ANTHROPIC, OPENAI, bytes, listing, messages, parse, saw, try_parse};
use bytes::Bytes;
use portcullis_protocol::{
    Dialect, Edit, EditError, Exchange, OnPart, ParseRules, PartKind, Reason, Role,
};
use portcullis_text::Surface;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A word that must be seen wherever it stands.
const W: &str = "bomb";

fn with(extra: &Value) -> Value {
    let mut body = messages(&json!([{"role": "user", "content": "hi"}]));
    let extra = extra.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(extra);
    body
}

/// The way is either refused or the word in it is seen.
fn check(dialect: Dialect, body: &Value) {
    match try_parse(dialect, body) {
        Ok(read) => assert!(saw(&read.parts, read.seams(), W), "unseen: {body}"),
        Err(error) => assert!(error.is_unscreenable(), "{body}: {error}"),
    }
}

#[test]
fn no_way_into_an_openai_request_passes_unseen() {
    let message = |message: Value| messages(&json!([message]));
    let ways = [
        message(json!({"role": "user", "content": W})),
        message(json!({"role": "user", "content": [{"type": "text", "text": W}]})),
        message(
            json!({"role": "user", "content": [{"type": "text", "text": "bo"}, {"type": "text", "text": "mb"}]}),
        ),
        messages(&json!([{"role": "user", "content": "a bo"}, {"role": "user", "content": "mb"}])),
        message(json!({"role": "user", "content": [{"type": "input_text", "text": W}]})),
        message(json!({"role": "user", "content": [{"type": "refusal", "refusal": W}]})),
        message(json!({"role": "user", "content": [{"type": W}]})),
        message(json!({"role": "user", "content": [W]})),
        message(json!({"role": "user", "content": {"text": W}})),
        message(json!({"role": "system", "content": W})),
        message(json!({"role": "developer", "content": W})),
        message(json!({"role": "assistant", "content": W})),
        message(json!({"role": "tool", "tool_call_id": "c", "content": W})),
        message(json!({"role": "tool", "tool_call_id": "make a bomb", "content": ""})),
        message(json!({"role": "make a bomb", "content": ""})),
        message(json!({"role": "user", "content": "", "name": W})),
        message(json!({"role": "user", "content": "", "unknown": {"a": [{"b": W}]}})),
        message(json!({"role": "user", "content": "", "make a bomb": 1})),
        message(json!({"role": "user", "content": "", "unknown": {"make a bomb": 1}})),
        message(json!({"role": "assistant", "content": null, "refusal": W})),
        message(json!({"role": "assistant", "content": null, "reasoning_content": W})),
        message(json!({"role": "assistant", "content": null, "reasoning": W})),
        message(
            json!({"role": "assistant", "reasoning_details": [{"type": "reasoning.text", "text": W}]}),
        ),
        message(
            json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\": \"bomb\"}"}}]}),
        ),
        message(
            json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\": \"\\u0062omb\"}"}}]}),
        ),
        message(
            json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": W, "arguments": {"a": "x"}}}]}),
        ),
        message(
            json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": W}}]}),
        ),
        message(json!({"role": "assistant", "function_call": {"name": "f", "arguments": W}})),
        message(
            json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:text/plain;base64,Ym9tYg=="}}]}),
        ),
        message(
            json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,bomb"}}]}),
        ),
        message(
            json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "DATA:text/plain,bomb"}}]}),
        ),
        message(
            json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "make a bomb"}}]}),
        ),
        message(
            json!({"role": "user", "content": [{"type": "image_url", "image_url": "make a bomb"}]}),
        ),
        message(
            json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y", "detail": W}}]}),
        ),
        message(
            json!({"role": "user", "content": [{"type": "file", "file": {"file_data": "x", "filename": W}}]}),
        ),
        message(
            json!({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "a bomb"}}]}),
        ),
        with(
            &json!({"tools": [{"type": "function", "function": {"name": "f", "description": W}}]}),
        ),
        with(&json!({"tools": [{"type": "function", "function": {"name": W}}]})),
        with(
            &json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a bomb": {"type": "string"}}}}}]}),
        ),
        with(
            &json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {"enum": [W]}}}}}]}),
        ),
        with(
            &json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {"type": W}}}}}]}),
        ),
        with(
            &json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"$defs": {"a": {"anyOf": [{"description": W}]}}}}}]}),
        ),
        with(&json!({"tools": [{"type": "new", "new": {"x": W}}]})),
        with(&json!({"functions": [{"name": "f", "description": W}]})),
        with(&json!({"function_call": {"name": W}})),
        with(&json!({"tool_choice": {"type": "function", "function": {"name": W}}})),
        with(&json!({"tool_choice": W})),
        with(
            &json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"description": W}}}}),
        ),
        with(
            &json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "description": W}}}),
        ),
        with(&json!({"prediction": {"type": "content", "content": W}})),
        with(&json!({"prediction": {"type": "content", "content": [{"type": "text", "text": W}]}})),
        with(&json!({"stop": W})),
        with(&json!({"stop": ["x", W]})),
        with(&json!({"user": W})),
        with(&json!({"safety_identifier": W})),
        with(&json!({"metadata": {"a": W}})),
        with(&json!({"metadata": {"a bomb": "x"}})),
        with(&json!({"logit_bias": {"a bomb": 1}})),
        with(&json!({"documents": [{"title": "t", "text": W}]})),
        with(&json!({"chat_template": W})),
        with(
            &json!({"web_search_options": {"user_location": {"type": "approximate", "approximate": {"city": W}}}}),
        ),
        with(&json!({"temperature": W})),
        with(&json!({"reasoning_effort": W})),
        with(&json!({"service_tier": "a bomb"})),
        with(&json!({"model": "a bomb"})),
        with(&json!({"stream_options": W})),
        with(&json!({"unknown": {"a": [W]}})),
        with(&json!({"a bomb": null})),
    ];
    ways.iter().for_each(|way| check(OPENAI, way));
}

#[test]
fn no_way_into_an_anthropic_request_passes_unseen() {
    let block = |block: Value| messages(&json!([{"role": "user", "content": [block]}]));
    let ways = [
        messages(&json!([{"role": "user", "content": W}])),
        messages(&json!([{"role": "make a bomb", "content": ""}])),
        block(json!({"type": "text", "text": W})),
        block(
            json!({"type": "text", "text": "x", "citations": [{"type": "char_location", "cited_text": W}]}),
        ),
        block(json!({"type": "text", "text": "x", "cache_control": {"type": W}})),
        messages(
            &json!([{"role": "user", "content": [{"type": "text", "text": "bo"}, {"type": "text", "text": "mb"}]}]),
        ),
        block(json!({"type": "new", "text": W})),
        block(
            json!({"type": "image", "source": {"type": "base64", "media_type": "text/plain", "data": "Ym9tYg=="}}),
        ),
        block(
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "a bomb!"}}),
        ),
        block(json!({"type": "image", "source": {"type": "url", "url": "make a bomb"}})),
        block(
            json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": W}}),
        ),
        block(
            json!({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": W}]}}),
        ),
        block(
            json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "x"}}),
        ),
        block(
            json!({"type": "document", "title": W, "source": {"type": "text", "media_type": "text/plain", "data": "x"}}),
        ),
        block(
            json!({"type": "document", "context": W, "source": {"type": "text", "media_type": "text/plain", "data": "x"}}),
        ),
        block(json!({"type": "search_result", "source": W, "title": "t", "content": []})),
        block(
            json!({"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": W}]}),
        ),
        block(json!({"type": "tool_result", "tool_use_id": "t", "content": W})),
        block(
            json!({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": W}]}),
        ),
        block(
            json!({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": W}}]}),
        ),
        block(json!({"type": "tool_use", "id": "t", "name": "n", "input": {"a": {"b": [W]}}})),
        block(json!({"type": "tool_use", "id": "t", "name": "n", "input": {"a bomb": 1}})),
        block(json!({"type": "tool_use", "id": "t", "name": W, "input": {}})),
        block(json!({"type": "thinking", "thinking": W, "signature": "c2ln"})),
        block(json!({"type": "thinking", "thinking": "", "signature": "a bomb"})),
        block(
            json!({"type": "web_search_tool_result", "tool_use_id": "t", "content": [{"type": "web_search_result", "title": W, "url": "u", "encrypted_content": "x"}]}),
        ),
        block(
            json!({"type": "code_execution_tool_result", "tool_use_id": "t", "content": {"type": "code_execution_result", "stdout": W, "stderr": "", "return_code": 0, "content": []}}),
        ),
        block(
            json!({"type": "mcp_tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": W}]}),
        ),
        with(&json!({"system": W})),
        with(&json!({"system": [{"type": "text", "text": W}]})),
        with(&json!({"stop_sequences": [W]})),
        with(&json!({"metadata": {"user_id": W}})),
        with(&json!({"tools": [{"name": "n", "description": W, "input_schema": {}}]})),
        with(
            &json!({"tools": [{"name": "n", "input_schema": {"properties": {"a": {"description": W}}}}]}),
        ),
        with(&json!({"tools": [{"name": "n", "input_schema": {}, "input_examples": [{"a": W}]}]})),
        with(&json!({"tool_choice": {"type": "tool", "name": W}})),
        with(&json!({"mcp_servers": [{"type": "url", "name": W, "url": "https://x"}]})),
        with(&json!({"container": {"id": "a bomb"}})),
        with(&json!({"output_format": {"type": "json_schema", "schema": {"description": W}}})),
        with(&json!({"context_management": {"edits": [{"type": "x", "instructions": W}]}})),
        with(&json!({"unknown": W})),
    ];
    ways.iter().for_each(|way| check(ANTHROPIC, way));
}

#[test]
fn what_cannot_be_screened_is_reported_or_refused_by_rule() {
    let parts = json!([
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]);
    let body = messages(&json!([{"role": "user", "content": parts}]));
    let read = parse(OPENAI, &body);
    let gaps: Vec<(&str, Reason)> = read
        .unscreened
        .iter()
        .map(|gap| (gap.path.as_str(), gap.reason))
        .collect();
    let image = ("/messages/0/content/0/image_url/url", Reason::Image);
    let audio = ("/messages/0/content/1/input_audio/data", Reason::Audio);
    assert_eq!(gaps, [image, audio]);
    let addresses: Vec<&str> = read
        .parts
        .iter()
        .map(|part| part.content.expose())
        .collect();
    assert!(
        addresses.len() == 1 && addresses[0].starts_with("http"),
        "{addresses:?}"
    );
    assert!(!read.turns[0].plain_text);

    let strict = ParseRules {
        images: OnPart::Refuse,
        ..ParseRules::default()
    };
    let error = OPENAI.parse(bytes(&body), &strict).unwrap_err();
    assert!(error.is_unscreenable());
    assert!(
        error
            .to_string()
            .contains("an image at /messages/0/content/0/image_url/url"),
        "{error}"
    );
}

#[test]
fn unknown_part_types_are_named_or_read_as_text() {
    let body = messages(&json!([{"role": "user", "content": [{"type": "hologram", "x": W}]}]));
    for dialect in [OPENAI, ANTHROPIC] {
        let error = try_parse(dialect, &body).unwrap_err().to_string();
        assert!(
            error.contains("unknown type `hologram` at /messages/0/content/0"),
            "{error}"
        );
        let lenient = ParseRules {
            unknown: OnPart::Pass,
            ..ParseRules::default()
        };
        let read = dialect.parse(bytes(&body), &lenient).unwrap();
        assert!(saw(&read.parts, &[], W));
        assert_eq!(read.unscreened[0].reason, Reason::Unknown);
    }
}

#[test]
fn numbers_in_unknown_fields_are_reported() {
    let read = parse(OPENAI, &with(&json!({"prompt_token_ids": vec![7; 20]})));
    assert_eq!(read.unscreened[0].reason, Reason::Numbers);
}

#[test]
fn structure_is_no_text() {
    let body = json!({
        "model": "gpt-4o", "n": 1, "temperature": 0.5, "seed": 1, "service_tier": "auto",
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "additionalProperties": false}}}],
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
        "stream_options": {"include_usage": true},
    });
    let read = parse(OPENAI, &body);
    let expected = [
        "user /messages/0/content Text = hi",
        "document /tools/0/function/name Other = f",
    ];
    assert_eq!(listing(&read.parts), expected);
    assert!(read.structured && read.include_usage && read.tools);
}

#[test]
fn more_texts_or_messages_than_are_read_are_refused() {
    let check = |body: String, expected: &str| {
        let error = OPENAI
            .parse(Bytes::from(body), &ParseRules::default())
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    let texts = "\"x\",".repeat(1 << 16);
    check(
        format!("{{\"messages\":[],\"a\":[{texts}\"x\"]}}"),
        "more than 65536 texts",
    );
    let turns = "{\"role\":\"user\"},".repeat(1 << 14);
    check(
        format!("{{\"messages\":[{turns}{{\"role\":\"user\"}}]}}"),
        "more than the 16384 messages",
    );
}

#[test]
fn places_deep_in_a_body_stay_short() {
    let key = "k".repeat(40);
    let deep = (0..40).fold(json!("x"), |inner, _| json!({ key.clone(): inner }));
    let read = parse(OPENAI, &with(&json!({"unknown": deep})));
    assert!(read.parts.iter().all(|part| part.path.len() <= 256));
}

#[test]
fn a_match_in_a_seam_is_found_in_its_parts() {
    let long = "x".repeat(3000);
    let content =
        json!([{"type": "text", "text": format!("{long} bo")}, {"type": "text", "text": "mb é"}]);
    let read = parse(
        OPENAI,
        &messages(&json!([{"role": "user", "content": content}])),
    );
    let seam = &read.seams()[0];
    assert!(seam.content.len() < 600 && !seam.editable && seam.surface == Surface::User);
    assert_eq!(read.part(seam.id).map(|part| part.id), Some(seam.id));
    let at = seam.content.expose().find(W).unwrap();
    let found = read.locate(seam.id, at..at + W.len());
    let texts: Vec<&str> = found
        .iter()
        .map(|(id, range)| &read.part(*id).unwrap().content.expose()[range.clone()])
        .collect();
    assert_eq!(texts, ["bo", "mb"]);
}

#[test]
fn a_speaker_goes_on_after_an_answer_and_past_blank_parts() {
    let read = parse(
        OPENAI,
        &messages(&json!([
            {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
            {"role": "user", "content": [{"type": "text", "text": " "}, {"type": "text", "text": "c"}]},
        ])),
    );
    let seams: Vec<&str> = read
        .seams()
        .iter()
        .map(|seam| seam.content.expose())
        .collect();
    assert_eq!(seams, ["ac", "a c"]);
    let turn = |role: &str| json!({"role": role, "content": role});
    let far = ["user", "assistant", "assistant", "user"].map(turn);
    let read = parse(OPENAI, &messages(&json!(far)));
    assert!(
        read.seams()
            .iter()
            .all(|seam| seam.surface == Surface::Assistant)
    );
}

fn conversation() -> Exchange {
    let text = r#"{ "model":"m", "messages": [
        {"role":"system","content":"be kind"} ,
        {"role":"user","content":"one"},
        {"role":"assistant","content":"two\n\nThis is AI."} , {"role":"user","content":"three"}
    ], "x": 1.50 }"#;
    OPENAI
        .parse(Bytes::from(text), &ParseRules::default())
        .unwrap()
}

fn outgoing(exchange: &Exchange, edits: &[Edit]) -> Value {
    let bytes = exchange.outgoing(edits).unwrap();
    OPENAI
        .parse(bytes.clone(), &ParseRules::default())
        .expect("still strict JSON");
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn turns_can_be_dropped_in_every_combination() {
    let exchange = conversation();
    for mask in 0_u32..16 {
        let dropped: Vec<usize> = (0..4).filter(|turn| mask & (1 << turn) != 0).collect();
        let edits: Vec<Edit> = dropped.iter().map(|turn| Edit::DropTurn(*turn)).collect();
        let mut expected: Value = serde_json::from_slice(&exchange.body).unwrap();
        let list = expected["messages"].as_array_mut().unwrap();
        dropped
            .iter()
            .rev()
            .for_each(|turn| drop(list.remove(*turn)));
        assert_eq!(outgoing(&exchange, &edits), expected, "{dropped:?}");
    }
}

#[test]
fn without_edits_the_same_bytes_go_out_uncopied() {
    let exchange = conversation();
    let out = exchange.outgoing(&[]).unwrap();
    assert_eq!(
        (out.as_ptr(), out.len()),
        (exchange.body.as_ptr(), exchange.body.len())
    );
}

#[test]
fn a_splice_changes_its_literal_and_no_other_byte() {
    let exchange = conversation();
    let part = &exchange.parts[1];
    let edit = Edit::Replace {
        part: part.id,
        text: "\"\\\u{1}é".to_owned(),
    };
    let out = exchange.outgoing(&[edit]).unwrap();
    let range = part.literal.clone();
    assert_eq!(out[..range.start], exchange.body[..range.start]);
    assert!(out.ends_with(&exchange.body[range.end..]));
    assert_eq!(
        &out[range.start..out.len() - (exchange.body.len() - range.end)],
        "\"\\\"\\\\\\u0001é\"".as_bytes()
    );
}

#[test]
fn edits_that_cannot_be_made_are_errors() {
    let exchange = parse(OPENAI, &with(&json!({"metadata": {"a bomb": "x"}})));
    let key = exchange
        .parts
        .iter()
        .find(|part| !part.editable)
        .unwrap()
        .id;
    let replace = |part| Edit::Replace {
        part,
        text: String::new(),
    };
    assert_eq!(
        exchange.outgoing(&[replace(key)]),
        Err(EditError::NotEditable(key.0))
    );
    let beyond = portcullis_text::PartId(999);
    assert_eq!(
        exchange.outgoing(&[replace(beyond)]),
        Err(EditError::NoPart(999))
    );
    assert_eq!(
        exchange.outgoing(&[Edit::DropTurn(9)]),
        Err(EditError::NoTurn(9))
    );
}

#[test]
fn edited_arguments_stay_a_document() {
    let call = |arguments: &str| {
        let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}});
        parse(
            OPENAI,
            &messages(&json!([{"role": "assistant", "tool_calls": [call]}])),
        )
    };
    let check = |text: fn(&str) -> String, expected: &str| {
        let exchange = call(r#"{"a": "x\n\u0062omb \"q\""}"#);
        let mut parts = exchange.parts.iter();
        let part = parts.find(|part| part.kind == PartKind::Arguments).unwrap();
        let edit = Edit::Replace {
            part: part.id,
            text: text(part.content.expose()),
        };
        let out = outgoing(&exchange, &[edit]);
        let arguments = &out["messages"][0]["tool_calls"][0]["function"]["arguments"];
        assert_eq!(arguments.as_str().unwrap(), expected);
    };
    check(
        |text| text.replace("bomb", "[x]"),
        r#"{"a": "x\n[x] \"q\""}"#,
    );
    check(|_| "removed".to_owned(), "{}");
}

#[test]
fn an_emptied_block_goes_unless_it_is_the_last_one() {
    let check = |texts: &[&str], expected: &[&str]| {
        let block = |text: &&str| json!({"type": "text", "text": text});
        let blocks = |texts: &[&str]| Value::from_iter(texts.iter().map(block));
        let turn = json!({"role": "user", "content": blocks(texts)});
        let exchange = parse(ANTHROPIC, &messages(&json!([turn])));
        let gone = exchange
            .parts
            .iter()
            .filter(|part| part.content.expose() == "gone");
        let edits = gone.map(|part| Edit::Replace {
            part: part.id,
            text: String::new(),
        });
        let out = outgoing(&exchange, &edits.collect::<Vec<Edit>>());
        assert_eq!(out["messages"][0]["content"], blocks(expected));
    };
    check(&["gone", "a", "gone", "gone", "b", "gone"], &["a", "b"]);
    check(&["gone", "gone"], &["", ""]);
    check(&["gone"], &[""]);
}

#[test]
fn turns_read_as_their_text() {
    let read = parse(
        OPENAI,
        &messages(&json!([
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "n"},
            {"role": "assistant", "content": null, "refusal": "no"},
            {"role": "tool", "tool_call_id": "c", "content": "t"},
            {"role": "assistant", "content": "x", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "user", "content": "/reset-ai"},
        ])),
    );
    let texts: Vec<String> = (0..5).map(|turn| read.turn_text(turn)).collect();
    assert_eq!(texts, ["a\nb", "no", "t", "x", "/reset-ai"]);
    let plain: Vec<bool> = read.turns.iter().map(|turn| turn.plain_text).collect();
    assert_eq!(plain, [true, true, false, false, true]);
    assert_eq!(read.last_user_text().unwrap().expose(), "/reset-ai");
    assert_eq!(
        (
            read.user_turns(),
            read.assistant_after(0),
            read.assistant_after(1)
        ),
        (2, Some(1), None)
    );
    assert_eq!(read.turns[2].role, Role::Tool);
}

#[test]
fn only_a_last_user_turn_of_text_is_the_last_user_text() {
    let image = json!({"type": "image_url", "image_url": {"url": "https://x"}});
    for last in [
        json!({"role": "assistant", "content": "/x"}),
        json!({"role": "user", "content": [{"type": "text", "text": "/x"}, image]}),
    ] {
        assert!(
            parse(OPENAI, &messages(&json!([last])))
                .last_user_text()
                .is_none()
        );
    }
    let result = json!([{"type": "tool_result", "tool_use_id": "t", "content": "/x"}]);
    assert!(
        parse(
            ANTHROPIC,
            &messages(&json!([{"role": "user", "content": result}]))
        )
        .last_user_text()
        .is_none()
    );
}

#[test]
fn inserted_texts_are_taken_out_of_earlier_answers() {
    let check = |content: Value, expected: Value| {
        let turns = json!([{"role": "assistant", "content": content}, {"role": "user", "content": "This is AI."}]);
        let exchange = parse(ANTHROPIC, &messages(&turns));
        let edits = exchange.strip_inserted(&["This is AI.", "See a doctor.", ""]);
        let out = outgoing(&exchange, &edits);
        assert_eq!(out["messages"][0]["content"], expected);
        assert_eq!(out["messages"][1]["content"], "This is AI.");
    };
    let text = |text: &str| json!({"type": "text", "text": text});
    check(json!("yes\n\nSee a doctor.\n\nThis is AI."), json!("yes"));
    check(json!("This is AI.\n\nyes"), json!("yes"));
    check(json!("yes This is AI."), json!("yes This is AI."));
    check(json!("This is AI."), json!("This is AI."));
    check(
        json!([
            text("yes"),
            text("\n\nThis is AI."),
            text("\n\nSee a doctor.")
        ]),
        json!([text("yes")]),
    );
    check(
        json!([text("This is AI."), text("yes")]),
        json!([text("yes")]),
    );
    check(json!([text("This is AI.")]), json!([text("This is AI.")]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn edits_keep_all_other_leaves(
        texts in prop::collection::vec(any::<String>(), 1..6),
        new in any::<String>(),
        pick in any::<prop::sample::Index>(),
        dropped in prop::collection::btree_set(0_usize..6, 0..4),
    ) {
        let turns: Vec<Value> = texts.iter().map(|text| json!({"role": "user", "content": format!("t{text}"), "z": [1.5e300, null]})).collect();
        let exchange = parse(OPENAI, &messages(&json!(turns)));
        for (part, text) in exchange.parts.iter().zip(&texts) {
            prop_assert_eq!(part.content.expose(), &format!("t{text}"));
        }
        let picked = pick.index(texts.len());
        let dropped: Vec<usize> = dropped.into_iter().filter(|turn| *turn < texts.len()).collect();
        let mut edits = vec![Edit::Replace { part: exchange.parts[picked].id, text: format!("n{new}") }];
        edits.extend(dropped.iter().map(|turn| Edit::DropTurn(*turn)));
        let mut expected: Value = serde_json::from_slice(&exchange.body).unwrap();
        expected["messages"][picked]["content"] = json!(format!("n{new}"));
        let list = expected["messages"].as_array_mut().unwrap();
        dropped.iter().rev().for_each(|turn| drop(list.remove(*turn)));
        prop_assert_eq!(outgoing(&exchange, &edits), expected);
    }
}
