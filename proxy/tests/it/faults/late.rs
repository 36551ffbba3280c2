//! Faults after the first words have left: what was sent stays, and the end is an error.

use super::{Book, DIALECTS, Want, assert_broken, ordinary, path};
use crate::client::{post, read_reply};
use crate::script::{Act, chunk, stream};
use crate::setup::start;
use crate::upstream::events;
use std::sync::atomic::Ordering;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_stream_that_breaks_after_words_have_left_still_ends_in_an_error() {
    let setup = start().await;
    let mut book = Book::default();
    for (case, end) in [("reset", Act::Reset), ("closed", Act::Close)] {
        for anthropic in DIALECTS {
            let said = events(anthropic, "good words", false);
            let acts = vec![Act::Send(stream(said.as_bytes())), Act::Await, end.clone()];
            setup.upstream.script(acts).await;
            let body = super::body("script", true, "hello").to_string();
            let mut client = TcpStream::connect(setup.gate).await.unwrap();
            let request = post(path(anthropic), body.as_bytes(), &[]);
            client.write_all(&request).await.unwrap();
            let mut begun = [0; 4096];
            // Peeking leaves the bytes for the reader of the whole reply.
            loop {
                let read = client.peek(&mut begun).await.unwrap();
                if String::from_utf8_lossy(&begun[..read]).contains("good ") {
                    break;
                }
                tokio::task::yield_now().await;
            }
            setup.upstream.step.send(String::new()).unwrap();
            let reply = read_reply(&mut client).await;
            assert!(reply.text().contains("good "), "{case}: {}", reply.text());
            assert_broken(anthropic, &reply, case);
            book.note(case, &reply, Want::upstream(200, "bad_answer"));
        }
        ordinary(&setup).await;
    }
    book.close(setup).await;
}

#[tokio::test]
async fn a_panic_in_a_running_stream_ends_it_in_an_error() {
    let setup = start().await;
    for anthropic in DIALECTS {
        // Enough words that the guard asks its classifier again for those that come later.
        let (begun, rest) = ("good words ".repeat(30), "better words ".repeat(30));
        let first = events(anthropic, &begun, false);
        let more = events(anthropic, &rest, true);
        let acts = vec![
            Act::Send(stream(first.as_bytes())),
            Act::Await,
            Act::Send(chunk(more.as_bytes())),
            Act::Hang,
        ];
        setup.upstream.script(acts).await;
        let body = super::body("script", true, "hello").to_string();
        let mut client = TcpStream::connect(setup.gate).await.unwrap();
        let request = post(path(anthropic), body.as_bytes(), &[]);
        client.write_all(&request).await.unwrap();
        let mut begun = [0; 4096];
        loop {
            let read = client.peek(&mut begun).await.unwrap();
            if String::from_utf8_lossy(&begun[..read]).contains("good ") {
                break;
            }
            tokio::task::yield_now().await;
        }
        setup.classifier.breaks.store(true, Ordering::SeqCst);
        setup.upstream.step.send(String::new()).unwrap();
        let reply = read_reply(&mut client).await;
        assert!(!reply.text().contains("better"), "{}", reply.text());
        assert_broken(anthropic, &reply, "a panic");
        assert!(reply.whole, "the connection goes on");
        setup.upstream.was_cancelled.notified().await;
        ordinary(&setup).await;
    }
    let records = setup.into_records().await;
    let failed = records
        .iter()
        .filter(|record| record["error"] == "internal");
    assert_eq!(failed.count(), 2);
}
