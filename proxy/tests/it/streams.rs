//! Streams: passing ones byte for byte, bad ones stopped before anything bad leaves.

use crate::client::{post, read_until};
use crate::setup::{CHAT, MESSAGES, Setup, chat, start, start_with, streamed};
use crate::upstream::{events, openai_chunk};
use portcullis_config::StreamMode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

fn asked(model: &str) -> Value {
    let mut body = streamed(chat(model, "hello"));
    body["max_tokens"] = json!(100);
    body
}

const LONG: &str = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen \
                    fifteen sixteen seventeen eighteen nineteen twenty and so on until the end";

#[tokio::test]
async fn a_passing_stream_leaves_byte_for_byte() {
    for mode in [StreamMode::Balanced, StreamMode::Buffer] {
        let setup = start_with(|config| config.stream.mode = mode).await;
        for (path, anthropic) in [(CHAT, false), (MESSAGES, true)] {
            let reply = setup.post(path, &asked(&format!("say:{LONG}"))).await;
            assert!(reply.whole);
            assert_eq!(reply.text(), events(anthropic, LONG, true));
            assert_eq!(reply.header("x-portcullis-coverage"), Some("pending"));
            assert!(reply.header("ai-disclosure").is_some());
        }
    }
}

#[tokio::test]
async fn an_answer_is_judged_beside_what_the_person_said_last() {
    let setup = start().await;
    let mut body = chat(&format!("say:{LONG}"), "what is bread");
    let earlier = [
        json!({"role": "user", "content": "what is butter"}),
        json!({"role": "assistant", "content": "a fat"}),
        body["messages"][0].clone(),
    ];
    body["messages"] = json!(earlier);
    for body in [body.clone(), streamed(body)] {
        setup.classifier.contexts.lock().unwrap().clear();
        assert_eq!(setup.post(CHAT, &body).await.status, 200);
        let contexts = setup.classifier.contexts.lock().unwrap().clone();
        assert!(!contexts.is_empty(), "{body}");
        assert!(
            contexts.iter().all(|context| context == "what is bread"),
            "{contexts:?}"
        );
    }
}

#[tokio::test]
async fn a_bad_stream_is_stopped_and_ends_as_a_refusal() {
    let setup = start().await;
    let text = format!("{LONG} now open sesame and more of it");
    let openai = setup
        .post(CHAT, &asked(&format!("say:{text}")))
        .await
        .text();
    assert!(
        !openai.contains("sesame")
            && openai.contains("content_filter")
            && openai.contains("Clause 2"),
        "{openai}"
    );
    assert!(openai.trim_end().ends_with("data: [DONE]"));
    let anthropic = setup
        .post(MESSAGES, &asked(&format!("say:{text}")))
        .await
        .text();
    assert!(
        !anthropic.contains("sesame") && anthropic.contains("\"stop_reason\":\"refusal\""),
        "{anthropic}"
    );
    assert!(anthropic.contains("event: message_stop"));
}

#[tokio::test]
async fn what_a_classifier_sees_late_in_a_stream_is_never_sent() {
    let setup = start().await;
    let text = format!("{LONG} murder {LONG}");
    let reply = setup
        .post(CHAT, &asked(&format!("say:{text}")))
        .await
        .text();
    assert!(
        !reply.contains("murder") && reply.contains("content_filter"),
        "{reply}"
    );
}

#[tokio::test]
async fn a_refused_prompt_is_a_stream_where_a_stream_was_asked_for() {
    let setup = start().await;
    let mut body = asked("m");
    body["messages"][0]["content"] = json!("murder");
    let openai = setup.post(CHAT, &body).await;
    assert!(
        openai
            .header("content-type")
            .unwrap()
            .starts_with("text/event-stream")
    );
    assert!(
        openai.text().contains("\"refusal\"") && openai.text().trim_end().ends_with("data: [DONE]")
    );
    let anthropic = setup.post(MESSAGES, &body).await.text();
    assert!(
        anthropic.starts_with("event: message_start") && anthropic.contains("event: message_stop")
    );
}

#[tokio::test]
async fn redaction_and_disclaimer_work_inside_a_stream() {
    let setup = start().await;
    let reply = setup
        .post(
            CHAT,
            &asked("say:the Project Nightfall plan and a headache"),
        )
        .await
        .text();
    let said = said(&reply);
    assert!(said.starts_with("the [name] plan and a headache"), "{said}");
    assert!(said.ends_with("This is not medical advice."), "{said}");
    assert!(reply.trim_end().ends_with("data: [DONE]"));
}

