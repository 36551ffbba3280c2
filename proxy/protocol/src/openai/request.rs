//! Requests: `POST /v1/chat/completions`.

use super::parts;
use crate::exchange::{Exchange, ParseRules, PartKind, Reason, Role, Turn};
use crate::json::{self, Document, Kind, Value};
use crate::read;
use crate::seam::Seams;
use crate::walk::{Fields, Rule, Walk};
use crate::{Dialect, ParseError};
use bytes::Bytes;
use portcullis_text::Surface;

/// Most choices that may be asked for.
const MAX_CHOICES: u32 = 128;

pub(crate) fn parse(body: Bytes, rules: &ParseRules) -> Result<Exchange, ParseError> {
    let mut exchange = {
        let document = json::parse(&body, rules.depth)?;
        read_request(&document, rules)?
    };
    exchange.body = body;
    Ok(exchange)
}

fn read_request(document: &Document<'_>, rules: &ParseRules) -> Result<Exchange, ParseError> {
    let root = read::object(document.root(), "the body")?;
    let messages = read::required_list(root, "messages")?;
    let mut walk = Walk::request(rules);
    let mut turns = Vec::new();
    for (key, value) in root.members() {
        if key.is("messages") {
            turns = read_turns(&mut walk, messages)?;
        } else {
            walk.field(FIELDS, key, value)?;
        }
    }
    let options = root.get("stream_options");
    let include_usage = options.and_then(|options| options.get("include_usage"));
    Ok(Exchange {
        dialect: Dialect::OpenAiChat,
        body: Bytes::new(),
        model: read::string(root, "model"),
        seams: Seams::of(&walk.parts),
        parts: walk.parts,
        turns,
        stream: read::switch(root, "stream")?,
        include_usage: include_usage.is_some_and(|value| value.kind() == Kind::Bool(true)),
        n_choices: choices(root)?,
        tools: ["tools", "functions"]
            .iter()
            .any(|name| root.get(name).is_some_and(Value::has_any)),
        structured: wants_json(root),
        user: user(root),
        unscreened: walk.unscreened,
    })
}

fn choices(root: Value<'_>) -> Result<u32, ParseError> {
    let Some(value) = root.get("n").filter(|value| !value.is_null()) else {
        return Ok(1);
    };
    let n_choices = value.as_u32().filter(|n| (1..=MAX_CHOICES).contains(n));
    n_choices.ok_or_else(|| {
        ParseError::Shape(format!(
            "`n` must be a whole number from 1 to {MAX_CHOICES}"
        ))
    })
}

/// Whether the answer shall be JSON, or bound by a grammar of the extensions of other servers.
fn wants_json(root: Value<'_>) -> bool {
    let format = root
        .get("response_format")
        .and_then(|format| format.get("type"));
    let is_text = format.is_none_or(|kind| kind.is("text") || kind.is_null());
    let guided = [
        "guided_json",
        "guided_grammar",
        "guided_regex",
        "guided_choice",
        "structured_outputs",
        "format",
    ];
    !is_text
        || guided
            .iter()
            .any(|name| root.get(name).is_some_and(|value| !value.is_null()))
}

fn user(root: Value<'_>) -> Option<String> {
    let metadata = root.get("metadata");
    let named = read::string(root, "safety_identifier").or_else(|| read::string(root, "user"));
    named.or_else(|| metadata.and_then(|metadata| read::string(metadata, "user_id")))
}

/// The messages, one turn each.
pub(crate) fn read_turns(walk: &mut Walk, messages: Value<'_>) -> Result<Vec<Turn>, ParseError> {
    let mut turns = Vec::new();
    walk.at(crate::walk::Step::Field("messages"), |walk| {
        walk.list(messages, |walk, message| {
            read::room_for(turns.len(), walk.path())?;
            let turn = read_turn(walk, message, turns.len())?;
            turns.push(turn);
            Ok(())
        })
    })?;
    Ok(turns)
}

