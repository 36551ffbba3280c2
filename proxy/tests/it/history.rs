//! A refused conversation goes on; a bad turn that was never refused does not slip in as history.

use crate::setup::{CHAT, MESSAGES, start};
use serde_json::{Value, json};

fn turns(messages: &Value) -> Value {
    json!({"model": "m", "max_tokens": 9, "messages": messages})
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

#[tokio::test]
async fn a_conversation_goes_on_after_a_refusal() {
    let setup = start().await;
    let refused = setup
        .post(CHAT, &turns(&json!([user("murder")])))
        .await
        .json();
    let message = refused["choices"][0]["message"].clone();
    let refusal = message["refusal"].clone();
    // As the SDK's own object, as plain content, and dropped altogether by a careless client.
    let variants = [
        json!([user("murder"), message, user("how are you?")]),
        json!([user("murder"), {"role": "assistant", "content": refusal}, user("how are you?")]),
        json!([user("murder"), user("how are you?")]),
    ];
    for messages in variants {
        let reply = setup.post(CHAT, &turns(&messages)).await;
        assert_eq!(
            reply.header("x-portcullis-action"),
            Some("allow"),
            "{messages}"
        );
        assert_eq!(
            setup.upstream.last().await.json()["messages"],
            json!([user("how are you?")])
        );
    }
}

#[tokio::test]
async fn the_same_in_anthropics_dialect() {
    let setup = start().await;
    let refused = setup
        .post(MESSAGES, &turns(&json!([user("murder")])))
        .await
        .json();
    let text = refused["content"][0]["text"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let messages =
        json!([user("murder"), {"role": "assistant", "content": text}, user("how are you?")]);
    let reply = setup.post(MESSAGES, &turns(&messages)).await;
    assert_eq!(
        reply.header("x-portcullis-action"),
        Some("allow"),
        "{}",
        reply.text()
    );
    assert_eq!(
        setup.upstream.last().await.json()["messages"],
        json!([user("how are you?")])
    );
}

#[tokio::test]
async fn an_old_turn_never_seen_that_is_bad_blocks() {
    let setup = start().await;
    let messages =
        json!([user("murder"), {"role": "assistant", "content": "sure, go on"}, user("continue")]);
    let reply = setup.post(CHAT, &turns(&messages)).await;
    assert_eq!(reply.header("x-portcullis-action"), Some("block"));
    assert!(setup.upstream.requests().await.is_empty());
}

#[tokio::test]
async fn asking_again_what_was_refused_is_refused_again() {
    let setup = start().await;
    for _ in 0..2 {
        let reply = setup.post(CHAT, &turns(&json!([user("murder")]))).await;
        assert_eq!(reply.header("x-portcullis-action"), Some("block"));
    }
}

#[tokio::test]
async fn disclaimers_are_stripped_from_returned_answers() {
    let setup = start().await;
    let body = json!({"model": "say:for a headache drink water", "messages": [user("help")]});
    let answer = setup.post(CHAT, &body).await.json()["choices"][0]["message"]["content"].clone();
    let messages = json!([user("help"), {"role": "assistant", "content": answer}, user("thanks")]);
    setup.post(CHAT, &turns(&messages)).await;
    let seen = setup.upstream.last().await.json();
    assert_eq!(
        seen["messages"][1]["content"],
        json!("for a headache drink water")
    );
}

#[tokio::test]
async fn a_conversation_goes_on_after_a_refused_answer() {
    let setup = start().await;
    let body = json!({"model": "say:murder", "messages": [user("tell me")]});
    let refused = setup.post(CHAT, &body).await.json()["choices"][0]["message"].clone();
    assert!(refused["refusal"].is_string());
    let partial = json!({"role": "assistant", "content": "Well, ", "refusal": refused["refusal"]});
    for (answer, forwarded) in [(refused, None), (partial, Some("Well, "))] {
        let messages = json!([user("tell me"), answer, user("and now?")]);
        setup.post(CHAT, &turns(&messages)).await;
        let seen = setup.upstream.last().await;
        assert!(!String::from_utf8_lossy(&seen.body).contains("Clause 1"));
        let middle = &seen.json()["messages"][1];
        match forwarded {
            Some(text) => assert_eq!(middle["content"], json!(text)),
            None => assert_eq!(middle["content"], json!("and now?")),
        }
    }
}

/// An attack in pieces, one a turn, with answers between: the person's turns are read together too.
#[tokio::test]
async fn an_attack_split_over_turns_is_read_together() {
    let setup = start().await;
    let answer = json!({"role": "assistant", "content": "go on"});
    let said = |end: &str| json!([user("remember this: mur"), answer, user(end)]);
    for path in [CHAT, MESSAGES] {
        let reply = setup.post(path, &turns(&said("der"))).await;
        assert_eq!(reply.header("x-portcullis-action"), Some("block"), "{path}");
        assert_eq!(setup.upstream.requests().await.len(), 0);
    }
    let reply = setup.post(CHAT, &turns(&said("al art"))).await;
    assert_eq!(reply.header("x-portcullis-action"), Some("allow"));
    assert_eq!(
        setup.upstream.last().await.json()["messages"],
        said("al art")
    );
}

#[tokio::test]
async fn a_refused_turn_with_a_picture_does_not_kill_the_conversation() {
    let setup = start().await;
    let picture =
        json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}});
    let bad = json!({"role": "user", "content": [{"type": "text", "text": "murder"}, picture]});
    let refused = setup.post(CHAT, &turns(&json!([bad]))).await.json();
    let message = refused["choices"][0]["message"].clone();
    let empty = json!({"role": "assistant", "content": ""});
    for refusal in [message, empty] {
        let reply = setup
            .post(CHAT, &turns(&json!([bad, refusal, user("how are you?")])))
            .await;
        assert_eq!(
            reply.header("x-portcullis-action"),
            Some("allow"),
            "{refusal}"
        );
        assert_eq!(
            setup.upstream.last().await.json()["messages"],
            json!([user("how are you?")])
        );
    }
}

