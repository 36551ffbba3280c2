//! Clients that are slow, that leave, or that send too much: their own affair, and nobody else's.

use super::{DIALECTS, body, ordinary, path};
use crate::client::{post, read_reply, read_until};
use crate::script::{Act, chunk, stream};
use crate::setup::{CHAT, start, start_with};
use crate::upstream::events;
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// No client of these tests waits longer than this for the gate.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the gate says until it closes the connection.
async fn until_closed(client: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let reading = client.read_to_end(&mut said);
    let read = tokio::time::timeout(PATIENCE, reading).await;
    // A reset is an end, too.
    drop(read.expect("the gate never closed the connection"));
    String::from_utf8(said).unwrap()
}

/// Ten words and a comment of 64 KB, to be sent again and again. The words keep it moving: what
/// holds no text waits for the last check before it, and is read ahead up to `limits.answer`.
fn much(anthropic: bool) -> Vec<u8> {
    let words = events(anthropic, &"word ".repeat(10), false);
    let words = words
        .split_inclusive("\n\n")
        .filter(|it| it.contains("word"));
    let comment = format!(": {}\n\n", "x".repeat(64 * 1024));
    chunk(
        words
            .chain([comment.as_str()])
            .collect::<String>()
            .as_bytes(),
    )
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_back_its_upstream_and_nobody_else() {
    let setup = start().await;
    for anthropic in DIALECTS {
        setup.upstream.flooded.store(0, Ordering::SeqCst);
        let begin = stream(events(anthropic, "good words", false).as_bytes());
        let acts = vec![Act::Send(begin), Act::Flood(much(anthropic))];
        setup.upstream.script(acts).await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let mut client = socket.connect(setup.gate).await.unwrap();
        let asked = body("script", true, "hello").to_string();
        let request = post(path(anthropic), asked.as_bytes(), &[]);
        client.write_all(&request).await.unwrap();
        read_until(&mut client, "words").await;
        // The flood stands still once all buffers on its way are full.
        let mut taken = 0;
        for _ in 0..100 {
            ordinary(&setup).await;
            let now = setup.upstream.flooded.load(Ordering::SeqCst);
            if 0 < now && now == taken {
                break;
            }
            taken = now;
        }
        let now = setup.upstream.flooded.load(Ordering::SeqCst);
        assert!(0 < taken && taken == now, "the flood never stood still");
        // Nearly all of it lies in the sockets' own buffers.
        let bound = 64 << 20;
        assert!(
            taken < bound,
            "{taken} bytes wait for a client that does not read"
        );
        drop(client);
        let cancelled = setup.upstream.was_cancelled.notified();
        let in_time = tokio::time::timeout(PATIENCE, cancelled).await;
        in_time.expect("the upstream was never cancelled");
        ordinary(&setup).await;
    }
    let records = setup.into_records().await;
    let cut = records
        .iter()
        .filter(|record| record["outcome"] == json!("aborted"));
    assert_eq!(cut.count(), 2, "it was the client that ended it");
}

#[tokio::test]
async fn a_client_that_leaves_while_uploading_is_one_record_and_nothing_is_forwarded() {
    let setup = start().await;
    for anthropic in DIALECTS {
        let whole = post(
            path(anthropic),
            body("m", false, "hello").to_string().as_bytes(),
            &[],
        );
        let mut client = TcpStream::connect(setup.gate).await.unwrap();
        client.write_all(&whole[..whole.len() - 10]).await.unwrap();
        drop(client);
    }
    let asked = setup.upstream.requests().await.len();
    assert_eq!(asked, 0, "half a request was forwarded");
    // The gate takes connections in order, so it has met those two before these fifty.
    ordinary(&setup).await;
    let records = setup.into_records().await;
    let unfinished = records
        .iter()
        .filter(|record| record["outcome"] != json!("completed"));
    let shown: Vec<_> = unfinished
        .map(|record| {
            (
                record["dialect"].as_str().unwrap(),
                record["error"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("openai_chat", "client_gone"),
            ("anthropic_messages", "client_gone")
        ]
    );
    assert_eq!(records.len(), 52);
}

#[tokio::test]
async fn a_client_that_closes_its_side_counts_as_gone() {
    let setup = start().await;
    for anthropic in DIALECTS {
        for streams in [false, true] {
            setup.upstream.script(vec![Act::Hang]).await;
            let asked = setup.upstream.requests().await.len();
            let mut client = TcpStream::connect(setup.gate).await.unwrap();
            let wanted = body("script", streams, "hello").to_string();
            client
                .write_all(&post(path(anthropic), wanted.as_bytes(), &[]))
                .await
                .unwrap();
            while setup.upstream.requests().await.len() == asked {
                tokio::task::yield_now().await;
            }
            client.shutdown().await.unwrap();
            setup.upstream.was_cancelled.notified().await;
            assert_eq!(until_closed(&mut client).await, "");
        }
        ordinary(&setup).await;
    }
    let records = setup.into_records().await;
    let aborted = records
        .iter()
        .filter(|record| record["outcome"] == json!("aborted"));
    assert_eq!(aborted.count(), 4);
}

/// A client that sends `begin` and then a byte now and then is answered or cut at the read
/// timeout, and not before. Gives what it was told.
async fn drips(begin: &[u8], drop_of: &[u8]) -> String {
    let read = Duration::from_millis(300);
    let setup = start_with(|config| config.timeouts.read = read).await;
    let started = Instant::now();
    let mut client = TcpStream::connect(setup.gate).await.unwrap();
    client.write_all(begin).await.unwrap();
    let (mut from, mut to) = client.split();
    let dripping = async {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            if to.write_all(drop_of).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut said = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, from.read_to_end(&mut said));
    tokio::select! {
        read = reading => drop(read.expect("the gate never closed the connection")),
        () = dripping => {}
    }
    let took = started.elapsed();
    assert!(read <= took, "cut after {took:?}");
    assert!(took < Duration::from_secs(3), "cut only after {took:?}");
    ordinary(&setup).await;
    assert_eq!(setup.upstream.requests().await.len(), 50);
    String::from_utf8(said).unwrap()
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_at_the_configured_time() {
    let said = drips(b"POST /v1/chat/completions HTTP/1.1\r\nx-slow: ", b"a").await;
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 408 "),
        "{said}"
    );
    let said = drips(b"POST /v1/chat/completions HTTP/1.1\r\n", b"x-slow: a\r\n").await;
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 408 "),
        "{said}"
    );
}

#[tokio::test]
async fn a_body_that_never_ends_is_408() {
    let length = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ncontent-length: 9000\r\n\r\n"
    );
    let said = drips(length.as_bytes(), b" ").await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(said.contains("did not arrive in time"), "{said}");
    let chunks = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let said = drips(chunks.as_bytes(), b"1\r\n \r\n").await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
}

/// Nobody may hold a connection for ever by saying nothing, or only the letters that both
/// versions of the protocol begin with.
#[tokio::test]
async fn a_connection_without_a_request_is_cut_at_the_configured_time() {
    for begin in [b"".as_slice(), b"P", b"PRI * HTTP/2.0\r\n"] {
        drips(begin, b"").await;
    }
}

#[tokio::test]
async fn a_head_past_its_limit_is_431() {
    let setup = start_with(|config| config.limits.header = 16_000).await;
    let wanted = body("m", false, "hello").to_string();
    let long = "y".repeat(20_000);
    for headers in [vec![("x-long", long.as_str())], vec![("x-many", "y"); 300]] {
        let request = post(CHAT, wanted.as_bytes(), &headers);
        let mut client = TcpStream::connect(setup.gate).await.unwrap();
        // It may be refused before it has been read.
        drop(client.write_all(&request).await);
        let said = until_closed(&mut client).await;
        assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
        ordinary(&setup).await;
    }
    let most = "y".repeat(12_000);
    let reply = setup
        .post_raw(CHAT, wanted.as_bytes(), &[("x-long", &most)])
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(setup.upstream.requests().await.len(), 101);
}

#[tokio::test]
async fn a_body_past_its_limit_is_413_before_it_is_sent() {
    let setup = start_with(|config| config.limits.body = 10_000).await;
    for anthropic in DIALECTS {
        for line in ["", "expect: 100-continue\r\n"] {
            let head = format!(
                "POST {} HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n{line}content-length: 20000\r\n\r\n",
                path(anthropic)
            );
            let mut client = TcpStream::connect(setup.gate).await.unwrap();
            client.write_all(head.as_bytes()).await.unwrap();
            let reply = read_reply(&mut client).await;
            assert_eq!(reply.status, 413, "{}", reply.head);
        }
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
            path(anthropic)
        );
        let mut client = TcpStream::connect(setup.gate).await.unwrap();
        client.write_all(head.as_bytes()).await.unwrap();
        client
            .write_all(&chunk(&b" ".repeat(10_001)))
            .await
            .unwrap();
        let reply = read_reply(&mut client).await;
        assert_eq!(reply.status, 413, "{}", reply.head);
        assert!(reply.text().contains("10000 bytes"), "{}", reply.text());
        ordinary(&setup).await;
    }
    assert_eq!(setup.upstream.requests().await.len(), 100);
}
