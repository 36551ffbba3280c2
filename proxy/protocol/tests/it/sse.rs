//! Framing: the standard's cases, and that chunk borders change nothing.

use crate::support::split;
use bytes::Bytes;
use portcullis_protocol::sse::{Event, Splitter, SseError};
use proptest::prelude::*;

fn check(stream: &str, expected: &[(&str, Option<&str>)]) {
    let events = split(stream);
    let seen: Vec<(String, Option<String>)> = events
        .iter()
        .map(|event| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            (text(event.name()), event.data().map(text))
        })
        .collect();
    let expected: Vec<(String, Option<String>)> = expected
        .iter()
        .map(|(name, data)| ((*name).to_owned(), data.map(str::to_owned)))
        .collect();
    assert_eq!(seen, expected, "{stream:?}");
    let raw: Vec<u8> = events
        .iter()
        .flat_map(|event| event.raw().to_vec())
        .collect();
    assert_eq!(raw, stream.as_bytes(), "bytes must stay");
}

#[test]
fn lines_may_end_in_every_way() {
    check(
        "data: a\n\ndata: b\n\n",
        &[("", Some("a")), ("", Some("b"))],
    );
    check(
        "data: a\r\n\r\ndata: b\r\n\r\n",
        &[("", Some("a")), ("", Some("b"))],
    );
    check(
        "data: a\r\rdata: b\r\r\n",
        &[("", Some("a")), ("", Some("b"))],
    );
    check("event: x\r\ndata: a\n\r\n", &[("x", Some("a"))]);
}

#[test]
fn other_fields_and_comments_are_skipped_and_kept() {
    check(": keep\n\n", &[("", None)]);
    check("id: 1\nretry: 5\nfoo: x\ndata: a\n\n", &[("", Some("a"))]);
    check("\u{feff}data: a\n\n", &[("", Some("a"))]);
    check("data:a\ndata: b\ndata\n\n", &[("", Some("a\nb\n"))]);
    check("data:  a\n\n", &[("", Some(" a"))]);
    check("event: a\nevent: b\n\n", &[("b", None)]);
    check("\ndata: a\n\n", &[("", None), ("", Some("a"))]);
    check("data\n\n", &[("", Some(""))]);
}

#[test]
fn a_cut_event_is_reported() {
    let mut splitter = Splitter::new(100);
    assert_eq!(
        splitter
            .push(Bytes::from("data: a\n\ndata: b\n"))
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        splitter.finish(),
        Err(SseError::Unterminated { n_bytes: 8 })
    );
}

#[test]
fn an_event_too_large_fails_after_those_before_it() {
    let mut splitter = Splitter::new(10);
    let events = splitter
        .push(Bytes::from("data: a\n\ndata: 123456789"))
        .unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(
        splitter.push(Bytes::from("\n\n")),
        Err(SseError::TooLarge { max: 10 })
    );
    assert_eq!(splitter.finish(), Err(SseError::TooLarge { max: 10 }));
}

#[test]
fn events_within_one_chunk_are_not_copied() {
    let chunk = Bytes::from("data: a\n\ndata: b\n\n");
    let events = Splitter::new(100).push(chunk.clone()).unwrap();
    assert_eq!(events[1].raw().as_ptr(), chunk[9..].as_ptr());
}

fn run(pieces: &[&[u8]]) -> (Vec<Event>, Result<(), SseError>) {
    let mut splitter = Splitter::new(40);
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

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        stream in "(\u{feff})?((data|event|id|x)?:? ?[ab]{0,12}(\r\n|\n|\r){1,3}){0,8}[ab]{0,3}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let bytes = stream.as_bytes();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let whole = run(&[bytes]);
        prop_assert_eq!(&run(&pieces), &whole);
        prop_assert_eq!(&run(&single), &whole);
        if whole.1.is_ok() {
            let raw: Vec<u8> = whole.0.iter().flat_map(|event| event.raw().to_vec()).collect();
            prop_assert_eq!(raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&raw), bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes));
        }
    }
}
