//! The events of a streamed message.

use super::{blocks, reply, response};
use crate::edit::BLANK_LINE;
use crate::exchange::PartKind;
use crate::json::{Kind, MAX_DEPTH, Value};
use crate::seen::{Effect, Found, Place, Seen, index_of};
use crate::stream::{Book, Channel, StreamError};
use crate::walk::{Rule, Walk};
use crate::{ParseError, Refusal};
use bytes::Bytes;
use portcullis_text::Surface;
use serde_json::json;
use std::borrow::Cow;

/// Texts beside the answer that have a channel of their own.
const CITATIONS: Channel = Channel::Other(4);
const ERROR: Channel = Channel::Other(7);

const SIGNATURE: Rule = Rule::On(Surface::Reasoning, &Rule::With(crate::media::signature));

/// Lists what stands in an event. `root` is an object, `name` the event's `event` field.
pub(crate) fn read<'d>(root: Value<'d>, name: &[u8]) -> Result<Seen<'d>, StreamError> {
    let kind = root.get("type").and_then(Value::as_str).unwrap_or_default();
    // `message` is what an event without a name is called.
    if !matches!(name, b"" | b"message") && name != kind.as_bytes() {
        // Clients differ in which of the two they go by.
        return Err(StreamError("an event's name and its `type` differ".into()));
    }
    let mut seen = Seen::default();
    for (key, value) in root.members() {
        match (&*kind, &*key.as_str().unwrap_or_default()) {
            (_, "type" | "index") => seen.counts(0, "type", value),
            ("message_start", "message") => read_message(&mut seen, value)?,
            ("content_block_start", "content_block") => {
                read_block(&mut seen, value, block_index(root)?)?;
            }
            ("content_block_delta", "delta") => {
                read_delta(&mut seen, value, block_index(root)?)?;
            }
            ("message_delta", "delta") => {
                if value
                    .get("stop_reason")
                    .is_some_and(|reason| !reason.is_null())
                {
                    seen.effects.push(Effect::Finish(0));
                }
                walk(&mut seen, &Rule::Object(response::FIELDS), value, 0)?;
            }
            ("message_delta", "usage" | "context_management") => seen.counts(0, "usage", value),
            ("error", "error") => seen.strings(0, ERROR, value),
            ("error", "request_id") => seen.counts(0, "request_id", value),
            _ => seen.unknown(0, key, value),
        }
    }
    match &*kind {
        "content_block_stop" => seen.effects.push(Effect::Close(block_index(root)?)),
        "message_stop" => seen.effects.push(Effect::Done),
        "ping" => seen.keep_alive = seen.found.is_empty(),
        "error" => seen.error = true,
        _ => {}
    }
    Ok(seen)
}

fn block_index(root: Value<'_>) -> Result<u32, StreamError> {
    let index = root.get("index");
    let index = index.ok_or_else(|| StreamError("a content block has no `index`".into()))?;
    index_of(index, "content block")
}

fn read_message<'d>(seen: &mut Seen<'d>, message: Value<'d>) -> Result<(), StreamError> {
    seen.effects.push(Effect::Started);
    walk(seen, &Rule::Object(response::FIELDS), message, 0)
}

fn read_block<'d>(seen: &mut Seen<'d>, block: Value<'d>, index: u32) -> Result<(), StreamError> {
    seen.effects.push(Effect::Open(index));
    let kind = block
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if kind.ends_with("tool_use") {
        seen.tools.push((0, index));
    }
    walk(seen, &Rule::With(blocks::block), block, index)
}

fn read_delta<'d>(seen: &mut Seen<'d>, delta: Value<'d>, index: u32) -> Result<(), StreamError> {
    if delta.kind() != Kind::Object {
        seen.strings(0, Channel::of_field("delta"), delta);
    }
    let kind = delta
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    for (key, value) in delta.members() {
        let text = value.as_str();
        match (&*kind, &*key.as_str().unwrap_or_default(), text) {
            (_, "type", Some(_)) => seen.counts(0, "type", value),
            ("text_delta", "text", Some(text)) => {
                if !text.is_empty() {
                    seen.effects.push(Effect::Text(0));
                }
                seen.push(0, Channel::Text, text, Place::Literal(value.span()));
            }
            ("thinking_delta", "thinking", Some(text)) => {
                seen.push(0, Channel::Reasoning, text, Place::Literal(value.span()));
            }
            ("input_json_delta", "partial_json", Some(text)) => {
                let place = Place::Arguments(value.span());
                seen.tools.push((0, index));
                seen.push(0, Channel::ToolCall(index), text, place);
            }
            ("signature_delta", "signature", _) => {
                walk(seen, &SIGNATURE, value, index)?;
            }
            ("citations_delta", "citation", _) => walk(seen, &blocks::CITATION, value, index)?,
            _ => seen.unknown(0, key, value),
        }
    }
    Ok(())
}

/// Lists what a table finds.
fn walk<'d>(
    seen: &mut Seen<'d>,
    rule: &Rule,
    value: Value<'d>,
    index: u32,
) -> Result<(), StreamError> {
    let mut walk = Walk::answer(MAX_DEPTH);
    let followed = walk.follow(rule, value);
    followed.map_err(|error: ParseError| StreamError(error.to_string()))?;
    seen.unscreened
        .extend(walk.unscreened.iter().map(|gap| gap.reason));
    for part in walk.parts {
        let channel = match (part.kind, part.surface) {
            (PartKind::Refusal, _) => Channel::Refusal,
            (_, Surface::Reasoning) => Channel::Reasoning,
            (_, Surface::ToolCall) => Channel::ToolCall(index),
            (PartKind::Text, _) if is_own_text(&part.path) => Channel::Text,
            (_, _) if part.path.contains("citation") => CITATIONS,
            (_, _) => Channel::of_field("block"),
        };
        if channel == Channel::Text {
            seen.effects.push(Effect::Text(0));
        }
        let place = if part.editable {
            Place::Literal(part.literal)
        } else {
            Place::Fixed
        };
        let text = Cow::Owned(part.content.expose().to_owned());
        seen.found.push(Found {
            choice: 0,
            channel,
            text,
            place,
        });
    }
    Ok(())
}

/// Whether a text stands in a text block itself and not within a result or document.
fn is_own_text(path: &str) -> bool {
    path == "/text" || (path.starts_with("/content/") && path.matches('/').count() <= 3)
}

/// The events that end a blocked stream.
pub(crate) fn refuse(shown: &Book, refusal: &Refusal<'_>) -> Bytes {
    let mut out = String::new();
    if !shown.started {
        reply::message_start(&mut out, refusal.id, refusal.model);
    }
    for block in &shown.open {
        reply::event(
            &mut out,
            &json!({"type": "content_block_stop", "index": block}),
        );
    }
    if shown.finished.is_empty() {
        if shown.with_text.is_empty() {
            reply::text_block(&mut out, shown.next_block, refusal.text);
        }
        reply::message_end(&mut out, "refusal", &reply::stop_details(refusal));
    } else {
        reply::event(&mut out, &json!({"type": "message_stop"}));
    }
    Bytes::from(out)
}

/// A text block of its own behind the others: the last one is closed when the message ends.
pub(crate) fn insert(block: u32, text: &str) -> Bytes {
    let mut out = String::new();
    reply::text_block(&mut out, block, &format!("{BLANK_LINE}{text}"));
    Bytes::from(out)
}
