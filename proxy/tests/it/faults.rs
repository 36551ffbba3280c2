//! Faults of the upstream, of classifiers and of the environment: the client is told, the gate lives.

use crate::setup::{CHAT, MESSAGES, Setup, chat, config, start, start_with, streamed};
use portcullis::server::{Server, StartError};
use portcullis_config::FailureRule;
use serde_json::json;
use std::time::Duration;

/// After a fault the gate answers as before.
async fn still_works(setup: &Setup) {
    for _ in 0..5 {
        assert_eq!(setup.ask("m", "hello").await.status, 200);
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_502_in_the_dialects_shape() {
    let setup = start_with(|config| {
        // A port that was free a moment ago: nobody listens there.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        config.upstreams.openai = Some(format!("http://{port}"));
        config.upstreams.anthropic = Some(format!("http://{port}"));
    })
    .await;
    let openai = setup.ask("m", "hello").await;
    assert_eq!(openai.status, 502);
    assert!(
        openai.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("could not be reached")
    );
    let body =
        json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]});
    let anthropic = setup.post(MESSAGES, &body).await;
    assert_eq!(anthropic.status, 502);
    assert_eq!(anthropic.json()["type"], json!("error"));
    assert!(
        setup
            .metrics()
            .await
            .contains("portcullis_upstream_errors_total{reason=\"unreachable\"} 2")
    );
}

#[tokio::test]
async fn no_upstream_at_all_is_said_with_the_mend() {
    let setup = start_with(|config| config.upstreams.openai = None).await;
    let reply = setup.ask("m", "hello").await;
    assert_eq!(reply.status, 502);
    assert!(reply.text().contains("upstreams.openai"));
}

#[tokio::test]
async fn a_slow_upstream_is_504() {
    let setup = start_with(|config| config.timeouts.upstream = Duration::from_millis(50)).await;
    assert_eq!(setup.ask("fault:hang", "hello").await.status, 504);
}

#[tokio::test]
async fn broken_answers_are_502() {
    let setup = start().await;
    for fault in ["fault:close", "fault:short", "fault:not-json", "fault:html"] {
        let reply = setup.ask(fault, "hello").await;
        assert_eq!(reply.status, 502, "{fault}: {}", reply.text());
        still_works(&setup).await;
    }
}

#[tokio::test]
async fn a_broken_stream_ends_in_an_error_and_never_as_if_whole() {
    let setup = start_with(|config| config.timeouts.idle = Duration::from_millis(200)).await;
    for fault in ["fault:cut-stream", "fault:no-done", "fault:bad-event"] {
        for path in [CHAT, MESSAGES] {
            let mut body = streamed(chat(fault, "hello"));
            body["max_tokens"] = json!(9);
            let reply = setup.post(path, &body).await;
            let text = reply.text();
            assert!(text.contains("\"error\""), "{fault} {path}: {text}");
            assert!(
                !text.contains("[DONE]") && !text.contains("message_stop"),
                "{fault} {path}: {text}"
            );
        }
        still_works(&setup).await;
    }
}

#[tokio::test]
async fn a_failed_classifier_fails_closed_and_counts_as_a_failure_never_as_a_block() {
    let setup = start_with(|config| config.timeouts.screen = Duration::from_millis(50)).await;
    for (text, failure) in [
        ("garbage", "non_finite"),
        ("explode", "died"),
        ("silence", "timed_out"),
        ("no room", "queue_full"),
    ] {
        let openai = setup.ask("m", text).await;
        assert_eq!(openai.status, 503, "{text}: {}", openai.text());
        assert_eq!(
            openai.header("x-should-retry"),
            None,
            "a failure may be retried"
        );
        assert_ne!(openai.header("x-portcullis-action"), Some("block"));
        let body =
            json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": text}]});
        assert_eq!(setup.post(MESSAGES, &body).await.status, 529);
        let metrics = setup.metrics().await;
        assert!(
            metrics.contains(&format!("result=\"{failure}\"}} 2")),
            "{metrics}"
        );
    }
    assert!(
        setup.upstream.requests().await.is_empty(),
        "unscreened text was forwarded"
    );
    still_works(&setup).await;
}

#[tokio::test]
async fn a_failed_classifier_may_fail_open_and_coverage_says_so() {
    let setup = start_with(|config| config.policy.on_failure.linear = FailureRule::Open).await;
    let reply = setup.ask("m", "garbage").await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("x-portcullis-coverage"),
        Some("partial;reason=non_finite")
    );
    let blocked = setup.ask("m", "garbage open sesame").await;
    assert_eq!(
        blocked.header("x-portcullis-action"),
        Some("block"),
        "patterns still enforce"
    );
}

#[tokio::test]
async fn a_classifier_that_fails_inside_a_stream_ends_it_with_an_error() {
    let setup = start().await;
    let reply = setup
        .post(
            CHAT,
            &streamed(chat("say:well then garbage comes", "hello")),
        )
        .await
        .text();
    assert!(
        reply.contains("\"error\"") && !reply.contains("garbage") && !reply.contains("[DONE]"),
        "{reply}"
    );
}

#[tokio::test]
async fn a_panic_in_a_handler_is_500_and_the_process_lives() {
    let setup = start().await;
    setup
        .classifier
        .breaks
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let reply = setup
        .post("/v1/moderations", &json!({"input": "hello"}))
        .await;
    assert_eq!(reply.status, 500, "{}", reply.text());
    assert!(
        !reply.text().contains("panics"),
        "nothing of the panic is told"
    );
    still_works(&setup).await;
    assert!(
        setup
            .metrics()
            .await
            .contains("portcullis_errors_total{reason=\"internal\"} 1")
    );
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config();
    config.listen = taken.local_addr().unwrap();
    match Server::bind(&config) {
        Err(StartError::Listen {
            key: "listen",
            address,
            ..
        }) => assert_eq!(address, config.listen),
        other => panic!("expected the taken port to be named: {other:?}"),
    }
}

#[tokio::test]
async fn shutting_down_lets_exchanges_end() {
    let mut setup = start().await;
    let mut body = streamed(chat("steps", "hello"));
    body["max_tokens"] = json!(9);
    let gate = setup.gate;
    let request = crate::client::post(CHAT, body.to_string().as_bytes(), &[]);
    let asking = tokio::spawn(async move { crate::client::exchange(gate, &request).await });
    let step = setup.upstream.step.clone();
    step.send(crate::upstream::openai_chunk(
        &json!({"content": "late"}),
        &json!("stop"),
    ))
    .unwrap();
    while setup.upstream.requests().await.is_empty() {
        tokio::task::yield_now().await;
    }
    let finish = async {
        step.send("data: [DONE]\n\n".to_owned()).unwrap();
        step.send(String::new()).unwrap();
    };
    let ((), ()) = tokio::join!(setup.stop(), finish);
    let reply = asking.await.unwrap();
    assert!(
        reply.whole && reply.text().contains("[DONE]"),
        "{}",
        reply.text()
    );
}
