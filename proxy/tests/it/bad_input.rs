//! Requests that must be refused, each with an error that names the fault, in the dialect's shape.

use crate::setup::{CHAT, MESSAGES, Setup, chat, start, start_with};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::io::Write;

/// The request is refused with this status, the message says what is wrong, and nothing was forwarded.
async fn check(setup: &Setup, body: &[u8], status: u16, says: &str) {
    for path in [CHAT, MESSAGES] {
        let reply = setup.post_raw(path, body, &[]).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        let message = reply.json()["error"]["message"]
            .as_str()
            .unwrap()
            .to_lowercase();
        assert!(
            message.contains(says),
            "{path}: `{message}` does not say `{says}`"
        );
    }
    assert!(
        setup.upstream.requests().await.is_empty(),
        "a bad request was forwarded"
    );
}

fn said(content: &str) -> Vec<u8> {
    format!(r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":{content}}}]}}"#)
        .into_bytes()
}

#[tokio::test]
async fn malformed_json_is_400() {
    let setup = start().await;
    check(&setup, b"{", 400, "").await;
    check(&setup, b"", 400, "").await;
    check(
        &setup,
        &[b"\xef\xbb\xbf".as_slice(), &said("\"x\"")].concat(),
        400,
        "byte order mark",
    )
    .await;
    check(&setup, &[said("\"x\""), b" {}".to_vec()].concat(), 400, "").await;
    check(&setup, &said("\"\\ud800\""), 400, "surrogate").await;
    let not_utf8: Vec<u8> = said("\"?\"")
        .into_iter()
        .map(|byte| if byte == b'?' { 0xff } else { byte })
        .collect();
    check(&setup, &not_utf8, 400, "utf-8").await;
    check(
        &setup,
        br#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a","content":"b"}]}"#,
        400,
        "duplicate",
    )
    .await;
    check(&setup, br#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a","c\u006fntent":"b"}]}"#, 400, "duplicate").await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    check(&setup, &said(&deep), 400, "deep").await;
}

#[tokio::test]
async fn unknown_part_types_are_refused() {
    let setup = start().await;
    check(
        &setup,
        &said(r#"[{"type":"hologram","hologram":{"text":"x"}}]"#),
        400,
        "hologram",
    )
    .await;
}

#[tokio::test]
async fn oversized_bodies_are_413() {
    let setup = start_with(|config| config.limits.body = 10_000).await;
    check(
        &setup,
        &said(&format!("\"{}\"", "x".repeat(20_000))),
        413,
        "10000 bytes",
    )
    .await;
}

#[tokio::test]
async fn decompression_bombs_are_413() {
    let setup = start_with(|config| config.limits.body = 1_000_000).await;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&said(&format!("\"{}\"", "x".repeat(50_000_000))))
        .unwrap();
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let reply = setup
        .post_raw(CHAT, &bomb, &[("content-encoding", "gzip")])
        .await;
    assert_eq!(reply.status, 413, "{}", reply.text());
    assert!(setup.upstream.requests().await.is_empty());
}

#[tokio::test]
async fn a_compressed_body_is_read_and_forwarded_plain() {
    let setup = start().await;
    let plain = chat("m", "hello").to_string();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(plain.as_bytes()).unwrap();
    let reply = setup
        .post_raw(
            CHAT,
            &gzip.finish().unwrap(),
            &[("content-encoding", "gzip")],
        )
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let seen = setup.upstream.last().await;
    assert_eq!(seen.body, plain.as_bytes());
    assert_eq!(seen.header("content-encoding"), None);
}

#[tokio::test]
async fn damaged_or_unknown_encodings_are_refused() {
    let setup = start().await;
    let body = chat("m", "hello").to_string();
    for (encoding, status) in [("gzip", 400), ("rot13", 415), ("gzip, br", 415)] {
        let reply = setup
            .post_raw(CHAT, body.as_bytes(), &[("content-encoding", encoding)])
            .await;
        assert_eq!(reply.status, status, "{encoding}: {}", reply.text());
    }
}

#[tokio::test]
async fn only_json_is_taken() {
    let setup = start().await;
    let body = chat("m", "hello").to_string();
    for kind in [
        "text/plain",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
    ] {
        let reply = setup
            .post_raw(CHAT, body.as_bytes(), &[("content-type", kind)])
            .await;
        assert_eq!(reply.status, 415, "{kind}");
        assert!(
            reply.json()["error"]["message"]
                .as_str()
                .unwrap()
                .contains("application/json")
        );
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_not_ours_are_refused() {
    let setup = start().await;
    let body = chat("m", "hello").to_string();
    for path in [
        "/v1/chat/completions/",
        "//v1/chat/completions",
        "/v1/chat/%63ompletions",
        "/V1/chat/completions",
        "/v1/./chat/completions",
        "/v1/x/../chat/completions",
        "/v1/zzz",
        "/",
    ] {
        let reply = setup.post_raw(path, body.as_bytes(), &[]).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(reply.json()["error"]["message"].is_string());
    }
    assert_eq!(setup.get(CHAT).await.status, 405);
    assert!(setup.upstream.requests().await.is_empty());
    // A query does not change which endpoint it is.
    assert_eq!(
        setup
            .post_raw(&format!("{CHAT}?a=b"), body.as_bytes(), &[])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn errors_have_the_shape_of_their_dialect() {
    let setup = start().await;
    let openai = setup.post_raw(CHAT, b"{", &[]).await;
    assert_eq!(
        openai.json()["error"]["type"],
        json!("invalid_request_error")
    );
    let anthropic = setup.post_raw(MESSAGES, b"{", &[]).await;
    assert_eq!(anthropic.json()["type"], json!("error"));
    assert_eq!(
        anthropic.json()["error"]["type"],
        json!("invalid_request_error")
    );
    assert!(anthropic.header("request-id").is_some());
}
