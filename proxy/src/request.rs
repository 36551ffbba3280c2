//! The story of a request. Each step has its name from `docs/request-life.md`.

use crate::body::{self, ResponseBody};
use crate::clock;
use crate::commands::Command;
use crate::error::{Error, Source};
use crate::gate::Gate;
use crate::headers;
use crate::label;
use crate::predict;
use crate::record::{Event, Outcome, micros};
use crate::reply::Answer;
use crate::screen::Asker;
use crate::screen::completion::CompletionVerdict;
use crate::screen::prompt::PromptVerdict;
use crate::screen::stream::{GuardedStream, StreamPlan};
use crate::upstream::end_to_end;
use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use portcullis_policy::Terminal;
use portcullis_protocol::{Dialect, ErrorReply, Exchange, Route, RouteError};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

/// A prompt that went to the upstream, and what its answer needs to know of it.
struct Asked {
    exchange: Box<Exchange>,
    asker: Asker,
    notice: Option<String>,
}

impl Gate {
    /// Answers one request of the data plane. Exactly one record is written for it, once the last
    /// byte of the response has been taken; dropped before that, it is written as aborted.
    pub async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response<ResponseBody> {
        let (head, body) = request.into_parts();
        let mut event = self.recorder.open(headers::request_id(&head.headers));
        let dialect = Dialect::guess(head.uri.path(), &head.headers);
        let run = AssertUnwindSafe(self.run(&head, body, &mut event)).catch_unwind();
        let result = run.await.unwrap_or_else(|_| {
            tracing::error!(request = %event.request_id, "a handler panicked");
            Err(Error::Internal)
        });
        let answer = result.unwrap_or_else(|error| match head.uri.path() {
            predict::PATH => failed_with(&error, predict::error(&error), &mut event),
            _ => failed(&error, dialect, &mut event),
        });
        self.close(answer, dialect, event)
    }

    async fn run(
        self: &Arc<Self>,
        head: &Parts,
        body: Incoming,
        event: &mut Event,
    ) -> Result<Answer, Error> {
        crate::head::check(head)?;
        let (tenant, name) = self.identities.tenant(&head.headers);
        event.tenant = name;
        event.permit = Some(self.load.admit(tenant)?);
        match self.route(head)? {
            Route::Chat(dialect) => self.chat((dialect, tenant), head, body, event).await,
            Route::Models => self.models(head, event).await,
            Route::Predict => self.predict(tenant, head, body, event).await,
            Route::Moderations => self.moderations(head, body, event).await,
            Route::GuardCheck => self.guard_check(head, body, event).await,
            Route::GuardDecision(id) => self.guard_decision(&id, event),
        }
    }

    fn route(&self, head: &Parts) -> Result<Route, Error> {
        portcullis_protocol::route(&head.method, head.uri.path()).map_err(|error| match error {
            RouteError::Method { allow } => Error::Method { allow },
            other => Error::NotFound(other.to_string()),
        })
    }

    /// A chat exchange of either dialect, from its first byte to its answer.
    async fn chat(
        self: &Arc<Self>,
        (dialect, tenant): (Dialect, u64),
        head: &Parts,
        body: Incoming,
        event: &mut Event,
    ) -> Result<Answer, Error> {
        event.route = dialect.route_name();
        event.dialect = dialect.name();
        let (exchange, parsed) = self.parse(dialect, head, body, event).await?;
        let asker = self.identify(tenant, head, &exchange, event);

        if let Some(command) = self.commands.intercept(&exchange) {
            return Ok(command_answer(&command, &exchange, event));
        }

        let notice = self
            .labeller
            .notice(exchange.user_turns())
            .map(str::to_owned);
        let exchange = self.without_old(exchange)?;
        // One look at the clock ends a step and begins the next.
        let screened = self.screen_prompt(exchange, asker, event).await;
        let decided = Instant::now();
        event.timings.screen_prompt_us = micros(decided - parsed);
        let (exchange, edits) = match screened? {
            (exchange, PromptVerdict::Forward(edits)) => (exchange, edits),
            (exchange, PromptVerdict::Stop(terminal)) => {
                return Ok(self.stop(terminal, &exchange, event));
            }
        };

        let outgoing = exchange.outgoing(&edits).map_err(|_| Error::Internal)?;
        let answer = self.forward(dialect, head, outgoing, event).await?;
        let asked = Asked {
            exchange,
            asker,
            notice,
        };
        self.screen_answer(answer, asked, event).await
    }

    async fn parse(
        &self,
        dialect: Dialect,
        head: &Parts,
        body: Incoming,
        event: &mut Event,
    ) -> Result<(Box<Exchange>, Instant), Error> {
        let body = self.read_json(head, body, event).await?;
        let started = Instant::now();
        let exchange = dialect
            .parse(body, &self.parse_rules())
            .map_err(Error::from)?;
        let parsed = Instant::now();
        event.timings.parse_us = micros(parsed - started);
        event.stream = exchange.stream;
        event.model = exchange.model.as_deref().map(digest_of);
        // It goes from step to step, and is large.
        Ok((Box::new(exchange), parsed))
    }

