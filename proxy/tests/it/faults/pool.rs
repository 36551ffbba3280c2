//! Connections to the upstream that were kept and are no longer there.

use super::{ANSWER, Book, Want, ask, assert_error, ordinary};
use crate::client;
use crate::script::{Act, JSON, answer};
use crate::setup::{CHAT, start};
use crate::upstream::whole;
use std::sync::atomic::Ordering;

/// One answer, and then the connection ends when the test says so.
async fn kept_then_lost(end: Act) {
    let setup = start().await;
    let said = whole(false, ANSWER).to_string();
    let acts = [Act::Send(answer(JSON, said.as_bytes())), Act::Await, end];
    for round in 1..=5 {
        let reply = ask(&setup, false, false, &acts).await;
        assert_eq!(reply.status, 200, "round {round}: {}", reply.text());
        setup.upstream.step.send(String::new()).unwrap();
        // The next request may meet the connection before, while or after it ends.
        let reply = setup.post(CHAT, &super::body("m", false, "hello")).await;
        let seen = setup.upstream.requests().await.len();
        assert_eq!(seen, 2 * round, "each request was read once");
        assert_eq!(reply.status, 200, "round {round}: {}", reply.text());
    }
    ordinary(&setup).await;
}

#[tokio::test]
async fn a_request_outlives_the_end_of_a_kept_connection() {
    kept_then_lost(Act::Close).await;
}

#[tokio::test]
async fn a_request_outlives_the_reset_of_a_kept_connection() {
    kept_then_lost(Act::Reset).await;
}

#[tokio::test]
async fn a_request_that_the_upstream_read_is_never_sent_twice() {
    let setup = start().await;
    let mut book = Book::default();
    for end in [Act::Close, Act::Reset] {
        // The connection is kept, and reused by what follows.
        assert_eq!(setup.ask("m", "hello").await.status, 200);
        let opened = setup.upstream.connections.load(Ordering::SeqCst);
        let before = setup.upstream.requests().await.len();
        let reply = ask(&setup, false, false, &[end]).await;
        book.note("read and lost", &reply, Want::upstream(502, "unreachable"));
        assert_error(false, &reply, "read and lost");
        let reused = setup.upstream.connections.load(Ordering::SeqCst) == opened;
        assert!(reused, "the kept connection was not reused");
        assert_eq!(setup.upstream.requests().await.len(), before + 1);
        ordinary(&setup).await;
    }
    book.close(setup).await;
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let setup = start().await;
    ordinary(&setup).await;
    let opened = setup.upstream.connections.load(Ordering::SeqCst);
    assert_eq!(opened, 1, "connections are kept");
    let health = client::exchange(setup.admin, &client::get("/livez", &[])).await;
    assert_eq!(health.status, 200);
}
