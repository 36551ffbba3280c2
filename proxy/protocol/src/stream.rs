//! Reading an answer while it runs, event by event.
//!
//! The dialects say what stands in one event (`Seen`); here is what does not depend on the
//! dialect: which deltas that makes, how a delta's text is replaced, and the book about what the
//! client has seen, without which a stream cannot be closed properly.

use crate::edit::{Splice, splice};
use crate::exchange::Reason;
use crate::json::{self, Document};
use crate::nested::Undoing;
use crate::seen::{Effect, Effects, Found, Head, Place, Seen};
use crate::{Dialect, Exchange, Refusal, anthropic, openai, sse};
use bytes::Bytes;
use portcullis_text::Surface;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

/// Deepest nesting in an event.
const DEPTH: usize = 64;

/// Which text of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// The visible answer.
    Text,
    /// The model's native refusal.
    Refusal,
    /// Reasoning.
    Reasoning,
    /// The name and arguments of a tool call, by its index. Escapes within the arguments are
    /// undone where that is needed to read them.
    ToolCall(u32),
    /// Any other field that holds text, by a number made from its name.
    Other(u16),
}

impl Channel {
    /// Where its text stands.
    #[must_use]
    pub const fn surface(self) -> Surface {
        match self {
            Self::Text | Self::Refusal | Self::Other(_) => Surface::Completion,
            Self::Reasoning => Surface::Reasoning,
            Self::ToolCall(_) => Surface::ToolCall,
        }
    }

    /// The channel of a field that has none of its own.
    pub(crate) fn of_field(name: &str) -> Self {
        let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        let hash = name.bytes().fold(0x811c_9dc5, step);
        Self::Other(0x8000 | (hash ^ (hash >> 16)) as u16)
    }
}

/// A piece of text in an event.
#[derive(Clone, PartialEq, Eq)]
pub struct Delta {
    /// The choice.
    pub choice: u32,
    /// The channel.
    pub channel: Channel,
    /// The text; may be empty.
    pub text: String,
    /// Whether the channel ends with it.
    pub complete: bool,
}

impl std::fmt::Debug for Delta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            choice,
            channel,
            text,
            complete,
        } = self;
        let end = if *complete { ", complete" } else { "" };
        write!(f, "Delta({choice}, {channel:?}, {} bytes{end})", text.len())
    }
}

/// What stands in an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventText {
    /// Its texts, in order.
    pub deltas: SmallVec<[Delta; 1]>,
    /// Choices that it ends.
    pub finishes: SmallVec<[u32; 1]>,
    /// Whether it is the stream's proper end.
    pub done: bool,
    /// Whether it is an error event of the upstream.
    pub error: bool,
    /// Whether it holds nothing: a comment or a ping.
    pub keep_alive: bool,
    /// What is in it and not in `deltas`.
    pub unscreened: SmallVec<[Reason; 1]>,
}

/// An event that is not of the dialect. The stream has to end with [`StreamReader::fault`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StreamError(pub String);

/// What one side knows of a stream: we from all events read, the client from those sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    pub(crate) started: bool,
    pub(crate) choices: Vec<u32>,
    pub(crate) with_text: Vec<u32>,
    pub(crate) finished: Vec<u32>,
    pub(crate) open: Vec<u32>,
    pub(crate) next_block: u32,
    pub(crate) usage: bool,
    pub(crate) done: bool,
}

impl Book {
    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Started => self.started = true,
            Effect::Choice(choice) => note(&mut self.choices, choice),
            Effect::Text(choice) => note(&mut self.with_text, choice),
            Effect::Finish(choice) => note(&mut self.finished, choice),
            Effect::Open(block) => {
                note(&mut self.open, block);
                self.next_block = self.next_block.max(block.saturating_add(1));
            }
            Effect::Close(block) => self.open.retain(|open| *open != block),
            Effect::Usage => self.usage = true,
            Effect::Done => self.done = true,
        }
    }
}

