//! Faults of the environment: upstreams that are not there, ports, disks, bugs, and the end.

use super::ordinary;
use crate::setup::{CHAT, MESSAGES, chat, config, start, start_with, streamed};
use portcullis::server::{Server, StartError};
use serde_json::json;
use std::sync::atomic::Ordering;

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
async fn a_panic_in_a_handler_is_500_and_the_process_lives() {
    let setup = start().await;
    setup.classifier.breaks.store(true, Ordering::SeqCst);
    let reply = setup
        .post("/v1/moderations", &json!({"input": "hello"}))
        .await;
    assert_eq!(reply.status, 500, "{}", reply.text());
    assert!(
        !reply.text().contains("panics"),
        "nothing of the panic is told"
    );
    ordinary(&setup).await;
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

/// Records are lost and counted; exchanges are answered.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_fails_no_request_and_its_lost_records_are_counted() {
    let setup = start_with(|config| {
        config.record = portcullis_config::RecordSink::File("/dev/full".into());
    })
    .await;
    ordinary(&setup).await;
    let lost = "portcullis_records_lost_total";
    while super::counted(&setup.metrics().await, lost) == 0 {
        tokio::task::yield_now().await;
    }
    ordinary(&setup).await;
}
