//! Exactly one record for each exchange, without text, and metrics that agree with it.

use crate::setup::{CHAT, chat, start, streamed};
use serde_json::json;

#[tokio::test]
async fn every_exchange_leaves_exactly_one_record() {
    let setup = start().await;
    setup.ask("m", "hello").await;
    setup.ask("m", "murder").await;
    setup.ask("m", "/reset-ai").await;
    setup.ask("fault:close", "hello").await;
    setup.post_raw(CHAT, b"{", &[]).await;
    setup.post(CHAT, &streamed(chat("m", "hello"))).await;
    setup.get("/nowhere").await;
    let records = setup.into_records().await;
    let shown: Vec<(&str, &str)> = records
        .iter()
        .map(|record| {
            (
                record["enforced"].as_str().unwrap(),
                record["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("allow", "completed"),
            ("block", "completed"),
            ("allow", "completed"),
            ("allow", "failed"),
            ("allow", "failed"),
            ("allow", "completed"),
            ("allow", "failed"),
        ]
    );
    let mut ids: Vec<&str> = records
        .iter()
        .map(|record| record["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), records.len());
}

#[tokio::test]
async fn no_text_of_people_or_models_is_recorded_or_counted() {
    let setup = start().await;
    let canary = "zanzibar-canary";
    let body = json!({"model": format!("{canary}"), "user": canary, "messages": [
        {"role": "system", "content": canary}, {"role": "user", "content": format!("{canary} Project Nightfall")}]});
    let headers = [
        ("authorization", "Bearer zanzibar-canary"),
        ("x-portcullis-subject", canary),
    ];
    setup
        .post_raw(CHAT, body.to_string().as_bytes(), &headers)
        .await;
    let bad = format!("{{\"model\":\"{canary}\",");
    setup.post_raw(CHAT, bad.as_bytes(), &headers).await;
    assert!(!setup.metrics().await.contains("zanzibar"));
    let records = setup.into_records().await;
    assert_eq!(records.len(), 2);
    let text = serde_json::to_string(&records).unwrap();
    assert!(
        !text.contains("zanzibar") && !text.to_lowercase().contains("nightfall"),
        "{text}"
    );
}

#[tokio::test]
async fn metrics_count_what_the_records_say() {
    let setup = start().await;
    setup.ask("m", "hello").await;
    setup.ask("m", "murder").await;
    setup.ask("m", "hello").await;
    let metrics = setup.metrics().await;
    for line in [
        "portcullis_requests_total{action=\"allow\",dialect=\"openai_chat\",route=\"chat_completions\"} 2",
        "portcullis_requests_total{action=\"block\",dialect=\"openai_chat\",route=\"chat_completions\"} 1",
        "portcullis_decisions_total{action=\"block\",category=\"violence\",mode=\"enforce\",surface=\"user\"} 1",
        "portcullis_labels_total{kind=\"header\"} 2",
        "portcullis_upstream_seconds_count 2",
        "portcullis_stream_unscreened_bytes_total 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}