fn note(list: &mut Vec<u32>, number: u32) {
    if !list.contains(&number) {
        list.push(number);
    }
}

/// A tool call that has begun and not ended.
#[derive(Clone, Debug)]
struct OpenTool {
    choice: u32,
    index: u32,
    undoing: Undoing,
}

/// Reads the events of one answer, and writes the events that we add.
///
/// It keeps two books: what it has read, and what of that has reached the client. The host says
/// the latter by [`StreamReader::sent`] for every event that it passes on, in order.
#[derive(Clone, Debug)]
pub struct StreamReader {
    dialect: Dialect,
    structured: bool,
    head: Head,
    read: Book,
    shown: Book,
    unsent: VecDeque<Effects>,
    tools: Vec<OpenTool>,
    /// Choices that have called a tool.
    callers: Vec<u32>,
    /// Choices whose visible text begins like a JSON document.
    json_like: Vec<u32>,
    last: Option<Box<Frame>>,
}

/// An event with one text in it. The next one is nearly always the same but for that text.
#[derive(Clone)]
struct Frame {
    event: sse::Event,
    /// The text's literal within the event's data, quotes included.
    literal: Range<usize>,
    choice: u32,
    channel: Channel,
    effects: Effects,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({:?})", self.event)
    }
}

impl Frame {
    /// What can be kept of an event: exactly one text, plainly written, and nothing out of the
    /// ordinary beside it.
    fn of(event: &sse::Event, seen: &Seen<'_>) -> Option<Self> {
        let [only] = &seen.found[..] else { return None };
        let Place::Literal(literal) = &only.place else {
            return None;
        };
        // By its `type` an event is another one.
        let is_type = only.channel == Channel::of_field("type");
        let ordinary = |effect: &Effect| matches!(effect, Effect::Choice(_) | Effect::Text(_));
        let is_plain = !is_type
            && seen.tools.is_empty()
            && seen.unscreened.is_empty()
            && !seen.error
            && !seen.keep_alive
            && !only.text.is_empty()
            && seen.effects.iter().all(ordinary);
        is_plain.then(|| Self {
            event: event.clone(),
            literal: literal.clone(),
            choice: only.choice,
            channel: only.channel,
            effects: seen.effects.clone(),
        })
    }

    /// The text of an event that differs from this one in its text alone, which must stand there
    /// without an escape. The structure was read before, so nothing of it need be read again.
    fn text_of<'e>(&self, event: &'e sse::Event) -> Option<&'e str> {
        let (known, data) = (self.event.data()?, event.data()?);
        let (before, after) = (
            &known[..=self.literal.start],
            &known[self.literal.end - 1..],
        );
        let rest = data.strip_prefix(before)?;
        let literal = rest.strip_suffix(after)?;
        let is_text = !literal.is_empty() && json::is_plain_literal(literal);
        let text = is_text.then_some(literal)?;
        (event.name() == self.event.name()).then_some(())?;
        std::str::from_utf8(text).ok()
    }
}

impl StreamReader {
    pub(crate) fn new(dialect: Dialect, exchange: &Exchange) -> Self {
        Self {
            dialect,
            structured: exchange.structured,
            head: Head::default(),
            read: Book::default(),
            shown: Book::default(),
            unsent: VecDeque::new(),
            tools: Vec::new(),
            callers: Vec::new(),
            json_like: Vec::new(),
            last: None,
        }
    }

