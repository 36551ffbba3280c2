//! What is done about what was found: findings in, decisions out.
//!
//! Two things stand here, both pure (no IO, no clock, no async):
//! [`Engine`] is a compiled policy and decides about evidence that is all there;
//! [`stream::Machine`] holds back an answer that is still being written, until it is screened.
//!
//! Promises: a higher score never gives a weaker action; no byte of a stream leaves before it was
//! screened; the verdict about a stream does not depend on how its bytes arrived.
//! Start with [`Engine::decide`], then [`stream`].

mod conversation;
mod decision;
mod engine;
mod explain;
mod patterns;
mod rows;
pub mod simulator;
pub mod stream;
mod tally;

pub use conversation::{Conversation, MAX_TURNS};
pub use decision::{Decision, Evidence, Match, Redaction, RefusalText, RowHit, Terminal};
pub use engine::{CompileError, Engine};
pub use explain::{ExplainedRow, Explanation};
pub use tally::Tally;
