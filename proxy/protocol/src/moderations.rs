//! `/v1/moderations`: answered by us in OpenAI's shape.

use crate::exchange::{ParseRules, Part, PartKind, Reason, Unscreened};
use crate::json::{self, Kind, Value};
use crate::walk::{Fields, Rule, Step, Walk};
use crate::{ParseError, media, read};
use bytes::Bytes;
use portcullis_text::{Content, Surface};
use serde_json::json;

/// The names of OpenAI's categories, in its order.
pub const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// What is to be moderated: one part for each result.
#[derive(Clone, Debug)]
pub struct ModerationRequest {
    /// The texts, one for each result. The text parts of one multi-modal input are joined.
    pub parts: Vec<Part>,
    /// The model asked for.
    pub model: Option<String>,
    /// What is in the request and not in `parts`.
    pub unscreened: Vec<Unscreened>,
}

/// The verdict on one input.
#[derive(Clone, Debug, PartialEq)]
pub struct ModerationResult {
    /// Whether any category is hit.
    pub flagged: bool,
    /// Name, score and hit of each of the categories.
    pub categories: Vec<(&'static str, f32, bool)>,
}

/// Reads a request: `input` is a string, a list of strings, or one list of text and image parts.
///
/// # Errors
/// The body is not strict JSON or has no readable `input`.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a body is handed over, as to `Dialect::parse`"
)]
pub fn parse(body: Bytes, rules: &ParseRules) -> Result<ModerationRequest, ParseError> {
    let document = json::parse(&body, rules.depth)?;
    let root = read::object(document.root(), "the body")?;
    let wrong = || {
        ParseError::Shape(
            "`input` must be a string, a list of strings, or a list of text and image parts".into(),
        )
    };
    let input = root.get("input").ok_or_else(wrong)?;
    let mut walk = Walk::request(rules);
    walk.surface = Surface::User;
    walk.at(Step::Field("input"), |walk| {
        let is_parts = input.items().any(|item| item.kind() == Kind::Object);
        match input.kind() {
            Kind::String(_) => read_text(walk, input),
            Kind::Array if is_parts => read_parts(walk, input),
            Kind::Array if input.has_any() && input.items().all(Value::is_string) => {
                walk.list(input, read_text)
            }
            _ => Err(wrong()),
        }
    })?;
    let (parts, unscreened, model) = (walk.parts, walk.unscreened, read::string(root, "model"));
    Ok(ModerationRequest {
        parts,
        model,
        unscreened,
    })
}

/// One input is one part, even when it is empty: it has a result of its own.
fn read_text(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    let text = value.as_str().unwrap_or_default();
    walk.push(PartKind::Text, value, Content::from(&*text))
}

fn read_parts(walk: &mut Walk, input: Value<'_>) -> Result<(), ParseError> {
    let mut inner = Walk::request(&walk.rules);
    inner.surface = Surface::User;
    inner.at(Step::Field("input"), |inner| {
        inner.list(input, |inner, part| {
            let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
            match &*kind {
                "text" => inner.follow(&Rule::Object(TEXT), part),
                "image_url" => inner.follow(&Rule::Object(IMAGE), part),
                _ => inner.unknown_part(part),
            }
        })
    })?;
    let texts: Vec<&str> = inner
        .parts
        .iter()
        .map(|part| part.content.expose())
        .collect();
    walk.push(PartKind::Seam, input, Content::from(texts.join("\n")))?;
    if let Some(joined) = walk.parts.last_mut() {
        joined.editable = false;
    }
    walk.unscreened.append(&mut inner.unscreened);
    Ok(())
}

const TEXT: Fields = &[
    ("type", Rule::Word(&["text"])),
    ("text", Rule::Of(PartKind::Text)),
];

const IMAGE: Fields = &[
    ("type", Rule::Word(&["image_url"])),
    (
        "image_url",
        Rule::Object(&[("url", Rule::With(media::image_url))]),
    ),
];

impl ModerationRequest {
    /// Whether the input holds a picture, which was not looked at.
    #[must_use]
    pub fn has_images(&self) -> bool {
        self.unscreened
            .iter()
            .any(|gap| gap.reason == Reason::Image)
    }
}

/// Writes the answer. Only text was looked at, and `category_applied_input_types` says so.
#[must_use]
pub fn reply(id: &str, model: &str, results: &[ModerationResult]) -> Bytes {
    let results: Vec<serde_json::Value> = results.iter().map(result).collect();
    Bytes::from(json!({"id": id, "model": model, "results": results}).to_string())
}

fn result(result: &ModerationResult) -> serde_json::Value {
    let mut categories = serde_json::Map::new();
    let mut scores = serde_json::Map::new();
    let mut applied = serde_json::Map::new();
    for name in CATEGORIES {
        let known = result
            .categories
            .iter()
            .find(|(known, _, _)| *known == name);
        let (score, is_hit) = known.map_or((0.0, false), |(_, score, is_hit)| (*score, *is_hit));
        categories.insert(name.to_owned(), json!(is_hit));
        scores.insert(name.to_owned(), json!(score));
        applied.insert(
            name.to_owned(),
            if known.is_some() {
                json!(["text"])
            } else {
                json!([])
            },
        );
    }
    json!({
        "flagged": result.flagged,
        "categories": categories,
        "category_scores": scores,
        "category_applied_input_types": applied,
    })
}
