//! Load over keep-alive connections: at a fixed rate, or as fast as answers come back.
//!
//! At a fixed rate (open loop) a request that had to wait for a free connection is timed from the
//! moment it was due, so a stall is seen by every request it delayed and not only by one.

use crate::samples::Samples;
use crate::{Error, wall_ns, words};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// Words of a prompt; the length the linear tier's goal is stated for.
const PROMPT_WORDS: usize = 60;
/// After this an exchange counts as failed.
const TIMEOUT: Duration = Duration::from_secs(30);

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Each connection sends its next request when the last one is answered.
    Closed,
    /// So many a second, whatever comes back.
    Open(u64),
}

/// What is sent, how often, and by how many connections.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The endpoint; its path names the dialect.
    pub url: Uri,
    /// Model name, which tells the mock what to answer.
    pub model: String,
    /// Ask for a stream.
    pub stream: bool,
    /// Another prompt in each request, so that no verdict cache can know it.
    pub distinct: bool,
    /// Connections kept open.
    pub connections: usize,
    /// When requests are sent.
    pub pace: Pace,
    /// How many are sent and measured.
    pub requests: u64,
    /// How many are sent before that, unmeasured.
    pub warm: u64,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Report {
    /// Exchanges that ended with a status of 200.
    ok: u64,
    /// The others, by status or error.
    failures: BTreeMap<String, u64>,
    /// `x-portcullis-action` and `-coverage` of the answers, where the endpoint sends them.
    verdicts: BTreeMap<String, u64>,
    /// Request sent (or due) to last byte.
    total: Samples,
    /// Request sent to the whole answer of a status other than 200.
    refused: Samples,
    /// Request sent (or due) to the first token of a stream.
    first_token: Samples,
    /// Between the tokens of a stream.
    gap: Samples,
    /// A token's own time stamp to its arrival.
    transit: Samples,
    tokens: u64,
    seconds: f64,
}

impl Report {
    /// Counts, rates and percentiles (microseconds).
    #[must_use]
    pub fn to_json(&self) -> Value {
        let rate = |count: u64| (count as f64 / self.seconds * 10.0).round() / 10.0;
        json!({
            "ok": self.ok, "failures": self.failures, "verdicts": self.verdicts,
            "seconds": (self.seconds * 1000.0).round() / 1000.0,
            "per_second": rate(self.ok), "tokens": self.tokens,
            "tokens_per_second": rate(self.tokens),
            "total_us": self.total.to_json(), "refused_us": self.refused.to_json(),
            "first_token_us": self.first_token.to_json(),
            "gap_us": self.gap.to_json(), "transit_us": self.transit.to_json(),
        })
    }

    fn merge(&mut self, other: Self) {
        self.ok += other.ok;
        self.tokens += other.tokens;
        self.total.extend(other.total);
        self.refused.extend(other.refused);
        self.first_token.extend(other.first_token);
        self.gap.extend(other.gap);
        self.transit.extend(other.transit);
        other
            .failures
            .into_iter()
            .for_each(|(k, n)| *self.failures.entry(k).or_default() += n);
        other
            .verdicts
            .into_iter()
            .for_each(|(k, n)| *self.verdicts.entry(k).or_default() += n);
    }
}

/// Runs the plan.
///
/// # Errors
/// When the first connection cannot be made; later failures are counted in the report.
pub async fn run(plan: Plan) -> Result<Report, Error> {
    let plan = Arc::new(plan);
    let mut warm = Connection::open(&plan).await?;
    for number in 0..plan.warm {
        // Whatever fails here fails again below, where it is counted.
        drop(
            warm.exchange(&plan, number, wall_ns(), &mut Report::default())
                .await,
        );
    }
    drop(warm);
    // Measured prompts are other ones than those that warmed the caches up.
    let first = plan.warm;
    let schedule = Arc::new(Schedule::new(plan.pace, first, first + plan.requests));
    let workers: Vec<_> = (0..plan.connections)
        .map(|_| tokio::spawn(work(Arc::clone(&plan), Arc::clone(&schedule))))
        .collect();
    let mut report = Report::default();
    for worker in workers {
        report.merge(worker.await?);
    }
    report.seconds = schedule.start.elapsed().as_secs_f64();
    Ok(report)
}

/// Hands out request numbers, and says when each is due.
struct Schedule {
    pace: Pace,
    next: AtomicU64,
    first: u64,
    end: u64,
    start: Instant,
    start_wall_ns: u64,
}

impl Schedule {
    fn new(pace: Pace, first: u64, end: u64) -> Self {
        let next = AtomicU64::new(first);
        Self {
            pace,
            next,
            first,
            end,
            start: Instant::now(),
            start_wall_ns: wall_ns(),
        }
    }

    /// The number of the next request and the time from which it is measured.
    async fn next(&self) -> Option<(u64, u64)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if self.end <= number {
            return None;
        }
        let Pace::Open(per_second) = self.pace else {
            return Some((number, wall_ns()));
        };
        let due_ns = (number - self.first) * 1_000_000_000 / per_second;
        let due = self.start + Duration::from_nanos(due_ns);
        if due <= Instant::now() {
            return Some((number, self.start_wall_ns + due_ns));
        }
        // The timer's own lateness (up to 1 ms) is not the endpoint's.
        sleep_until(due).await;
        Some((number, wall_ns()))
    }
}

