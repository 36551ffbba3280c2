//! Content blocks, which requests and answers share.

use crate::ParseError;
use crate::exchange::{PartKind, Reason};
use crate::json::{Kind, Value};
use crate::media;
use crate::walk::{Fields, Rule, Walk};
use portcullis_text::Surface;

/// `content` of a message, of a tool's result or of a document: a string, or blocks.
pub(crate) fn content(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    match value.kind() {
        Kind::String(_) | Kind::Null => walk.follow(&Rule::Of(PartKind::Text), value),
        _ => walk.list(value, block),
    }
}

/// One content block.
pub(crate) fn block(walk: &mut Walk, block: Value<'_>) -> Result<(), ParseError> {
    if block.is_string() {
        return walk.follow(&Rule::Of(PartKind::Text), block);
    }
    let kind = block
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if &*kind == "text" {
        return walk.follow(&Rule::Object(TEXT), block);
    }
    walk.plain = false;
    match &*kind {
        "thinking" => walk.on(reasoning(walk), |walk| {
            walk.follow(&Rule::Object(THINKING), block)
        }),
        "redacted_thinking" => walk.follow(&Rule::Object(REDACTED), block),
        "tool_use" | "server_tool_use" | "mcp_tool_use" => walk.on(Surface::ToolCall, |walk| {
            walk.follow(&Rule::Object(TOOL_USE), block)
        }),
        "image" => walk.follow(&Rule::Object(IMAGE), block),
        "document" => walk.on(document(walk), |walk| {
            walk.follow(&Rule::Object(DOCUMENT), block)
        }),
        "search_result" => walk.on(document(walk), |walk| {
            walk.follow(&Rule::Object(SEARCH_RESULT), block)
        }),
        "tool_result" | "mcp_tool_result" => walk.on(result(walk), |walk| {
            walk.follow(&Rule::Object(TOOL_RESULT), block)
        }),
        "tool_reference" => walk.follow(&TOOL_REFERENCE, block),
        "browser_state" => walk.on(result(walk), |walk| {
            walk.follow(&Rule::Object(BROWSER_STATE), block)
        }),
        "container_upload" => {
            walk.gap_by_rule(Reason::File, "a file")?;
            walk.follow(
                &Rule::Object(&[
                    ("type", Rule::Word(&["container_upload"])),
                    ("file_id", Rule::Ident),
                    ("cache_control", CACHE_CONTROL),
                ]),
                block,
            )
        }
        "compaction" => walk.follow(&Rule::Object(COMPACTION), block),
        kind if SERVER_RESULTS.contains(&kind) => walk.on(result(walk), |walk| {
            walk.follow(&Rule::Object(SERVER_RESULT), block)
        }),
        _ => walk.unknown_part(block),
    }
}

const fn reasoning(walk: &Walk) -> Surface {
    if walk.is_answer {
        Surface::Reasoning
    } else {
        walk.surface
    }
}

/// Where a document's text stands: in an answer the person reads it.
const fn document(walk: &Walk) -> Surface {
    match (walk.is_answer, walk.surface) {
        (true, _) => Surface::Completion,
        (false, Surface::ToolResult) => Surface::ToolResult,
        (false, _) => Surface::Document,
    }
}

const fn result(walk: &Walk) -> Surface {
    if walk.is_answer {
        Surface::Completion
    } else {
        Surface::ToolResult
    }
}

/// Results of tools that the provider runs.
const SERVER_RESULTS: &[&str] = &[
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
];

pub(crate) const CACHE_CONTROL: Rule = Rule::Object(&[
    ("type", Rule::Word(&["ephemeral"])),
    ("ttl", Rule::Word(&["5m", "1h"])),
    ("scope", Rule::Ident),
]);

const TEXT: Fields = &[
    ("type", Rule::Word(&["text"])),
    ("text", Rule::Of(PartKind::Text)),
    ("cache_control", CACHE_CONTROL),
    ("citations", Rule::With(citations)),
];

/// What a citation quotes is of a document, even where the operator's text cites it.
fn citations(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    let surface = match walk.surface {
        Surface::System => Surface::Document,
        other => other,
    };
    walk.on(surface, |walk| walk.follow(&Rule::List(&CITATION), value))
}

