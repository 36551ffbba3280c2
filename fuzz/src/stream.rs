//! Events of a streamed answer: every string is in a delta, what is written stays readable.
//!
//! The input is an event stream as an upstream would send it; both dialects read it.

use crate::cuts::Dice;
use crate::leaves::{self, Document, Leaf, Reading};
use crate::listing::{has_spared_form, is_address, is_bytes, is_opaque};
use crate::sse;
use bytes::Bytes;
use portcullis_protocol::sse::Event;
use portcullis_protocol::{
    Channel, Dialect, EventText, ParseRules, Refusal, StreamError, StreamReader,
};
use serde_json::Value;

const MAX_EVENT: usize = 1 << 16;

/// A new text for deltas, and a piece of JSON for those of tool calls.
const REPLACEMENT: &str = "now \"[redacted]\"\\ \n é";

/// Runs the oracle for both dialects.
///
/// # Panics
/// When a promise is broken.
pub fn check(bytes: &[u8]) {
    for dialect in [Dialect::OpenAiChat, Dialect::AnthropicMessages] {
        let (events, _) = sse::run(MAX_EVENT, &[bytes]);
        let mut dice = Dice::of(bytes);
        let (cut, _) = sse::run(MAX_EVENT, &dice.pieces(bytes));
        let texts = read_all(dialect, &events);
        assert_eq!(read_all(dialect, &cut), texts, "a split changed the texts");
        check_events(dialect, &events, &texts, &mut dice);
        check_refusal(dialect, &events, &texts, &mut dice);
    }
}

/// A reader for a plain streamed request.
fn reader(dialect: Dialect) -> StreamReader {
    let body = r#"{"model": "m", "stream": true, "messages": [{"role": "user", "content": "x"}]}"#;
    let exchange = dialect.parse(Bytes::from(body), &ParseRules::default());
    dialect.stream(&exchange.expect("a plain request"))
}

/// What the reader makes of the events, up to the first that it refuses.
fn read_all(dialect: Dialect, events: &[Event]) -> Vec<Result<EventText, StreamError>> {
    let mut reader = reader(dialect);
    let mut texts = Vec::new();
    for event in events {
        texts.push(reader.read(event));
        if texts.last().is_some_and(Result::is_err) {
            break;
        }
    }
    texts
}

fn check_events(
    dialect: Dialect,
    events: &[Event],
    texts: &[Result<EventText, StreamError>],
    dice: &mut Dice,
) {
    let mut reader = reader(dialect);
    let mut has_escapes = false;
    for (event, text) in events.iter().zip(texts) {
        let before = reader.clone();
        let _ = reader.read(event);
        let data = event.data().unwrap_or_default();
        if data == b"[DONE]" && dialect == Dialect::OpenAiChat {
            continue;
        }
        match (leaves::read(data), text) {
            (Reading::Broken, Ok(text)) => {
                assert!(
                    event.data().is_none() && text.keep_alive,
                    "broken JSON was taken"
                );
            }
            (Reading::Sound(document), Ok(text)) => {
                has_escapes |= document.leaves.iter().any(|leaf| leaf.text.contains('\\'));
                check_listed(&document, text, has_escapes);
                check_rewrite(&before, event, text, dice);
            }
            _ => {}
        }
    }
}

/// Every string is in a delta, has the form of an identifier, or makes the event unscreened.
///
/// The arguments of tool calls are shown with their escapes undone, which may be cut in two; once
/// the stream has had one, only the rest is held against the deltas.
fn check_listed(document: &Document, text: &EventText, has_escapes: bool) {
    let is_piece = |leaf: &Leaf| matches!(leaf.name(), "arguments" | "partial_json");
    for leaf in &document.leaves {
        let said = |text: &EventText| {
            let mut deltas = text.deltas.iter();
            deltas.any(|delta| delta.text.contains(&leaf.text))
        };
        let is_signature = leaf.name() == "signature" && is_opaque(&leaf.text);
        let left_out = has_spared_form(leaf)
            || leaf.text.is_empty()
            || is_signature
            || (leaf.is_key && leaf.text.bytes().all(|byte| byte.is_ascii_digit()))
            || (has_escapes && is_piece(leaf));
        let is_data = is_bytes(&leaf.text) || is_address(&leaf.text);
        let is_reported = is_data && !text.unscreened.is_empty();
        assert!(
            left_out || is_reported || said(text),
            "a string is in no delta: {} under {}",
            leaf.text.escape_debug(),
            leaf.name()
        );
    }
}