    /// Reads the next event.
    ///
    /// # Errors
    /// The event is not strict JSON or not of the dialect; it must not be passed on.
    pub fn read(&mut self, event: &sse::Event) -> Result<EventText, StreamError> {
        let Some(data) = event.data() else {
            self.unsent.push_back(Effects::new());
            return Ok(EventText {
                keep_alive: true,
                ..EventText::default()
            });
        };
        if self.read.done {
            return Err(StreamError(
                "an event came after the proper end of the stream".into(),
            ));
        }
        if self.dialect == Dialect::OpenAiChat && data == b"[DONE]" {
            self.note(Effects::from_slice(&[Effect::Done]));
            return Ok(EventText {
                done: true,
                ..EventText::default()
            });
        }
        if let Some(read) = self.read_alike(event) {
            return Ok(read);
        }
        let document = document_of(data)?;
        let seen = seen_in(self.dialect, event, &document)?;
        self.last = Frame::of(event, &seen).map(Box::new);
        if self.dialect == Dialect::OpenAiChat && self.head.id.is_empty() {
            self.head = openai::stream::head(document.root()).unwrap_or_default();
        }
        Ok(self.take(seen))
    }

    /// Reads an event that is like the last one but for its text.
    fn read_alike(&mut self, event: &sse::Event) -> Option<EventText> {
        let frame = self.last.take()?;
        let read = frame.text_of(event).map(|text| {
            let found = Found {
                choice: frame.choice,
                channel: frame.channel,
                text: Cow::Borrowed(text),
                place: Place::Literal(frame.literal.clone()),
            };
            let delta = self.delta(&found);
            self.note(frame.effects.clone());
            EventText {
                deltas: SmallVec::from_buf([delta]),
                ..EventText::default()
            }
        });
        self.last = Some(frame);
        read
    }

    fn take(&mut self, seen: Seen<'_>) -> EventText {
        let mut text = EventText {
            error: seen.error,
            keep_alive: seen.keep_alive,
            unscreened: seen.unscreened,
            ..EventText::default()
        };
        for (choice, index) in seen.tools {
            self.open_tool(choice, index);
        }
        for found in &seen.found {
            text.deltas.push(self.delta(found));
        }
        for effect in &seen.effects {
            match effect {
                Effect::Finish(choice) if !self.read.finished.contains(choice) => {
                    text.finishes.push(*choice);
                    self.close_tools(&mut text, |tool| tool.choice == *choice);
                }
                Effect::Close(block) => {
                    self.close_tools(&mut text, |tool| tool.index == *block);
                }
                Effect::Done => text.done = true,
                _ => {}
            }
        }
        self.note(seen.effects);
        text
    }

    fn note(&mut self, effects: Effects) {
        effects.iter().for_each(|effect| self.read.apply(*effect));
        self.unsent.push_back(effects);
    }

    fn open_tool(&mut self, choice: u32, index: u32) {
        note(&mut self.callers, choice);
        let is_open = self
            .tools
            .iter()
            .any(|tool| tool.choice == choice && tool.index == index);
        if !is_open {
            self.tools.push(OpenTool {
                choice,
                index,
                undoing: Undoing::default(),
            });
        }
    }

    fn delta(&mut self, found: &Found<'_>) -> Delta {
        let Found {
            choice,
            channel,
            ref text,
            ref place,
        } = *found;
        if channel == Channel::Text
            && !self.read.with_text.contains(&choice)
            && text.trim_start().starts_with(['{', '['])
        {
            note(&mut self.json_like, choice);
        }
        let tool = self
            .tools
            .iter_mut()
            .find(|tool| tool.choice == choice && channel == Channel::ToolCall(tool.index));
        let text = match (place, tool) {
            (Place::Arguments(_), Some(tool)) => tool.undoing.push(text),
            _ => text.clone().into_owned(),
        };
        Delta {
            choice,
            channel,
            text,
            complete: false,
        }
    }

    /// Ends tool calls; each gets a last delta with whatever of an escape was left over.
    fn close_tools(&mut self, text: &mut EventText, is_over: impl Fn(&OpenTool) -> bool) {
        for tool in self.tools.extract_if(.., |tool| is_over(tool)) {
            let OpenTool {
                choice,
                index,
                mut undoing,
            } = tool;
            let channel = Channel::ToolCall(index);
            text.deltas.push(Delta {
                choice,
                channel,
                text: undoing.rest(),
                complete: true,
            });
        }
    }

