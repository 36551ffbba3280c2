//! A replacement changes one text and nothing else.

use crate::cuts::Dice;
use crate::leaves::Document;
use bytes::Bytes;
use portcullis_protocol::{Part, PartKind};
use portcullis_text::PartId;
use serde_json::Value;

/// New texts: plain, and one that needs every kind of escape. Neither has the form of an
/// identifier, an address or base64, so a text that was listed is still listed.
const TEXTS: [&str; 2] = ["now [redacted]", "a \"b\\ \n\r\t\u{1}\u{7f} é😀 }],"];

/// Parts tried for one body.
const MAX_TRIES: usize = 4;

/// A body, what was read from it, and how to change it.
pub struct Editing<'a> {
    /// An independent reading.
    pub document: &'a Document,
    /// The bytes.
    pub body: &'a Bytes,
    /// What the gate read.
    pub parts: &'a [Part],
    /// The bytes with one part replaced.
    pub replace: &'a dyn Fn(PartId, &str) -> Bytes,
    /// The parts that the gate reads from changed bytes.
    pub reread: &'a dyn Fn(Bytes) -> Vec<Part>,
}

impl Editing<'_> {
    /// Tries some of the parts.
    ///
    /// # Panics
    /// When a replacement changes anything but its text.
    pub fn check(&self, dice: &mut Dice) {
        let editable: Vec<&Part> = self.parts.iter().filter(|part| part.editable).collect();
        for _ in 0..MAX_TRIES.min(editable.len()) {
            let part = editable[dice.below(editable.len())];
            for text in TEXTS {
                self.check_one(part, text);
            }
            let emptied = (self.replace)(part.id, "");
            assert!(
                serde_json::from_slice::<Value>(&emptied).is_ok(),
                "an emptied part broke the body"
            );
            let _ = (self.reread)(emptied);
        }
    }

    fn check_one(&self, part: &Part, text: &str) {
        let out = (self.replace)(part.id, text);
        let value: Value = serde_json::from_slice(&out).expect("a splice broke the JSON");
        let (before, after) = (
            &self.body[..part.literal.start],
            &self.body[part.literal.end..],
        );
        assert!(
            out.starts_with(before)
                && out.ends_with(after)
                && before.len() + after.len() <= out.len(),
            "bytes around a splice changed"
        );
        let new = &out[before.len()..out.len() - after.len()];
        match part.kind {
            PartKind::Logprobs => return assert_eq!(new, b"null"),
            PartKind::Arguments => self.check_arguments(part, new),
            _ => {
                let expected = self.document.replaced(&part.literal, text);
                assert_eq!(Some(value), expected, "not exactly one text changed");
            }
        }
        self.check_reread(part, text, out);
    }

    /// Arguments that were a JSON document stay one, and what is put back as it was means the same.
    fn check_arguments(&self, part: &Part, new: &[u8]) {
        let new: String = serde_json::from_slice(new).expect("arguments are a string");
        let Some(leaf) = self.document.leaf_at(&part.literal) else {
            return;
        };
        let Ok(was) = serde_json::from_str::<Value>(&leaf.text) else {
            return;
        };
        assert!(
            serde_json::from_str::<Value>(&new).is_ok(),
            "arguments are no document any more"
        );
        let same = (self.replace)(part.id, part.content.expose());
        let end = same.len() - (self.body.len() - part.literal.end);
        let same: String =
            serde_json::from_slice(&same[part.literal.start..end]).expect("a string");
        let same: Value = serde_json::from_str(&same).expect("arguments put back are a document");
        assert_eq!(same, was, "arguments put back mean something else");
    }

    fn check_reread(&self, part: &Part, text: &str, out: Bytes) {
        let parts = (self.reread)(out);
        assert_eq!(
            parts.len(),
            self.parts.len(),
            "a replacement changed the listing"
        );
        for (old, new) in self.parts.iter().zip(&parts) {
            if old.id != part.id {
                assert!(old.content == new.content, "another part changed");
            } else if old.kind != PartKind::Arguments {
                assert_eq!(new.content.expose(), text, "the new text is read otherwise");
            }
        }
    }
}

impl std::fmt::Debug for Editing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Editing({} parts)", self.parts.len())
    }
}

/// Parts and seams are numbered as promised, and a seam is made of the parts it names.
///
/// # Panics
/// When they are not.
pub fn check_seams(
    parts: &[Part],
    seams: &[Part],
    locate: &dyn Fn(PartId, std::ops::Range<usize>) -> Vec<(PartId, std::ops::Range<usize>)>,
) {
    for (idx, part) in parts.iter().chain(seams).enumerate() {
        assert_eq!(part.id.0 as usize, idx, "parts are numbered in order");
    }
    for seam in seams {
        let text = seam.content.expose();
        let pieces: Vec<&str> = locate(seam.id, 0..text.len())
            .into_iter()
            .map(|(part, range)| &parts[part.0 as usize].content.expose()[range])
            .collect();
        assert!(
            text == pieces.concat() || text == pieces.join(" "),
            "a seam is not made of its parts"
        );
    }
}
