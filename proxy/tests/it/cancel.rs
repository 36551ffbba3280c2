//! A client that leaves takes its work with it: at the upstream and in the classifiers.

use crate::client::{post, read_until};
use crate::setup::{CHAT, MESSAGES, Setup, chat, start, streamed};
use crate::upstream::openai_chunk;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// What is asked of the gate: upstream gone this soon after the client.
const WITHIN: Duration = Duration::from_millis(50);

async fn ask(setup: &Setup, body: &Value) -> TcpStream {
    ask_at(setup, CHAT, body).await
}

async fn ask_at(setup: &Setup, path: &str, body: &Value) -> TcpStream {
    let mut stream = TcpStream::connect(setup.gate).await.unwrap();
    stream
        .write_all(&post(path, body.to_string().as_bytes(), &[]))
        .await
        .unwrap();
    stream
}

async fn leaves(setup: &Setup, client: TcpStream) {
    let left = Instant::now();
    drop(client);
    let cancelled = tokio::time::timeout(
        Duration::from_secs(5),
        setup.upstream.was_cancelled.notified(),
    );
    cancelled.await.expect("the upstream was never cancelled");
    assert!(
        left.elapsed() < WITHIN,
        "cancelled only after {:?}",
        left.elapsed()
    );
    assert_eq!(setup.upstream.cancelled.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn before_the_first_byte() {
    for path in [CHAT, MESSAGES] {
        for streams in [false, true] {
            let setup = start().await;
            let mut body = chat("fault:hang", "hello");
            body["max_tokens"] = json!(9);
            body["stream"] = json!(streams);
            let client = ask_at(&setup, path, &body).await;
            while setup.upstream.requests().await.is_empty() {
                tokio::task::yield_now().await;
            }
            leaves(&setup, client).await;
            let records = setup.into_records().await;
            assert_eq!(records.len(), 1);
            assert_eq!(records[0]["outcome"], json!("aborted"));
        }
    }
}

#[tokio::test]
async fn in_the_middle_of_a_stream() {
    let setup = start().await;
    let mut client = ask(&setup, &streamed(chat("steps", "hello"))).await;
    let first = openai_chunk(&json!({"content": "hi there."}), &Value::Null);
    setup.upstream.step.send(first).unwrap();
    read_until(&mut client, "hi there.").await;
    leaves(&setup, client).await;
    let records = setup.into_records().await;
    assert_eq!(records[0]["outcome"], json!("aborted"));
}

#[tokio::test]
async fn while_a_classifier_thinks() {
    let setup = start().await;
    let client = ask(&setup, &chat("m", "silence")).await;
    while setup.classifier.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    drop(client);
    let left = Instant::now();
    while setup.classifier.waiting() > 0 {
        assert!(left.elapsed() < WITHIN, "the job is still wanted");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn while_a_classifier_thinks_about_a_running_stream() {
    let setup = start().await;
    let mut client = ask(&setup, &streamed(chat("steps", "hello"))).await;
    let say = |text: &str| openai_chunk(&json!({"content": text}), &Value::Null);
    setup.upstream.step.send(say("hi there. ")).unwrap();
    read_until(&mut client, "hi there.").await;
    setup.upstream.step.send(say("silence now.")).unwrap();
    while setup.classifier.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    leaves(&setup, client).await;
    assert_eq!(setup.classifier.waiting(), 0, "a job is still wanted");
}

#[tokio::test]
async fn while_a_classifier_thinks_about_a_whole_answer() {
    let setup = start().await;
    let request = post(
        CHAT,
        chat("m", "hello").to_string().as_bytes(),
        &[("x-say", "silence")],
    );
    let mut client = TcpStream::connect(setup.gate).await.unwrap();
    client.write_all(&request).await.unwrap();
    while setup.classifier.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    drop(client);
    let left = Instant::now();
    while setup.classifier.waiting() > 0 {
        assert!(left.elapsed() < WITHIN, "the job is still wanted");
        tokio::task::yield_now().await;
    }
}