    /// Says that the oldest `n` events read and not yet sent have gone to the client (edited or
    /// not), so that [`StreamReader::refuse`] closes what the client saw opened and no more.
    pub fn sent(&mut self, n: usize) {
        let sent = self.unsent.drain(..n.min(self.unsent.len()));
        for effect in sent.flatten() {
            self.shown.apply(effect);
        }
    }

    /// The event with the texts of these deltas replaced; index as in [`EventText::deltas`].
    ///
    /// The text of a tool call's delta is a piece of JSON and has to stay one. Deltas that hold no
    /// text of the event cannot be replaced and are passed over.
    #[must_use]
    pub fn rewrite(&self, event: &sse::Event, edits: &[(usize, String)]) -> Bytes {
        let Some(data) = event.data().filter(|_| !edits.is_empty()) else {
            return event.raw().clone();
        };
        let Ok(document) = document_of(data) else {
            return event.raw().clone();
        };
        let Ok(seen) = seen_in(self.dialect, event, &document) else {
            return event.raw().clone();
        };
        let splices: Vec<Splice> = edits
            .iter()
            .filter_map(|(delta, text)| splice_at(&seen.found.get(*delta)?.place, text))
            .collect();
        // A literal never holds a line break, so the event stays one line of data; raw line breaks
        // between values can only come from several data lines and are white space.
        let mut data = splice(&Bytes::copy_from_slice(data), splices).to_vec();
        data.iter_mut()
            .filter(|byte| matches!(byte, b'\n' | b'\r'))
            .for_each(|byte| *byte = b' ');
        event.with_data(&data)
    }

    /// The events that end a blocked stream, before or after text was shown. Empty when the client
    /// has seen the proper end already.
    pub fn refuse(&mut self, refusal: &Refusal<'_>) -> Bytes {
        if self.shown.done {
            return Bytes::new();
        }
        self.unsent.clear();
        let closing = match self.dialect {
            Dialect::OpenAiChat => openai::stream::refuse(&self.shown, &self.head, refusal),
            Dialect::AnthropicMessages => anthropic::stream::refuse(&self.shown, refusal),
        };
        self.shown.done = true;
        closing
    }

    /// The event that ends a broken stream; nothing may follow it.
    #[must_use]
    pub fn fault(&self, message: &str) -> Bytes {
        match self.dialect {
            Dialect::OpenAiChat => openai::reply::fault(message),
            Dialect::AnthropicMessages => anthropic::reply::fault(message),
        }
    }

    /// Events that add text to a choice's visible text, a blank line between, to be sent right
    /// before the event that finishes it. `None` where that is not allowed: the choice calls a
    /// tool, is or may be JSON, or has no visible text.
    ///
    /// Where the finishing event carries text itself, use [`StreamReader::rewrite`] on it instead.
    pub fn insert_text(&mut self, choice: u32, text: &str) -> Option<Bytes> {
        let takes_text = !self.structured
            && self.read.with_text.contains(&choice)
            && !self.callers.contains(&choice)
            && !self.json_like.contains(&choice);
        if !takes_text {
            return None;
        }
        Some(match self.dialect {
            Dialect::OpenAiChat => openai::stream::insert(&self.head, choice, text),
            Dialect::AnthropicMessages => {
                let block = self.read.next_block;
                self.read.next_block += 1;
                anthropic::stream::insert(block, text)
            }
        })
    }

    /// Whether the stream's proper end was read.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.read.done
    }
}

fn document_of(data: &[u8]) -> Result<Document<'_>, StreamError> {
    json::parse(data, DEPTH).map_err(|error| StreamError(format!("an event holds {error}")))
}

fn seen_in<'d>(
    dialect: Dialect,
    event: &sse::Event,
    document: &'d Document<'_>,
) -> Result<Seen<'d>, StreamError> {
    let root = document.root();
    if root.kind() != json::Kind::Object {
        return Err(StreamError("an event's data is no JSON object".into()));
    }
    match dialect {
        Dialect::OpenAiChat => openai::stream::read(root),
        Dialect::AnthropicMessages => anthropic::stream::read(root, event.name()),
    }
}

