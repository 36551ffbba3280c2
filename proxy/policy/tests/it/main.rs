//! What the policy crate promises, seen from outside.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what went wrong by failing"
)]

mod conversation;
mod engine;
mod fixture;
mod properties;
mod stream;