fn read_turn(walk: &mut Walk, message: Value<'_>, idx: usize) -> Result<Turn, ParseError> {
    let message = read::object(message, walk.path())?;
    let role = role(message, walk.path())?;
    let first = walk.parts.len();
    walk.turn = Some(idx);
    walk.plain = role != Role::Tool;
    walk.on(surface_of(role), |walk| {
        walk.follow(&Rule::Object(MESSAGE), message)
    })?;
    walk.turn = None;
    Ok(Turn {
        role,
        literal: message.span(),
        parts: first..walk.parts.len(),
        plain_text: walk.plain,
    })
}

fn role(message: Value<'_>, path: &str) -> Result<Role, ParseError> {
    let role = message.get("role").and_then(Value::as_str);
    let role = role.ok_or_else(|| ParseError::Shape(format!("{path} has no `role`")))?;
    Ok(match &*role {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        _ => Role::Other,
    })
}

pub(crate) const fn surface_of(role: Role) -> Surface {
    match role {
        Role::System => Surface::System,
        Role::User | Role::Other => Surface::User,
        Role::Assistant => Surface::Assistant,
        Role::Tool => Surface::ToolResult,
    }
}

const MESSAGE: Fields = &[
    (
        "role",
        Rule::Word(&[
            "system",
            "developer",
            "user",
            "assistant",
            "tool",
            "function",
        ]),
    ),
    ("content", Rule::With(parts::content)),
    ("name", Rule::On(Surface::User, &Rule::Text)),
    ("refusal", Rule::Of(PartKind::Refusal)),
    ("reasoning_content", Rule::Text),
    ("reasoning", Rule::Text),
    ("reasoning_details", parts::REASONING_DETAILS),
    ("tool_calls", Rule::With(parts::tool_calls)),
    ("function_call", Rule::With(parts::function_call)),
    ("tool_call_id", Rule::Ident),
    ("audio", Rule::With(earlier_audio)),
    ("cache_control", parts::CACHE_CONTROL),
];

/// Sound of an earlier answer, which the upstream keeps.
fn earlier_audio(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    if value.is_null() {
        return Ok(());
    }
    walk.gap_by_rule(Reason::Audio, "earlier audio")?;
    walk.follow(&Rule::Object(&[("id", Rule::Ident)]), value)
}

/// Everything of the request but its messages. Numbers and switches are named so that only a
/// string in their place is text.
const FIELDS: Fields = &[
    ("messages", Rule::Text),
    ("model", Rule::Name),
    (
        "audio",
        Rule::Object(&[("format", Rule::Ident), ("voice", Rule::With(voice))]),
    ),
    ("frequency_penalty", Rule::Text),
    ("function_call", Rule::With(tool_choice)),
    ("functions", Rule::List(&FUNCTION)),
    ("logit_bias", Rule::On(Surface::User, &Rule::Text)),
    ("logprobs", Rule::Text),
    ("max_completion_tokens", Rule::Text),
    ("max_tokens", Rule::Text),
    ("metadata", Rule::On(Surface::User, &Rule::Text)),
    (
        "modalities",
        Rule::List(&Rule::Word(&["text", "audio", "image"])),
    ),
    (
        "moderation",
        Rule::Object(&[("model", Rule::Name), ("policy", MODERATION_POLICY)]),
    ),
    ("n", Rule::Text),
    ("parallel_tool_calls", Rule::Text),
    ("prediction", Rule::Object(PREDICTION)),
    ("presence_penalty", Rule::Text),
    ("prompt_cache_key", Rule::Ident),
    ("prompt_cache_options", parts::CACHE_BREAKPOINT),
    ("prompt_cache_retention", Rule::Ident),
    ("reasoning_effort", Rule::Word(EFFORT)),
    ("response_format", Rule::Object(RESPONSE_FORMAT)),
    ("safety_identifier", Rule::On(Surface::User, &Rule::Text)),
    ("seed", Rule::Text),
    ("service_tier", Rule::Ident),
    ("stop", Rule::On(Surface::User, &Rule::Text)),
    ("store", Rule::Text),
    ("stream", Rule::Text),
    (
        "stream_options",
        Rule::Object(&[
            ("include_usage", Rule::Text),
            ("include_obfuscation", Rule::Text),
        ]),
    ),
    ("temperature", Rule::Text),
    ("tool_choice", Rule::With(tool_choice)),
    ("tools", Rule::List(&Rule::Object(TOOL))),
    ("top_logprobs", Rule::Text),
    ("top_p", Rule::Text),
    ("user", Rule::On(Surface::User, &Rule::Text)),
    ("verbosity", Rule::Word(&["low", "medium", "high"])),
    (
        "web_search_options",
        Rule::On(Surface::User, &Rule::With(web_search)),
    ),
];

