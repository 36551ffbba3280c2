//! Plain answers that break: an error in the dialect's shape, and errors of the upstream as they came.

use super::{Book, DIALECTS, Want, ask, assert_error, ordinary};
use crate::script::{Act, CHUNKED, JSON, LAST, answer, chunk, head, reply};
use crate::setup::{Setup, start, start_with};
use crate::upstream::whole;
use std::time::Duration;

/// Both dialects are told so, and everything that is written says so.
async fn check(setup: Setup, status: u16, error: &'static str, cases: &[(&str, Vec<Act>)]) {
    let mut book = Book::default();
    for (case, acts) in cases {
        for anthropic in DIALECTS {
            let reply = ask(&setup, anthropic, false, acts).await;
            book.note(case, &reply, Want::upstream(status, error));
            assert_error(anthropic, &reply, case);
        }
        ordinary(&setup).await;
    }
    book.close(setup).await;
}

fn good() -> Vec<u8> {
    whole(false, "some good words").to_string().into_bytes()
}

fn length(length: usize) -> Vec<u8> {
    head("200 OK", &format!("{JSON}content-length: {length}\r\n"))
}

fn sends(bytes: Vec<u8>) -> Vec<Act> {
    vec![Act::Send(bytes)]
}

fn in_chunks(body: &[u8]) -> Vec<u8> {
    [head("200 OK", &format!("{JSON}{CHUNKED}")), body.to_vec()].concat()
}

