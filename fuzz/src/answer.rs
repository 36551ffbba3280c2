//! Whole answers of both dialects: as for requests, and text is added where it may be.

use crate::cuts::Dice;
use crate::edits::{Editing, check_seams};
use crate::leaves::{self, Document, Reading};
use crate::listing;
use bytes::Bytes;
use portcullis_protocol::{Completion, CompletionEdit, Dialect, ParseError, PartKind};
use serde_json::Value;

const DEPTH: usize = 100;

/// A notice as the gate appends it.
const NOTICE: &str = "Ask a \"doctor\".";

/// Runs the oracle.
///
/// # Panics
/// When a promise is broken.
pub fn check(dialect: Dialect, bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let read = dialect.parse_completion(body.clone(), DEPTH);
    match leaves::read(bytes) {
        Reading::Broken => {
            assert!(
                matches!(read, Err(ParseError::Json(_))),
                "JSON that readers read differently was taken"
            );
        }
        Reading::HugeNumber => {}
        Reading::Sound(document) => match read {
            Ok(completion) => {
                assert!(document.depth <= DEPTH, "too deep and taken");
                check_completion(dialect, &document, &body, &completion);
            }
            Err(ParseError::Json(why)) => {
                assert!(DEPTH < document.depth, "sound JSON refused: {why}");
            }
            Err(error) => assert!(
                !error.is_unscreenable(),
                "an answer is never refused: {error}"
            ),
        },
    }
}

fn check_completion(dialect: Dialect, document: &Document, body: &Bytes, completion: &Completion) {
    assert_eq!(&completion.edited(&[]), body, "not delivered as it came");
    listing::check(document, &completion.parts, &completion.unscreened);
    check_seams(&completion.parts, completion.seams(), &|id, range| {
        completion.locate(id, range)
    });
    let reread = |bytes: Bytes| {
        let read = dialect.parse_completion(bytes, DEPTH);
        read.expect("an edited answer is refused").parts
    };
    let replace = |part, text: &str| {
        let text = text.to_owned();
        completion.edited(&[CompletionEdit::Replace { part, text }])
    };
    Editing {
        document,
        body,
        parts: &completion.parts,
        replace: &replace,
        reread: &reread,
    }
    .check(&mut Dice::of(body));
    check_added(document, completion);
}

/// Text before and after stands in the first and last visible text of its choice, and nowhere else.
fn check_added(document: &Document, completion: &Completion) {
    for choice in &completion.choices {
        let index = choice.index;
        let is_visible = |part: &&portcullis_protocol::Part| {
            part.kind == PartKind::Text && part.choice == Some(index)
        };
        let visible: Vec<_> = completion.parts.iter().filter(is_visible).collect();
        let text = NOTICE.to_owned();
        let append = CompletionEdit::Append {
            choice: index,
            text,
        };
        let text = NOTICE.to_owned();
        let prepend = CompletionEdit::Prepend {
            choice: index,
            text,
        };
        // Choices that share a number also share what may be done to them.
        let takes_text = completion
            .choices
            .iter()
            .any(|known| known.index == index && known.takes_text());
        let (Some(first), Some(last), true) = (visible.first(), visible.last(), takes_text) else {
            assert_eq!(completion.edited(&[append, prepend]), completion.body);
            continue;
        };
        let after = format!("{}\n\n{NOTICE}", last.content.expose());
        let before = format!("{NOTICE}\n\n{}", first.content.expose());
        for (edit, part, text) in [(append, last, after), (prepend, first, before)] {
            let value: Value = serde_json::from_slice(&completion.edited(&[edit]))
                .expect("a notice broke the JSON");
            let expected = document.replaced(&part.literal, &text);
            assert_eq!(Some(value), expected, "a notice stands elsewhere");
        }
    }
    let all = completion.append_to_all(NOTICE);
    let out = completion.edited(&all);
    assert!(serde_json::from_slice::<Value>(&out).is_ok());
}