/// The name of a voice, or an object with its id.
fn voice(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    if value.is_string() {
        return walk.follow(&Rule::Ident, value);
    }
    walk.follow(&Rule::Object(&[("id", Rule::Ident)]), value)
}

/// What the provider's own moderation shall do.
const MODERATION_POLICY: Rule =
    Rule::Object(&[("input", MODERATION_MODE), ("output", MODERATION_MODE)]);

const MODERATION_MODE: Rule = Rule::Object(&[("mode", Rule::Word(&["block", "score"]))]);

const EFFORT: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];

const PREDICTION: Fields = &[
    ("type", Rule::Word(&["content"])),
    ("content", Rule::With(parts::content)),
];

const RESPONSE_FORMAT: Fields = &[
    ("type", Rule::Word(&["text", "json_object", "json_schema"])),
    (
        "json_schema",
        Rule::Object(&[
            ("name", Rule::Text),
            ("description", Rule::Text),
            ("schema", Rule::Schema),
            ("strict", Rule::Text),
        ]),
    ),
];

const FUNCTION: Rule = Rule::Object(&[
    ("name", Rule::Text),
    ("description", Rule::Text),
    ("parameters", Rule::Schema),
    ("strict", Rule::Text),
]);

const TOOL: Fields = &[
    ("type", Rule::Word(&["function", "custom"])),
    ("function", FUNCTION),
    ("custom", Rule::Object(CUSTOM_TOOL)),
    ("cache_control", parts::CACHE_CONTROL),
];

const CUSTOM_TOOL: Fields = &[
    ("name", Rule::Text),
    ("description", Rule::Text),
    (
        "format",
        Rule::Object(&[
            ("type", Rule::Word(&["text", "grammar"])),
            (
                "grammar",
                Rule::Object(&[
                    ("syntax", Rule::Word(&["lark", "regex"])),
                    ("definition", Rule::Text),
                ]),
            ),
        ]),
    ),
];

/// What the provider finds on the web reaches the model without passing through here.
fn web_search(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    if value.is_null() {
        return Ok(());
    }
    walk.gap(Reason::Remote);
    walk.follow(&Rule::Object(WEB_SEARCH), value)
}

const WEB_SEARCH: Fields = &[
    (
        "search_context_size",
        Rule::Word(&["low", "medium", "high"]),
    ),
    (
        "user_location",
        Rule::Object(&[
            ("type", Rule::Word(&["approximate"])),
            (
                "approximate",
                Rule::Object(&[
                    ("city", Rule::Text),
                    ("country", Rule::Text),
                    ("region", Rule::Text),
                    ("timezone", Rule::Ident),
                ]),
            ),
        ]),
    ),
];

/// `"auto"`, or the name of a tool.
fn tool_choice(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    if value.is_string() {
        return walk.follow(&Rule::Word(&["none", "auto", "required"]), value);
    }
    walk.follow(
        &Rule::Object(&[
            ("type", Rule::Word(&["function", "custom", "allowed_tools"])),
            ("name", Rule::Text),
            ("function", Rule::Object(&[("name", Rule::Text)])),
            ("custom", Rule::Object(&[("name", Rule::Text)])),
            ("allowed_tools", Rule::Object(ALLOWED_TOOLS)),
        ]),
        value,
    )
}

const ALLOWED_TOOLS: Fields = &[
    ("mode", Rule::Word(&["auto", "required"])),
    ("tools", Rule::List(&Rule::Object(TOOL))),
];
