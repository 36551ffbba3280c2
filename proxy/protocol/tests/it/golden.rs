//! One full request, answer and stream of each dialect, and everything that is read from them.
//!
//! Extend the golden files before writing a new case. Snapshots lie beside this file; review a
//! change of them as a change of what is screened.

use crate::support::{ANTHROPIC, OPENAI, listing, split};
use bytes::Bytes;
use portcullis_protocol::{Dialect, OnPart, ParseRules, Part, Unscreened};
use std::fmt::Write as _;

fn shown(parts: &[Part], seams: &[Part], unscreened: &[Unscreened]) -> String {
    let mut out = listing(parts).join("\n");
    for seam in listing(seams) {
        let _ = write!(out, "\nseam: {seam}");
    }
    for gap in unscreened {
        let _ = write!(out, "\nunscreened: {} {}", gap.path, gap.reason.name());
    }
    out
}

fn request(dialect: Dialect, body: &'static str) -> String {
    let rules = ParseRules {
        files: OnPart::Pass,
        ..ParseRules::default()
    };
    let read = dialect.parse(Bytes::from(body), &rules).unwrap();
    for part in &read.parts {
        // The literal is where the text stands, by another reader's reading.
        if part.editable && part.kind != portcullis_protocol::PartKind::Arguments {
            let text: String = serde_json::from_str(&body[part.literal.clone()]).unwrap();
            assert_eq!(text, part.content.expose());
        }
    }
    let mut out = shown(&read.parts, read.seams(), &read.unscreened);
    for turn in &read.turns {
        let plain = if turn.plain_text { "plain" } else { "mixed" };
        let _ = write!(
            out,
            "\nturn: {:?} {plain} {} parts",
            turn.role,
            turn.parts.len()
        );
    }
    let _ = write!(
        out,
        "\nmodel {:?}, stream {}, usage {}, choices {}, tools {}, structured {}, user {:?}",
        read.model,
        read.stream,
        read.include_usage,
        read.n_choices,
        read.tools,
        read.structured,
        read.user
    );
    out
}

fn answer(dialect: Dialect, body: &'static str) -> String {
    let read = dialect.parse_completion(Bytes::from(body), 64).unwrap();
    format!(
        "{}\n{:?}",
        shown(&read.parts, read.seams(), &read.unscreened),
        read.choices
    )
}

fn stream(dialect: Dialect, body: &'static str) -> String {
    let mut reader = crate::support::reader(dialect);
    let mut out = String::new();
    for event in split(body) {
        let read = reader.read(&event).unwrap();
        for delta in &read.deltas {
            let end = if delta.complete { " complete" } else { "" };
            let text = delta.text.escape_debug();
            let _ = writeln!(out, "{} {:?}{end} = {text}", delta.choice, delta.channel);
        }
        let marks = [
            (read.done, "done"),
            (read.error, "error"),
            (read.keep_alive, "keep-alive"),
        ];
        marks
            .iter()
            .filter(|(is_set, _)| *is_set)
            .for_each(|(_, mark)| {
                let _ = writeln!(out, "{mark}");
            });
        if !read.finishes.is_empty() || !read.unscreened.is_empty() {
            let _ = writeln!(
                out,
                "finishes {:?}, unscreened {:?}",
                read.finishes, read.unscreened
            );
        }
    }
    out
}

#[test]
fn openai_request() {
    insta::assert_snapshot!(request(
        OPENAI,
        include_str!("../golden/openai_request.json")
    ));
}

#[test]
fn openai_answer() {
    insta::assert_snapshot!(answer(OPENAI, include_str!("../golden/openai_answer.json")));
}

#[test]
fn openai_stream() {
    insta::assert_snapshot!(stream(OPENAI, include_str!("../golden/openai_stream.txt")));
}

#[test]
fn anthropic_request() {
    insta::assert_snapshot!(request(
        ANTHROPIC,
        include_str!("../golden/anthropic_request.json")
    ));
}

#[test]
fn anthropic_answer() {
    insta::assert_snapshot!(answer(
        ANTHROPIC,
        include_str!("../golden/anthropic_answer.json")
    ));
}

#[test]
fn anthropic_stream() {
    insta::assert_snapshot!(stream(
        ANTHROPIC,
        include_str!("../golden/anthropic_stream.txt")
    ));
}
