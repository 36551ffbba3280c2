//! What stands in a whole answer, and how text is put into it.

use crate::edit::{self, BLANK_LINE, Splice};
use crate::exchange::{Part, PartKind, Unscreened};
use crate::json;
use crate::seam::{self, Chain, Seams};
use bytes::Bytes;
use portcullis_text::{PartId, Surface};
use std::collections::BTreeMap;
use std::ops::Range;

/// A change to an answer.
#[derive(Clone, PartialEq, Eq)]
pub enum CompletionEdit {
    /// Another text in place of a part's.
    Replace {
        /// The part.
        part: PartId,
        /// Its new text.
        text: String,
    },
    /// Text after a choice's visible text, a blank line between.
    Append {
        /// The choice.
        choice: u32,
        /// What to add.
        text: String,
    },
    /// Text before a choice's visible text, a blank line between.
    Prepend {
        /// The choice.
        choice: u32,
        /// What to add.
        text: String,
    },
}

impl std::fmt::Debug for CompletionEdit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Replace { part, text } => {
                write!(f, "Replace(part {}, {} bytes)", part.0, text.len())
            }
            Self::Append { choice, .. } => write!(f, "Append(choice {choice})"),
            Self::Prepend { choice, .. } => write!(f, "Prepend(choice {choice})"),
        }
    }
}

/// One choice of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its number.
    pub index: u32,
    /// Whether it calls a tool.
    pub tools: bool,
    /// Whether its text is a JSON array or object.
    pub structured: bool,
}

impl Choice {
    /// Whether text of ours may stand in it.
    #[must_use]
    pub const fn takes_text(&self) -> bool {
        !self.tools && !self.structured
    }
}

/// A whole answer, read.
#[derive(Clone, Debug)]
pub struct Completion {
    /// The bytes as they came.
    pub body: Bytes,
    /// Every text, in the order of the body; `parts[i].id == PartId(i)`.
    pub parts: Vec<Part>,
    /// The choices in order.
    pub choices: Vec<Choice>,
    /// What is in the body and not in `parts`.
    pub unscreened: Vec<Unscreened>,
    pub(crate) seams: Seams,
}

impl Completion {
    pub(crate) fn new(
        parts: Vec<Part>,
        choices: Vec<(u32, bool)>,
        unscreened: Vec<Unscreened>,
    ) -> Self {
        let choices = choices.into_iter().map(|(index, tools)| {
            let structured = visible(&parts, index).any(|part| is_container(part.content.expose()));
            Choice {
                index,
                tools,
                structured,
            }
        });
        let choices = choices.collect();
        let seams = Seams::of(&parts);
        Self {
            body: Bytes::new(),
            parts,
            choices,
            unscreened,
            seams,
        }
    }

    /// A part or seam by its number.
    #[must_use]
    pub fn part(&self, id: PartId) -> Option<&Part> {
        self.seams.part(&self.parts, id)
    }

    /// Texts read across parts; see [`crate::Exchange::seams`].
    #[must_use]
    pub fn seams(&self) -> &[Part] {
        &self.seams.parts
    }

    /// Neighbouring texts put side by side, for patterns: a word may be cut over any two of them.
    #[must_use]
    pub fn chains(&self) -> Vec<Chain> {
        seam::chains(&self.parts)
    }

    /// The answer that a request began put before each choice's own, for patterns. The number of
    /// the beginning is that of no part.
    #[must_use]
    pub fn chains_after(&self, begun: &Part) -> Vec<Chain> {
        let begun = Part {
            id: PartId(u32::MAX),
            surface: Surface::Completion,
            ..begun.clone()
        };
        let texts = self.parts.iter().filter(|part| part.kind == PartKind::Text);
        let mut seen = Vec::new();
        let firsts = texts.filter(|part| {
            let is_first = !seen.contains(&part.choice);
            seen.push(part.choice);
            is_first
        });
        let both = firsts.map(|first| [begun.clone(), first.clone()]);
        both.flat_map(|both| seam::in_order(&both)).collect()
    }

    /// The bytes of ordinary parts that bytes of a part or seam stand for.
    #[must_use]
    pub fn locate(&self, id: PartId, range: Range<usize>) -> Vec<(PartId, Range<usize>)> {
        self.seams.locate(&self.parts, id, range)
    }

    /// An edit for every choice that text may be appended to: it has visible text, and neither
    /// calls a tool nor is a JSON document.
    #[must_use]
    pub fn append_to_all(&self, text: &str) -> Vec<CompletionEdit> {
        let open = self.choices.iter().filter(|choice| {
            choice.takes_text() && visible(&self.parts, choice.index).next().is_some()
        });
        open.map(|choice| CompletionEdit::Append {
            choice: choice.index,
            text: text.to_owned(),
        })
        .collect()
    }

    /// The bytes to deliver. Edits of parts that cannot be changed, and text for choices that may
    /// not be added to, are left out. Several texts appended to one choice stand in their order.
    #[must_use]
    pub fn edited(&self, edits: &[CompletionEdit]) -> Bytes {
        let mut changes: BTreeMap<PartId, Change<'_>> = BTreeMap::new();
        for edit in edits {
            self.note(edit, &mut changes);
        }
        let splices = changes.into_iter().filter_map(|(id, change)| {
            let part = self.part(id).filter(|part| part.editable)?;
            Some(change.splice(part))
        });
        edit::splice(&self.body, splices.collect())
    }

    fn note<'e>(&self, edit: &'e CompletionEdit, changes: &mut BTreeMap<PartId, Change<'e>>) {
        match edit {
            CompletionEdit::Replace { part, text } => {
                changes.entry(*part).or_default().replace = Some(text);
            }
            CompletionEdit::Append { choice, text } => {
                if let Some(last) = self.open_parts(*choice).next_back() {
                    changes.entry(last.id).or_default().after.push(text);
                }
            }
            CompletionEdit::Prepend { choice, text } => {
                if let Some(first) = self.open_parts(*choice).next() {
                    changes.entry(first.id).or_default().before.push(text);
                }
            }
        }
    }

    /// The visible parts of a choice that text may be added to.
    fn open_parts(&self, choice: u32) -> impl DoubleEndedIterator<Item = &Part> {
        let is_open = self
            .choices
            .iter()
            .any(|known| known.index == choice && known.takes_text());
        visible(&self.parts, choice).filter(move |_| is_open)
    }
}

/// What happens to one part.
#[derive(Default)]
struct Change<'e> {
    replace: Option<&'e str>,
    before: Vec<&'e str>,
    after: Vec<&'e str>,
}

impl Change<'_> {
    fn splice(&self, part: &Part) -> Splice {
        if self.before.is_empty() && self.after.is_empty() {
            let text = self.replace.unwrap_or_else(|| part.content.expose());
            return (part.literal.clone(), edit::replacement(part, text));
        }
        let mut pieces = self.before.clone();
        pieces.push(self.replace.unwrap_or_else(|| part.content.expose()));
        pieces.extend(&self.after);
        (part.literal.clone(), json::quote(&pieces.join(BLANK_LINE)))
    }
}

/// The visible texts of a choice.
fn visible(parts: &[Part], choice: u32) -> impl DoubleEndedIterator<Item = &Part> {
    let is_visible = move |part: &&Part| part.kind == PartKind::Text && part.choice == Some(choice);
    parts.iter().filter(is_visible)
}

/// Whether a text is a JSON array or object: text of ours would break it.
fn is_container(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
        && json::parse(text.trim().as_bytes(), json::MAX_DEPTH).is_ok()
}
