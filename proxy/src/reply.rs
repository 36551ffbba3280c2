//! What goes back to the client: the upstream's answer, or one of our own.

use crate::error::Error;
use crate::record::{Coverage, Event};
use crate::screen::stream::StreamPlan;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use portcullis_config::{BlockStyle, RefusalRules};
use portcullis_policy::RefusalText;
use portcullis_protocol::{Dialect, ErrorKind, Exchange, LocalAnswer, Refusal, Reply};

/// What goes back to the client.
#[derive(Debug)]
pub(crate) enum Answer {
    /// All of it at once.
    Whole {
        /// Status.
        status: StatusCode,
        /// Headers, without ours.
        headers: HeaderMap,
        /// Body.
        body: Bytes,
        /// Whether a model wrote it.
        by_model: bool,
    },
    /// A stream of the upstream, to be guarded.
    Stream {
        /// Headers, without ours.
        headers: HeaderMap,
        /// The upstream's bytes.
        incoming: Incoming,
        /// How it is guarded.
        plan: Box<StreamPlan>,
    },
}

impl Answer {
    /// A JSON body of our own.
    pub(crate) fn json(body: Bytes) -> Self {
        Self::own(Reply {
            status: 200,
            content_type: "application/json",
            body,
        })
    }

    /// A text that we say ourselves in the dialect's ordinary shape.
    pub(crate) fn said(text: &str, exchange: &Exchange, event: &Event) -> Self {
        let id = answer_id(exchange.dialect, event);
        let said = LocalAnswer {
            text,
            model: exchange.model.as_deref().unwrap_or_default(),
            id: &id,
            created: event.time_ms / 1000,
            stream: exchange.stream,
            include_usage: exchange.include_usage,
            n_choices: exchange.n_choices,
        };
        Self::own(exchange.dialect.answer(&said))
    }

    /// A refusal in the dialect's own shape, or as an error where the route wants that.
    pub(crate) fn refused(
        refusal: &RefusalText,
        rules: RefusalRules,
        exchange: &Exchange,
        event: &Event,
    ) -> Self {
        if rules.block_style == BlockStyle::Error {
            let dialect = exchange.dialect;
            let reply = dialect.error(ErrorKind::PolicyError, &refusal.text, &event.request_id);
            return Self::own(Reply {
                status: reply.status,
                content_type: "application/json",
                body: reply.body,
            });
        }
        let id = answer_id(exchange.dialect, event);
        Self::own(
            exchange
                .dialect
                .refusal(&refusal_of(refusal, rules, exchange, &id, event)),
        )
    }

    fn own(reply: Reply) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(reply.content_type),
        );
        let status =
            StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::Whole {
            status,
            headers,
            body: reply.body,
            by_model: false,
        }
    }

    /// How much was screened, as far as is known when the head leaves.
    pub(crate) fn coverage(&self, event: &Event) -> Coverage {
        match self {
            Self::Stream { .. } => Coverage::Pending,
            Self::Whole { .. } => event.receipt.coverage(),
        }
    }

    /// Status of the response.
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Whole { status, .. } => *status,
            Self::Stream { .. } => StatusCode::OK,
        }
    }
}

/// A refusal with everything the dialect's shape needs.
pub(crate) fn refusal_of<'a>(
    refusal: &'a RefusalText,
    rules: RefusalRules,
    exchange: &'a Exchange,
    id: &'a str,
    event: &Event,
) -> Refusal<'a> {
    Refusal {
        text: &refusal.text,
        model: exchange.model.as_deref().unwrap_or_default(),
        id,
        created: event.time_ms / 1000,
        stream: exchange.stream,
        include_usage: exchange.include_usage,
        n_choices: exchange.n_choices,
        in_content: rules.refusal_in_content,
        category: None,
    }
}

/// The id of an answer of ours, in the dialect's style.
pub(crate) fn answer_id(dialect: Dialect, event: &Event) -> String {
    let number = event.id.trim_start_matches("dec_");
    match dialect {
        Dialect::OpenAiChat => format!("chatcmpl-{number}"),
        Dialect::AnthropicMessages => format!("msg_{number}"),
    }
}

impl From<portcullis_protocol::ParseError> for Error {
    fn from(error: portcullis_protocol::ParseError) -> Self {
        if error.is_unscreenable() {
            return Self::Unscreenable(error.to_string());
        }
        Self::Malformed(error.to_string())
    }
}
