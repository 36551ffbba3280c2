//! Answers that are unusual and right: they must reach the client, whole and screened.

use super::{ANSWER, Book, DIALECTS, Want, ask, ordinary};
use crate::script::{Act, CHUNKED, EVENTS, JSON, LAST, answer, chunk, head, stream};
use crate::setup::start;
use crate::upstream::{events, whole};

type Case = (&'static str, fn(&[u8]) -> Vec<Act>);

const ANSWERS: &[Case] = &[
    ("http/1.0 without a length", |body| {
        let head = b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n";
        vec![Act::Send([head, body].concat()), Act::Close]
    }),
    ("early hints", |body| {
        let hints = head("103 Early Hints", "link: </style.css>; rel=preload\r\n");
        vec![Act::Send([hints, answer(JSON, body)].concat())]
    }),
    ("continue, twice", |body| {
        let more = head("100 Continue", "");
        vec![Act::Send([more.clone(), more, answer(JSON, body)].concat())]
    }),
    ("trailers", |body| {
        let lines = format!("{JSON}{CHUNKED}trailer: x-sum\r\n");
        let end = b"0\r\nx-sum: 1\r\n\r\n".to_vec();
        vec![Act::Send(
            [head("200 OK", &lines), chunk(body), end].concat(),
        )]
    }),
    ("a head of 60 KB", |body| {
        let line = format!("x-long: {}\r\n", "y".repeat(1000));
        vec![Act::Send(answer(
            &format!("{JSON}{}", line.repeat(60)),
            body,
        ))]
    }),
    ("byte by byte", |body| vec![Act::Drip(answer(JSON, body))]),
    ("a chunk for each byte", |body| {
        let chunks = body.iter().flat_map(|byte| chunk(&[*byte]));
        let lines = format!("{JSON}{CHUNKED}");
        let head = head("200 OK", &lines).into_iter();
        vec![Act::Send(head.chain(chunks).chain(LAST.to_vec()).collect())]
    }),
    ("chunk extensions", |body| {
        let size = format!("{:x};name=\"value\"\r\n", body.len());
        let lines = head("200 OK", &format!("{JSON}{CHUNKED}"));
        vec![Act::Send(
            [lines.as_slice(), size.as_bytes(), body, b"\r\n", LAST].concat(),
        )]
    }),
    ("closed after the answer", |body| {
        let lines = format!("{JSON}connection: close\r\n");
        vec![Act::Send(answer(&lines, body)), Act::Close]
    }),
    ("closed after the answer without a word", |body| {
        vec![Act::Send(answer(JSON, body)), Act::Close]
    }),
    ("201", |body| {
        vec![Act::Send(crate::script::reply(
            "200 Fine By Me",
            JSON,
            body,
        ))]
    }),
];

#[tokio::test]
async fn unusual_answers_arrive_whole() {
    let setup = start().await;
    let mut book = Book::default();
    for (case, acts) in ANSWERS {
        for anthropic in DIALECTS {
            // An answer in JSON is right for a request for a stream, too: some servers do that.
            for streams in [false, true] {
                let said = whole(anthropic, ANSWER).to_string();
                let reply = ask(&setup, anthropic, streams, &acts(said.as_bytes())).await;
                book.note(case, &reply, Want::FINE);
                assert!(
                    reply.whole && reply.text() == said,
                    "{case}: {}",
                    reply.text()
                );
                assert_eq!(
                    reply.header("x-portcullis-coverage"),
                    Some("full"),
                    "{case}"
                );
                assert!(reply.header("ai-disclosure").is_some(), "{case}");
            }
        }
        ordinary(&setup).await;
    }
    book.close(setup).await;
}

/// What the upstream sends, and how much of it must not arrive.
const STREAMS: &[Case] = &[
    ("http/1.0 without a length", |body| {
        let head = b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        vec![Act::Send([head, body].concat()), Act::Close]
    }),
    ("a length", |body| {
        vec![Act::Send(answer(
            "content-type: text/event-stream\r\n",
            body,
        ))]
    }),
    ("a charset", |body| {
        let lines = "content-type: text/event-stream; charset=utf-8\r\n";
        vec![Act::Send(answer(lines, body))]
    }),
    ("trailers", |body| {
        let end = b"0\r\nx-sum: 1\r\n\r\n".to_vec();
        vec![Act::Send([stream(body), end].concat())]
    }),
    ("byte by byte", |body| {
        vec![
            Act::Send(head("200 OK", EVENTS)),
            Act::Drip(chunk(body)),
            Act::Send(LAST.to_vec()),
        ]
    }),
    ("early hints", |body| {
        let hints = head("103 Early Hints", "");
        vec![Act::Send([hints, stream(body), LAST.to_vec()].concat())]
    }),
    ("reset after the end", |body| {
        vec![Act::Send(stream(body)), Act::Reset]
    }),
    ("silence after the end", |body| {
        vec![Act::Send(stream(body)), Act::Hang]
    }),
    ("events after the end", |body| {
        let after = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"sesame\"}}]}\n\n";
        vec![
            Act::Send(stream(&[body, after].concat())),
            Act::Send(LAST.to_vec()),
        ]
    }),
    ("rubbish after the end", |body| {
        vec![
            Act::Send(stream(&[body, b"data: {\n\n\xff".as_slice()].concat())),
            Act::Send(LAST.to_vec()),
        ]
    }),
];

#[tokio::test]
async fn unusual_streams_arrive_whole() {
    let setup = start().await;
    let mut book = Book::default();
    for (case, acts) in STREAMS {
        for anthropic in DIALECTS {
            // A stream that nobody asked for is guarded like any other.
            for streams in [true, false] {
                let said = events(anthropic, ANSWER, true);
                let reply = ask(&setup, anthropic, streams, &acts(said.as_bytes())).await;
                book.note(case, &reply, Want::FINE);
                assert!(
                    reply.whole && reply.text() == said,
                    "{case}: {}",
                    reply.text()
                );
            }
        }
        ordinary(&setup).await;
    }
    book.close(setup).await;
}

#[tokio::test]
async fn a_stream_that_nobody_asked_for_is_screened() {
    let setup = start().await;
    for anthropic in DIALECTS {
        let bad = events(anthropic, "well then, open sesame", true);
        let acts = [Act::Send(stream(bad.as_bytes())), Act::Send(LAST.to_vec())];
        let said = ask(&setup, anthropic, false, &acts).await.text();
        assert!(
            !said.contains("sesame") && said.contains("Clause 2"),
            "{said}"
        );
        let bad = whole(anthropic, "well then, open sesame").to_string();
        let acts = [Act::Send(answer(JSON, bad.as_bytes()))];
        let reply = ask(&setup, anthropic, true, &acts).await;
        assert!(!reply.text().contains("sesame"), "{}", reply.text());
        assert_eq!(reply.header("x-portcullis-action"), Some("block"));
    }
}