    /// Reads a JSON body under the limits of the configuration.
    pub(crate) async fn read_json(
        &self,
        head: &Parts,
        body: Incoming,
        event: &mut Event,
    ) -> Result<Bytes, Error> {
        require_json(&head.headers)?;
        body::read_request(
            &head.headers,
            body,
            &self.config.limits,
            (event.opened(), self.config.timeouts.read),
            &mut event.permit,
        )
        .await
    }

    fn identify(&self, tenant: u64, head: &Parts, exchange: &Exchange, event: &mut Event) -> Asker {
        let identity = self.identities.identify(tenant, &head.headers, exchange);
        event.subject = identity.subject;
        let salt = self
            .salts
            .salt_for(identity.tenant, identity.who.as_deref());
        Asker {
            tenant: identity.tenant,
            salt,
        }
    }

    /// Answers instead of the model.
    pub(crate) fn stop(
        &self,
        terminal: Terminal,
        exchange: &Exchange,
        event: &mut Event,
    ) -> Answer {
        match terminal {
            Terminal::Block(refusal) => Answer::refused(
                &refusal,
                self.refusal_rules(exchange.dialect),
                exchange,
                event,
            ),
            Terminal::Redirect(text) => Answer::said(&text, exchange, event),
            // Nothing stops; there is no answer to give, so this is a bug.
            Terminal::Forward => failed(&Error::Internal, exchange.dialect, event),
        }
    }

    pub(crate) async fn forward(
        &self,
        dialect: Dialect,
        head: &Parts,
        outgoing: Bytes,
        event: &mut Event,
    ) -> Result<Response<Incoming>, Error> {
        let started = Instant::now();
        let path = crate::head::forwarded_path(&head.uri);
        let method = head.method.clone();
        let sent = self
            .upstream
            .send(dialect, method, &path, &head.headers, outgoing)
            .await;
        event.timings.upstream_us += micros(started.elapsed());
        // What follows such a head is no answer, and a client that got it would talk past us.
        if matches!(&sent, Ok(answer) if answer.status().is_informational()) {
            return Err(Error::BadAnswer("it switches protocols".into()));
        }
        sent
    }

    async fn screen_answer(
        self: &Arc<Self>,
        answer: Response<Incoming>,
        asked: Asked,
        event: &mut Event,
    ) -> Result<Answer, Error> {
        let Asked {
            exchange,
            asker,
            notice,
        } = asked;
        if answer.status().is_redirection() {
            // A client that followed it would talk past us.
            return Err(Error::BadAnswer("it redirects elsewhere".into()));
        }
        if !answer.status().is_success() {
            return self.pass_error(answer, event).await;
        }
        let encoding = body::encoding_of(answer.headers())
            .map_err(|_| Error::BadAnswer("its content-encoding is not one we read".into()))?;
        let (head, incoming) = answer.into_parts();
        let headers = end_to_end(&head.headers, headers::STAMPS);
        if is_kind(&head.headers, "text/event-stream") {
            event.stream = true;
            event.labels.push("header");
            let plan = StreamPlan {
                exchange,
                asker,
                notice,
                encoding,
            };
            return Ok(Answer::Stream {
                headers,
                incoming,
                plan: Box::new(plan),
            });
        }
        if !is_kind(&head.headers, "application/json") {
            return Err(Error::BadAnswer(
                "it is neither JSON nor an event stream".into(),
            ));
        }
        let body = self.read_answer(incoming, encoding, event).await?;
        let dialect = exchange.dialect;
        let completion = dialect
            .parse_completion(body, self.config.limits.depth)
            .map_err(|error| Error::BadAnswer(error.to_string()))?;
        let started = Instant::now();
        let verdict = self
            .screen_completion(&completion, &exchange, notice.as_deref(), asker, event)
            .await;
        event.timings.screen_completion_us = micros(started.elapsed());
        match verdict? {
            CompletionVerdict::Stop(terminal) => Ok(self.stop(terminal, &exchange, event)),
            CompletionVerdict::Deliver(edits) => {
                event.labels.push("header");
                let body = completion.edited(&edits);
                Ok(Answer::Whole {
                    status: head.status,
                    headers,
                    body,
                    by_model: true,
                })
            }
        }
    }

    pub(crate) async fn read_answer(
        &self,
        incoming: Incoming,
        encoding: body::Encoding,
        event: &mut Event,
    ) -> Result<Bytes, Error> {
        let started = Instant::now();
        let limits = &self.config.limits;
        let reading = async {
            let permit = &mut event.permit;
            let whole = body::read_whole(incoming, limits.answer, "answer", permit).await?;
            let ratio = limits.decompression_ratio;
            body::decode_whole(encoding, whole, limits.answer, ratio, permit).await
        };
        let read = clock::within(started, self.config.timeouts.upstream, reading).await;
        event.timings.upstream_us += micros(started.elapsed());
        let read = read.ok_or(Error::UpstreamTimeout)?;
        read.map_err(|error| match error {
            body::ReadError::Overloaded => Error::Overloaded,
            other => Error::BadAnswer(other.to_string()),
        })
    }

