//! Nothing is left out: every string of a body is in a part, or has the form of an identifier, or
//! is reported as unscreened.

use crate::leaves::{Document, Leaf, Step};
use portcullis_protocol::{Part, PartKind, Reason, Unscreened};
use serde_json::Value;
use std::collections::HashMap;
use std::ops::Range;

/// Fields in which text stands that a person or a model wrote: there even a string in the form of
/// an identifier has to be listed.
const TEXT_FIELDS: [&str; 8] = [
    "content",
    "text",
    "arguments",
    "description",
    "refusal",
    "reasoning_content",
    "thinking",
    "cited_text",
];

/// Fields of counts and short words, where identifiers are left out whatever they are called.
const COUNTS: [&str; 8] = [
    "usage",
    "moderation",
    "diagnostics",
    "skills",
    "content_filter_results",
    "prompt_filter_results",
    "context_management",
    "logprobs",
];

/// Words of the dialects that have five pieces and are left out all the same.
const LONG_WORDS: [&str; 16] = [
    "http://json-schema.org/draft-07/schema#",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
    "web_search_tool_result_error",
    "web_fetch_tool_result_error",
    "code_execution_tool_result_error",
    "bash_code_execution_tool_result",
    "bash_code_execution_tool_result_error",
    "text_editor_code_execution_view_result",
    "text_editor_code_execution_create_result",
    "text_editor_code_execution_str_replace_result",
    "text_editor_code_execution_tool_result",
    "text_editor_code_execution_tool_result_error",
    "tool_search_tool_search_result",
    "tool_search_tool_result_error",
];

/// Keywords of JSON schemas that have not the form of an identifier.
const SCHEMA_KEYWORDS: [&str; 6] = ["$ref", "$id", "$anchor", "$comment", "$defs", "$schema"];

/// Holds the parts of a body against an independent reading of it.
///
/// # Panics
/// When a string is missing from the parts, or a part does not say what stands in the body.
pub fn check(document: &Document, parts: &[Part], unscreened: &[Unscreened]) {
    let mut listed: HashMap<(usize, usize), &Part> = HashMap::new();
    for part in parts {
        if part.kind != PartKind::Key {
            listed.insert((part.literal.start, part.literal.end), part);
        }
    }
    for leaf in &document.leaves {
        if leaf.is_key {
            check_key(leaf, parts);
            continue;
        }
        if leaf.text.is_empty() {
            continue;
        }
        match listed.get(&(leaf.span.start, leaf.span.end)) {
            Some(part) => check_content(leaf, part),
            None => assert!(
                in_logprobs(leaf, parts) || may_be_left_out(leaf) || is_excused(leaf, unscreened),
                "a string is in no part: {} at {}",
                leaf.text.escape_debug(),
                pointer(leaf)
            ),
        }
    }
}

fn check_content(leaf: &Leaf, part: &Part) {
    let content = part.content.expose();
    if part.kind != PartKind::Arguments {
        assert_eq!(content, leaf.text, "a part differs from its literal");
        return;
    }
    if !leaf.text.contains('\\') {
        assert_eq!(content, leaf.text, "arguments differ from their literal");
        return;
    }
    let Ok(inner) = serde_json::from_str::<Value>(&leaf.text) else {
        return;
    };
    // What the tool will read has to stand in the part, but for quotes and backslashes.
    strings(&inner, &mut |text| {
        assert!(
            text.contains(['"', '\\']) || content.contains(text),
            "arguments hide {}",
            text.escape_debug()
        );
    });
}

/// Every string of a value, keys too.
pub fn strings(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, each)),
        Value::Object(members) => {
            for (key, value) in members {
                each(key);
                strings(value, each);
            }
        }
        _ => {}
    }
}

fn check_key(leaf: &Leaf, parts: &[Part]) {
    let key = leaf.text.as_str();
    let says_nothing = key
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'\n');
    let in_part = |part: &Part| {
        matches!(part.kind, PartKind::Key | PartKind::Logprobs)
            && part.content.expose().contains(key)
    };
    let is_spared = is_identifier(key) || SCHEMA_KEYWORDS.contains(&key) || says_nothing;
    assert!(
        is_spared || parts.iter().any(in_part),
        "a key is in no part: {} in {}",
        key.escape_debug(),
        pointer(leaf)
    );
}

