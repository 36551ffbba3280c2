//! Encoded answers that nobody asked for: decoded and screened, or refused. Never passed unread.

use super::{ANSWER, Book, DIALECTS, Want, ask, assert_broken, assert_error, ordinary};
use crate::script::{
    Act, CHUNKED, ENCODINGS, EVENTS, JSON, LAST, answer, chunk, encoded, head, reply,
};
use crate::setup::{Setup, start, start_with};
use crate::upstream::{events, whole};
use serde_json::json;

const BAD: &str = "well then, open sesame";

fn plain(encoding: &str, body: &[u8]) -> Vec<Act> {
    let lines = format!("{JSON}content-encoding: {encoding}\r\n");
    vec![Act::Send(answer(&lines, body))]
}

fn streamed(encoding: &str, body: &[u8]) -> Vec<Act> {
    let head = head(
        "200 OK",
        &format!("{EVENTS}content-encoding: {encoding}\r\n"),
    );
    vec![Act::Send([head, chunk(body), LAST.to_vec()].concat())]
}

#[tokio::test]
async fn encoded_answers_are_decoded_and_screened() {
    let setup = start().await;
    let mut book = Book::default();
    for encoding in ENCODINGS {
        for anthropic in DIALECTS {
            let good = whole(anthropic, ANSWER).to_string();
            let acts = plain(encoding, &encoded(encoding, good.as_bytes()).await);
            let reply = ask(&setup, anthropic, false, &acts).await;
            book.note(encoding, &reply, Want::FINE);
            assert_eq!(reply.header("content-encoding"), None, "{encoding}");
            assert_eq!(reply.text(), good, "{encoding}");

            let bad = whole(anthropic, BAD).to_string();
            let acts = plain(encoding, &encoded(encoding, bad.as_bytes()).await);
            let reply = ask(&setup, anthropic, false, &acts).await;
            assert_eq!(reply.header("x-portcullis-action"), Some("block"));
            assert!(!reply.text().contains("sesame"), "{encoding}");
        }
        ordinary(&setup).await;
    }
    book.close(setup).await;
}

#[tokio::test]
async fn encoded_streams_are_decoded_and_screened() {
    let setup = start().await;
    let mut book = Book::default();
    for encoding in ENCODINGS {
        for anthropic in DIALECTS {
            let good = events(anthropic, ANSWER, true);
            let acts = streamed(encoding, &encoded(encoding, good.as_bytes()).await);
            let reply = ask(&setup, anthropic, true, &acts).await;
            book.note(encoding, &reply, Want::FINE);
            assert_eq!(reply.header("content-encoding"), None, "{encoding}");
            assert_eq!(reply.text(), good, "{encoding}");

            let bad = events(anthropic, BAD, true);
            let acts = streamed(encoding, &encoded(encoding, bad.as_bytes()).await);
            let said = ask(&setup, anthropic, true, &acts).await.text();
            assert!(!said.contains("sesame"), "{encoding}: {said}");
            assert!(said.contains("Clause 2"), "{encoding}: {said}");
        }
        ordinary(&setup).await;
    }
    book.close(setup).await;
}

/// Plain it is 502, in a stream an error event.
async fn refused(setup: &Setup, book: &mut Book, case: &str, encoding: &str, body: &[u8]) {
    for anthropic in DIALECTS {
        let reply = ask(setup, anthropic, false, &plain(encoding, body)).await;
        book.note(case, &reply, Want::upstream(502, "bad_answer"));
        assert_error(anthropic, &reply, case);
    }
    ordinary(setup).await;
}

