//! Shapes that requests and answers share: content parts, tool calls, reasoning.

use crate::ParseError;
use crate::exchange::{PartKind, Reason};
use crate::json::{Kind, Value};
use crate::media;
use crate::walk::{Fields, Rule, Walk};
use portcullis_text::Surface;

/// `content` of a message: a string, or parts.
pub(crate) fn content(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    match value.kind() {
        Kind::String(_) | Kind::Null => walk.follow(&Rule::Of(PartKind::Text), value),
        Kind::Array => walk.list(value, content_part),
        _ => walk.unknown_part(value),
    }
}

fn content_part(walk: &mut Walk, part: Value<'_>) -> Result<(), ParseError> {
    if part.is_string() {
        return walk.follow(&Rule::Of(PartKind::Text), part);
    }
    let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
    match &*kind {
        "text" => walk.follow(&Rule::Object(TEXT), part),
        "refusal" => walk.follow(&Rule::Object(REFUSAL), part),
        "image_url" => walk.follow(&Rule::Object(IMAGE), part),
        "input_audio" => walk.follow(&Rule::Object(AUDIO), part),
        "file" => walk.follow(&Rule::Object(FILE), part),
        _ => walk.unknown_part(part),
    }
}

const TEXT: Fields = &[
    ("type", Rule::Word(&["text"])),
    ("text", Rule::Of(PartKind::Text)),
    ("cache_control", CACHE_CONTROL),
    ("prompt_cache_breakpoint", CACHE_BREAKPOINT),
];

const REFUSAL: Fields = &[
    ("type", Rule::Word(&["refusal"])),
    ("refusal", Rule::Of(PartKind::Refusal)),
];

const IMAGE: Fields = &[
    ("type", Rule::Word(&["image_url"])),
    ("image_url", Rule::With(image)),
    ("cache_control", CACHE_CONTROL),
    ("prompt_cache_breakpoint", CACHE_BREAKPOINT),
];

const IMAGE_URL: Fields = &[
    ("url", Rule::With(media::image_url)),
    ("detail", Rule::Word(&["auto", "low", "high", "original"])),
];

fn image(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    if value.is_string() {
        return media::image_url(walk, value);
    }
    walk.follow(&Rule::Object(IMAGE_URL), value)
}

const AUDIO: Fields = &[
    ("type", Rule::Word(&["input_audio"])),
    (
        "input_audio",
        Rule::Object(&[("data", Rule::With(media::audio)), ("format", Rule::Ident)]),
    ),
    ("prompt_cache_breakpoint", CACHE_BREAKPOINT),
];

const FILE: Fields = &[
    ("type", Rule::Word(&["file"])),
    ("file", Rule::With(file)),
    ("prompt_cache_breakpoint", CACHE_BREAKPOINT),
];

fn file(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    walk.gap_by_rule(Reason::File, "a file")?;
    walk.follow(
        &Rule::Object(&[
            ("file_data", Rule::With(media::inline_data)),
            ("file_id", Rule::Ident),
            ("filename", Rule::Text),
        ]),
        value,
    )
}

/// A hint of several servers for their prompt cache.
pub(crate) const CACHE_CONTROL: Rule = Rule::Object(&[
    ("type", Rule::Word(&["ephemeral"])),
    ("ttl", Rule::Word(&["5m", "1h"])),
    ("scope", Rule::Ident),
]);

/// Where the provider's prompt cache shall end.
pub(crate) const CACHE_BREAKPOINT: Rule = Rule::Object(&[
    ("mode", Rule::Word(&["explicit", "implicit"])),
    ("ttl", Rule::Word(&["30m", "12h", "24h"])),
]);

/// Tool calls of a message.
pub(crate) fn tool_calls(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    walk.plain &= !value.has_any();
    walk.on(Surface::ToolCall, |walk| {
        walk.list(value, |walk, call| walk.follow(&TOOL_CALL, call))
    })
}

/// The one tool call of the older shape.
pub(crate) fn function_call(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    walk.plain &= value.is_null();
    walk.on(Surface::ToolCall, |walk| walk.follow(&FUNCTION, value))
}

const TOOL_CALL: Rule = Rule::Object(&[
    ("index", Rule::Text),
    ("id", Rule::Ident),
    ("type", Rule::Word(&["function", "custom"])),
    ("function", FUNCTION),
    (
        "custom",
        Rule::Object(&[("name", Rule::Text), ("input", Rule::Text)]),
    ),
]);

const FUNCTION: Rule = Rule::Object(&[
    ("name", Rule::Text),
    ("arguments", Rule::Of(PartKind::Arguments)),
]);

/// Reasoning of OpenRouter's shape.
pub(crate) const REASONING_DETAILS: Rule = Rule::List(&Rule::Object(&[
    ("type", Rule::Ident),
    ("id", Rule::Ident),
    ("format", Rule::Ident),
    ("index", Rule::Text),
    ("text", Rule::Text),
    ("summary", Rule::Text),
    ("signature", Rule::Gap(Reason::Opaque)),
    ("data", Rule::Gap(Reason::Opaque)),
]));
