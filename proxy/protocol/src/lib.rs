//! Wire dialects without IO: what stands in an exchange, and how our own answers are written.
//!
//! Bytes come in, values come out; there is no socket, no clock and no randomness here.
//! - [`route()`] says which endpoint a request means. Unknown spellings are errors, never guesses.
//! - [`Dialect::parse`] reads a request strictly and lists every text in it as a [`Part`]. What it
//!   cannot list it reports as [`Unscreened`], or refuses. Since the bytes are forwarded as they
//!   came, the reading has to equal that of any upstream: ambiguous JSON is refused.
//! - [`Exchange::outgoing`] gives the same bytes back, but for splices.
//! - [`Dialect::parse_completion`] and [`Dialect::stream`] do the same for answers.
//! - [`Dialect::refusal`], [`Dialect::answer`] and [`Dialect::error`] write answers of our own.
//!
//! Start with [`Exchange`]; `json` is the reader underneath, `walk` the table-driven listing.

mod anthropic;
mod completion;
mod dialect;
mod edit;
mod error;
mod exchange;
mod form;
mod guard;
mod json;
mod media;
pub mod moderations;
mod nested;
mod openai;
pub mod predict;
mod read;
mod reply;
mod route;
mod seam;
mod seen;
pub mod sse;
mod stream;
mod walk;

pub use completion::{Choice, Completion, CompletionEdit};
pub use dialect::Dialect;
pub use edit::{Edit, EditError};
pub use error::{ErrorKind, ErrorReply, ParseError};
pub use exchange::{Exchange, OnPart, ParseRules, Part, PartKind, Reason, Role, Turn, Unscreened};
pub use guard::GuardCheck;
pub use reply::{LocalAnswer, Refusal, Reply};
pub use route::{Route, RouteError, route};
pub use seam::Chain;
pub use stream::{Channel, Delta, EventText, StreamError, StreamReader};