async fn work(plan: Arc<Plan>, schedule: Arc<Schedule>) -> Report {
    let mut report = Report::default();
    let mut connection = None;
    while let Some((number, since)) = schedule.next().await {
        let result = timeout(TIMEOUT, async {
            let mut open = match connection.take() {
                Some(open) => open,
                None => Connection::open(&plan).await?,
            };
            open.exchange(&plan, number, since, &mut report).await?;
            Ok::<_, Error>(open)
        })
        .await;
        match result {
            Ok(Ok(open)) => connection = Some(open),
            Ok(Err(error)) => *report.failures.entry(error.to_string()).or_default() += 1,
            Err(_) => *report.failures.entry("timed out".to_owned()).or_default() += 1,
        }
    }
    report
}

struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    async fn open(plan: &Plan) -> Result<Self, Error> {
        let authority = plan.url.authority().ok_or("the URL names no host")?;
        let port = authority.port_u16().unwrap_or(80);
        let stream = tokio::net::TcpStream::connect((authority.host(), port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    async fn exchange(
        &mut self,
        plan: &Plan,
        number: u64,
        since: u64,
        report: &mut Report,
    ) -> Result<(), Error> {
        let request = plan.request(number)?;
        self.0.ready().await?;
        let sent = wall_ns();
        let response = self.0.send_request(request).await?;
        if response.status() != 200 {
            // An ordinary answer: the connection goes on.
            let status = response.status().to_string();
            response.into_body().collect().await?;
            report.refused.push(wall_ns().saturating_sub(sent));
            *report.failures.entry(status).or_default() += 1;
            return Ok(());
        }
        report.note_verdict(&response);
        if plan.stream {
            report.read_stream(response, since).await?;
        } else {
            response.into_body().collect().await?;
        }
        report.ok += 1;
        report.total.push(wall_ns().saturating_sub(since));
        Ok(())
    }
}

impl Plan {
    fn request(&self, number: u64) -> Result<Request<Full<Bytes>>, Error> {
        let prompt = words::sentence(if self.distinct { number } else { 0 }, PROMPT_WORDS);
        let body = json!({
            "model": self.model, "stream": self.stream, "max_tokens": 256,
            "messages": [{"role": "user", "content": prompt}],
        });
        let authority = self.url.authority().ok_or("the URL names no host")?;
        let request = Request::post(self.url.path())
            .header("host", authority.as_str())
            .header("content-type", "application/json")
            .body(Full::new(body.to_string().into()))?;
        Ok(request)
    }
}

impl Report {
    fn note_verdict<B>(&mut self, response: &Response<B>) {
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        if let Some(action) = header("x-portcullis-action") {
            let coverage = header("x-portcullis-coverage").unwrap_or("unsaid");
            *self
                .verdicts
                .entry(format!("{action}, coverage {coverage}"))
                .or_default() += 1;
        }
    }

    async fn read_stream(
        &mut self,
        response: Response<hyper::body::Incoming>,
        since: u64,
    ) -> Result<(), Error> {
        let mut body = response.into_body();
        let mut pending = Vec::new();
        let mut last = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            let now = wall_ns();
            pending.extend_from_slice(&data);
            for token in drain_tokens(&mut pending) {
                match last {
                    None => self.first_token.push(now.saturating_sub(since)),
                    Some(last) => self.gap.push(now - last),
                }
                last = Some(now);
                self.tokens += 1;
                if let Some(sent) = token.stamp {
                    self.transit.push(now.saturating_sub(sent));
                }
            }
        }
        match last {
            Some(_) => Ok(()),
            None => Err("a stream without a token".into()),
        }
    }
}

/// A piece of text in a stream.
#[derive(Debug, PartialEq)]
struct Token {
    /// The number it begins with, when it is long enough to be a time stamp.
    stamp: Option<u64>,
}

/// Takes the whole events out of `pending` and gives their tokens.
fn drain_tokens(pending: &mut Vec<u8>) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(end) = find(&pending[start..], b"\n\n") {
        tokens.extend(token_of(&pending[start..start + end]));
        start += end + 2;
    }
    pending.drain(..start);
    tokens
}

/// The token in an event, if it carries text: read by its key, for a load generator must be cheap.
fn token_of(event: &[u8]) -> Option<Token> {
    let key = [&b"\"content\":\""[..], b"\"text\":\""];
    let text = key
        .iter()
        .find_map(|key| find(event, key).map(|at| &event[at + key.len()..]))?;
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if text.first() == Some(&b'"') {
        return None; // the empty text of an opening
    }
    let stamp = std::str::from_utf8(&text[..digits])
        .ok()
        .filter(|_| 15 < digits);
    Some(Token {
        stamp: stamp.and_then(|stamp| stamp.parse().ok()),
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_whatever_the_split() {
        let stream = b"data: {\"delta\":{\"content\":\"\"}}\n\n\
                       data: {\"delta\":{\"content\":\"1700000000000000000 \"}}\n\n\
                       data: {\"delta\":{\"text\":\"word\"}}\n\ndata: [DONE]\n\n";
        let expected = [
            Token {
                stamp: Some(1_700_000_000_000_000_000),
            },
            Token { stamp: None },
        ];
        for cut in 0..stream.len() {
            let mut pending = stream[..cut].to_vec();
            let mut tokens = drain_tokens(&mut pending);
            pending.extend_from_slice(&stream[cut..]);
            tokens.extend(drain_tokens(&mut pending));
            assert_eq!(tokens, expected, "cut at {cut}");
        }
    }
}
