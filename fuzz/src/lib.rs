//! Fuzz targets: what must hold whatever bytes come in.
//!
//! Each module is the oracle of one or two targets; the binaries in `src/bin` only hand the bytes
//! over. An oracle never trusts the code it watches: it reads JSON with `serde_json` and with a
//! scanner of its own ([`leaves`]), frames streams by the letter of the standard ([`sse`]), and
//! looks for patterns with the `regex` crate.
//! `docs/fuzzing.md` lists the promises; `cargo xtask fuzz` runs them.

#![forbid(unsafe_code)]

pub mod answer;
pub mod canonical;
pub mod config;
pub mod cuts;
pub mod edits;
pub mod hostile;
pub mod leaves;
pub mod listing;
pub mod machine;
pub mod patterns;
pub mod request;
pub mod sse;
pub mod stream;
