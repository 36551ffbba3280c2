//! Portcullis: a safety gate for LLM traffic.
//!
//! It stands between a product and its LLM: each exchange is read, screened, decided on,
//! forwarded, screened again on the way back, labelled as AI output and recorded exactly once.
//!
//! Start with [`gate::Gate::handle`], the story of a request (`request.rs`), and
//! `docs/request-life.md`, its picture.

pub mod body;
mod clock;
mod commands;
mod connection;
pub mod encoder;
mod error;
pub mod gate;
mod guard;
mod head;
mod headers;
mod history;
mod identity;
mod label;
mod load;
mod predict;
mod redact;
mod reply;
mod request;
mod screen;
pub mod upstream;

mod admin;
pub mod record;
pub mod server;

pub mod cli;
pub mod demo;
mod offline;
