//! What stands in a request: its texts, its turns, and what could not be read as text.

use crate::Dialect;
use crate::edit::{self, Edit, EditError};
use crate::seam::{self, Chain, Seams};
use bytes::Bytes;
use portcullis_text::{Content, PartId, Surface};
use std::ops::Range;

/// Whether something that cannot be screened may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPart {
    /// It passes and is reported as unscreened.
    Pass,
    /// The request is refused.
    Refuse,
}

/// What a request may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseRules {
    /// Deepest nesting of arrays and objects.
    pub depth: usize,
    /// Pictures.
    pub images: OnPart,
    /// Sound.
    pub audio: OnPart,
    /// Files that hold no plain text.
    pub files: OnPart,
    /// Content parts of a type that we do not know.
    pub unknown: OnPart,
}

impl Default for ParseRules {
    fn default() -> Self {
        Self {
            depth: 64,
            images: OnPart::Pass,
            audio: OnPart::Pass,
            files: OnPart::Refuse,
            unknown: OnPart::Refuse,
        }
    }
}

/// What a part is within its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartKind {
    /// Ordinary text of a message or an answer.
    Text,
    /// The model's native refusal.
    Refusal,
    /// The arguments of a tool call, a JSON document of its own as text.
    ///
    /// The content shows its escapes undone where that is needed to read it, so `\u0062` is `b`.
    Arguments,
    /// The tokens of `logprobs`, joined. Replacing it writes `null` for the whole value.
    Logprobs,
    /// The key of an object.
    Key,
    /// Any other text: names, schemas, metadata, unknown fields.
    Other,
    /// A text read over several parts, or from the inside of one; see [`Exchange::seams`].
    Seam,
}

/// A text in a body.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its number.
    pub id: PartId,
    /// Where it stands in the exchange.
    pub surface: Surface,
    /// Where it stands in the body: a JSON pointer.
    pub path: String,
    /// The text, its escapes undone.
    pub content: Content,
    /// Bytes of its JSON string literal in the body, quotes included.
    pub literal: Range<usize>,
    /// The turn it belongs to.
    pub turn: Option<usize>,
    /// The choice it belongs to, in an answer.
    pub choice: Option<u32>,
    /// Whether its text may be replaced.
    pub editable: bool,
    /// What it is within its message.
    pub kind: PartKind,
}

/// Who speaks in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// System or developer.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
    /// A role that the dialect does not name; its text counts as the person's.
    Other,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// Bytes of the message object in the body.
    pub literal: Range<usize>,
    /// Its parts: indexes in [`Exchange::parts`].
    pub parts: Range<usize>,
    /// Whether it holds text only: no tools, pictures or parts of other types.
    pub plain_text: bool,
}

/// Why something was not screened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// A file, inline or by reference.
    File,
    /// A content part of an unknown type.
    Unknown,
    /// Encrypted or signed by the provider.
    Opaque,
    /// Content that the upstream holds or fetches and that is only named here.
    Remote,
    /// Numbers that may stand for text (token ids, bytes) in a field that we do not know.
    Numbers,
}

impl Reason {
    /// The name used in metrics, records and the coverage header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::File => "file",
            Self::Unknown => "unknown",
            Self::Opaque => "opaque",
            Self::Remote => "remote",
            Self::Numbers => "numbers",
        }
    }
}

/// Something that reaches the model or the person and was not screened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unscreened {
    /// Where it stands in the body: a JSON pointer.
    pub path: String,
    /// Why.
    pub reason: Reason,
}

/// One request, read.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// How it is spoken.
    pub dialect: Dialect,
    /// The bytes as they came.
    pub body: Bytes,
    /// The model asked for.
    pub model: Option<String>,
    /// Every text, in the order of the body; `parts[i].id == PartId(i)`.
    pub parts: Vec<Part>,
    /// The messages in order.
    pub turns: Vec<Turn>,
    /// Whether the answer shall be an event stream.
    pub stream: bool,
    /// Whether the stream shall end with a usage chunk.
    pub include_usage: bool,
    /// Choices asked for.
    pub n_choices: u32,
    /// Whether any tool or function is offered.
    pub tools: bool,
    /// Whether the answer shall be JSON.
    pub structured: bool,
    /// The person as the client names them.
    pub user: Option<String>,
    /// What is in the body and not in `parts`.
    pub unscreened: Vec<Unscreened>,
    pub(crate) seams: Seams,
}

impl Exchange {
    /// A part or seam by its number.
    #[must_use]
    pub fn part(&self, id: PartId) -> Option<&Part> {
        self.seams.part(&self.parts, id)
    }

