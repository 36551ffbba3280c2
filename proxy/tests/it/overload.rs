//! More than the gate takes on: quick refusals in the dialect's shape, room for others, and all of
//! it given back.

use crate::client;
use crate::script::{Act, stream};
use crate::setup::{CHAT, MESSAGES, chat, start_with};
use crate::upstream::events;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn what_does_not_fit_is_refused_at_once_with_a_time_to_come_back() {
    let setup = start_with(|config| config.limits.requests = 8).await;
    // Seven eighths of the room for one tenant: these wait for an upstream that never answers.
    let held: Vec<_> = (0..7)
        .map(|_| {
            let body = chat("fault:hang", "hello").to_string();
            let gate = setup.gate;
            tokio::spawn(async move {
                client::exchange(gate, &client::post(CHAT, body.as_bytes(), &[])).await
            })
        })
        .collect();
    while setup.upstream.requests().await.len() < 7 {
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    let refused = setup.ask("m", "hello").await;
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "a refusal does not wait"
    );
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    let body =
        json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]});
    let anthropic = setup.post(MESSAGES, &body).await;
    assert_eq!(anthropic.status, 529);
    // Another tenant has the last eighth.
    let other = setup
        .post_raw(
            CHAT,
            chat("m", "hello").to_string().as_bytes(),
            &[("authorization", "Bearer b")],
        )
        .await;
    assert_eq!(other.status, 200);
    for request in held {
        request.abort();
        drop(request.await);
    }
    // A request that was given up makes room once the gate has seen that its client left.
    let deadline = Instant::now() + Duration::from_secs(5);
    while setup.ask("m", "hello").await.status != 200 {
        assert!(Instant::now() < deadline, "the room is not given back");
    }
    assert!(setup.metrics().await.contains("reason=\"overloaded\""));
}

#[tokio::test]
async fn bodies_together_have_a_bound() {
    let setup = start_with(|config| {
        config.limits.memory = 64 << 10;
        config.limits.body = 56 << 10;
    })
    .await;
    let large = chat("fault:hang", &"x".repeat(50 << 10)).to_string();
    let gate = setup.gate;
    let held = tokio::spawn(async move {
        client::exchange(gate, &client::post(CHAT, large.as_bytes(), &[])).await
    });
    while setup.upstream.requests().await.is_empty() {
        tokio::task::yield_now().await;
    }
    let refused = setup.ask("m", &"y".repeat(8 << 10)).await;
    assert_eq!(refused.status, 503);
    assert_eq!(setup.ask("m", "small").await.status, 200);
    held.abort();
}

#[tokio::test]
async fn text_of_streams_counts_towards_what_is_taken_on_at_once() {
    let setup = start_with(|config| config.limits.memory = 256 << 10).await;
    for (n_words, fits) in [(1000, true), (60_000, false), (1000, true)] {
        let text = "word ".repeat(n_words);
        let acts = vec![
            Act::Send(stream(events(false, &text, true).as_bytes())),
            Act::Close,
        ];
        setup.upstream.script(acts).await;
        let mut body = chat("script", "hello");
        body["stream"] = json!(true);
        let reply = setup.post(CHAT, &body).await;
        assert_eq!(reply.text().contains("[DONE]"), fits, "{n_words}");
        assert_eq!(reply.text().contains("\"error\""), !fits, "{n_words}");
    }
}