    /// An error of the upstream is passed on as it came; no model wrote it.
    async fn pass_error(
        &self,
        answer: Response<Incoming>,
        event: &mut Event,
    ) -> Result<Answer, Error> {
        let (head, incoming) = answer.into_parts();
        let body = self
            .read_answer(incoming, body::Encoding::Identity, event)
            .await?;
        let mut headers = end_to_end(&head.headers, headers::STAMPS);
        // Kept as it is, so its encoding is too.
        if let Some(encoding) = head.headers.get(header::CONTENT_ENCODING) {
            headers.insert(header::CONTENT_ENCODING, encoding.clone());
        }
        event.receipt.gap("upstream_error");
        event.error = Some("status");
        event.upstream_fault = true;
        Ok(Answer::Whole {
            status: head.status,
            headers,
            body,
            by_model: false,
        })
    }

    /// Stamps the answer and hands the record to its body.
    fn close(
        self: &Arc<Self>,
        answer: Answer,
        dialect: Dialect,
        mut event: Event,
    ) -> Response<ResponseBody> {
        let coverage = answer.coverage(&event);
        let status = answer.status();
        event.status = status.as_u16();
        let (mut headers, by_model, content) = match answer {
            Answer::Whole {
                headers,
                body,
                by_model,
                ..
            } => (headers, by_model, Ok(body)),
            Answer::Stream {
                headers,
                incoming,
                plan,
            } => (headers, true, Err((incoming, plan))),
        };
        headers::stamp(&mut headers, &event, coverage, dialect);
        if by_model {
            headers.insert(headers::AI_DISCLOSURE, label::AI_DISCLOSURE);
        }
        let failed = event.error.is_some();
        let outcome = if failed {
            Outcome::Failed
        } else {
            Outcome::Completed
        };
        let body = match content {
            Ok(body) => ResponseBody::recorded(body, event, outcome),
            Err((incoming, plan)) => {
                ResponseBody::stream(GuardedStream::new(Arc::clone(self), incoming, *plan, event))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// The error in its dialect's shape, noted in the record.
pub(crate) fn failed(error: &Error, dialect: Dialect, event: &mut Event) -> Answer {
    let reply = error.reply(dialect, &event.request_id);
    failed_with(error, reply, event)
}

fn failed_with(error: &Error, reply: ErrorReply, event: &mut Event) -> Answer {
    event.error = Some(error.reason());
    event.upstream_fault = error.source_of_fault() == Source::Upstream;
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Error::Method { allow } = error {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    if matches!(error, Error::BadHead(_)) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(seconds) = reply.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Answer::Whole {
        status,
        headers,
        body: reply.body,
        by_model: false,
    }
}

fn command_answer(command: &Command, exchange: &Exchange, event: &mut Event) -> Answer {
    event.command = Some(command.kind.name());
    Answer::said(&command.say, exchange, event)
}

/// No decision of that id belongs to this key.
pub(crate) fn failed_lookup() -> Error {
    Error::NotFound(
        "no decision of this id belongs to this key, or it is older than an hour".into(),
    )
}

fn require_json(headers: &HeaderMap) -> Result<(), Error> {
    if is_kind(headers, "application/json") {
        return Ok(());
    }
    Err(Error::UnsupportedMedia(
        "content-type must be application/json in UTF-8".to_owned(),
    ))
}

/// Whether the content type is this one, in UTF-8.
fn is_kind(headers: &HeaderMap, kind: &str) -> bool {
    let mut named = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (named.next(), named.next()) else {
        return false;
    };
    if value.as_bytes() == kind.as_bytes() {
        return true;
    }
    let Ok(value) = value.to_str() else {
        return false;
    };
    let mut pieces = value.split(';').map(str::trim);
    let is_kind = pieces
        .next()
        .is_some_and(|first| first.eq_ignore_ascii_case(kind));
    is_kind && pieces.all(is_utf8_or_no_charset)
}

fn is_utf8_or_no_charset(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let value = value.trim().trim_matches('"');
    let name = name.trim().to_ascii_lowercase();
    // `charset*` is the same parameter in another spelling.
    !name.starts_with("charset")
        || name == "charset" && value.eq_ignore_ascii_case("utf-8")
        || name == "charset" && value.eq_ignore_ascii_case("utf8")
}

/// Names are the client's text; a digest is enough to tell them apart.
fn digest_of(name: &str) -> String {
    blake3::hash(name.as_bytes()).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_in_utf8_is_read() {
        let check = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(value).unwrap());
            require_json(&headers).is_ok()
        };
        assert!(check("application/json"));
        assert!(check("Application/JSON; charset=\"UTF-8\""));
        assert!(!check("application/json; charset=utf-16"));
        assert!(!check("text/plain"));
        assert!(require_json(&HeaderMap::new()).is_err());
    }
}
