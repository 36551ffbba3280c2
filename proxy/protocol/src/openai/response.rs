//! Whole answers of a chat completion.

use super::parts;
use crate::completion::Completion;
use crate::exchange::{PartKind, Reason};
use crate::form::{holds_many_numbers, is_identifier};
use crate::json::{self, Document, Kind, Value};
use crate::walk::{Fields, Rule, Step, Walk};
use crate::{ParseError, media, read};
use bytes::Bytes;
use portcullis_text::{Content, Surface};
use std::borrow::Cow;

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
    ("model", Rule::Name),
    // What the provider's own moderation says of the exchange.
    ("moderation", Rule::Counts),
    ("metadata", Rule::Text),
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
    tokens.gaps().for_each(|reason| walk.gap(reason));
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
    /// Every other string, with the tokens that were not chosen.
    pub(super) other: String,
    /// Whether there are numbers that are no bytes of text.
    numbers: bool,
}

impl Tokens {
    pub(super) fn of(logprobs: Value<'_>) -> Self {
        let mut tokens = Self::default();
        for (key, list) in logprobs.members() {
            if !tokens.joined.is_empty() {
                tokens.joined.push('\n');
            }
            match (key.is("content") || key.is("refusal"), list.kind()) {
                (true, Kind::Array) => tokens.take_list(list),
                _ => tokens.take_unknown(key, list),
            }
        }
        tokens
    }

    /// What of it cannot be screened.
    pub(super) fn gaps(&self) -> impl Iterator<Item = Reason> {
        self.numbers.then_some(Reason::Numbers).into_iter()
    }

    /// A client can put the answer together from the tokens or from their bytes, so where the two
    /// differ both are screened. They do where a character is cut in two.
    fn take_list(&mut self, list: Value<'_>) {
        let start = self.joined.len();
        let mut bytes = Vec::new();
        for item in list.items() {
            self.take(item, &mut bytes);
        }
        if bytes != self.joined.as_bytes()[start..] {
            self.other.push_str(&String::from_utf8_lossy(&bytes));
            self.other.push('\n');
        }
    }

    fn take(&mut self, item: Value<'_>, bytes: &mut Vec<u8>) {
        if item.kind() != Kind::Object {
            return self.take_other(item);
        }
        let chosen = token(item);
        let own = item.get("bytes").and_then(|value| self.bytes_of(value));
        bytes.extend(own.as_deref().unwrap_or(chosen.as_bytes()));
        for (key, value) in item.members() {
            match &*key.as_str().unwrap_or_default() {
                "token" if value.is_string() => self.joined.push_str(&chosen),
                "bytes" | "logprob" => self.take_other(value),
                "top_logprobs" if value.kind() == Kind::Array => {
                    value
                        .items()
                        .for_each(|item| self.take_alternative(&chosen, item));
                }
                _ => self.take_unknown(key, value),
            }
        }
    }

    /// One of the tokens that might have been chosen; often the chosen one is among them.
    fn take_alternative(&mut self, chosen: &str, item: Value<'_>) {
        if item.kind() != Kind::Object {
            return self.take_other(item);
        }
        let own = token(item);
        let bytes = item.get("bytes").and_then(|value| self.bytes_of(value));
        let bytes = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        for text in [Some(own.into_owned()), bytes].into_iter().flatten() {
            if text != chosen {
                self.other.push_str(&text);
                self.other.push('\n');
            }
        }
        for (key, value) in item.members() {
            match &*key.as_str().unwrap_or_default() {
                "token" if value.is_string() => {}
                "bytes" | "logprob" => self.take_other(value),
                _ => self.take_unknown(key, value),
            }
        }
    }

    /// The bytes that an array says.
    fn bytes_of(&mut self, value: Value<'_>) -> Option<Vec<u8>> {
        if value.kind() != Kind::Array {
            return None;
        }
        let byte = |item: Value<'_>| item.as_u32().and_then(|number| u8::try_from(number).ok());
        let bytes: Option<Vec<u8>> = value.items().map(byte).collect();
        self.numbers |= bytes.is_none();
        bytes
    }

    fn take_unknown(&mut self, key: Value<'_>, value: Value<'_>) {
        self.numbers |= holds_many_numbers(value);
        let name = key.as_str().unwrap_or_default();
        if !is_identifier(&name) {
            self.take_other(key);
        }
        self.take_other(value);
    }

    fn take_other(&mut self, value: Value<'_>) {
        for text in value.strings().filter_map(Value::as_str) {
            self.other.push_str(&text);
            self.other.push('\n');
        }
    }
}

fn token(item: Value<'_>) -> Cow<'_, str> {
    item.get("token")
        .and_then(Value::as_str)
        .unwrap_or_default()
}