/// What a citation quotes. The text stands elsewhere too, but a client may show it from here.
pub(crate) const CITATION: Rule = Rule::Object(&[
    (
        "type",
        Rule::Word(&[
            "char_location",
            "page_location",
            "content_block_location",
            "web_search_result_location",
            "search_result_location",
        ]),
    ),
    ("cited_text", Rule::Text),
    ("document_title", Rule::Text),
    ("title", Rule::Text),
    ("url", Rule::Text),
    ("source", Rule::Text),
    ("file_id", Rule::Ident),
    ("encrypted_index", Rule::Gap(Reason::Opaque)),
]);

const THINKING: Fields = &[
    ("type", Rule::Word(&["thinking"])),
    ("thinking", Rule::Text),
    ("signature", Rule::With(media::signature)),
];

const REDACTED: Fields = &[
    ("type", Rule::Word(&["redacted_thinking"])),
    ("data", Rule::Gap(Reason::Opaque)),
];

const TOOL_USE: Fields = &[
    (
        "type",
        Rule::Word(&["tool_use", "server_tool_use", "mcp_tool_use"]),
    ),
    ("id", Rule::Ident),
    ("name", Rule::Text),
    ("server_name", Rule::Text),
    ("toolset_name", Rule::Text),
    ("input", Rule::Text),
    ("caller", CALLER),
    ("cache_control", CACHE_CONTROL),
];

/// Who called a tool: the model, or code that it runs.
const CALLER: Rule = Rule::Object(&[("type", Rule::Ident), ("tool_id", Rule::Ident)]);

const TOOL_REFERENCE: Rule = Rule::Object(&[
    ("type", Rule::Word(&["tool_reference"])),
    ("tool_name", Rule::Text),
    ("cache_control", CACHE_CONTROL),
]);

/// What a browser shows after a call: the provider writes text for the model from it.
const BROWSER_STATE: Fields = &[
    ("type", Rule::Word(&["browser_state"])),
    (
        "tabs",
        Rule::List(&Rule::Object(&[
            ("tab_id", Rule::Ident),
            ("title", Rule::Text),
            ("url", Rule::Text),
            ("active", Rule::Text),
        ])),
    ),
    (
        "state_changes",
        Rule::List(&Rule::Object(&[
            ("type", Rule::Ident),
            ("tab_id", Rule::Ident),
            ("download_id", Rule::Ident),
            ("path", Rule::Text),
            ("url", Rule::Text),
            ("error", Rule::Text),
        ])),
    ),
    ("cache_control", CACHE_CONTROL),
];

const TOOL_RESULT: Fields = &[
    ("type", Rule::Word(&["tool_result", "mcp_tool_result"])),
    ("tool_use_id", Rule::Ident),
    ("content", Rule::With(content)),
    ("is_error", Rule::Text),
    ("cache_control", CACHE_CONTROL),
];

const IMAGE: Fields = &[
    ("type", Rule::Word(&["image"])),
    ("source", Rule::With(image_source)),
    (
        "transformations",
        Rule::Object(&[("oversized_image", Rule::Word(&["downsize", "error"]))]),
    ),
    ("cache_control", CACHE_CONTROL),
];

fn image_source(walk: &mut Walk, source: Value<'_>) -> Result<(), ParseError> {
    let media_type = source.get("media_type").and_then(Value::as_str);
    let is_image = media_type.is_none_or(|kind| kind.starts_with("image/"));
    let is_address = source.get("url").is_some_and(Value::is_string);
    if !is_image {
        walk.gap_by_rule(Reason::File, "inline data that is no image")?;
    } else if !is_address {
        walk.gap_by_rule(Reason::Image, "an image")?;
    }
    walk.follow(
        &Rule::Object(&[
            ("type", Rule::Word(&["base64", "url", "file"])),
            ("media_type", Rule::Ident),
            ("data", Rule::With(media::base64)),
            ("url", Rule::With(media::image_url)),
            ("file_id", Rule::Ident),
        ]),
        source,
    )
}

const DOCUMENT: Fields = &[
    ("type", Rule::Word(&["document"])),
    ("source", Rule::With(document_source)),
    ("title", Rule::Text),
    ("context", Rule::Text),
    ("citations", Rule::Object(&[("enabled", Rule::Text)])),
    ("cache_control", CACHE_CONTROL),
];