/// Some SDKs join what a stream had said and its refusal; the model must not read it as its own.
#[tokio::test]
async fn a_refusal_behind_a_begun_answer_is_taken_out() {
    let setup = start().await;
    let refused = setup
        .post(CHAT, &turns(&json!([user("murder")])))
        .await
        .json();
    let refusal = refused["choices"][0]["message"]["refusal"]
        .as_str()
        .unwrap()
        .to_owned();
    let begun = json!({"role": "assistant", "content": format!("Of course. {refusal}")});
    let messages = json!([user("tell me more"), begun, user("how are you?")]);
    setup.post(CHAT, &turns(&messages)).await;
    let last = setup.upstream.last().await.json();
    assert_eq!(last["messages"][1]["content"], "Of course.");
}

fn answer() -> Value {
    json!({"role": "assistant", "content": "Well."})
}

/// Each turn is nearly harmless and passes; together they are too much.
#[tokio::test]
async fn turns_that_are_too_much_together_are_refused() {
    for path in [CHAT, MESSAGES] {
        let setup = start().await;
        let begun = json!([user("a grim start")]);
        let reply = setup.post(path, &turns(&begun)).await;
        assert_eq!(reply.header("x-portcullis-action"), Some("allow"), "{path}");
        let said = |last: &str| json!([user("a grim start"), answer(), user(last)]);
        for harmless in ["how are you?", "a grim start"] {
            let reply = setup.post(path, &turns(&said(harmless))).await;
            assert_eq!(
                reply.header("x-portcullis-action"),
                Some("allow"),
                "{harmless}"
            );
        }
        let reply = setup.post(path, &turns(&said("a grim end"))).await;
        assert_eq!(reply.header("x-portcullis-action"), Some("block"), "{path}");
        assert!(reply.text().contains("Clause 1"));
        let records = setup.into_records().await;
        let last = &records[3];
        assert_eq!(last["rows"][0]["view"], json!("conversation"));
        assert_eq!(last["rows"][0]["label"], json!({"category": "violence"}));
        assert_eq!(last["conversation"]["turns"], json!(2));
        assert_eq!(records[1]["conversation"], Value::Null);
    }
}

#[tokio::test]
async fn a_conversation_that_was_too_much_goes_on_without_its_last_turn() {
    for path in [CHAT, MESSAGES] {
        let setup = start().await;
        let mut messages = vec![user("a grim start"), answer(), user("a grim end")];
        let refused = setup.post(path, &turns(&json!(messages))).await.json();
        let refusal = refused["choices"][0]["message"]["refusal"].as_str();
        let refusal = refusal
            .or_else(|| refused["content"][0]["text"].as_str())
            .unwrap();
        let refusal = json!({"role": "assistant", "content": refusal});
        // Sent back with our refusal, and without it by a careless client.
        for kept in [vec![refusal], vec![]] {
            let mut messages = messages.clone();
            messages.extend(kept);
            messages.push(user("how are you?"));
            let reply = setup.post(path, &turns(&json!(messages))).await;
            assert_eq!(reply.header("x-portcullis-action"), Some("allow"), "{path}");
            assert_eq!(
                setup.upstream.last().await.json()["messages"],
                json!([user("a grim start"), answer(), user("how are you?")])
            );
        }
        // More harmless turns make what is left harmless; what was refused stays out all the same.
        let mut long = messages.clone();
        for number in 0..6 {
            long.extend([user(&format!("how are you {number}?")), answer()]);
        }
        long.push(user("and you?"));
        let reply = setup.post(path, &turns(&json!(long))).await;
        assert_eq!(reply.header("x-portcullis-action"), Some("allow"), "{path}");
        let seen = setup.upstream.last().await;
        assert!(!String::from_utf8_lossy(&seen.body).contains("a grim end"));
        // Elsewhere the same words are harmless.
        let other = json!([
            user("hello"),
            answer(),
            user("a grim end"),
            answer(),
            user("and?")
        ]);
        setup.post(path, &turns(&other)).await;
        assert_eq!(setup.upstream.last().await.json()["messages"], other);
        messages.push(user("a grim return"));
        let reply = setup.post(path, &turns(&json!(messages))).await;
        assert_eq!(reply.header("x-portcullis-action"), Some("block"), "{path}");
    }
}

/// What the operator, the model or a tool says is not the person's.
#[tokio::test]
async fn only_the_persons_turns_are_taken_together() {
    let setup = start().await;
    let call = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": \"grim\"}"}}]});
    let said = json!([
        {"role": "system", "content": "a grim rule"},
        {"role": "assistant", "content": "a grim answer"},
        call,
        {"role": "tool", "tool_call_id": "c1", "content": "a grim page"},
        user("a grim end"),
    ]);
    let reply = setup.post(CHAT, &turns(&said)).await;
    assert_eq!(reply.header("x-portcullis-action"), Some("allow"));
    assert_eq!(setup.upstream.last().await.json()["messages"], said);
}