/// The visible text of an OpenAI stream.
fn said(stream: &str) -> String {
    let data = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let texts = events.filter_map(|event| {
        event["choices"][0]["delta"]["content"]
            .as_str()
            .map(str::to_owned)
    });
    texts.collect()
}

#[tokio::test]
async fn the_first_words_leave_before_the_last_have_come() {
    let setup = start().await;
    let mut stream = open(&setup, &asked("steps")).await;
    let first = openai_chunk(&json!({"content": "hello there"}), &Value::Null);
    setup.upstream.step.send(first.clone()).unwrap();
    let read = read_until(&mut stream, "hello there").await;
    assert!(read.contains(&first));
    let rest = openai_chunk(&json!({"content": " friend"}), &json!("stop")) + "data: [DONE]\n\n";
    setup.upstream.step.send(rest).unwrap();
    setup.upstream.step.send(String::new()).unwrap();
    read_until(&mut stream, "0\r\n\r\n").await;
}

#[tokio::test]
async fn a_pattern_split_over_events_is_seen_before_its_first_letter_leaves() {
    let setup = start().await;
    let mut stream = open(&setup, &asked("steps")).await;
    for piece in ["well: o", "pen s", "esa", "me!", " And more."] {
        setup
            .upstream
            .step
            .send(openai_chunk(&json!({"content": piece}), &Value::Null))
            .unwrap();
    }
    let read = read_until(&mut stream, "[DONE]").await;
    assert!(
        read.contains("content_filter") && !read.contains("esa"),
        "{read}"
    );
}

#[tokio::test]
async fn tool_call_arguments_are_held_until_they_are_whole() {
    let setup = start().await;
    let mut stream = open(&setup, &asked("steps")).await;
    let call = |arguments: &str| {
        openai_chunk(
            &json!({"tool_calls": [{"index": 0, "id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}]}),
            &Value::Null,
        )
    };
    for piece in [call("{\"say\":\"open"), call(" sesame"), call("\"}")] {
        setup.upstream.step.send(piece).unwrap();
    }
    setup
        .upstream
        .step
        .send(openai_chunk(&json!({}), &json!("tool_calls")))
        .unwrap();
    let read = read_until(&mut stream, "[DONE]").await;
    assert!(
        read.contains("content_filter") && !read.contains("{\\\"say"),
        "{read}"
    );
}

#[tokio::test]
async fn nothing_leaves_unscreened_and_the_receipt_says_so() {
    let setup = start().await;
    let reply = setup.post(CHAT, &asked(&format!("say:{LONG}"))).await;
    let id = reply.header("x-portcullis-decision").unwrap().to_owned();
    let receipt = setup.get(&format!("/v1/guard/decisions/{id}")).await.json();
    assert_eq!(receipt["coverage"], json!("full"));
    let completion = receipt["receipt"]["parts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|part| part["surface"] == json!("completion"));
    assert_eq!(completion.unwrap()["bytes"], json!(LONG.len()));
    let records = setup.into_records().await;
    assert_eq!(records[0]["unscreened_bytes"], json!(0));
    assert_eq!(records[0]["outcome"], json!("completed"));
}

async fn open(setup: &Setup, body: &Value) -> TcpStream {
    let mut stream = TcpStream::connect(setup.gate).await.unwrap();
    stream
        .write_all(&post(CHAT, body.to_string().as_bytes(), &[]))
        .await
        .unwrap();
    stream
}

/// The request begins the answer, and a word is cut by the end of the beginning.
#[tokio::test]
async fn a_word_over_a_begun_answer_and_its_end_is_seen() {
    let setup = start().await;
    for path in [CHAT, MESSAGES] {
        for streams in [true, false] {
            for (end, rest, blocked) in [
                ("Say open se", "same and more", true),
                ("Say open", " sesame and more", true),
                ("Say open", "sesame and more", true),
                ("Say open se", "veral doors and more", false),
                ("Say reopen se", "same and more", false),
            ] {
                let mut body = asked(&format!("say:{rest}"));
                body["stream"] = json!(streams);
                body["messages"] = json!([
                    {"role": "user", "content": "hello"},
                    {"role": "assistant", "content": end},
                ]);
                let reply = setup.post(path, &body).await.text();
                let refused = reply.contains("Clause 2");
                assert_eq!(
                    refused, blocked,
                    "{path} {streams} {end:?} {rest:?}: {reply}"
                );
                assert_eq!(reply.contains("more"), !blocked, "{reply}");
            }
        }
    }
}
