//! Streams: nothing unread, texts replaced and added, ends told apart.

use crate::support::{
    ANTHROPIC, OPENAI, data, messages, named, parse, read_all, reader, split, values,
};
use bytes::Bytes;
use portcullis_protocol::{Channel, Dialect, EventText, Reason, StreamReader};
use serde_json::{Value, json};

const W: &str = "bomb";

fn chunk(choice: &Value) -> Value {
    json!({"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": [choice]})
}

fn delta(delta: &Value) -> Value {
    chunk(&json!({"index": 0, "delta": delta, "finish_reason": null}))
}

fn finish(reason: &str) -> Value {
    chunk(&json!({"index": 0, "delta": {}, "finish_reason": reason}))
}

fn block_delta(delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": 0, "delta": delta})
}

fn start(block: &Value) -> Value {
    json!({"type": "content_block_start", "index": 0, "content_block": block})
}

/// The text of every channel, joined over all events.
fn channels(events: &[EventText]) -> Vec<(u32, Channel, String)> {
    let mut out: Vec<(u32, Channel, String)> = Vec::new();
    for delta in events.iter().flat_map(|event| &event.deltas) {
        let known = out
            .iter_mut()
            .find(|(choice, channel, _)| (*choice, *channel) == (delta.choice, delta.channel));
        match known {
            Some((_, _, text)) => text.push_str(&delta.text),
            None => out.push((delta.choice, delta.channel, delta.text.clone())),
        }
    }
    out
}

fn check(dialect: Dialect, events: &[Value], channel: Option<Channel>) {
    let stream = if dialect == OPENAI {
        data(events)
    } else {
        named(events)
    };
    let read = read_all(&mut reader(dialect), &stream);
    let with_word = channels(&read)
        .into_iter()
        .filter(|(_, _, text)| text.contains(W));
    let found: Vec<Channel> = with_word.map(|(_, channel, _)| channel).collect();
    assert!(!found.is_empty(), "unseen: {stream}");
    assert!(
        channel.is_none_or(|channel| found.contains(&channel)),
        "{stream}: {found:?}"
    );
}

#[test]
fn no_way_out_of_an_openai_stream_passes_unseen() {
    let split = |field: &str| [delta(&json!({field: "bo"})), delta(&json!({field: "mb"}))];
    check(OPENAI, &split("content"), Some(Channel::Text));
    check(OPENAI, &split("refusal"), Some(Channel::Refusal));
    check(
        OPENAI,
        &split("reasoning_content"),
        Some(Channel::Reasoning),
    );
    check(OPENAI, &split("reasoning"), Some(Channel::Reasoning));
    check(OPENAI, &split("unknown"), None);
    let twins = |text: &str| delta(&json!({"reasoning": text, "reasoning_content": text}));
    check(
        OPENAI,
        &[twins("b"), twins("om"), twins("b")],
        Some(Channel::Reasoning),
    );
    let details = |text: &str| {
        delta(&json!({"reasoning_details": [{"type": "reasoning.text", "text": text}]}))
    };
    check(OPENAI, &[details("bo"), details("mb")], None);
    let call =
        |text: &str| delta(&json!({"tool_calls": [{"index": 3, "function": {"arguments": text}}]}));
    check(
        OPENAI,
        &[call("bo"), call("mb")],
        Some(Channel::ToolCall(3)),
    );
    check(
        OPENAI,
        &[call("{\"a\":\"\\u00"), call("62omb\"}")],
        Some(Channel::ToolCall(3)),
    );
    check(
        OPENAI,
        &[delta(
            &json!({"tool_calls": [{"index": 0, "function": {"name": W}}]}),
        )],
        Some(Channel::ToolCall(0x4000)),
    );
    // A name between the pieces of the arguments does not part them.
    let named = |text: &str| {
        delta(&json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": text}}]}))
    };
    check(
        OPENAI,
        &[named("bo"), named("mb")],
        Some(Channel::ToolCall(0)),
    );
    check(
        OPENAI,
        &[
            delta(&json!({"function_call": {"name": "f", "arguments": "bo"}})),
            delta(&json!({"function_call": {"name": "f", "arguments": "mb"}})),
        ],
        None,
    );
    check(
        OPENAI,
        &[delta(&json!({"content": [{"type": "text", "text": W}]}))],
        Some(Channel::Text),
    );
    check(OPENAI, &[delta(&json!({"content": {"x": W}}))], None);
    check(
        OPENAI,
        &[delta(&json!({"audio": {"id": "a", "transcript": W}}))],
        None,
    );
    check(
        OPENAI,
        &[delta(
            &json!({"annotations": [{"url_citation": {"title": W}}]}),
        )],
        None,
    );
    check(OPENAI, &[delta(&json!({"role": "a bomb"}))], None);
    let token = |text: &str| {
        chunk(&json!({"index": 0, "delta": {}, "logprobs": {"content": [{"token": text}]}}))
    };
    check(OPENAI, &[token("bo"), token("mb")], None);
    check(
        OPENAI,
        &[chunk(&json!({"index": 0, "message": {"content": W}}))],
        None,
    );
    check(OPENAI, &[chunk(&json!({"index": 0, "delta": W}))], None);
    check(OPENAI, &[chunk(&json!({"index": 0, "a bomb": 1}))], None);
    check(OPENAI, &[json!({"choices": [], "guard": [W]})], None);
    check(OPENAI, &[json!({"choices": W})], None);
    check(OPENAI, &[json!({"error": {"message": W}})], None);
    let second = chunk(&json!({"index": 1, "delta": {"content": W}}));
    check(OPENAI, &[second], Some(Channel::Text));
}

/// An event is read by its likeness to the last one only where that differs in a text: else a word
/// in another field would hide what the next event is.
#[test]
fn an_event_is_not_read_by_its_likeness_to_one_whose_type_was_text() {
    let mut reader = reader(ANTHROPIC);
    let stream = data(&[json!({"type": "a b"}), json!({"type": "message_stop"})]);
    read_all(&mut reader, &stream);
    let late = split(&data(&[json!({"type": "ping"})])).remove(0);
    assert!(reader.read(&late).is_err(), "the end was not noticed");
}

/// Every place of `event` where an object stands.
fn objects(event: &Value) -> Vec<String> {
    fn below(value: &Value, at: &str, out: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                out.push(at.to_owned());
                for (key, value) in members {
                    below(value, &format!("{at}/{key}"), out);
                }
            }
            Value::Array(items) => {
                for (place, value) in items.iter().enumerate() {
                    below(value, &format!("{at}/{place}"), out);
                }
            }
            _ => {}
        }
    }
    let mut out = Vec::new();
    below(event, "", &mut out);
    out
}

