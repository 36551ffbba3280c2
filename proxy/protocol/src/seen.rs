//! What the dialect found in one event, without regard to the events before it.
//!
//! Like the walk over whole bodies, it lists every string; only values that have the form of an
//! identifier can be left out, and only where the dialect says that nothing else stands there.

use crate::exchange::Reason;
use crate::form::{is_base64, is_identifier, is_name, is_opaque};
use crate::json::{Kind, Value};
use crate::stream::{Channel, StreamError};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::ops::Range;

/// Most choices, tool calls and content blocks of one answer: each is kept in a book.
const MAX_INDEX: u32 = 1024;

/// The number of a choice, tool call or block, where it is a small whole number.
pub(crate) fn index_of(value: Value<'_>, what: &str) -> Result<u32, StreamError> {
    let index = value.as_u32().filter(|index| *index < MAX_INDEX);
    index.ok_or_else(|| {
        StreamError(format!(
            "the index of a {what} is no whole number below {MAX_INDEX}"
        ))
    })
}

/// How the text of a delta is replaced in its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Not at all: a key.
    Fixed,
    /// A string literal.
    Literal(Range<usize>),
    /// A string literal that holds a piece of JSON.
    Arguments(Range<usize>),
    /// The whole value becomes `null`.
    Null(Range<usize>),
}

/// A text in an event and where it stands in the event's data.
#[derive(Clone, Debug)]
pub(crate) struct Found<'d> {
    pub(crate) choice: u32,
    pub(crate) channel: Channel,
    pub(crate) text: Cow<'d, str>,
    pub(crate) place: Place,
}

/// What an event changes for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The message has begun (Anthropic).
    Started,
    /// A choice has begun (OpenAI).
    Choice(u32),
    /// Visible text came.
    Text(u32),
    /// A choice has ended.
    Finish(u32),
    /// A block has begun (Anthropic).
    Open(u32),
    /// A block has ended (Anthropic).
    Close(u32),
    /// The usage chunk (OpenAI).
    Usage,
    /// The proper end.
    Done,
}

/// What the dialect found in an event, without regard to the events before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen<'d> {
    pub(crate) found: SmallVec<[Found<'d>; 2]>,
    pub(crate) effects: Effects,
    pub(crate) unscreened: SmallVec<[Reason; 1]>,
    pub(crate) error: bool,
    pub(crate) keep_alive: bool,
    /// Tool calls that begin (by choice and index) and end in this event.
    pub(crate) tools: SmallVec<[(u32, u32); 1]>,
}

pub(crate) type Effects = SmallVec<[Effect; 2]>;

/// What names an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) created: u64,
}

impl<'d> Seen<'d> {
    pub(crate) fn push(&mut self, choice: u32, channel: Channel, text: Cow<'d, str>, place: Place) {
        self.found.push(Found {
            choice,
            channel,
            text,
            place,
        });
    }

    /// Every string below, keys too unless they are identifiers.
    pub(crate) fn strings(&mut self, choice: u32, channel: Channel, value: Value<'d>) {
        self.texts(choice, channel, value, |_| false);
    }

    /// The same, and values that are identifiers are left out as well.
    pub(crate) fn counts(&mut self, choice: u32, name: &str, value: Value<'d>) {
        self.idents(choice, Channel::of_field(name), value);
    }

    /// The same, on a channel of its own.
    pub(crate) fn idents(&mut self, choice: u32, channel: Channel, value: Value<'d>) {
        self.texts(choice, channel, value, is_identifier);
    }

    /// The name of a model, which can hold many words.
    pub(crate) fn name(&mut self, choice: u32, name: &str, value: Value<'d>) {
        self.texts(choice, Channel::of_field(name), value, is_name);
    }

    /// Bytes that cannot be screened: they are reported, and screened all the same where they have
    /// not the form of base64.
    pub(crate) fn opaque(
        &mut self,
        choice: u32,
        channel: Channel,
        reason: Reason,
        value: Value<'d>,
    ) {
        let is_bytes = if reason == Reason::Opaque {
            is_opaque
        } else {
            is_base64
        };
        if value.is_string() {
            self.unscreened.push(reason);
        }
        self.texts(choice, channel, value, is_bytes);
    }

    fn texts(
        &mut self,
        choice: u32,
        channel: Channel,
        value: Value<'d>,
        may_pass: fn(&str) -> bool,
    ) {
        match value.kind() {
            Kind::String(_) => {
                let text = value.as_str().unwrap_or_default();
                if !(text.is_empty() || may_pass(&text)) {
                    self.push(choice, channel, text, Place::Literal(value.span()));
                }
            }
            Kind::Array => {
                value
                    .items()
                    .for_each(|item| self.texts(choice, channel, item, may_pass));
            }
            Kind::Object => {
                for (key, value) in value.members() {
                    self.key(choice, channel, key);
                    self.texts(choice, channel, value, may_pass);
                }
            }
            Kind::Null | Kind::Bool(_) | Kind::Number => {}
        }
    }

    /// A field that we do not know: its key, where that is more than a name, and all below.
    pub(crate) fn unknown(&mut self, choice: u32, key: Value<'d>, value: Value<'d>) {
        let channel = Channel::of_field(&key.as_str().unwrap_or_default());
        self.member(choice, channel, key, value);
    }

    /// The same, on a channel of its own.
    pub(crate) fn member(
        &mut self,
        choice: u32,
        channel: Channel,
        key: Value<'d>,
        value: Value<'d>,
    ) {
        self.key(choice, channel, key);
        self.strings(choice, channel, value);
    }

    fn key(&mut self, choice: u32, channel: Channel, key: Value<'d>) {
        let name = key.as_str().unwrap_or_default();
        if !is_identifier(&name) && !name.is_empty() {
            self.push(choice, channel, name, Place::Fixed);
        }
    }
}
