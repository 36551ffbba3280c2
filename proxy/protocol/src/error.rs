//! What can be wrong with a body, and the kinds of error that a dialect can say.

use bytes::Bytes;

/// Why a body was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It is not strict JSON.
    #[error("{0}")]
    Json(String),
    /// It is not of the dialect's shape.
    #[error("{0}")]
    Shape(String),
    /// It holds something that cannot be screened, and the rules refuse that.
    #[error("{0}")]
    Unscreenable(String),
}

impl ParseError {
    /// Whether the request is well-formed and holds something that cannot be screened.
    #[must_use]
    pub const fn is_unscreenable(&self) -> bool {
        matches!(self, Self::Unscreenable(_))
    }
}

/// The kinds of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// 400: the request is malformed.
    BadRequest,
    /// 400: the policy blocks it, and the route wants errors instead of refusals.
    PolicyError,
    /// 401.
    Unauthorized,
    /// 404.
    NotFound,
    /// 405.
    MethodNotAllowed,
    /// 408: the request did not arrive in time.
    RequestTimeout,
    /// 413.
    TooLarge,
    /// 415.
    UnsupportedMedia,
    /// 429.
    RateLimited,
    /// 500.
    Internal,
    /// 502.
    BadGateway,
    /// 503, and 529 in Anthropic's dialect.
    Unavailable,
    /// 504.
    GatewayTimeout,
}

impl ErrorKind {
    /// HTTP status, but for [`Self::Unavailable`] in Anthropic's dialect.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest | Self::PolicyError => 400,
            Self::Unauthorized => 401,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::TooLarge => 413,
            Self::UnsupportedMedia => 415,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::BadGateway => 502,
            Self::Unavailable => 503,
            Self::GatewayTimeout => 504,
        }
    }

    /// Seconds to wait before a retry, where waiting may help.
    #[must_use]
    pub const fn retry_after(self) -> Option<u32> {
        match self {
            Self::RateLimited | Self::Unavailable => Some(1),
            _ => None,
        }
    }
}

/// An error as the client sees it. Its content type is `application/json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReply {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Bytes,
    /// Seconds for `retry-after`, when a retry may help.
    pub retry_after: Option<u32>,
}