/// A key can say as much as a text: in each object of `event` one is put that is no name.
fn check_keys(dialect: Dialect, event: &Value) {
    for at in objects(event) {
        let mut event = event.clone();
        event.pointer_mut(&at).unwrap()["a bomb"] = json!(1);
        check(dialect, &[event], None);
    }
}

#[test]
fn keys_of_every_object_of_a_stream_are_read() {
    let delta = json!({
        "role": "assistant",
        "content": [{"type": "text", "text": "a", "x": {}}],
        "refusal": {}, "reasoning": {}, "reasoning_content": {}, "unknown": [{}],
        "reasoning_details": [{"type": "reasoning.text", "text": "a", "signature": {}, "x": [{}]}],
        "tool_calls": [{
            "index": 0, "id": "t", "x": {},
            "function": {"name": "f", "arguments": "{}", "x": {}}, "custom": {"input": {}},
        }],
        "function_call": {"name": {}, "arguments": {}},
        "audio": {"id": {}, "data": {}, "transcript": {}, "x": {}},
        "annotations": [{"url_citation": {"title": "a"}}],
    });
    let token = json!({"token": "a", "top_logprobs": [{"token": "a"}], "x": {}});
    check_keys(
        OPENAI,
        &json!({
            "id": "c", "model": {}, "created": {}, "usage": {"details": {}}, "error": {"inner": {}},
            "moderation": {}, "x": {},
            "choices": [{
                "index": 0, "delta": delta, "finish_reason": {}, "content_filter_results": {"a": {}},
                "logprobs": {"content": [token], "refusal": [token], "x": {}}, "x": {},
            }],
        }),
    );
    for content in ["a".into(), json!({"x": {}})] {
        check_keys(
            OPENAI,
            &chunk(&json!({"index": 0, "delta": {"content": content}})),
        );
    }
    let block = json!({"type": "text", "text": "a", "citations": [{"type": "char_location", "x": {}}], "x": {}});
    let message =
        json!({"id": "m", "content": [block], "usage": {"x": {}}, "container": {}, "x": {}});
    for event in [
        json!({"type": "message_start", "message": message, "x": {}}),
        start(&json!({"type": "tool_use", "id": "t", "name": "n", "input": {"a": {}}, "x": {}})),
        start(&json!({"type": "web_search_tool_result", "content": [{"title": "a", "x": {}}]})),
        start(&json!({"type": "new_block", "x": {}})),
        block_delta(&json!({"type": "text_delta", "text": "a", "x": {}})),
        block_delta(&json!({"type": "thinking_delta", "thinking": "a", "x": {}})),
        block_delta(&json!({"type": "input_json_delta", "partial_json": "1", "x": {}})),
        block_delta(&json!({"type": "signature_delta", "signature": {}})),
        block_delta(
            &json!({"type": "citations_delta", "citation": {"type": "char_location", "x": {}}}),
        ),
        json!({"type": "message_delta", "delta": {"stop_details": {}, "x": {}}, "usage": {"x": {}}, "x": {}}),
        json!({"type": "error", "error": {"type": "x", "message": {}}}),
        json!({"type": "ping", "x": {}}),
        json!({"type": "message_stop", "x": {}}),
        json!({"type": "content_block_stop", "index": 0, "x": {}}),
        json!({"type": "new_event", "x": {}}),
    ] {
        check_keys(ANTHROPIC, &event);
    }
}

