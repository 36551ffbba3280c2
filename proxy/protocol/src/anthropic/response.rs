//! Whole answers of the messages endpoint.

use super::blocks;
use crate::completion::Completion;
use crate::exchange::PartKind;
use crate::json::{self, Document, Value};
use crate::walk::{Fields, Rule, Walk};
use crate::{ParseError, read};
use bytes::Bytes;

pub(crate) fn parse(body: Bytes, depth: usize) -> Result<Completion, ParseError> {
    let mut completion = {
        let document = json::parse(&body, depth)?;
        read_answer(&document, depth)?
    };
    completion.body = body;
    Ok(completion)
}

fn read_answer(document: &Document<'_>, depth: usize) -> Result<Completion, ParseError> {
    let root = read::object(document.root(), "the answer")?;
    let content = read::required_list(root, "content")?;
    let mut walk = Walk::answer(depth);
    walk.choice = Some(0);
    walk.follow(&Rule::Object(FIELDS), root)?;
    let calls = |block: Value<'_>| block.get("type").is_some_and(|kind| kind.is("tool_use"));
    let tools = content.items().any(calls);
    Ok(Completion::new(
        walk.parts,
        vec![(0, tools)],
        walk.unscreened,
    ))
}

/// The fields of a message that the model wrote.
pub(super) const FIELDS: Fields = &[
    ("id", Rule::Ident),
    ("type", Rule::Word(&["message"])),
    ("role", Rule::Word(&["assistant"])),
    ("model", Rule::Name),
    ("content", Rule::With(blocks::content)),
    ("stop_reason", Rule::Ident),
    ("stop_sequence", Rule::Text),
    ("stop_details", STOP_DETAILS),
    ("usage", Rule::Counts),
    (
        "container",
        Rule::Object(&[
            ("id", Rule::Ident),
            ("expires_at", Rule::Ident),
            ("skills", Rule::Counts),
        ]),
    ),
    ("diagnostics", Rule::Counts),
    ("context_management", Rule::Counts),
];

pub(super) const STOP_DETAILS: Rule = Rule::Object(&[
    ("type", Rule::Word(&["refusal"])),
    ("category", Rule::Ident),
    ("explanation", Rule::Of(PartKind::Refusal)),
]);
