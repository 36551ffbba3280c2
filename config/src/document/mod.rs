//! A text as a tree of values that know their place, and from there into types.
//!
//! The detour over a tree is what lets an error point at the value, lets several layers (shipped
//! policy, file, environment, flags) be laid over each other, and lets all problems be found in
//! one go.

mod access;
mod fault;
mod merge;
mod node;
mod quoting;
mod read;
mod source;
mod typed;
mod yaml;

pub(crate) use merge::{merge, set};
pub(crate) use node::{Entry, Node, Step, Value};
pub(crate) use quoting::source_offset;
pub(crate) use read::read;
pub(crate) use source::{Source, Span};
pub(crate) use yaml::{MAX_BYTES, parse};
