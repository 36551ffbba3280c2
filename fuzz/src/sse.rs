//! Framing of event streams: the splitter against a reference written by the letter of the WHATWG
//! standard, and against itself under other splits.

use crate::cuts::Dice;
use bytes::Bytes;
use portcullis_protocol::sse::{Event, Splitter, SseError};

/// Small, so that events too large are met.
const MAX_EVENT: usize = 512;

/// Inputs up to this long are also cut in two at every place.
const SHORT: usize = 64;

/// How a stream was read: its events, and how it ended.
pub type Run = (Vec<Event>, Result<(), SseError>);

/// Runs the oracle.
///
/// # Panics
/// When a promise is broken.
pub fn check(bytes: &[u8]) {
    let whole = run(MAX_EVENT, &[bytes]);
    check_whole(bytes, &whole);
    let mut dice = Dice::of(bytes);
    for _ in 0..3 {
        assert_eq!(
            run(MAX_EVENT, &dice.pieces(bytes)),
            whole,
            "a split changed the events"
        );
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(
        run(MAX_EVENT, &single),
        whole,
        "single bytes changed the events"
    );
    if bytes.len() <= SHORT {
        for at in 0..bytes.len() {
            let (before, after) = bytes.split_at(at);
            assert_eq!(
                run(MAX_EVENT, &[before, after]),
                whole,
                "a cut at {at} changed the events"
            );
        }
    }
}

/// Reads a stream that comes in these pieces.
pub fn run(max_event: usize, pieces: &[&[u8]]) -> Run {
    let mut splitter = Splitter::new(max_event);
    let mut events = Vec::new();
    for piece in pieces {
        match splitter.push(Bytes::copy_from_slice(piece)) {
            Ok(more) => events.extend(more),
            Err(error) => return (events, Err(error)),
        }
    }
    match splitter.finish() {
        Ok(last) => {
            events.extend(last);
            (events, Ok(()))
        }
        Err(error) => (events, Err(error)),
    }
}

fn check_whole(bytes: &[u8], (events, end): &Run) {
    let raw: Vec<u8> = events
        .iter()
        .flat_map(|event| event.raw().to_vec())
        .collect();
    assert!(
        bytes.starts_with(&raw),
        "an event is not the bytes it came in"
    );
    let rest = &bytes[raw.len()..];
    for event in events {
        assert!(
            event.raw().len() <= MAX_EVENT,
            "an event is larger than allowed"
        );
    }
    for pair in events.windows(2) {
        let parts_crlf = pair[0].raw().ends_with(b"\r") && pair[1].raw().starts_with(b"\n");
        assert!(!parts_crlf, "an event ends within CRLF");
    }
    match end {
        Ok(()) => assert!(
            rest.is_empty() || rest == b"\xEF\xBB\xBF",
            "bytes were lost"
        ),
        Err(SseError::Unterminated { n_bytes }) => assert_eq!(*n_bytes, rest.len()),
        Err(SseError::TooLarge { .. }) => assert!(MAX_EVENT < rest.len(), "it was not too large"),
    }
    let seen: Vec<(&[u8], Vec<u8>)> = events
        .iter()
        .filter_map(|event| Some((event.name(), event.data()?.to_vec())))
        .collect();
    assert_eq!(seen, by_the_standard(&raw), "a client sees other events");
}

/// Name and data of every event that a client dispatches.
fn by_the_standard(stream: &[u8]) -> Vec<(&[u8], Vec<u8>)> {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let mut dispatched = Vec::new();
    let (mut name, mut data): (&[u8], Vec<u8>) = (b"", Vec::new());
    for line in lines(stream) {
        if line.is_empty() {
            if data.pop().is_some() {
                dispatched.push((name, std::mem::take(&mut data)));
            }
            name = b"";
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = value,
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            _ => {}
        }
    }
    dispatched
}

/// Lines that have ended; CRLF, LF and CR end one.
fn lines(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        lines.push(&rest[..at]);
        let n_end = if rest[at..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        rest = &rest[at + n_end..];
    }
    lines
}