fn may_be_left_out(leaf: &Leaf) -> bool {
    let is_text = TEXT_FIELDS.contains(&leaf.name()) && !leaf.is_below(&COUNTS);
    has_spared_form(leaf) && !is_text
}

/// Whether it has the form of an identifier, names a model, or is a word of a dialect.
#[must_use]
pub fn has_spared_form(leaf: &Leaf) -> bool {
    let is_model = leaf.name() == "model" && is_name(&leaf.text);
    let is_word = LONG_WORDS.contains(&leaf.text.as_str());
    is_identifier(&leaf.text) || is_model || is_word
}

/// Whether the tokens of an answer say it.
fn in_logprobs(leaf: &Leaf, parts: &[Part]) -> bool {
    let holds = |part: &&Part| part.kind == PartKind::Logprobs && encloses(&part.literal, leaf);
    let mut around = parts.iter().filter(holds);
    around.any(|part| part.content.expose().contains(&leaf.text))
}

fn encloses(outer: &Range<usize>, leaf: &Leaf) -> bool {
    outer.start <= leaf.span.start && leaf.span.end <= outer.end
}

/// Whether it is reported as unscreened, or has the form of what says nothing by itself.
fn is_excused(leaf: &Leaf, unscreened: &[Unscreened]) -> bool {
    let is_token = || leaf.text.bytes().all(|byte| byte.is_ascii_graphic());
    match leaf.name() {
        "signature" if is_opaque(&leaf.text) => return true,
        "authorization_token" if is_token() => return true,
        _ => {}
    }
    let place = pointer(leaf);
    let parent = place.rfind('/').map_or("", |at| &place[..at]);
    unscreened.iter().any(|gap| {
        let is_near = is_at_or_below(&place, &gap.path) || is_at_or_below(&gap.path, parent);
        match gap.reason {
            Reason::Unknown | Reason::Numbers => false,
            Reason::File if gap.path == place => is_bytes(&leaf.text) || is_address(&leaf.text),
            _ => is_near && is_bytes(&leaf.text),
        }
    })
}

fn is_at_or_below(place: &str, above: &str) -> bool {
    place
        .strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Base64, or a `data:` address that ends in it.
#[must_use]
pub fn is_bytes(text: &str) -> bool {
    let inner = text.split_once(";base64,").filter(|_| is_address(text));
    is_base64(inner.map_or(text, |(_, inner)| inner))
}

/// Whether it holds its data itself.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let starts = text.trim_start().get(..5);
    starts.is_some_and(|start| start.eq_ignore_ascii_case("data:"))
}

fn is_base64(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_\r\n".contains(&byte);
    text.bytes().all(allowed)
}

/// Base64 in which no five words of one case follow each other.
#[must_use]
pub fn is_opaque(text: &str) -> bool {
    let is_plain = |word: &str| {
        let tail = word.get(1..).unwrap_or_default();
        let is_lower = tail.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_upper = word.bytes().all(|byte| byte.is_ascii_uppercase());
        is_upper || (is_lower && word.starts_with(|c: char| c.is_ascii_alphabetic()))
    };
    is_base64(text) && !is_sentence(text, is_plain)
}

/// The form of a name: no white space, ASCII, short.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/@+=#".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(allowed)
}

/// The form of an identifier: a name in which no five words follow each other.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    let is_word = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_name(text) && !is_sentence(text, is_word)
}

fn is_sentence(text: &str, is_word: impl Fn(&str) -> bool) -> bool {
    let words: Vec<bool> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(is_word)
        .collect();
    words
        .windows(5)
        .any(|run| run.iter().all(|is_word| *is_word))
}

/// The place as the gate writes it: keys that may be text are named by their byte.
fn pointer(leaf: &Leaf) -> String {
    let steps = leaf.path.iter().map(|step| match step {
        Step::Key(key, _) if is_identifier(key) && key.len() <= 40 => format!("/{key}"),
        Step::Key(_, at) => format!("/*{at}"),
        Step::Item(idx) => format!("/{idx}"),
    });
    steps.collect()
}
