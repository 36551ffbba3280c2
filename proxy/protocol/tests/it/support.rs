//! What the tests share.

use bytes::Bytes;
use portcullis_protocol::sse::{Event, Splitter};
use portcullis_protocol::{
    Completion, Dialect, EventText, Exchange, ParseError, ParseRules, Part, StreamReader,
};
use serde_json::{Value, json};

pub(crate) const OPENAI: Dialect = Dialect::OpenAiChat;
pub(crate) const ANTHROPIC: Dialect = Dialect::AnthropicMessages;

pub(crate) fn bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

pub(crate) fn try_parse(dialect: Dialect, body: &Value) -> Result<Exchange, ParseError> {
    dialect.parse(bytes(body), &ParseRules::default())
}

pub(crate) fn parse(dialect: Dialect, body: &Value) -> Exchange {
    try_parse(dialect, body).unwrap()
}

pub(crate) fn completion(dialect: Dialect, body: &Value) -> Completion {
    dialect.parse_completion(bytes(body), 64).unwrap()
}

/// A request with these messages and nothing else.
pub(crate) fn messages(messages: &Value) -> Value {
    json!({"model": "m", "messages": messages})
}

/// `surface path = text` of every part.
pub(crate) fn listing(parts: &[Part]) -> Vec<String> {
    let line = |part: &Part| {
        let text = part.content.expose().escape_debug();
        format!(
            "{} {} {:?} = {text}",
            part.surface.name(),
            part.path,
            part.kind
        )
    };
    parts.iter().map(line).collect()
}

/// The texts that contain a word, of parts and of seams.
pub(crate) fn saw(parts: &[Part], seams: &[Part], word: &str) -> bool {
    parts
        .iter()
        .chain(seams)
        .any(|part| part.content.expose().contains(word))
}

pub(crate) fn split(stream: &str) -> Vec<Event> {
    let mut splitter = Splitter::new(1 << 20);
    let events = splitter
        .push(Bytes::copy_from_slice(stream.as_bytes()))
        .unwrap();
    assert_eq!(splitter.finish(), Ok(None));
    events
}

/// A reader for a plain streamed request.
pub(crate) fn reader(dialect: Dialect) -> StreamReader {
    let exchange = parse(
        dialect,
        &messages(&json!([{"role": "user", "content": "x"}])),
    );
    dialect.stream(&exchange)
}

/// Reads a whole stream.
pub(crate) fn read_all(reader: &mut StreamReader, stream: &str) -> Vec<EventText> {
    split(stream)
        .iter()
        .map(|event| reader.read(event).unwrap())
        .collect()
}

/// A stream of unnamed events.
pub(crate) fn data(events: &[Value]) -> String {
    events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect()
}

/// A stream of events named by their type.
pub(crate) fn named(events: &[Value]) -> String {
    let line = |event: &Value| {
        format!(
            "event: {}\ndata: {event}\n\n",
            event["type"].as_str().unwrap()
        )
    };
    events.iter().map(line).collect()
}

/// The JSON of every event, but for the end mark.
pub(crate) fn values(stream: &[u8]) -> Vec<Value> {
    let events = split(std::str::from_utf8(stream).unwrap());
    let data = events
        .iter()
        .filter_map(Event::data)
        .filter(|data| *data != b"[DONE]");
    data.map(|data| serde_json::from_slice(data).unwrap())
        .collect()
}