#[test]
fn no_way_out_of_an_anthropic_stream_passes_unseen() {
    let text = |text: &str| block_delta(&json!({"type": "text_delta", "text": text}));
    check(ANTHROPIC, &[text("bo"), text("mb")], Some(Channel::Text));
    let stop = json!({"type": "content_block_stop", "index": 0});
    check(
        ANTHROPIC,
        &[
            start(&json!({"type": "text", "text": "bo"})),
            stop,
            text("mb"),
        ],
        Some(Channel::Text),
    );
    check(
        ANTHROPIC,
        &[block_delta(
            &json!({"type": "thinking_delta", "thinking": W}),
        )],
        Some(Channel::Reasoning),
    );
    check(
        ANTHROPIC,
        &[block_delta(
            &json!({"type": "signature_delta", "signature": "a bomb"}),
        )],
        None,
    );
    let json_delta =
        |text: &str| block_delta(&json!({"type": "input_json_delta", "partial_json": text}));
    check(
        ANTHROPIC,
        &[json_delta("bo"), json_delta("mb")],
        Some(Channel::ToolCall(0)),
    );
    check(
        ANTHROPIC,
        &[json_delta(r#"{"a":"\u006"#), json_delta(r#"2omb"}"#)],
        Some(Channel::ToolCall(0)),
    );
    check(
        ANTHROPIC,
        &[block_delta(
            &json!({"type": "citations_delta", "citation": {"type": "char_location", "cited_text": W}}),
        )],
        None,
    );
    check(
        ANTHROPIC,
        &[block_delta(&json!({"type": "new_delta", "x": W}))],
        None,
    );
    check(ANTHROPIC, &[block_delta(&json!(W))], None);
    check(ANTHROPIC, &[block_delta(&json!([W]))], None);
    check(
        ANTHROPIC,
        &[block_delta(
            &json!({"type": "text_delta", "text": "", "x": W}),
        )],
        None,
    );
    check(
        ANTHROPIC,
        &[start(
            &json!({"type": "tool_use", "id": "t", "name": W, "input": {}}),
        )],
        Some(Channel::ToolCall(0)),
    );
    check(
        ANTHROPIC,
        &[start(
            &json!({"type": "tool_use", "id": "t", "name": "n", "input": {"a": W}}),
        )],
        Some(Channel::ToolCall(0)),
    );
    check(
        ANTHROPIC,
        &[start(&json!({"type": "thinking", "thinking": W}))],
        Some(Channel::Reasoning),
    );
    check(
        ANTHROPIC,
        &[start(
            &json!({"type": "web_search_tool_result", "tool_use_id": "t", "content": [{"title": W}]}),
        )],
        None,
    );
    check(
        ANTHROPIC,
        &[start(&json!({"type": "new_block", "x": {"a bomb": 1}}))],
        None,
    );
    check(
        ANTHROPIC,
        &[
            json!({"type": "message_start", "message": {"id": "m", "content": [{"type": "text", "text": W}]}}),
        ],
        Some(Channel::Text),
    );
    check(
        ANTHROPIC,
        &[json!({"type": "message_start", "message": {"id": "m", "x": W}})],
        None,
    );
    check(
        ANTHROPIC,
        &[
            json!({"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": {"explanation": W}}}),
        ],
        Some(Channel::Refusal),
    );
    check(
        ANTHROPIC,
        &[json!({"type": "message_delta", "delta": {"stop_sequence": W}})],
        None,
    );
    check(ANTHROPIC, &[json!({"type": "message_stop", "x": W})], None);
    check(ANTHROPIC, &[json!({"type": "ping", "x": W})], None);
    check(ANTHROPIC, &[json!({"type": "new_event", "x": W})], None);
    check(
        ANTHROPIC,
        &[json!({"type": "error", "error": {"message": W}})],
        None,
    );
}

#[test]
fn events_that_are_not_of_the_dialect_are_errors() {
    let check = |dialect: Dialect, stream: &str| {
        let events = split(stream);
        assert!(reader(dialect).read(&events[0]).is_err(), "{stream}");
    };
    for stream in [
        "data: {\n\n",
        "data: [1]\n\n",
        "data: [DONE] x\n\n",
        "data: {\"a\":1,\"a\":2}\n\n",
        "data: {\"choices\":[1]}\n\n",
        "data: {\"choices\":[{\"index\":-1}]}\n\n",
        "data: {\"choices\":[{\"index\":5000}]}\n\n",
    ] {
        check(OPENAI, stream);
    }
    for stream in [
        "event: ping\ndata: {\"type\":\"error\"}\n\n",
        "data: [DONE]\n\n",
        "data: {\"type\":\"content_block_delta\",\"delta\":{}}\n\n",
    ] {
        check(ANTHROPIC, stream);
    }
}

#[test]
fn nothing_may_follow_the_proper_end() {
    let events = split(&format!(
        "data: [DONE]\n\n: x\n\n{}",
        data(&[finish("stop")])
    ));
    let mut reader = reader(OPENAI);
    assert!(reader.read(&events[0]).unwrap().done && reader.is_complete());
    assert!(reader.read(&events[1]).unwrap().keep_alive);
    assert!(reader.read(&events[2]).is_err());
}

#[test]
fn a_stream_is_complete_only_at_its_proper_end() {
    let mut openai = reader(OPENAI);
    let read = read_all(
        &mut openai,
        &data(&[delta(&json!({"content": "x"})), finish("stop")]),
    );
    assert_eq!(read[1].finishes.as_slice(), [0]);
    assert!(!openai.is_complete());
    let mut anthropic = reader(ANTHROPIC);
    let stop = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}});
    let read = read_all(&mut anthropic, &named(&[stop]));
    assert_eq!(read[0].finishes.as_slice(), [0]);
    assert!(!anthropic.is_complete());
    assert!(read_all(&mut anthropic, &named(&[json!({"type": "message_stop"})]))[0].done);
    assert!(anthropic.is_complete());
}