    /// Texts read across parts, since a word may be cut in two by a part's or a turn's end.
    ///
    /// Each must be screened like a part. Their ids follow those of `parts`; they cannot be
    /// edited, but [`Exchange::locate`] says which bytes of which parts a match stands for.
    #[must_use]
    pub fn seams(&self) -> &[Part] {
        &self.seams.parts
    }

    /// Neighbouring texts put side by side, for patterns: a word may be cut over any two of them.
    #[must_use]
    pub fn chains(&self) -> Vec<Chain> {
        seam::chains(&self.parts)
    }

    /// The text of the last turn when that is the person's and holds text only.
    #[must_use]
    pub fn last_user_text(&self) -> Option<Content> {
        let last = self.turns.last()?;
        let is_text = last.role == Role::User && last.plain_text;
        if !is_text {
            return None;
        }
        match &self.parts[last.parts.clone()] {
            [only] if only.kind == PartKind::Text => Some(only.content.clone()),
            _ => Some(Content::from(self.turn_text(self.turns.len() - 1))),
        }
    }

    /// The visible text of a turn; several text parts are joined with a line break.
    ///
    /// A turn that holds nothing but the model's native refusal reads as that refusal.
    #[must_use]
    pub fn turn_text(&self, turn: usize) -> String {
        let Some(turn) = self.turns.get(turn) else {
            return String::new();
        };
        let parts = &self.parts[turn.parts.clone()];
        let of_kind = |kind: PartKind| {
            let texts = parts.iter().filter(|part| part.kind == kind);
            texts
                .map(|part| part.content.expose())
                .collect::<Vec<&str>>()
                .join("\n")
        };
        let text = of_kind(PartKind::Text);
        if text.is_empty() {
            of_kind(PartKind::Refusal)
        } else {
            text
        }
    }

    /// The next assistant turn right after a turn.
    #[must_use]
    pub fn assistant_after(&self, turn: usize) -> Option<usize> {
        let next = self.turns.get(turn + 1)?;
        (next.role == Role::Assistant).then_some(turn + 1)
    }

    /// The end of the answer that the request begins and the model shall go on with.
    #[must_use]
    pub fn begun_answer(&self) -> Option<&Part> {
        let last = self.turns.last()?;
        let parts = &self.parts[last.parts.clone()];
        let mut texts = parts.iter().rev();
        texts.find(|part| last.role == Role::Assistant && part.kind == PartKind::Text)
    }

    /// How many turns the person has had.
    #[must_use]
    pub fn user_turns(&self) -> usize {
        self.turns
            .iter()
            .filter(|turn| turn.role == Role::User)
            .count()
    }

    /// Edits that take texts of ours, which were put before or after earlier answers, out again.
    ///
    /// Only what [`crate::CompletionEdit`] and [`crate::StreamReader::insert_text`] write is taken
    /// out: the exact text at the very start or end, with a blank line between it and the rest, or
    /// in a text block of its own. An answer that is ours altogether stays.
    #[must_use]
    pub fn strip_inserted(&self, inserted: &[&str]) -> Vec<Edit> {
        let answers = self
            .turns
            .iter()
            .filter(|turn| turn.role == Role::Assistant);
        answers
            .flat_map(|turn| self.strip_turn(turn, inserted))
            .collect()
    }

    fn strip_turn(&self, turn: &Turn, inserted: &[&str]) -> Vec<Edit> {
        let parts = &self.parts[turn.parts.clone()];
        let texts: Vec<&Part> = parts
            .iter()
            .filter(|part| part.kind == PartKind::Text)
            .collect();
        let is_ours = |part: &&Part| edit::is_inserted(part.content.expose(), inserted);
        let all_ours = texts.iter().all(is_ours);
        let stripped = texts.iter().filter_map(|part| {
            let text = part.content.expose();
            let own = match is_ours(part) {
                true if all_ours => text,
                true => "",
                false => edit::without_inserted(text, inserted),
            };
            (own.len() < text.len()).then(|| Edit::Replace {
                part: part.id,
                text: own.to_owned(),
            })
        });
        stripped.collect()
    }

    /// The bytes to forward: those that came, but for the edits. Without edits the body itself.
    ///
    /// Of several edits of one part the last counts; edits of parts in dropped turns are void.
    ///
    /// # Errors
    /// An edit names a part or turn that is not there or cannot be changed.
    pub fn outgoing(&self, edits: &[Edit]) -> Result<Bytes, EditError> {
        edit::outgoing(self, edits)
    }

    /// The bytes of ordinary parts that bytes of a part or seam stand for.
    #[must_use]
    pub fn locate(&self, id: PartId, range: Range<usize>) -> Vec<(PartId, Range<usize>)> {
        self.seams.locate(&self.parts, id, range)
    }
}