fn document_source(walk: &mut Walk, source: Value<'_>) -> Result<(), ParseError> {
    let kind = source
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match &*kind {
        "text" => walk.follow(
            &Rule::Object(&[
                ("type", Rule::Word(&["text"])),
                ("media_type", Rule::Word(&["text/plain"])),
                ("data", Rule::Of(PartKind::Text)),
            ]),
            source,
        ),
        "content" => walk.follow(
            &Rule::Object(&[
                ("type", Rule::Word(&["content"])),
                ("content", Rule::With(content)),
            ]),
            source,
        ),
        _ => {
            walk.gap_by_rule(Reason::File, "a document that is not plain text")?;
            walk.follow(
                &Rule::Object(&[
                    ("type", Rule::Word(&["base64", "url", "file"])),
                    ("media_type", Rule::Ident),
                    ("data", Rule::With(media::base64)),
                    ("url", Rule::Text),
                    ("file_id", Rule::Ident),
                ]),
                source,
            )
        }
    }
}

const SEARCH_RESULT: Fields = &[
    ("type", Rule::Word(&["search_result"])),
    ("source", Rule::Text),
    ("title", Rule::Text),
    ("content", Rule::With(content)),
    ("citations", Rule::Object(&[("enabled", Rule::Text)])),
    ("cache_control", CACHE_CONTROL),
];

const COMPACTION: Fields = &[
    ("type", Rule::Word(&["compaction"])),
    ("content", Rule::Of(PartKind::Text)),
    ("cache_control", CACHE_CONTROL),
];

const SERVER_RESULT: Fields = &[
    ("type", Rule::Word(SERVER_RESULTS)),
    ("tool_use_id", Rule::Ident),
    ("content", Rule::With(server_content)),
    ("caller", CALLER),
    ("cache_control", CACHE_CONTROL),
];

/// What a provider's tool gave: a list of results, one result, or an error.
fn server_content(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    walk.list(value, |walk, item| {
        walk.follow(&Rule::Object(SERVER_ITEM), item)
    })
}

/// What such a result says it is.
const SERVER_ITEMS: &[&str] = &[
    "web_search_result",
    "web_search_tool_result_error",
    "web_fetch_result",
    "web_fetch_tool_result_error",
    "code_execution_result",
    "encrypted_code_execution_result",
    "code_execution_tool_result_error",
    "bash_code_execution_result",
    "bash_code_execution_tool_result_error",
    "text_editor_code_execution_view_result",
    "text_editor_code_execution_create_result",
    "text_editor_code_execution_str_replace_result",
    "text_editor_code_execution_tool_result_error",
    "tool_search_tool_search_result",
    "tool_search_tool_result_error",
];

const ERROR_CODES: &[&str] = &[
    "content_too_large",
    "execution_time_exceeded",
    "file_not_found",
    "invalid_tool_input",
    "max_uses_exceeded",
    "output_file_too_large",
    "query_too_long",
    "request_too_large",
    "too_many_requests",
    "unavailable",
    "unsupported_content_type",
    "url_not_accessible",
    "url_not_allowed",
    "url_not_in_prior_context",
    "url_too_long",
];

const SERVER_ITEM: Fields = &[
    ("type", Rule::Word(SERVER_ITEMS)),
    ("title", Rule::Text),
    ("url", Rule::Text),
    ("page_age", Rule::Text),
    ("encrypted_content", Rule::Gap(Reason::Opaque)),
    ("encrypted_stdout", Rule::Gap(Reason::Opaque)),
    ("error_code", Rule::Word(ERROR_CODES)),
    ("file_id", Rule::Ident),
    ("file_type", Rule::Word(&["text", "image", "pdf"])),
    ("retrieved_at", Rule::Text),
    ("tool_references", Rule::List(&TOOL_REFERENCE)),
    ("content", Rule::With(inner_content)),
];

/// A fetched document, files that code wrote, or text.
fn inner_content(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    if value.is_string() {
        return walk.everything(value);
    }
    walk.list(value, |walk, item| {
        let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
        if &*kind == "document" {
            block(walk, item)
        } else {
            walk.follow(&Rule::Object(SERVER_FILE), item)
        }
    })
}

const SERVER_FILE: Fields = &[("type", Rule::Ident), ("file_id", Rule::Ident)];