#[test]
fn tool_calls_are_complete_when_they_end() {
    let call = |index: u32| {
        delta(&json!({"tool_calls": [{"index": index, "function": {"arguments": "{}"}}]}))
    };
    let read = read_all(
        &mut reader(OPENAI),
        &data(&[call(0), call(1), finish("tool_calls")]),
    );
    let ended: Vec<Channel> = read[2]
        .deltas
        .iter()
        .filter(|delta| delta.complete)
        .map(|delta| delta.channel)
        .collect();
    assert_eq!(ended, [Channel::ToolCall(0), Channel::ToolCall(1)]);
    let tool = start(&json!({"type": "tool_use", "id": "t", "name": "n", "input": {}}));
    let stop = json!({"type": "content_block_stop", "index": 0});
    let read = read_all(&mut reader(ANTHROPIC), &named(&[tool, stop]));
    assert!(!read[0].deltas[0].complete && read[1].deltas[0].complete);
}

#[test]
fn frame_events_hold_no_text() {
    let read = read_all(
        &mut reader(OPENAI),
        &format!(
            ": hi\n\n{}",
            data(&[
                json!({"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": {"total_tokens": 1}, "system_fingerprint": "fp_1", "service_tier": "default", "obfuscation": "xYz"}),
            ])
        ),
    );
    assert!(read[0].keep_alive && read[1].deltas.is_empty());
    let read = read_all(
        &mut reader(ANTHROPIC),
        &named(&[
            json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null, "usage": {"input_tokens": 1, "service_tier": "standard"}}}),
            json!({"type": "ping"}),
            block_delta(&json!({"type": "signature_delta", "signature": "c2ln"})),
        ]),
    );
    assert!(read[1].keep_alive && read.iter().all(|event| event.deltas.is_empty()));
}

#[test]
fn what_a_stream_hides_is_reported() {
    let read = read_all(
        &mut reader(OPENAI),
        &data(&[delta(&json!({"audio": {"data": "UklG"}}))]),
    );
    assert_eq!(read[0].unscreened.as_slice(), [Reason::Audio]);
    let read = read_all(
        &mut reader(ANTHROPIC),
        &named(&[start(&json!({"type": "redacted_thinking", "data": "x"}))]),
    );
    assert_eq!(read[0].unscreened.as_slice(), [Reason::Opaque]);
}

