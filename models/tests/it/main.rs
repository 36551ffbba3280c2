//! Model directories to logits, held against what Hugging Face computes on the same directories.
//!
//! `models/tests/reference/make.py` makes the directories and the reference; its head says how.

#![expect(clippy::unwrap_used, reason = "tests say what went wrong by failing")]

mod fixture;
mod logits;
mod refused;
mod tokens;
mod variants;
