//! Whole answers of a chat completion.

use super::parts;
use crate::completion::Completion;
use crate::exchange::{PartKind, Reason};
use crate::json::{self, Document, Kind, Value};
use crate::walk::{Fields, Rule, Step, Walk};
use crate::{ParseError, media, read};
use bytes::Bytes;
use portcullis_text::{Content, Surface};

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
    let list = read::required_list(root, "choices")?;
    let mut walk = Walk::answer(depth);
    let mut choices = Vec::new();
    for (key, value) in root.members() {
        if !key.is("choices") {
            walk.field(FIELDS, key, value)?;
            continue;
        }
        walk.at(Step::Field("choices"), |walk| {
            walk.list(list, |walk, choice| {
                choices.push(read_choice(walk, choice, choices.len())?);
                Ok(())
            })
        })?;
    }
    Ok(Completion::new(walk.parts, choices, walk.unscreened))
}

/// Number of a choice, and whether it calls a tool.
fn read_choice(
    walk: &mut Walk,
    choice: Value<'_>,
    place: usize,
) -> Result<(u32, bool), ParseError> {
    let choice = read::object(choice, walk.path())?;
    let index = choice
        .get("index")
        .and_then(Value::as_u32)
        .unwrap_or(place as u32);
    walk.choice = Some(index);
    walk.follow(&Rule::Object(CHOICE), choice)?;
    walk.choice = None;
    let message = choice.get("message");
    let calls = ["tool_calls", "function_call"];
    let tools = calls.iter().any(|name| {
        message
            .and_then(|message| message.get(name))
            .is_some_and(Value::has_any)
    });
    Ok((index, tools))
}

pub(super) const FIELDS: Fields = &[
    ("choices", Rule::Text),
    ("id", Rule::Ident),
    ("object", Rule::Ident),
    ("created", Rule::Text),
    ("model", Rule::Ident),
    ("service_tier", Rule::Ident),
    ("system_fingerprint", Rule::Ident),
    ("provider", Rule::Ident),
    ("usage", Rule::Counts),
    ("prompt_filter_results", Rule::Counts),
];

const CHOICE: Fields = &[
    ("index", Rule::Text),
    ("message", Rule::Object(MESSAGE)),
    ("finish_reason", Rule::Ident),
    ("native_finish_reason", Rule::Ident),
    ("stop_reason", Rule::Text),
    ("content_filter_results", Rule::Counts),
    ("logprobs", Rule::With(logprobs)),
];

const MESSAGE: Fields = &[
    ("role", Rule::Word(&["assistant"])),
    ("content", Rule::With(parts::content)),
    ("refusal", Rule::Of(PartKind::Refusal)),
    (
        "reasoning_content",
        Rule::On(Surface::Reasoning, &Rule::Text),
    ),
    ("reasoning", Rule::On(Surface::Reasoning, &Rule::Text)),
    (
        "reasoning_details",
        Rule::On(Surface::Reasoning, &parts::REASONING_DETAILS),
    ),
    ("tool_calls", Rule::With(parts::tool_calls)),
    ("function_call", Rule::With(parts::function_call)),
    ("audio", Rule::Object(AUDIO)),
    ("annotations", Rule::List(&Rule::Object(ANNOTATION))),
];

const AUDIO: Fields = &[
    ("id", Rule::Ident),
    ("data", Rule::With(media::audio)),
    ("expires_at", Rule::Text),
    ("transcript", Rule::Text),
];

const ANNOTATION: Fields = &[
    ("type", Rule::Word(&["url_citation"])),
    (
        "url_citation",
        Rule::Object(&[
            ("url", Rule::Text),
            ("title", Rule::Text),
            ("start_index", Rule::Text),
            ("end_index", Rule::Text),
        ]),
    ),
];

/// The tokens of an answer beside its text: they say the same, so they are screened, and they are
/// taken out altogether where they would have to be changed.
fn logprobs(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    if value.is_string() || value.kind() == Kind::Array {
        return walk.everything(value);
    }
    let tokens = Tokens::of(value);
    if tokens.alternatives {
        walk.gap(Reason::Alternatives);
    }
    if !tokens.joined.is_empty() {
        walk.push(PartKind::Logprobs, value, Content::from(tokens.joined))?;
    }
    if tokens.other.is_empty() {
        return Ok(());
    }
    walk.push(PartKind::Logprobs, value, Content::from(tokens.other))
}

/// What stands in a `logprobs` object.
#[derive(Default)]
pub(super) struct Tokens {
    /// The chosen tokens of each list, joined.
    pub(super) joined: String,
    /// Every other string but the alternatives.
    pub(super) other: String,
    /// Whether there are tokens that were not chosen.
    pub(super) alternatives: bool,
}

impl Tokens {
    pub(super) fn of(logprobs: Value<'_>) -> Self {
        let mut tokens = Self::default();
        for (key, list) in logprobs.members() {
            if !tokens.joined.is_empty() {
                tokens.joined.push('\n');
            }
            match (key.is("content") || key.is("refusal"), list.kind()) {
                (true, Kind::Array) => list.items().for_each(|item| tokens.take(item)),
                _ => tokens.take_other(list),
            }
        }
        tokens
    }

    fn take(&mut self, item: Value<'_>) {
        if item.kind() != Kind::Object {
            return self.take_other(item);
        }
        for (key, value) in item.members() {
            match (&*key.as_str().unwrap_or_default(), value.as_str()) {
                ("token", Some(token)) => self.joined.push_str(&token),
                ("top_logprobs", _) => self.alternatives |= differs(item, value),
                _ => self.take_other(value),
            }
        }
    }

    fn take_other(&mut self, value: Value<'_>) {
        for text in value.strings().filter_map(Value::as_str) {
            self.other.push_str(&text);
            self.other.push('\n');
        }
    }
}

/// Whether alternatives say anything but the chosen token.
fn differs(item: Value<'_>, alternatives: Value<'_>) -> bool {
    let chosen = item
        .get("token")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let known = ["token", "logprob", "bytes", "top_logprobs"];
    let mut strings = alternatives.strings().filter_map(Value::as_str);
    strings.any(|text| text != chosen && !known.contains(&&*text))
}