#[tokio::test]
async fn answers_that_do_not_decode_are_502() {
    let setup = start().await;
    let mut book = Book::default();
    let good = whole(false, "some good words, and quite a few of them").to_string();
    for encoding in ENCODINGS {
        let body = encoded(encoding, good.as_bytes()).await;
        let case = format!("{encoding} that is none");
        refused(&setup, &mut book, &case, encoding, good.as_bytes()).await;
        let case = format!("{encoding} that breaks off");
        refused(&setup, &mut book, &case, encoding, &body[..body.len() / 2]).await;
    }
    let gzip = encoded("gzip", good.as_bytes()).await;
    let mut damaged = gzip.clone();
    let last = damaged.len() - 5;
    damaged[last] ^= 0xff;
    refused(&setup, &mut book, "a wrong checksum", "gzip", &damaged).await;
    let trailing = [gzip.as_slice(), b"and something after it"].concat();
    refused(&setup, &mut book, "bytes after the end", "gzip", &trailing).await;
    let twice = encoded("gzip", &gzip).await;
    refused(
        &setup,
        &mut book,
        "two on top of each other",
        "gzip, gzip",
        &twice,
    )
    .await;
    refused(
        &setup,
        &mut book,
        "two headers",
        "gzip\r\ncontent-encoding: gzip",
        &twice,
    )
    .await;
    refused(&setup, &mut book, "unknown", "rot13", good.as_bytes()).await;
    refused(&setup, &mut book, "compress", "compress", good.as_bytes()).await;
    book.close(setup).await;
}

#[tokio::test]
async fn streams_that_do_not_decode_end_in_an_error() {
    let setup = start().await;
    let mut book = Book::default();
    for encoding in ENCODINGS {
        for anthropic in DIALECTS {
            let good = events(anthropic, &"some good words ".repeat(30), true);
            let body = encoded(encoding, good.as_bytes()).await;
            for (case, sent) in [
                ("none", good.as_bytes()),
                ("breaks off", &body[..body.len() / 2]),
            ] {
                let reply = ask(&setup, anthropic, true, &streamed(encoding, sent)).await;
                let case = format!("{encoding}: {case}");
                book.note(&case, &reply, Want::upstream(200, "bad_answer"));
                assert_broken(anthropic, &reply, &case);
            }
        }
        ordinary(&setup).await;
    }
    for anthropic in DIALECTS {
        let reply = ask(&setup, anthropic, true, &streamed("rot13", b"qngn")).await;
        book.note("unknown", &reply, Want::upstream(502, "bad_answer"));
        assert_error(anthropic, &reply, "unknown");
    }
    book.close(setup).await;
}

#[tokio::test]
async fn decompression_bombs_of_the_upstream_are_refused() {
    let setup = start_with(|config| {
        config.limits.answer = 4 << 20;
        config.limits.event = 1 << 20;
    })
    .await;
    let mut book = Book::default();
    for encoding in ENCODINGS {
        let bomb = encoded(encoding, &vec![b' '; 24 << 20]).await;
        assert!(bomb.len() < 100_000, "{encoding}");
        refused(&setup, &mut book, encoding, encoding, &bomb).await;
        for anthropic in DIALECTS {
            let reply = ask(&setup, anthropic, true, &streamed(encoding, &bomb)).await;
            book.note(encoding, &reply, Want::upstream(200, "bad_answer"));
            assert_broken(anthropic, &reply, encoding);
        }
    }
    book.close(setup).await;
}

#[tokio::test]
async fn an_encoded_error_of_the_upstream_keeps_its_encoding() {
    let setup = start().await;
    let said = encoded("gzip", json!({"error": "no"}).to_string().as_bytes()).await;
    let lines = format!("{JSON}content-encoding: gzip\r\n");
    let acts = [Act::Send(reply("500 Oh", &lines, &said))];
    let passed = ask(&setup, false, false, &acts).await;
    assert_eq!(passed.header("content-encoding"), Some("gzip"));
    assert_eq!(passed.body, said);
    let lines = format!("{JSON}{CHUNKED}content-encoding: rot13\r\n");
    let acts = [Act::Send(
        [head("500 Oh", &lines), chunk(b"ab"), LAST.to_vec()].concat(),
    )];
    let passed = ask(&setup, false, false, &acts).await;
    assert_eq!(passed.header("content-encoding"), Some("rot13"));
    assert_eq!(passed.body, b"ab");
    ordinary(&setup).await;
}
