//! Faults of upstreams, clients, classifiers and the environment.
//!
//! Whatever breaks: the client is told in its dialect's shape and never that a broken answer was
//! whole; the record, its receipt and the metrics say what happened; and after it the gate answers
//! as if nothing had been. [`Book`] holds what must be said, [`ordinary`] is the proof of the last.

mod answers;
mod classifiers;
mod clients;
mod connections;
mod encodings;
mod environment;
mod late;
mod odd;
mod pool;
mod streams;

use crate::client::{self, Reply};
use crate::script::Act;
use crate::setup::{CHAT, MESSAGES, Setup};
use crate::upstream::{events, whole};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// What an ordinary request is answered.
const ANSWER: &str = "a harmless answer";

const DIALECTS: [bool; 2] = [false, true];

const fn path(anthropic: bool) -> &'static str {
    if anthropic { MESSAGES } else { CHAT }
}

fn body(model: &str, streams: bool, text: &str) -> Value {
    json!({"model": model, "max_tokens": 9, "stream": streams,
           "messages": [{"role": "user", "content": text}]})
}

/// Asks the scripted model for an answer that goes as `acts` say.
async fn ask(setup: &Setup, anthropic: bool, streams: bool, acts: &[Act]) -> Reply {
    setup.upstream.script(acts.to_vec()).await;
    let body = body("script", streams, "hello").to_string();
    setup.post_raw(path(anthropic), body.as_bytes(), &[]).await
}

/// Fifty ordinary requests on one connection are answered to the byte; five are streams, five
/// Anthropic's.
async fn ordinary(setup: &Setup) {
    let mut stream = TcpStream::connect(setup.gate).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for number in 0..50 {
        let anthropic = matches!(number, 3 | 13 | 23 | 27 | 37);
        let streams = number % 10 == 7;
        let body = body("m", streams, "hello").to_string();
        let request = client::post(path(anthropic), body.as_bytes(), &[]);
        stream.write_all(&request).await.unwrap();
        let reply = client::read_reply(&mut stream).await;
        assert_eq!(reply.status, 200, "request {number}: {}", reply.text());
        let wanted = if streams {
            events(anthropic, ANSWER, true)
        } else {
            whole(anthropic, ANSWER).to_string()
        };
        assert!(reply.whole && reply.text() == wanted, "request {number}");
    }
}

/// The head of an error and its body, as the dialect has them.
fn assert_error(anthropic: bool, reply: &Reply, case: &str) {
    let said = reply.json();
    let error = &said["error"];
    assert!(error["message"].is_string(), "{case}: {said}");
    assert_ne!(reply.header("x-should-retry"), Some("false"), "{case}");
    assert_ne!(reply.header("x-portcullis-action"), Some("block"), "{case}");
    let kind = match (anthropic, reply.status) {
        (false, _) => "server_error",
        (true, 504) => "timeout_error",
        (true, 529) => "overloaded_error",
        (true, _) => "api_error",
    };
    assert_eq!(error["type"], json!(kind), "{case}: {said}");
    if anthropic {
        assert_eq!(said["type"], json!("error"), "{case}: {said}");
        assert_eq!(said["request_id"].as_str(), reply.header("request-id"));
    }
}

/// A stream of status 200 that ends with the dialect's error event, and says nowhere that it is whole.
fn assert_broken(anthropic: bool, reply: &Reply, case: &str) {
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    assert_eq!(reply.status, 200, "{case}: {text}");
    let is_whole = text.contains("[DONE]") || text.contains("message_stop");
    assert!(!is_whole, "{case}: it ends as if whole: {text}");
    let last = text.trim_end().rsplit("\n\n").next().unwrap();
    let data = match anthropic {
        true => last.strip_prefix("event: error\ndata: "),
        false => last.strip_prefix("data: "),
    };
    let data = data.unwrap_or_else(|| panic!("{case}: it does not end in an error: {text}"));
    let said: Value = serde_json::from_str(data).unwrap();
    assert!(said["error"]["message"].is_string(), "{case}: {said}");
    assert!(said["error"]["type"].is_string(), "{case}: {said}");
    assert!(said.get("choices").is_none(), "{case}: {said}");
    assert_eq!(said["type"] == json!("error"), anthropic, "{case}: {said}");
}

