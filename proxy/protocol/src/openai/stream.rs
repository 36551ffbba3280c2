//! The chunks of a streamed chat completion.

use super::reply;
use super::response::Tokens;
use crate::Refusal;
use crate::edit::BLANK_LINE;
use crate::exchange::Reason;
use crate::json::{Kind, Value};
use crate::seen::{Effect, Head, Place, Seen, index_of};
use crate::stream::{Book, Channel, StreamError};
use bytes::Bytes;
use serde_json::json;
use std::borrow::Cow;

/// Names and ids of tool calls have channels beside those of the arguments; indexes stay below
/// 1024.
const TOOL_NAME: u32 = 0x4000;
const TOOL_ID: u32 = 0x8000;

/// Texts beside the answer that have a channel of their own.
const TRANSCRIPT: Channel = Channel::Other(1);
const TOKENS: Channel = Channel::Other(2);
const TOKENS_OTHER: Channel = Channel::Other(3);
const ANNOTATIONS: Channel = Channel::Other(4);
const REASONING_DETAILS: Channel = Channel::Other(5);
const REASONING_TWIN: Channel = Channel::Other(6);
const ERROR: Channel = Channel::Other(7);

/// The tool-call index of the older `function_call`.
const FUNCTION_CALL: u32 = 0x3fff;

/// Lists what stands in a chunk. `root` is an object.
pub(crate) fn read(root: Value<'_>) -> Result<Seen<'_>, StreamError> {
    let mut seen = Seen::default();
    for (key, value) in root.members() {
        let name = key.as_str().unwrap_or_default();
        match &*name {
            "choices" => {
                for (place, choice) in value.items().enumerate() {
                    read_choice(&mut seen, choice, place as u32)?;
                }
                if value.kind() != Kind::Array {
                    seen.strings(0, Channel::of_field(&name), value);
                }
            }
            "error" => {
                seen.error = !value.is_null();
                seen.strings(0, ERROR, value);
            }
            "usage" => {
                let is_last = root
                    .get("choices")
                    .is_some_and(|choices| !choices.has_any());
                if is_last && !value.is_null() {
                    seen.effects.push(Effect::Usage);
                }
                seen.counts(0, &name, value);
            }
            "model" => seen.name(0, &name, value),
            "id"
            | "object"
            | "created"
            | "service_tier"
            | "system_fingerprint"
            | "provider"
            | "obfuscation"
            | "prompt_filter_results"
            | "moderation" => {
                seen.counts(0, &name, value);
            }
            _ => seen.unknown(0, key, value),
        }
    }
    Ok(seen)
}

/// What names the answer: events that we add carry the same.
pub(crate) fn head(root: Value<'_>) -> Option<Head> {
    let text = |name: &str| Some(root.get(name)?.as_str()?.into_owned());
    let created = root
        .get("created")
        .and_then(|value| value.raw().parse().ok());
    Some(Head {
        id: text("id")?,
        model: text("model")?,
        created: created.unwrap_or_default(),
    })
}

fn read_choice<'d>(seen: &mut Seen<'d>, choice: Value<'d>, place: u32) -> Result<(), StreamError> {
    if choice.kind() != Kind::Object {
        return Err(StreamError("a choice is no JSON object".into()));
    }
    let index = choice
        .get("index")
        .map_or(Ok(place), |index| index_of(index, "choice"))?;
    seen.effects.push(Effect::Choice(index));
    let mut finish = None;
    for (key, value) in choice.members() {
        let name = key.as_str().unwrap_or_default();
        match &*name {
            "delta" => read_delta(seen, index, value)?,
            "logprobs" => read_logprobs(seen, index, value),
            "finish_reason" => {
                finish = (!value.is_null()).then_some(Effect::Finish(index));
                seen.counts(index, &name, value);
            }
            "index" | "native_finish_reason" | "content_filter_results" => {
                seen.counts(index, &name, value);
            }
            _ => seen.unknown(index, key, value),
        }
    }
    seen.effects.extend(finish);
    Ok(())
}

