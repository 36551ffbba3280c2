//! The gate as its clients see it: real sockets on loopback, a scripted upstream, a keyword classifier.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod bad_input;
mod cancel;
mod classifier;
mod cli;
mod client;
mod commands;
mod encoder;
mod faults;
mod guard;
mod history;
mod overload;
mod policy;
mod records;
mod script;
mod setup;
mod streams;
mod tls;
mod transparent;
mod upstream;
