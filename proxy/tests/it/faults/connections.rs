//! What clients may do with a connection: keep it, fill it, ask for another protocol, abuse it.

use super::{ANSWER, DIALECTS, body, ordinary, path};
use crate::client::{post, read_reply, read_until};
use crate::setup::{CHAT, start, start_with};
use crate::upstream::whole;
use bytes::Bytes;
use http_body_util::StreamBody;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn two_hundred_idle_connections_cost_nobody_anything() {
    let setup = start().await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(setup.gate).await.unwrap());
    }
    ordinary(&setup).await;
    let request = post(CHAT, body("m", false, "hello").to_string().as_bytes(), &[]);
    for client in &mut idle {
        client.write_all(&request).await.unwrap();
        let reply = read_reply(client).await;
        assert_eq!(reply.text(), whole(false, ANSWER).to_string());
    }
    ordinary(&setup).await;
    // Idle again, and in nobody's way at the end.
    let records = setup.into_records().await;
    assert_eq!(records.len(), 300);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let setup = start().await;
    let mut requests = Vec::new();
    let words = ["first", "second", "third", "fourth"];
    for (number, word) in words.iter().enumerate() {
        let (anthropic, streams) = (number % 2 == 1, number == 2);
        let wanted = body("m", streams, "hello").to_string();
        let last = if number == 3 { "close" } else { "keep-alive" };
        let headers = [("x-say", *word), ("connection", last)];
        requests.extend(post(path(anthropic), wanted.as_bytes(), &headers));
    }
    let mut client = TcpStream::connect(setup.gate).await.unwrap();
    client.write_all(&requests).await.unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    assert_eq!(said.matches("HTTP/1.1 200 ").count(), 4, "{said}");
    let places: Vec<_> = words.iter().map(|word| said.find(word)).collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{said}"
    );
    ordinary(&setup).await;
}

#[tokio::test]
async fn a_refused_request_does_not_swallow_the_one_behind_it() {
    let setup = start().await;
    let good = body("m", false, "hello").to_string();
    let close = [("connection", "close")];
    for (first, status) in [
        (post(CHAT, b"{", &[]), "400"),
        (post("/v1/nowhere", good.as_bytes(), &[]), "404"),
        (
            post(CHAT, good.as_bytes(), &[("content-type", "text/plain")]),
            "415",
        ),
        (
            post(CHAT, body("m", false, "murder").to_string().as_bytes(), &[]),
            "200",
        ),
    ] {
        let requests = [first, post(CHAT, good.as_bytes(), &close)].concat();
        let mut client = TcpStream::connect(setup.gate).await.unwrap();
        client.write_all(&requests).await.unwrap();
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
        assert!(said.ends_with(&whole(false, ANSWER).to_string()), "{said}");
    }
    ordinary(&setup).await;
}

#[tokio::test]
async fn a_client_that_waits_for_a_word_before_its_body_gets_it() {
    let setup = start().await;
    for anthropic in DIALECTS {
        let wanted = body("m", false, "hello").to_string();
        let request = post(
            path(anthropic),
            wanted.as_bytes(),
            &[("expect", "100-continue")],
        );
        let (head, rest) = request.split_at(request.len() - wanted.len());
        let mut client = TcpStream::connect(setup.gate).await.unwrap();
        client.write_all(head).await.unwrap();
        let word = read_until(&mut client, "\r\n\r\n").await;
        assert_eq!(word, "HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(rest).await.unwrap();
        let reply = read_reply(&mut client).await;
        assert_eq!(reply.text(), whole(anthropic, ANSWER).to_string());
        assert_eq!(setup.upstream.last().await.header("expect"), None);
        ordinary(&setup).await;
    }
}

#[tokio::test]
async fn a_wish_for_another_protocol_is_passed_over() {
    let setup = start().await;
    let websocket = [("connection", "upgrade"), ("upgrade", "websocket")];
    let http2 = [
        ("connection", "upgrade, http2-settings"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
    ];
    for headers in [websocket.as_slice(), &http2] {
        for anthropic in DIALECTS {
            let wanted = body("m", false, "hello").to_string();
            let reply = setup
                .post_raw(path(anthropic), wanted.as_bytes(), headers)
                .await;
            assert_eq!(reply.status, 200, "{}", reply.head);
            assert_eq!(reply.text(), whole(anthropic, ANSWER).to_string());
            let seen = setup.upstream.last().await;
            for name in ["connection", "upgrade", "http2-settings"] {
                assert_eq!(seen.header(name), None, "{name} was forwarded");
            }
        }
        ordinary(&setup).await;
    }
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [head.as_slice(), payload].concat()
}

#[tokio::test]
async fn opening_and_resetting_streams_without_end_ends_the_connection() {
    const HEADERS: u8 = 1;
    const RESET: u8 = 3;
    const SETTINGS: u8 = 4;
    let setup = start().await;
    // POST, http, the path, an authority: indexes of the static table, the path as a literal.
    let mut request = vec![0x83, 0x86, 0x04, u8::try_from(CHAT.len()).unwrap()];
    request.extend(CHAT.as_bytes());
    request.extend([0x01, 1, b'g']);
    let mut client = TcpStream::connect(setup.gate).await.unwrap();
    let begin = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(SETTINGS, 0, 0, b""),
    ];
    client.write_all(&begin.concat()).await.unwrap();
    let (mut from, mut to) = client.split();
    let abuse = async {
        for stream in (1..200_000).step_by(2) {
            // It has a head and no body yet, and is given up at once.
            let opened = frame(HEADERS, 0x4, stream, &request);
            let given_up = frame(RESET, 0, stream, &8_u32.to_be_bytes());
            if to.write_all(&[opened, given_up].concat()).await.is_err() {
                return;
            }
        }
        panic!("a hundred thousand resets were taken");
    };
    let read_all = async {
        let mut said = Vec::new();
        drop(from.read_to_end(&mut said).await);
    };
    tokio::join!(abuse, read_all);
    assert!(setup.upstream.requests().await.is_empty());
    ordinary(&setup).await;
}

#[tokio::test]
async fn a_slow_body_over_http2_is_408_and_its_connection_lives() {
    let setup = start_with(|config| config.timeouts.read = Duration::from_millis(300)).await;
    let io = TokioIo::new(TcpStream::connect(setup.gate).await.unwrap());
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (mut send, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    for _ in 0..2 {
        let never =
            futures_util::stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>();
        let request = http::Request::post(format!("http://{}{CHAT}", setup.gate))
            .header("content-type", "application/json")
            .body(StreamBody::new(never))
            .unwrap();
        let response = send.send_request(request).await.unwrap();
        assert_eq!(response.status(), 408);
    }
    ordinary(&setup).await;
    let records = setup.into_records().await;
    let slow = records
        .iter()
        .filter(|record| record["error"] == json!("slow_client"));
    assert_eq!(slow.count(), 2);
}