/// A rewritten event is one event of the same name, and reads like the old one but for the edit.
fn check_rewrite(before: &StreamReader, event: &Event, text: &EventText, dice: &mut Dice) {
    assert_eq!(
        &before.rewrite(event, &[]),
        event.raw(),
        "changed without an edit"
    );
    if text.deltas.is_empty() {
        return;
    }
    let edited = dice.below(text.deltas.len());
    let bytes = before.rewrite(event, &[(edited, REPLACEMENT.to_owned())]);
    if bytes.starts_with("\u{feff}".as_bytes()) {
        // In the middle of a stream it is a letter; alone, the event would begin with a mark.
        return;
    }
    let (events, end) = sse::run(2 * MAX_EVENT, &[&bytes[..]]);
    assert!(
        events.len() == 1 && end == Ok(()),
        "a rewritten event is no event any more"
    );
    assert_eq!(events[0].name(), event.name());
    let data = events[0].data().expect("a rewritten event has data");
    assert!(
        serde_json::from_slice::<Value>(data).is_ok(),
        "a rewrite broke the JSON"
    );
    let again = before
        .clone()
        .read(&events[0])
        .expect("a rewritten event is refused");
    if bytes == *event.raw() || again.deltas.len() != text.deltas.len() {
        // What holds no text of its own stays; what becomes `null` has none any more.
        return;
    }
    for (idx, (old, new)) in text.deltas.iter().zip(&again.deltas).enumerate() {
        assert_eq!((old.choice, old.channel), (new.choice, new.channel));
        assert!(
            idx == edited || old.text == new.text,
            "another delta changed"
        );
    }
}

/// After a refusal the client has seen a stream that reads well and has ended.
fn check_refusal(
    dialect: Dialect,
    events: &[Event],
    texts: &[Result<EventText, StreamError>],
    dice: &mut Dice,
) {
    let n_read = texts.iter().take_while(|text| text.is_ok()).count();
    let n_sent = dice.below(n_read + 1);
    let mut ours = reader(dialect);
    let mut theirs = reader(dialect);
    for (idx, event) in events[..n_read].iter().enumerate() {
        let text = ours.read(event).expect("an event that was read before");
        for choice in text.finishes {
            check_insert(dialect, &mut ours.clone(), choice);
        }
        if idx < n_sent {
            let _ = theirs.read(event);
        }
    }
    ours.sent(n_sent);
    let refusal = Refusal {
        text: "I can't \"help\" with\nthat.",
        model: "m",
        id: "id-1",
        created: 1,
        stream: true,
        include_usage: dice.below(2) == 0,
        n_choices: 1 + dice.below(3) as u32,
        in_content: dice.below(2) == 0,
        category: None,
    };
    let closing = ours.refuse(&refusal);
    let (closing, end) = sse::run(MAX_EVENT, &[&closing[..]]);
    assert_eq!(end, Ok(()));
    for event in &closing {
        let read = theirs.read(event);
        assert!(read.is_ok(), "a client cannot read our closing: {read:?}");
    }
    assert!(theirs.is_complete(), "a refused stream does not end");
    assert!(ours.refuse(&refusal).is_empty(), "a stream is closed twice");
}

/// Text of ours is whole events of the dialect.
fn check_insert(dialect: Dialect, ours: &mut StreamReader, choice: u32) {
    let Some(inserted) = ours.insert_text(choice, REPLACEMENT) else {
        return;
    };
    let (events, end) = sse::run(MAX_EVENT, &[&inserted[..]]);
    assert_eq!(end, Ok(()));
    let said: String = read_all(dialect, &events)
        .into_iter()
        .flat_map(|text| text.expect("our own event is refused").deltas)
        .filter(|delta| delta.channel == Channel::Text)
        .map(|delta| delta.text)
        .collect();
    assert_eq!(said, format!("\n\n{REPLACEMENT}"));
}
