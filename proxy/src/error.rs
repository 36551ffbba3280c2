//! What can go wrong with an exchange, and the one place where that becomes a response.

use portcullis_classifiers::Failure;
use portcullis_protocol::{Dialect, ErrorKind, ErrorReply};
use portcullis_text::Detector;

/// Who is at fault; decides status, metric label and whether a retry makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The client's request.
    Client,
    /// The LLM endpoint behind us.
    Upstream,
    /// Ourselves.
    Internal,
}

/// Why an exchange ended without its answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The path is none of ours, or a spelling of one of ours.
    #[error("{0}")]
    NotFound(String),
    /// The path is ours, the method is not.
    #[error("this endpoint takes {allow}")]
    Method {
        /// The method it takes.
        allow: &'static str,
    },
    /// The head can be read in more than one way. The connection ends: where the next request
    /// begins may be in doubt too.
    #[error("{0}")]
    BadHead(String),
    /// The body is not what the dialect says.
    #[error("{0}")]
    Malformed(String),
    /// The request holds something that cannot be screened and is refused by the configuration.
    #[error("{0}")]
    Unscreenable(String),
    /// A limit on size was crossed.
    #[error("{0}")]
    TooLarge(String),
    /// The content type or encoding is not one we read.
    #[error("{0}")]
    UnsupportedMedia(String),
    /// The client was too slow.
    #[error("the request body did not arrive in time")]
    SlowClient,
    /// The client went away while sending.
    #[error("the request body broke off")]
    ClientGone,
    /// There is no upstream for this dialect.
    #[error(
        "no upstream is configured for this endpoint; set `upstreams.{key}` or start with --upstream"
    )]
    NoUpstream {
        /// The configuration key.
        key: &'static str,
    },
    /// The upstream cannot be reached.
    #[error("the upstream could not be reached")]
    Unreachable,
    /// The upstream did not answer in time.
    #[error("the upstream did not answer in time")]
    UpstreamTimeout,
    /// The upstream's answer broke off or cannot be read.
    #[error("the upstream's answer could not be read: {0}")]
    BadAnswer(String),
    /// A classifier failed and the policy says closed.
    #[error("screening is not available; the request was not answered")]
    Unscreened {
        /// Which one.
        detector: Detector,
        /// How.
        failure: Failure,
    },
    /// More is asked of the gate than it takes on at once.
    #[error("too much is in flight; try again in a moment")]
    Overloaded,
    /// A bug of ours.
    #[error("internal error")]
    Internal,
}

impl Error {
    /// Who is at fault.
    #[must_use]
    pub(crate) const fn source_of_fault(&self) -> Source {
        match self {
            Self::NotFound(_)
            | Self::Method { .. }
            | Self::BadHead(_)
            | Self::Malformed(_)
            | Self::Unscreenable(_)
            | Self::TooLarge(_)
            | Self::UnsupportedMedia(_)
            | Self::SlowClient
            | Self::ClientGone => Source::Client,
            Self::Unreachable | Self::UpstreamTimeout | Self::BadAnswer(_) => Source::Upstream,
            Self::NoUpstream { .. }
            | Self::Unscreened { .. }
            | Self::Overloaded
            | Self::Internal => Source::Internal,
        }
    }

    /// The label in records and in `portcullis_upstream_errors_total`.
    #[must_use]
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::Method { .. } => "method",
            Self::BadHead(_) | Self::Malformed(_) => "malformed",
            Self::Unscreenable(_) => "unscreenable",
            Self::TooLarge(_) => "too_large",
            Self::UnsupportedMedia(_) => "unsupported_media",
            Self::SlowClient => "slow_client",
            Self::ClientGone => "client_gone",
            Self::NoUpstream { .. } => "no_upstream",
            Self::Unreachable => "unreachable",
            Self::UpstreamTimeout => "timeout",
            Self::BadAnswer(_) => "bad_answer",
            Self::Unscreened { .. } => "unscreened",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
        }
    }

    /// How the dialect says it.
    #[must_use]
    pub(crate) const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Method { .. } => ErrorKind::MethodNotAllowed,
            Self::BadHead(_) | Self::Malformed(_) | Self::Unscreenable(_) | Self::ClientGone => {
                ErrorKind::BadRequest
            }
            Self::TooLarge(_) => ErrorKind::TooLarge,
            Self::UnsupportedMedia(_) => ErrorKind::UnsupportedMedia,
            Self::SlowClient => ErrorKind::RequestTimeout,
            Self::Unreachable | Self::BadAnswer(_) | Self::NoUpstream { .. } => {
                ErrorKind::BadGateway
            }
            Self::UpstreamTimeout => ErrorKind::GatewayTimeout,
            Self::Unscreened { .. } | Self::Overloaded => ErrorKind::Unavailable,
            Self::Internal => ErrorKind::Internal,
        }
    }

    /// The whole reply in the dialect's own error shape.
    #[must_use]
    pub(crate) fn reply(&self, dialect: Dialect, request_id: &str) -> ErrorReply {
        dialect.error(self.kind(), &self.to_string(), request_id)
    }
}
