//! What an operator meets: documents that are read, and errors that point.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

mod documents;
mod errors;
mod properties;
mod rendering;
mod schema;
mod shipped;
