//! Streams that break: they end in the dialect's error event, and never as if they were whole.

use super::{Book, DIALECTS, Want, ask, assert_broken, ordinary};
use crate::script::{Act, LAST, chunk, head, stream};
use crate::setup::{Setup, start, start_with};
use crate::upstream::events;
use portcullis_config::StreamMode;
use std::time::Duration;

const WORDS: &str = "some good words for a start ";

/// A case, by dialect.
type Case = (&'static str, fn(bool) -> Vec<Act>);

async fn check(setup: Setup, error: &'static str, cases: &[Case]) {
    let mut book = Book::default();
    for (case, acts) in cases {
        for anthropic in DIALECTS {
            let reply = ask(&setup, anthropic, true, &acts(anthropic)).await;
            book.note(case, &reply, Want::upstream(200, error));
            assert_broken(anthropic, &reply, case);
            assert!(reply.whole, "{case}: the error itself arrives whole");
        }
        ordinary(&setup).await;
    }
    book.close(setup).await;
}

/// The start of a good stream.
fn good(anthropic: bool) -> Vec<u8> {
    stream(events(anthropic, WORDS, false).as_bytes())
}

/// A good start, and then this event and silence.
fn then(anthropic: bool, event: &[u8]) -> Vec<Act> {
    vec![
        Act::Send(good(anthropic)),
        Act::Send(chunk(&[b"data: ", event, b"\n\n"].concat())),
        Act::Hang,
    ]
}

#[tokio::test]
async fn streams_that_break_off_end_in_an_error() {
    use Act::{Close, Reset, Send};
    check(
        start().await,
        "bad_answer",
        &[
            ("reset before the first event", |_| {
                vec![Send(stream(b": hello\n\n")), Reset]
            }),
            ("reset in the middle", |anthropic| {
                vec![Send(good(anthropic)), Reset]
            }),
            ("no last chunk", |anthropic| {
                vec![Send(good(anthropic)), Close]
            }),
            (
                "a proper end of the body before that of the answer",
                |anthropic| vec![Send(good(anthropic)), Send(LAST.to_vec())],
            ),
            ("an empty body", |_| vec![Send(stream(b"")), Close]),
            ("only comments", |_| {
                vec![Send(stream(b": one\n\n: two\n\n")), Send(LAST.to_vec())]
            }),
            ("an event that breaks off", |anthropic| {
                let cut = chunk(b"data: {\"choices\":[");
                vec![Send(good(anthropic)), Send(cut), Send(LAST.to_vec())]
            }),
            ("an end without its blank line", |anthropic| {
                let whole = events(anthropic, WORDS, true);
                vec![
                    Send(stream(whole.trim_end().as_bytes())),
                    Send(LAST.to_vec()),
                ]
            }),
            ("a chunk that breaks off", |anthropic| {
                vec![
                    Send(good(anthropic)),
                    Send(b"ff\r\ndata: {".to_vec()),
                    Reset,
                ]
            }),
            ("a chunk size that is no number", |anthropic| {
                vec![Send(good(anthropic)), Send(b"zz\r\n".to_vec()), Act::Hang]
            }),
            ("a length longer than the stream", |anthropic| {
                let head = head(
                    "200 OK",
                    "content-type: text/event-stream\r\ncontent-length: 9000\r\n",
                );
                let said = events(anthropic, WORDS, false);
                vec![Send([head, said.into_bytes()].concat()), Close]
            }),
            ("a length shorter than the stream", |anthropic| {
                let head = head(
                    "200 OK",
                    "content-type: text/event-stream\r\ncontent-length: 300\r\n",
                );
                let said = events(anthropic, WORDS, true);
                vec![Send([head, said.into_bytes()].concat())]
            }),
            ("http/1.0 that just ends", |anthropic| {
                let head = b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_vec();
                let said = events(anthropic, WORDS, false);
                vec![Send([head, said.into_bytes()].concat()), Close]
            }),
        ],
    )
    .await;
}

#[tokio::test]
async fn events_that_cannot_be_read_end_the_stream() {
    check(
        start().await,
        "bad_answer",
        &[
            ("not json", |anthropic| then(anthropic, b"{\"choices\": [}")),
            ("no object", |anthropic| then(anthropic, b"[1]")),
            ("a number", |anthropic| then(anthropic, b"5")),
            ("bad utf-8", |anthropic| then(anthropic, b"{\"choices\":[],\"x\":\"\xff\"}")),
            ("a lone surrogate", |anthropic| then(anthropic, b"{\"x\":\"\\ud800\"}")),
            ("a key twice", |anthropic| then(anthropic, b"{\"type\":\"ping\",\"type\":\"ping\"}")),
            ("nested too deep", |anthropic| {
                then(anthropic, &[b"{\"x\":".as_slice(), &b"[".repeat(500), &b"]".repeat(500), b"}"].concat())
            }),
            ("wrong types", |anthropic| {
                let event: &[u8] = match anthropic {
                    true => b"{\"type\":\"content_block_delta\",\"index\":\"one\",\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}",
                    false => b"{\"choices\":[\"x\"]}",
                };
                then(anthropic, event)
            }),
            ("an index that is none", |anthropic| {
                let event: &[u8] = match anthropic {
                    true => b"{\"type\":\"content_block_stop\"}",
                    false => b"{\"choices\":[{\"index\":-1,\"delta\":{\"content\":\"x\"}}]}",
                };
                then(anthropic, event)
            }),
        ],
    )
    .await;
}

#[tokio::test]
async fn silence_in_a_stream_ends_it() {
    use Act::{Hang, Send};
    let setup = start_with(|config| config.timeouts.idle = Duration::from_millis(300)).await;
    check(
        setup,
        "timeout",
        &[
            ("before the first event", |_| {
                vec![Send(stream(b": hello\n\n")), Hang]
            }),
            ("in the middle", |anthropic| {
                vec![Send(good(anthropic)), Hang]
            }),
            ("within an event", |anthropic| {
                vec![Send(good(anthropic)), Send(chunk(b"data: {\"ch")), Hang]
            }),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_event_past_the_limit_ends_the_stream() {
    use Act::{Flood, Hang, Send};
    let setup = start_with(|config| config.limits.event = 10_000).await;
    check(
        setup,
        "bad_answer",
        &[
            ("a large event", |anthropic| {
                then(
                    anthropic,
                    format!("{{\"x\":\"{}\"}}", "y".repeat(20_000)).as_bytes(),
                )
            }),
            ("a line without end", |anthropic| {
                vec![Send(good(anthropic)), Flood(chunk(&[b'x'; 4096]))]
            }),
            ("an event of many lines", |anthropic| {
                let lines = b"data: x\n".repeat(2000);
                vec![Send(good(anthropic)), Send(chunk(&lines)), Hang]
            }),
        ],
    )
    .await;
}

#[tokio::test]
async fn more_held_text_than_an_answer_may_have_ends_the_stream() {
    let setup = start_with(|config| {
        config.limits.answer = 10_000;
        config.stream.mode = StreamMode::Buffer;
    })
    .await;
    let endless: [Case; 1] = [("an answer without end", |anthropic| {
        let more = events(anthropic, "word ", false);
        // The first event opens the answer; the last says a word, and is said again and again.
        let word = more.trim_end().rsplit("\n\n").next().unwrap();
        let word = chunk(format!("{word}\n\n").as_bytes());
        vec![Act::Send(good(anthropic)), Act::Flood(word)]
    })];
    check(setup, "bad_answer", &endless).await;
}

#[tokio::test]
async fn an_error_event_of_the_upstream_is_passed_on_and_nothing_follows_it() {
    let setup = start().await;
    let mut book = Book::default();
    for anthropic in DIALECTS {
        let error = match anthropic {
            true => {
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"
            }
            false => {
                "data: {\"error\":{\"message\":\"too much\",\"type\":\"server_error\",\"code\":null}}\n\n"
            }
        };
        let start = events(anthropic, WORDS, false);
        let after = events(anthropic, "and more", true);
        let acts = [
            Act::Send(stream(format!("{start}{error}{after}").as_bytes())),
            Act::Send(LAST.to_vec()),
        ];
        let reply = ask(&setup, anthropic, true, &acts).await;
        assert_broken(anthropic, &reply, "an error event");
        assert_eq!(reply.text(), format!("{start}{error}"));
        book.note(
            "an error event",
            &reply,
            Want::upstream(200, "stream_error"),
        );
    }
    ordinary(&setup).await;
    book.close(setup).await;
}
