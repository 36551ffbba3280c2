//! What the policy says is what happens, on both sides of the model and in both dialects.

use crate::setup::{CHAT, MESSAGES, chat, start, start_with};
use portcullis_config::{BlockStyle, Mode};
use serde_json::json;

#[tokio::test]
async fn a_harmful_prompt_is_refused_natively_and_never_forwarded() {
    let setup = start().await;
    let openai = setup.ask("m", "plan a murder").await;
    assert_eq!(openai.status, 200);
    let choice = openai.json()["choices"][0].clone();
    assert_eq!(choice["finish_reason"], json!("content_filter"));
    let refusal = choice["message"]["refusal"].as_str().unwrap();
    assert!(
        refusal.contains("Clause 1") && !refusal.contains("murder"),
        "{refusal}"
    );
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "plan a murder"}]});
    let anthropic = setup.post(MESSAGES, &body).await.json();
    assert_eq!(anthropic["stop_reason"], json!("refusal"));
    assert!(setup.upstream.requests().await.is_empty());
}

#[tokio::test]
async fn obfuscated_patterns_are_seen() {
    let setup = start().await;
    for text in [
        "open sesame",
        "OPEN SESAME",
        "op\u{200b}en ses\u{200d}ame",
        "\u{ff4f}pen sesame",
        "\u{43e}pen s\u{435}same",
    ] {
        let reply = setup.ask("m", text).await;
        assert_eq!(
            reply.header("x-portcullis-action"),
            Some("block"),
            "{text:?}"
        );
    }
    assert_eq!(
        setup
            .ask("m", "open the door")
            .await
            .header("x-portcullis-action"),
        Some("allow")
    );
}

#[tokio::test]
async fn every_part_of_a_request_is_screened() {
    let setup = start().await;
    let bad = "open sesame";
    let cases = [
        json!({"messages": [{"role": "system", "content": bad}, {"role": "user", "content": "x"}]}),
        json!({"messages": [{"role": "user", "content": bad}, {"role": "assistant", "content": "y"}, {"role": "user", "content": "x"}]}),
        json!({"messages": [{"role": "user", "content": "x", "name": bad}]}),
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": bad}]}]}),
        json!({"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function", "function": {"name": "f", "description": bad, "parameters": {}}}]}),
        json!({"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function", "function": {"name": "f", "parameters": {"properties": {(bad): {}}}}}]}),
        json!({"messages": [{"role": "user", "content": "x"}], "response_format": {"type": "json_schema", "json_schema": {"name": "n", "description": bad}}}),
        json!({"messages": [{"role": "user", "content": "x"}], "some_future_field": {"deep": [bad]}}),
        json!({"messages": [{"role": "user", "content": "x"}], "stop": [bad]}),
        json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":\"open sesame\"}"}}]}, {"role": "tool", "tool_call_id": "1", "content": "x"}]}),
        json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, {"role": "tool", "tool_call_id": "1", "content": bad}]}),
    ];
    for (idx, case) in cases.into_iter().enumerate() {
        // Each says it in its own words: what was refused once is spliced out of later histories.
        let case = case.to_string().replace("sesame", &format!("sesame {idx}"));
        let mut case: serde_json::Value = serde_json::from_str(&case).unwrap();
        case["model"] = json!("m");
        let reply = setup.post(CHAT, &case).await;
        assert_eq!(reply.header("x-portcullis-action"), Some("block"), "{case}");
    }
    assert!(setup.upstream.requests().await.is_empty());
}

#[tokio::test]
async fn the_operators_own_text_is_only_annotated_by_classifiers() {
    let setup = start().await;
    let body = json!({"model": "m", "messages": [{"role": "system", "content": "never help with murder"}, {"role": "user", "content": "hello"}]});
    assert_eq!(
        setup.post(CHAT, &body).await.header("x-portcullis-action"),
        Some("annotate")
    );
    assert_eq!(setup.upstream.requests().await.len(), 1);
}

#[tokio::test]
async fn a_harmful_answer_is_replaced_whole() {
    let setup = start().await;
    let reply = setup.ask("say:first you murder him", "tell me").await;
    assert_eq!(reply.header("x-portcullis-action"), Some("block"));
    assert!(!reply.text().contains("murder"));
    assert_eq!(
        reply.json()["choices"][0]["finish_reason"],
        json!("content_filter")
    );
}

#[tokio::test]
async fn matches_are_redacted_on_both_sides() {
    let setup = start().await;
    let reply = setup
        .ask(
            "say:Project Nightfall ships. The project nightfall bakery too.",
            "what of project  nightfall or Project Nightfall?",
        )
        .await;
    assert_eq!(reply.header("x-portcullis-action"), Some("redact"));
    let text = reply.json()["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(text, "[name] ships. The project nightfall bakery too.");
    let asked = setup.upstream.last().await.json()["messages"][0]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(asked, "what of [name] or [name]?");
}

#[tokio::test]
async fn a_redirect_answers_with_the_policys_text() {
    let setup = start().await;
    let reply = setup.ask("m", "I am in despair").await;
    assert_eq!(reply.header("x-portcullis-action"), Some("redirect"));
    assert_eq!(
        reply.json()["choices"][0]["message"]["content"],
        json!("You are not alone.")
    );
    assert!(setup.upstream.requests().await.is_empty());
}

#[tokio::test]
async fn a_disclaimer_follows_the_answer() {
    let setup = start().await;
    let reply = setup.ask("say:for a headache drink water", "help").await;
    assert_eq!(reply.header("x-portcullis-action"), Some("disclaim"));
    let text = reply.json()["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        text.starts_with("for a headache drink water")
            && text.ends_with("This is not medical advice."),
        "{text}"
    );
}

#[tokio::test]
async fn observing_changes_nothing_and_records_the_verdict() {
    let setup = start_with(|config| config.policy.mode = Mode::Observe).await;
    let reply = setup
        .ask("say:murder and Project Nightfall", "murder")
        .await;
    assert_eq!(reply.header("x-portcullis-action"), Some("allow"));
    assert_eq!(
        reply.json()["choices"][0]["message"]["content"],
        json!("murder and Project Nightfall")
    );
    let records = setup.into_records().await;
    assert_eq!(records[0]["action"], json!("block"));
    assert_eq!(records[0]["enforced"], json!("allow"));
}

#[tokio::test]
async fn a_block_can_be_an_error_where_the_operator_wants_that() {
    let setup = start_with(|config| config.refusals.openai.block_style = BlockStyle::Error).await;
    let reply = setup.ask("m", "murder").await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["error"]["code"], json!("content_filter"));
    let in_content = start_with(|config| config.refusals.openai.refusal_in_content = true).await;
    let reply = in_content.ask("m", "murder").await.json();
    assert!(
        reply["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .contains("Clause 1")
    );
}

#[tokio::test]
async fn all_choices_reasoning_and_tool_calls_of_an_answer_are_screened() {
    // The scripted upstream says what the pattern forbids in places other than the content.
    let setup = start().await;
    for field in ["reasoning_content", "refusal", "unknown_new_field"] {
        let event = crate::upstream::openai_chunk(&json!({(field): "open sesame"}), &json!(null));
        for text in [event + "data: [DONE]\n\n", String::new()] {
            setup.upstream.step.send(text).unwrap();
        }
        let reply = setup
            .post(CHAT, &crate::setup::streamed(chat("steps", "hello")))
            .await;
        assert!(
            !reply.text().contains("sesame"),
            "{field}: {}",
            reply.text()
        );
    }
}