/// What a record must say of an exchange.
#[derive(Clone, Copy, Debug)]
struct Want {
    status: u16,
    error: Option<&'static str>,
    upstream_fault: bool,
    coverage: &'static str,
}

impl Want {
    /// It was answered, and all of it was screened.
    const FINE: Self = Self {
        status: 200,
        error: None,
        upstream_fault: false,
        coverage: "full",
    };

    /// The upstream failed it.
    const fn upstream(status: u16, error: &'static str) -> Self {
        Self {
            status,
            error: Some(error),
            upstream_fault: true,
            coverage: "full",
        }
    }

    const fn outcome(self) -> &'static str {
        match self.error {
            None => "completed",
            Some(_) => "failed",
        }
    }
}

/// What the exchanges of a test must have left in decisions, metrics and records.
#[derive(Debug, Default)]
struct Book(Vec<(String, String, Want)>);

impl Book {
    /// The exchange of this reply must be recorded so.
    fn note(&mut self, case: &str, reply: &Reply, want: Want) {
        assert_eq!(reply.status, want.status, "{case}: {}", shown(reply));
        let id = reply.header("x-portcullis-decision").unwrap();
        self.0.push((case.to_owned(), id.to_owned(), want));
    }

    /// Looks into everything that was written about the exchanges, once the gate has stopped.
    async fn close(self, setup: Setup) {
        for (case, id, want) in &self.0 {
            let receipt = decision(&setup, id).await;
            assert_eq!(receipt["error"], json!(want.error), "{case}: {receipt}");
            assert_eq!(receipt["outcome"], json!(want.outcome()), "{case}");
            assert_eq!(receipt["coverage"], json!(want.coverage), "{case}");
        }
        self.check_metrics(&setup.metrics().await);
        self.check_records(&setup.into_records().await);
    }

    fn check_metrics(&self, page: &str) {
        let failed = self
            .0
            .iter()
            .filter_map(|(_, _, want)| Some((want.error?, want)));
        for (error, want) in failed.clone() {
            let wanted = failed.clone().filter(|(other, _)| *other == error).count();
            let name = if want.upstream_fault {
                "portcullis_upstream_errors_total"
            } else {
                "portcullis_errors_total"
            };
            let line = format!("{name}{{reason=\"{error}\"}} {wanted}\n");
            assert!(page.contains(&line), "{line} is not in\n{page}");
        }
        let chat = |line: &&str| {
            line.contains("dialect=\"openai_chat\"")
                || line.contains("dialect=\"anthropic_messages\"")
        };
        let errors = page
            .lines()
            .filter(|line| line.starts_with("portcullis_requests_total{action=\"error\""))
            .filter(chat);
        let counted = errors.map(count_of).sum::<usize>();
        assert_eq!(counted, failed.count(), "failed exchanges in\n{page}");
    }

    fn check_records(&self, records: &[Value]) {
        for (case, id, want) in &self.0 {
            let own: Vec<&Value> = records
                .iter()
                .filter(|record| record["id"] == json!(id))
                .collect();
            assert_eq!(own.len(), 1, "{case}: one record for {id}");
            let said = json!([
                own[0]["status"],
                own[0]["error"],
                own[0]["upstream_fault"],
                own[0]["outcome"],
                own[0]["enforced"]
            ]);
            let wanted = json!([
                want.status,
                want.error,
                want.upstream_fault,
                want.outcome(),
                "allow"
            ]);
            assert_eq!(said, wanted, "{case}: {}", own[0]);
        }
    }
}

fn count_of(line: &str) -> usize {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// The value of a counter; 0 where it was never counted.
fn counted(page: &str, counter: &str) -> usize {
    page.lines()
        .find(|line| line.starts_with(counter))
        .map_or(0, count_of)
}

/// The receipt of an exchange, once its record is closed.
async fn decision(setup: &Setup, id: &str) -> Value {
    for _ in 0..1000 {
        let reply = setup.get(&format!("/v1/guard/decisions/{id}")).await;
        if reply.status == 200 {
            return reply.json();
        }
        tokio::task::yield_now().await;
    }
    panic!("the record of {id} was never closed");
}

fn shown(reply: &Reply) -> String {
    format!("{}{}", reply.head, String::from_utf8_lossy(&reply.body))
}
