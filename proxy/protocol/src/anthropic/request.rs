//! Requests: `POST /v1/messages`.

use super::blocks;
use crate::exchange::{Exchange, ParseRules, Reason, Role, Turn};
use crate::json::{self, Document, Value};
use crate::seam::Seams;
use crate::walk::{Fields, Rule, Step, Walk};
use crate::{Dialect, ParseError, read};
use bytes::Bytes;
use portcullis_text::Surface;

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
    let metadata = root.get("metadata");
    Ok(Exchange {
        dialect: Dialect::AnthropicMessages,
        body: Bytes::new(),
        model: read::string(root, "model"),
        seams: Seams::of(&walk.parts),
        parts: walk.parts,
        turns,
        stream: read::switch(root, "stream")?,
        include_usage: false,
        n_choices: 1,
        tools: ["tools", "mcp_servers"]
            .iter()
            .any(|name| root.get(name).is_some_and(Value::has_any)),
        structured: wants_json(root),
        user: metadata.and_then(|metadata| read::string(metadata, "user_id")),
        unscreened: walk.unscreened,
    })
}

fn wants_json(root: Value<'_>) -> bool {
    let config = root.get("output_config");
    let inner = config.and_then(|config| config.get("format"));
    let formats = [root.get("output_format"), inner];
    formats
        .into_iter()
        .flatten()
        .any(|format| !format.is_null())
}

