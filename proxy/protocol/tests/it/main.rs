//! The crate's behaviour at its boundary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    reason = "helpers of tests, and tables of cases"
)]

mod completion;
mod exchange;
mod fields;
mod golden;
mod json;
mod refusal;
mod sse;
mod stream;
mod support;