fn splice_at(place: &Place, text: &str) -> Option<Splice> {
    match place {
        Place::Fixed => None,
        Place::Literal(range) => Some((range.clone(), json::quote(text))),
        // Between values a line break is white space; within a string it would have to be escaped.
        // A blank is right in both.
        Place::Arguments(range) => {
            let spaced = text.replace(|character: char| character < ' ', " ");
            Some((range.clone(), json::quote(&spaced)))
        }
        Place::Null(range) => Some((range.clone(), "null".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ParseRules;
    use proptest::prelude::*;

    fn reader(dialect: Dialect) -> StreamReader {
        let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
        let exchange = dialect.parse(Bytes::from(body), &ParseRules::default());
        dialect.stream(&exchange.unwrap())
    }

    /// Frames around a text, which differ in what must not be taken for alike.
    const OPENAI: [&str; 9] = [
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"@"}}]}"#,
        r#"data: {"id":"c","choices":[{"index":1,"delta":{"content":"@"}}]}"#,
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"@","role":"assistant"}}]}"#,
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"reasoning_content":"@"}}]}"#,
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"@"}}]}}]}"#,
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"@"},"finish_reason":"stop"}]}"#,
        r#"data: {"id":"@","choices":[{"index":0,"delta":{"content":"fixed text"}}]}"#,
        r#"data: {"id":"c","x":"@","choices":[{"index":0,"delta":{"content":"fixed text"}}]}"#,
        ": @",
    ];
    const ANTHROPIC: [&str; 4] = [
        r#"event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"@"}}"#,
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"@"}}"#,
        r#"event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"@"}}"#,
        r#"event: ping
data: {"type":"ping"}"#,
    ];
    const TEXTS: [&str; 10] = [
        "one two",
        "word",
        "",
        "\\n",
        "\\u0041",
        "é ü",
        "\"",
        "a\",\"x\":\"b",
        "{\\\"k",
        "a\u{1}b",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Reading an event by its likeness to the last one gives what reading it afresh gives.
        #[test]
        fn likeness_changes_nothing(
            is_openai in any::<bool>(),
            script in prop::collection::vec((0..9_usize, 0..10_usize), 1..12),
        ) {
            let (dialect, frames) = if is_openai {
                (Dialect::OpenAiChat, &OPENAI[..])
            } else {
                (Dialect::AnthropicMessages, &ANTHROPIC[..])
            };
            let (mut alike, mut afresh) = (reader(dialect), reader(dialect));
            for (frame, text) in script {
                // Runs of one frame are what the short way is for.
                let frame = frames[(frame / 3) % frames.len()];
                let raw = frame.replace('@', TEXTS[text]) + "\n\n";
                let event = sse::Splitter::new(4096).push(Bytes::from(raw)).unwrap().remove(0);
                afresh.last = None;
                let (one, other) = (alike.read(&event), afresh.read(&event));
                prop_assert_eq!(&one, &other);
                if one.is_err() {
                    break;
                }
                prop_assert_eq!(alike.unsent.back(), afresh.unsent.back());
                prop_assert_eq!(&alike.json_like, &afresh.json_like);
            }
        }
    }

    #[test]
    fn an_event_like_the_last_one_is_read_by_its_likeness() {
        let mut reader = reader(Dialect::OpenAiChat);
        for text in ["one ", "two ", "three "] {
            let raw = OPENAI[0].replace('@', text) + "\n\n";
            let event = sse::Splitter::new(4096)
                .push(Bytes::from(raw))
                .unwrap()
                .remove(0);
            let is_alike = reader
                .last
                .as_ref()
                .is_some_and(|last| last.text_of(&event).is_some());
            assert_eq!(is_alike, text != "one ");
            assert_eq!(reader.read(&event).unwrap().deltas[0].text, text);
        }
    }
}