fn read_turns(walk: &mut Walk, messages: Value<'_>) -> Result<Vec<Turn>, ParseError> {
    let mut turns = Vec::new();
    walk.at(Step::Field("messages"), |walk| {
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
    let role = message.get("role").and_then(Value::as_str);
    let role = role.ok_or_else(|| ParseError::Shape(format!("{} has no `role`", walk.path())))?;
    let (role, surface) = match &*role {
        "user" => (Role::User, Surface::User),
        "assistant" => (Role::Assistant, Surface::Assistant),
        "system" => (Role::System, Surface::System),
        _ => (Role::Other, Surface::User),
    };
    let first = walk.parts.len();
    walk.turn = Some(idx);
    walk.plain = true;
    walk.on(surface, |walk| walk.follow(&Rule::Object(MESSAGE), message))?;
    walk.turn = None;
    Ok(Turn {
        role,
        literal: message.span(),
        parts: first..walk.parts.len(),
        plain_text: walk.plain,
    })
}

const MESSAGE: Fields = &[
    ("role", Rule::Word(&["user", "assistant", "system"])),
    ("content", Rule::With(blocks::content)),
];

/// Everything of the request but its messages.
const FIELDS: Fields = &[
    ("messages", Rule::Text),
    ("model", Rule::Name),
    (
        "system",
        Rule::On(Surface::System, &Rule::With(blocks::content)),
    ),
    ("max_tokens", Rule::Text),
    ("metadata", Rule::On(Surface::User, &Rule::Text)),
    ("stop_sequences", Rule::On(Surface::User, &Rule::Text)),
    ("stream", Rule::Text),
    ("temperature", Rule::Text),
    ("top_k", Rule::Text),
    ("top_p", Rule::Text),
    ("tools", Rule::List(&Rule::With(tool))),
    ("tool_choice", Rule::Object(TOOL_CHOICE)),
    ("thinking", Rule::Object(THINKING)),
    ("container", Rule::With(container)),
    (
        "context_management",
        Rule::Object(&[("edits", Rule::List(&CONTEXT_EDIT))]),
    ),
    (
        "diagnostics",
        Rule::Object(&[("previous_message_id", Rule::Ident)]),
    ),
    ("mcp_servers", Rule::List(&MCP_SERVER)),
    ("service_tier", Rule::Ident),
    ("inference_geo", Rule::Ident),
    ("speed", Rule::Ident),
    ("user_profile_id", Rule::On(Surface::User, &Rule::Ident)),
    ("workspace_id", Rule::On(Surface::User, &Rule::Ident)),
    ("betas", Rule::List(&Rule::Ident)),
    ("output_format", FORMAT),
    (
        "output_config",
        Rule::Object(&[
            (
                "effort",
                Rule::Word(&["low", "medium", "high", "xhigh", "max"]),
            ),
            ("format", FORMAT),
        ]),
    ),
    ("cache_control", blocks::CACHE_CONTROL),
];

const FORMAT: Rule = Rule::Object(&[
    ("type", Rule::Word(&["json_schema"])),
    ("schema", Rule::Schema),
]);

const TOOL_CHOICE: Fields = &[
    ("type", Rule::Word(&["auto", "any", "tool", "none"])),
    ("name", Rule::Text),
    ("disable_parallel_tool_use", Rule::Text),
];

const THINKING: Fields = &[
    (
        "type",
        Rule::Word(&["enabled", "disabled", "adaptive", "between_tools"]),
    ),
    ("budget_tokens", Rule::Text),
    ("display", Rule::Word(&["summarized", "omitted"])),
];

/// Tools of the client, and of the provider, whose types carry a date. What the provider fetches
/// from the web reaches the model before it passes through here.
fn tool(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    let kind = value.get("type").and_then(Value::as_str);
    if kind.is_some_and(|kind| kind.starts_with("web_")) {
        walk.gap(Reason::Remote);
    }
    walk.follow(&TOOL, value)
}

const TOOL: Rule = Rule::Object(&[
    ("type", Rule::Ident),
    ("name", Rule::Text),
    ("description", Rule::Text),
    ("input_schema", Rule::Schema),
    ("input_examples", Rule::Text),
    ("strict", Rule::Text),
    ("defer_loading", Rule::Text),
    ("allowed_callers", Rule::List(&Rule::Ident)),
    ("max_uses", Rule::Text),
    ("allowed_domains", Rule::Text),
    ("blocked_domains", Rule::Text),
    ("user_location", Rule::On(Surface::User, &USER_LOCATION)),
    ("url_sources", URL_SOURCES),
    ("response_inclusion", Rule::Word(&["full", "excluded"])),
    ("citations", Rule::Object(&[("enabled", Rule::Text)])),
    ("max_content_tokens", Rule::Text),
    ("display_width_px", Rule::Text),
    ("display_height_px", Rule::Text),
    ("display_number", Rule::Text),
    ("mcp_server_name", Rule::Text),
    ("cache_control", blocks::CACHE_CONTROL),
]);

const USER_LOCATION: Rule = Rule::Object(&[
    ("type", Rule::Word(&["approximate"])),
    ("city", Rule::Text),
    ("country", Rule::Text),
    ("region", Rule::Text),
    ("timezone", Rule::Ident),
]);

/// From which texts of a conversation addresses may be fetched.
const URL_SOURCES: Rule = Rule::Object(&[
    ("user_input", URL_SOURCE),
    ("client_tool_results", URL_SOURCE),
    ("server_tool_results", URL_SOURCE),
]);

const URL_SOURCE: Rule = Rule::Object(&[
    ("type", Rule::Word(&["all", "none", "only", "except"])),
    (
        "tools",
        Rule::List(&Rule::Object(&[
            ("type", Rule::Word(&["tool_reference"])),
            ("name", Rule::Text),
        ])),
    ),
]);

const CONTEXT_EDIT: Rule = Rule::Object(&[
    ("type", Rule::Ident),
    (
        "trigger",
        Rule::Object(&[("type", Rule::Ident), ("value", Rule::Text)]),
    ),
    ("keep", Rule::With(keep)),
    (
        "clear_at_least",
        Rule::Object(&[("type", Rule::Ident), ("value", Rule::Text)]),
    ),
    ("exclude_tools", Rule::Text),
    ("clear_tool_inputs", Rule::Text),
    ("instructions", Rule::Text),
    ("pause_after_compaction", Rule::Text),
]);

fn keep(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    if value.is_string() {
        return walk.follow(&Rule::Word(&["all"]), value);
    }
    walk.follow(
        &Rule::Object(&[("type", Rule::Ident), ("value", Rule::Text)]),
        value,
    )
}

/// Tools that the provider calls on its own: what they answer does not pass through here.
const MCP_SERVER: Rule = Rule::With(mcp_server);

fn mcp_server(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    walk.gap(Reason::Remote);
    walk.follow(
        &Rule::Object(&[
            ("type", Rule::Word(&["url"])),
            ("url", Rule::Text),
            ("name", Rule::Text),
            // A credential: it authorises and is not read by a model.
            ("authorization_token", Rule::With(credential)),
            ("tool_configuration", Rule::Text),
        ]),
        value,
    )
}

/// A token in the form that bearer tokens have; anything else is text.
fn credential(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    let is_token = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    match value.as_str() {
        Some(text) if is_token(&text) => Ok(()),
        _ => walk.everything(value),
    }
}

/// A container of the provider's, with whatever files lie in it.
fn container(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    if value.is_null() {
        return Ok(());
    }
    walk.gap(Reason::Remote);
    if value.is_string() {
        return walk.follow(&Rule::Ident, value);
    }
    walk.follow(
        &Rule::Object(&[
            ("id", Rule::Ident),
            (
                "skills",
                Rule::List(&Rule::Object(&[
                    ("type", Rule::Word(&["anthropic", "custom"])),
                    ("skill_id", Rule::Ident),
                    ("version", Rule::Ident),
                ])),
            ),
        ]),
        value,
    )
}