fn read_delta<'d>(seen: &mut Seen<'d>, choice: u32, delta: Value<'d>) -> Result<(), StreamError> {
    if delta.kind() != Kind::Object {
        seen.strings(choice, Channel::of_field("delta"), delta);
    }
    for (key, value) in delta.members() {
        let name = key.as_str().unwrap_or_default();
        match &*name {
            "role" => seen.counts(choice, &name, value),
            "content" => read_content(seen, choice, value),
            "refusal" => seen.strings(choice, Channel::Refusal, value),
            "reasoning_content" => seen.strings(choice, Channel::Reasoning, value),
            "reasoning" => {
                // Some servers send the same text under both names.
                let is_twin = delta.get("reasoning_content").is_some_and(Value::is_string);
                let channel = if is_twin {
                    REASONING_TWIN
                } else {
                    Channel::Reasoning
                };
                seen.strings(choice, channel, value);
            }
            "reasoning_details" => read_details(seen, choice, value),
            "tool_calls" => read_tool_calls(seen, choice, value)?,
            "function_call" => {
                if !value.is_null() {
                    read_function(seen, choice, FUNCTION_CALL, value);
                }
            }
            "audio" => read_audio(seen, choice, value),
            "annotations" => seen.strings(choice, ANNOTATIONS, value),
            _ => seen.unknown(choice, key, value),
        }
    }
    Ok(())
}

/// Visible text: a string, or parts as some servers send them.
fn read_content<'d>(seen: &mut Seen<'d>, choice: u32, value: Value<'d>) {
    if let Some(text) = value.as_str() {
        if !text.is_empty() {
            seen.effects.push(Effect::Text(choice));
        }
        return seen.push(choice, Channel::Text, text, Place::Literal(value.span()));
    }
    if value.kind() != Kind::Array {
        return seen.strings(choice, Channel::of_field("content"), value);
    }
    for part in value.items() {
        if part.kind() != Kind::Object {
            seen.strings(choice, Channel::Text, part);
            continue;
        }
        for (key, value) in part.members() {
            match &*key.as_str().unwrap_or_default() {
                "type" => seen.counts(choice, "type", value),
                "text" => {
                    seen.effects.push(Effect::Text(choice));
                    seen.strings(choice, Channel::Text, value);
                }
                _ => seen.unknown(choice, key, value),
            }
        }
    }
}

fn read_details<'d>(seen: &mut Seen<'d>, choice: u32, value: Value<'d>) {
    for detail in value.items() {
        for (key, value) in detail.members() {
            match &*key.as_str().unwrap_or_default() {
                "signature" | "data" => {
                    seen.opaque(choice, REASONING_DETAILS, Reason::Opaque, value);
                }
                "type" | "id" | "format" | "index" => seen.counts(choice, "detail", value),
                _ => seen.member(choice, REASONING_DETAILS, key, value),
            }
        }
        if detail.kind() != Kind::Object {
            seen.strings(choice, REASONING_DETAILS, detail);
        }
    }
    if value.kind() != Kind::Array {
        seen.strings(choice, REASONING_DETAILS, value);
    }
}

fn read_tool_calls<'d>(
    seen: &mut Seen<'d>,
    choice: u32,
    value: Value<'d>,
) -> Result<(), StreamError> {
    for (place, call) in value.items().enumerate() {
        let given = call.get("index").filter(|index| !index.is_null());
        let index = given.map_or(Ok(place as u32), |index| index_of(index, "tool call"))?;
        seen.tools.push((choice, index));
        for (key, value) in call.members() {
            let name = key.as_str().unwrap_or_default();
            match &*name {
                "index" | "id" | "type" => {
                    seen.idents(choice, Channel::ToolCall(TOOL_ID | index), value);
                }
                "function" | "custom" => read_function(seen, choice, index, value),
                _ => seen.unknown(choice, key, value),
            }
        }
        if call.kind() != Kind::Object {
            seen.strings(choice, Channel::ToolCall(index), call);
        }
    }
    if value.kind() != Kind::Array {
        seen.strings(choice, Channel::of_field("tool_calls"), value);
    }
    Ok(())
}