#[test]
fn a_rewritten_event_differs_in_its_text_only() {
    let check = |reader: &mut StreamReader, stream: &str, edit: (usize, &str), expected: &str| {
        let events = split(stream);
        reader.read(&events[0]).unwrap();
        let out = reader.rewrite(&events[0], &[(edit.0, edit.1.to_owned())]);
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
    };
    let chunk = r#"{"id":"c","choices":[{"index":0,"delta":{"content":"@"},"x": 1.0}]}"#;
    let line = |text: &str| format!("id: 1\ndata: {}\nretry: 3\n\n", chunk.replace('@', text));
    check(
        &mut reader(OPENAI),
        &line("secret"),
        (0, "[\"x\"]\n"),
        &line(r#"[\"x\"]\n"#),
    );
    let several =
        "data: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"secret\"}}]}\nid: 1\n\n";
    check(
        &mut reader(OPENAI),
        several,
        (0, "x"),
        "id: 1\ndata: {\"choices\":[{\"index\":0, \"delta\":{\"content\":\"x\"}}]}\n\n",
    );
    let call = r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"@"}}"#;
    let line = |text: &str| {
        format!(
            "event: content_block_delta\r\n{}\r\n\r\n",
            call.replace('@', text)
        )
    };
    check(
        &mut reader(ANTHROPIC),
        &line(r#"{\"a\":\"s\\ne\"}"#),
        (0, "{\"a\":\"[x]\ne\"}"),
        &line(r#"{\"a\":\"[x] e\"}"#),
    );
    let tokens = r#"data: {"choices":[{"index":0,"delta":{"content":"secret"},"logprobs":@}]}"#;
    let before = tokens.replace('@', r#"{"content":[{"token":"secret"}]}"#) + "\n\n";
    check(
        &mut reader(OPENAI),
        &before,
        (1, "[x]"),
        &(tokens.replace('@', "null") + "\n\n"),
    );
}

#[test]
fn unedited_events_are_their_own_bytes() {
    let events = split(&data(&[delta(&json!({"content": "x"}))]));
    let out = reader(OPENAI).rewrite(&events[0], &[]);
    assert_eq!(out.as_ptr(), events[0].raw().as_ptr());
}

fn inserted(dialect: Dialect, events: &[Value], extra: &Value) -> Option<Bytes> {
    let mut body = messages(&json!([{"role": "user", "content": "x"}]));
    body.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    let mut reader = dialect.stream(&parse(dialect, &body));
    let stream = if dialect == OPENAI {
        data(events)
    } else {
        named(events)
    };
    read_all(&mut reader, &stream);
    reader.insert_text(0, "Note.")
}

#[test]
fn text_is_inserted_into_plain_answers_only() {
    let text = |text: &str| delta(&json!({"content": text}));
    let plain = inserted(OPENAI, &[text("hi"), finish("stop")], &json!({})).unwrap();
    let value = &values(&plain)[0];
    assert_eq!(
        (&value["id"], &value["model"], &value["created"]),
        (&json!("c1"), &json!("m"), &json!(7))
    );
    assert_eq!(value["choices"][0]["delta"]["content"], "\n\nNote.");
    let call = delta(&json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}));
    assert_eq!(inserted(OPENAI, &[text("hi"), call], &json!({})), None);
    assert_eq!(
        inserted(OPENAI, &[text(" {\"a\""), text(": 1}")], &json!({})),
        None
    );
    assert_eq!(inserted(OPENAI, &[finish("stop")], &json!({})), None);
    let json_mode = json!({"response_format": {"type": "json_object"}});
    assert_eq!(inserted(OPENAI, &[text("hi")], &json_mode), None);

    let begin = start(&json!({"type": "text", "text": ""}));
    let said = block_delta(&json!({"type": "text_delta", "text": "hi"}));
    let plain = inserted(ANTHROPIC, &[begin.clone(), said.clone()], &json!({})).unwrap();
    let kinds: Vec<(Value, Value)> = values(&plain)
        .iter()
        .map(|event| (event["type"].clone(), event["index"].clone()))
        .collect();
    assert_eq!(
        kinds,
        [
            (json!("content_block_start"), json!(1)),
            (json!("content_block_delta"), json!(1)),
            (json!("content_block_stop"), json!(1))
        ]
    );
    let tool = json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "n", "input": {}}});
    assert_eq!(inserted(ANTHROPIC, &[begin, said, tool], &json!({})), None);
}
