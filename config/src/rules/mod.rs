//! What must hold beyond types: rows that make sense, regexes that compile, URLs that can be used.
//!
//! A part of the tree that was damaged by a problem reported before is passed over, so that no
//! report only follows from another.

mod pattern;
mod policy;
mod row;
mod server;

pub(crate) use policy::check_policy;
pub use server::NOTICE_LANGUAGES;
pub(crate) use server::check_config;

use crate::Problem;
use crate::document::{Node, Span};

/// Collects problems about one part of the tree.
struct Checker<'a> {
    node: &'a Node,
    problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    /// The span of the value under a key; of the whole part where the key is not written.
    fn span(&self, key: &str) -> Span {
        self.node
            .get(key)
            .map_or(&self.node.span, |value| &value.span)
            .clone()
    }

    /// Reports texts that are written and say nothing.
    fn refuse_blank(&mut self, keys: &[&str]) {
        for key in keys {
            let Some(value) = self.node.get(key) else {
                continue;
            };
            if value.text().is_some_and(|text| text.trim().is_empty()) {
                let problem = Problem::new(&value.span, format!("`{key}` is empty"));
                self.problems
                    .push(problem.help("write the text, or remove the key"));
            }
        }
    }
}

/// Whether a name may stand in headers, metrics and records.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}