#[tokio::test]
async fn answers_without_a_head_that_can_be_read_are_502() {
    use Act::{Close, Reset, Send};
    check(
        start().await,
        502,
        "unreachable",
        &[
            ("reset before the head", vec![Reset]),
            ("closed before the head", vec![Close]),
            (
                "reset within the head",
                vec![Send(b"HTTP/1.1 200 OK\r\nx-a: ".to_vec()), Reset],
            ),
            (
                "closed within the head",
                vec![Send(b"HTTP/1.1 200 OK\r\nx-a: ".to_vec()), Close],
            ),
            (
                "no http at all",
                vec![Send(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()), Close],
            ),
            (
                "two lengths that differ",
                vec![
                    Send(
                        [
                            head(
                                "200 OK",
                                &format!("{JSON}content-length: 5\r\ncontent-length: 6\r\n"),
                            ),
                            b"{\"a\":1}".to_vec(),
                        ]
                        .concat(),
                    ),
                    Close,
                ],
            ),
            (
                "a length that is no number",
                vec![
                    Send(head("200 OK", &format!("{JSON}content-length: many\r\n"))),
                    Close,
                ],
            ),
            (
                "more header lines than anyone sends",
                vec![
                    Send(answer(
                        &format!("{JSON}{}", "x-a: b\r\n".repeat(200)),
                        &good(),
                    )),
                    Close,
                ],
            ),
            (
                "a head without end",
                vec![
                    Send([b"HTTP/1.1 200 OK\r\nx-a: ".to_vec(), vec![b'a'; 2 << 20]].concat()),
                    Close,
                ],
            ),
        ],
    )
    .await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of answers")]
async fn answers_that_break_off_or_say_nothing_are_502() {
    use Act::{Close, Reset, Send};
    let half = || good()[..40].to_vec();
    check(
        start().await,
        502,
        "bad_answer",
        &[
            (
                "reset within the body",
                vec![Send([length(500), half()].concat()), Reset],
            ),
            (
                "shorter than its length",
                vec![Send([length(500), good()].concat()), Close],
            ),
            (
                "longer than its length",
                vec![Send([length(40), good()].concat())],
            ),
            (
                "no last chunk",
                vec![Send(in_chunks(&chunk(&good()))), Close],
            ),
            (
                "a chunk that breaks off",
                vec![Send(in_chunks(&chunk(&good())[..30])), Reset],
            ),
            (
                "a chunk size that is no number",
                vec![Send(in_chunks(b"zz\r\n{}\r\n")), Close],
            ),
            (
                "a chunk larger than any memory",
                vec![Send(in_chunks(b"fffffffffffffffff\r\n{}")), Close],
            ),
            ("not json", sends(answer(JSON, b"not json!"))),
            ("json that breaks off", sends(answer(JSON, &half()))),
            (
                "two values",
                sends(answer(JSON, &[good(), good()].concat())),
            ),
            ("no object", sends(answer(JSON, b"[1, 2]"))),
            (
                "bad utf-8",
                sends(answer(
                    JSON,
                    b"{\"choices\":[],\"content\":[],\"id\":\"\xff\xfe\"}",
                )),
            ),
            (
                "nested too deep",
                sends(answer(
                    JSON,
                    &[b"[".repeat(5000), b"]".repeat(5000)].concat(),
                )),
            ),
            (
                "a page for people",
                sends(answer("content-type: text/html\r\n", b"<hi/>")),
            ),
            (
                "another kind of text",
                sends(answer("content-type: text/plain\r\n", &good())),
            ),
            (
                "another charset",
                sends(answer(
                    "content-type: application/json; charset=utf-16\r\n",
                    &good(),
                )),
            ),
            ("no content type", sends(answer("", &good()))),
            (
                "two content types",
                sends(answer(
                    &format!("{JSON}content-type: text/html\r\n"),
                    &good(),
                )),
            ),
            ("204", vec![Send(head("204 No Content", ""))]),
            ("empty 200", sends(answer(JSON, b""))),
            (
                "206, a part of an answer",
                vec![Send(reply("206 Partial Content", "", &half()))],
            ),
            (
                "switching protocols",
                vec![
                    Send(head(
                        "101 Switching Protocols",
                        "connection: upgrade\r\nupgrade: websocket\r\n",
                    )),
                    Close,
                ],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn answers_past_the_limit_are_502() {
    use Act::{Hang, Send};
    let setup = start_with(|config| config.limits.answer = 10_000).await;
    let large = whole(false, &"word ".repeat(4000)).to_string();
    check(
        setup,
        502,
        "bad_answer",
        &[
            ("a length past the limit", vec![Send(length(1 << 40)), Hang]),
            (
                "a body past the limit",
                sends(answer(JSON, large.as_bytes())),
            ),
            (
                "one huge chunk",
                vec![
                    Send(in_chunks(&chunk(large.as_bytes()))),
                    Send(LAST.to_vec()),
                ],
            ),
            (
                "chunks without end",
                vec![Send(in_chunks(b"")), Act::Flood(chunk(large.as_bytes()))],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn answers_that_stall_are_504() {
    use Act::{Hang, Send, Trickle};
    let setup = start_with(|config| config.timeouts.upstream = Duration::from_millis(300)).await;
    check(
        setup,
        504,
        "timeout",
        &[
            ("silence", vec![Hang]),
            (
                "silence within the head",
                vec![Send(b"HTTP/1.1 200 OK\r\nx-a".to_vec()), Hang],
            ),
            (
                "a head letter by letter",
                vec![Send(b"HTTP/1.1 200 OK\r\nx-a: ".to_vec()), Trickle(b'a')],
            ),
            (
                "silence within the body",
                vec![Send([length(500), good()].concat()), Hang],
            ),
            (
                "a body letter by letter",
                vec![Send(length(500_000)), Trickle(b' ')],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn errors_of_the_upstream_are_passed_on_byte_for_byte() {
    let setup = start().await;
    let mut book = Book::default();
    let limited = br#"{"error": {"message":"slow down",  "type":"rate_limit"}}"#.as_slice();
    let cases: [(&str, &str, &str, &[u8]); 5] = [
        ("429 Too Many Requests", "retry-after", "7", limited),
        (
            "503 Service Unavailable",
            "retry-after",
            "Wed, 21 Oct 2026 07:28:00 GMT",
            limited,
        ),
        (
            "500 Internal Server Error",
            "content-type",
            "text/html",
            b"<html>\xff\xfe it broke</html>",
        ),
        ("502 Bad Gateway", "x-upstream", "yes", b""),
        ("401 Unauthorized", "www-authenticate", "Bearer", limited),
    ];
    for (status, name, value, said) in cases {
        for (anthropic, streams) in [(false, false), (true, false), (false, true), (true, true)] {
            let seen = setup.upstream.requests().await.len();
            let acts = [Act::Send(reply(
                status,
                &format!("{name}: {value}\r\n"),
                said,
            ))];
            let answered = ask(&setup, anthropic, streams, &acts).await;
            let want = Want {
                coverage: "partial;reason=upstream_error",
                ..Want::upstream(status[..3].parse().unwrap(), "status")
            };
            book.note(status, &answered, want);
            assert_eq!(answered.header(name), Some(value), "{status}");
            assert!(answered.whole && answered.body == said, "{status}");
            assert_eq!(answered.header("ai-disclosure"), None, "no model wrote it");
            assert_eq!(
                setup.upstream.requests().await.len(),
                seen + 1,
                "asked once"
            );
        }
        ordinary(&setup).await;
    }
    book.close(setup).await;
}

/// A client that followed it would talk past the gate.
#[tokio::test]
async fn redirects_of_the_upstream_are_not_passed_on() {
    let setup = start().await;
    for (status, place) in [
        ("301 Moved Permanently", "http://127.0.0.1:1/elsewhere"),
        ("302 Found", "/v1/messages"),
        ("304 Not Modified", ""),
        ("307 Temporary Redirect", "/v1/chat/completions"),
        ("308 Permanent Redirect", "//other.example/"),
    ] {
        for (anthropic, streams) in [(false, false), (true, true)] {
            let acts = [Act::Send(reply(
                status,
                &format!("location: {place}\r\n"),
                b"",
            ))];
            let answered = ask(&setup, anthropic, streams, &acts).await;
            assert_eq!(answered.status, 502, "{status}");
            assert_eq!(answered.header("location"), None);
        }
    }
}
