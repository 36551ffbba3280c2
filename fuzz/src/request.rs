//! Requests of both dialects: accepted means read alike by everybody, listed whole, forwarded as
//! it came.

use crate::cuts::Dice;
use crate::edits::{Editing, check_seams};
use crate::leaves::{self, Document, Reading};
use crate::listing;
use bytes::Bytes;
use portcullis_protocol::{Dialect, Edit, Exchange, OnPart, ParseError, ParseRules};
use serde_json::Value;

/// Rules under which nothing is refused for what it is; the reference reader goes deeper.
const LENIENT: ParseRules = ParseRules {
    depth: 100,
    images: OnPart::Pass,
    audio: OnPart::Pass,
    files: OnPart::Pass,
    unknown: OnPart::Pass,
};

/// Runs the oracle.
///
/// # Panics
/// When a promise is broken.
pub fn check(dialect: Dialect, bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let read = dialect.parse(body.clone(), &LENIENT);
    let strict = dialect.parse(body.clone(), &ParseRules::default());
    match leaves::read(bytes) {
        Reading::Broken => {
            assert!(
                matches!(read, Err(ParseError::Json(_))),
                "JSON that readers read differently was taken"
            );
        }
        Reading::HugeNumber => {}
        Reading::Sound(document) => match read {
            Ok(exchange) => {
                assert!(document.depth <= LENIENT.depth, "too deep and taken");
                check_strict(&document, &exchange, strict);
                check_exchange(&document, &body, &exchange);
            }
            Err(ParseError::Json(why)) => {
                assert!(LENIENT.depth < document.depth, "sound JSON refused: {why}");
            }
            Err(_) => assert!(strict.is_err(), "the stricter rules took more"),
        },
    }
}

/// The shipped rules read the same, or refuse for the reasons they name.
fn check_strict(document: &Document, lenient: &Exchange, strict: Result<Exchange, ParseError>) {
    let depth = ParseRules::default().depth;
    match strict {
        Ok(strict) => {
            assert!(document.depth <= depth, "too deep and taken");
            let texts = |exchange: &Exchange| -> Vec<String> {
                let texts = exchange.parts.iter();
                texts.map(|part| part.content.expose().to_owned()).collect()
            };
            assert_eq!(
                texts(&strict),
                texts(lenient),
                "rules change what is listed"
            );
            assert_eq!(strict.unscreened, lenient.unscreened);
        }
        Err(error) => assert!(
            error.is_unscreenable() || depth < document.depth,
            "refused for no reason: {error}"
        ),
    }
}

fn check_exchange(document: &Document, body: &Bytes, exchange: &Exchange) {
    assert_eq!(
        exchange.outgoing(&[]).as_ref(),
        Ok(body),
        "not forwarded as it came"
    );
    listing::check(document, &exchange.parts, &exchange.unscreened);
    check_seams(&exchange.parts, exchange.seams(), &|id, range| {
        exchange.locate(id, range)
    });
    let mut dice = Dice::of(body);
    let reread = |bytes: Bytes| {
        let read = exchange.dialect.parse(bytes, &LENIENT);
        read.expect("an edited request is refused").parts
    };
    let replace = |part, text: &str| {
        let text = text.to_owned();
        let out = exchange.outgoing(&[Edit::Replace { part, text }]);
        out.expect("an editable part was not edited")
    };
    Editing {
        document,
        body,
        parts: &exchange.parts,
        replace: &replace,
        reread: &reread,
    }
    .check(&mut dice);
    check_dropped(document, exchange, &mut dice);
    check_accessors(exchange);
}

/// Dropped turns are gone, the others stay.
fn check_dropped(document: &Document, exchange: &Exchange, dice: &mut Dice) {
    let n_turns = exchange.turns.len();
    for _ in 0..2.min(n_turns) {
        let dropped: Vec<usize> = (0..n_turns).filter(|_| dice.below(2) == 0).collect();
        let edits: Vec<Edit> = dropped.iter().map(|turn| Edit::DropTurn(*turn)).collect();
        let out = exchange.outgoing(&edits).expect("a turn was not dropped");
        let mut expected = document.value.clone();
        let messages = expected["messages"].as_array_mut().expect("messages");
        let mut idx = 0;
        messages.retain(|_| {
            idx += 1;
            !dropped.contains(&(idx - 1))
        });
        let value: Value = serde_json::from_slice(&out).expect("a dropped turn broke the JSON");
        assert_eq!(value, expected, "other than the dropped turns changed");
    }
}

/// What reads the exchange never fails.
fn check_accessors(exchange: &Exchange) {
    for (idx, turn) in exchange.turns.iter().enumerate() {
        let literal = &exchange.body[turn.literal.clone()];
        assert!(literal.starts_with(b"{") && literal.ends_with(b"}"));
        for part in &exchange.parts[turn.parts.clone()] {
            assert_eq!(part.turn, Some(idx), "a part of another turn");
            let within =
                turn.literal.start <= part.literal.start && part.literal.end <= turn.literal.end;
            assert!(within, "a part outside its turn");
        }
        let _ = exchange.turn_text(idx);
        let _ = exchange.assistant_after(idx);
    }
    let _ = exchange.last_user_text();
    let inserted = exchange.strip_inserted(&["Answers are written by an AI."]);
    let stripped = exchange.outgoing(&inserted).expect("an edit of ours");
    assert!(serde_json::from_slice::<Value>(&stripped).is_ok());
}