fn read_function<'d>(seen: &mut Seen<'d>, choice: u32, index: u32, value: Value<'d>) {
    seen.tools.push((choice, index));
    for (key, value) in value.members() {
        match (&*key.as_str().unwrap_or_default(), value.as_str()) {
            ("arguments", Some(text)) => {
                let place = Place::Arguments(value.span());
                seen.push(choice, Channel::ToolCall(index), text, place);
            }
            // A name repeated between pieces of the arguments must not part what they say.
            ("name", _) => seen.strings(choice, Channel::ToolCall(TOOL_NAME | index), value),
            ("arguments" | "input", _) => {
                seen.strings(choice, Channel::ToolCall(index), value);
            }
            _ => seen.unknown(choice, key, value),
        }
    }
    if value.kind() != Kind::Object {
        seen.strings(choice, Channel::ToolCall(index), value);
    }
}

fn read_audio<'d>(seen: &mut Seen<'d>, choice: u32, value: Value<'d>) {
    for (key, value) in value.members() {
        match &*key.as_str().unwrap_or_default() {
            "data" => seen.opaque(choice, TRANSCRIPT, Reason::Audio, value),
            "id" | "expires_at" => seen.counts(choice, "audio", value),
            "transcript" => seen.strings(choice, TRANSCRIPT, value),
            _ => seen.unknown(choice, key, value),
        }
    }
    if value.kind() != Kind::Object {
        seen.strings(choice, TRANSCRIPT, value);
    }
}

/// The tokens say what the text says, so they are screened beside it.
fn read_logprobs<'d>(seen: &mut Seen<'d>, choice: u32, value: Value<'d>) {
    if value.kind() != Kind::Object {
        return seen.strings(choice, TOKENS, value);
    }
    let tokens = Tokens::of(value);
    seen.unscreened.extend(tokens.gaps());
    let null = Place::Null(value.span());
    for (channel, text) in [(TOKENS, tokens.joined), (TOKENS_OTHER, tokens.other)] {
        if !text.is_empty() {
            seen.push(choice, channel, Cow::Owned(text), null.clone());
        }
    }
}

/// The chunks that end a blocked stream.
pub(crate) fn refuse(shown: &Book, head: &Head, refusal: &Refusal<'_>) -> Bytes {
    let head = if shown.choices.is_empty() {
        reply::Head {
            id: refusal.id,
            model: refusal.model,
            created: refusal.created,
        }
    } else {
        reply::Head {
            id: &head.id,
            model: &head.model,
            created: head.created,
        }
    };
    let mut choices: Vec<u32> = (0..refusal.n_choices).collect();
    choices.extend(
        shown
            .choices
            .iter()
            .filter(|choice| **choice >= refusal.n_choices),
    );
    let mut out = String::new();
    for choice in choices {
        if !shown.finished.contains(&choice) {
            let begins = !shown.choices.contains(&choice);
            reply::refused_choice(&mut out, head, choice, refusal, begins);
        }
    }
    reply::end(&mut out, head, refusal.include_usage && !shown.usage);
    Bytes::from(out)
}

/// A chunk that adds text to a choice.
pub(crate) fn insert(head: &Head, choice: u32, text: &str) -> Bytes {
    let head = reply::Head {
        id: &head.id,
        model: &head.model,
        created: head.created,
    };
    let mut out = String::new();
    let delta = json!({"content": format!("{BLANK_LINE}{text}")});
    reply::chunk(&mut out, head, choice, &delta, None);
    Bytes::from(out)
}
