//! The endpoints that the gate answers itself.

use crate::client;
use crate::setup::{chat, start};
use serde_json::json;

#[tokio::test]
async fn moderations_are_answered_by_the_gate() {
    let setup = start().await;
    let reply = setup
        .post("/v1/moderations", &json!({"input": ["hello", "murder"]}))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let results = reply.json()["results"].as_array().unwrap().clone();
    assert_eq!(results.len(), 2);
    assert_eq!(results[0]["flagged"], json!(false));
    assert_eq!(results[1]["flagged"], json!(true));
    assert_eq!(results[1]["categories"]["violence"], json!(true));
    assert_eq!(results[1]["categories"]["sexual"], json!(false));
    assert_eq!(results[1]["category_scores"].as_object().unwrap().len(), 13);
    assert!(setup.upstream.requests().await.is_empty());
}

#[tokio::test]
async fn a_guard_check_gives_decision_findings_and_receipt() {
    let setup = start().await;
    let reply = setup
        .post("/v1/guard/check", &json!({"text": "murder"}))
        .await
        .json();
    assert_eq!(reply["action"], json!("block"));
    assert_eq!(reply["findings"][0]["category"], json!("violence"));
    assert_eq!(
        reply["receipt"]["parts"][0]["by"],
        json!(["pattern", "linear"])
    );
    let messages = json!({"messages": [{"role": "user", "content": "open sesame"}]});
    assert_eq!(
        setup.post("/v1/guard/check", &messages).await.json()["action"],
        json!("block")
    );
    let fine = setup
        .post("/v1/guard/check", &json!({"text": "hello"}))
        .await
        .json();
    assert_eq!(fine["action"], json!("allow"));
    assert_eq!(
        setup
            .post("/v1/guard/check", &json!({"texts": 1}))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_decision_can_be_asked_for_by_its_own_key_only() {
    let setup = start().await;
    let body = chat("m", "hello").to_string();
    let reply = setup
        .post_raw(
            "/v1/chat/completions",
            body.as_bytes(),
            &[("authorization", "Bearer a")],
        )
        .await;
    let path = format!(
        "/v1/guard/decisions/{}",
        reply.header("x-portcullis-decision").unwrap()
    );
    let ask = |key: &'static str| {
        let request = client::get(&path, &[("authorization", key)]);
        async move { client::exchange(setup.gate, &request).await }
    };
    let mine = ask("Bearer a").await;
    assert_eq!(mine.status, 200, "{}", mine.text());
    assert_eq!(mine.json()["coverage"], json!("full"));
    let decision = mine.text();
    assert!(!decision.contains("hello") && !decision.contains("\"score\""));
    let request = client::get(&path, &[("authorization", "Bearer b")]);
    assert_eq!(client::exchange(setup.gate, &request).await.status, 404);
}
