//! Text to token ids, in windows that a model can read.
//!
//! Ids are those of Hugging Face's tokenizers for the same `tokenizer.json`, except that its
//! truncation and padding are not followed: no part of a text goes unread, and batches are packed.
//! As there, the names of special tokens within a text (`[SEP]`, `</s>`) become those tokens.
//!
//! A text longer than [`Tokenizer::CHUNK`] bytes is tokenized in pieces, so that time and memory
//! stay linear in its length. Pieces end before white space; where there is none for 4 KiB, the
//! text around the seam is read twice. Ids may differ from Hugging Face's at such seams only, and
//! every word up to 256 bytes long is whole in at least one of the two readings.

mod chunks;

use crate::LoadError;
use crate::directory::Read;
use std::fmt;
use std::ops::Range;
use tokenizers::models::ModelWrapper;
use tokenizers::{Encoding, Token};

/// The tokenizer of a model. Immutable; shared by threads.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    before: Vec<u32>,
    after: Vec<u32>,
}

/// A stretch of a text as a model reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Token ids, special tokens included.
    pub ids: Vec<u32>,
    /// What they were read from, in bytes of the text, on character boundaries.
    pub range: Range<usize>,
}

/// The tokenizer failed on a text.
#[derive(Debug, thiserror::Error)]
#[error("the tokenizer failed on a text")]
pub struct TokenizeError {
    #[source]
    source: tokenizers::Error,
}

impl Tokenizer {
    /// Longest text in bytes that is tokenized in one piece.
    pub const CHUNK: usize = chunks::CHUNK;

    /// Cuts a text into windows of at most `max_tokens` tokens, special tokens included, each of
    /// which starts with the last `overlap` tokens of the one before.
    ///
    /// - at least one window, also for a text without tokens, which then holds special tokens only;
    /// - every byte of the text is in the range of a window;
    /// - a window has room for one token at least, whatever `max_tokens` says;
    /// - `overlap` is at most half of a window's room: more counts as that.
    ///
    /// Time and memory are linear in the text.
    ///
    /// # Errors
    /// [`TokenizeError`] when the tokenizer itself fails.
    pub fn windows(
        &self,
        text: &str,
        max_tokens: usize,
        overlap: usize,
    ) -> Result<Vec<Window>, TokenizeError> {
        let tokens = self.tokens(text, usize::MAX)?;
        let room = self.room(max_tokens);
        let step = room - overlap.min(room / 2);
        let mut windows = Vec::new();
        for start in (0..tokens.len().max(1)).step_by(step) {
            let end = tokens.len().min(start + room);
            windows.push(self.window(text, &tokens[start..end]));
            if end == tokens.len() {
                break;
            }
        }
        Ok(windows)
    }

    /// The ids of the first of [`Self::windows`]; what comes after it is not read.
    ///
    /// # Errors
    /// As [`Self::windows`].
    pub fn first_window(&self, text: &str, max_tokens: usize) -> Result<Vec<u32>, TokenizeError> {
        let room = self.room(max_tokens);
        let tokens = self.tokens(text, room)?;
        Ok(self.window(text, &tokens[..room.min(tokens.len())]).ids)
    }

    /// Tokens of a window besides the special ones.
    fn room(&self, max_tokens: usize) -> usize {
        max_tokens.saturating_sub(self.n_special()).max(1)
    }

    /// Tokens of a text, special tokens included, if it were one window.
    ///
    /// # Errors
    /// As [`Self::windows`].
    pub fn count(&self, text: &str) -> Result<usize, TokenizeError> {
        Ok(self.n_special() + self.tokens(text, usize::MAX)?.len())
    }

    /// Special tokens in each window.
    #[must_use]
    pub fn n_special(&self) -> usize {
        self.before.len() + self.after.len()
    }

    fn window(&self, text: &str, tokens: &[Piece]) -> Window {
        let own = tokens.iter().map(|token| token.id);
        let start = tokens.iter().map(|token| token.start).min();
        let end = tokens.iter().map(|token| token.end).max();
        Window {
            ids: self
                .before
                .iter()
                .copied()
                .chain(own)
                .chain(self.after.iter().copied())
                .collect(),
            range: text.floor_char_boundary(start.unwrap_or(0))
                ..text.ceil_char_boundary(end.unwrap_or(text.len())),
        }
    }

    /// The tokens of a text but special ones, all of them or the first `enough` and maybe more; the
    /// ranges of all cover it.
    fn tokens(&self, text: &str, enough: usize) -> Result<Vec<Piece>, TokenizeError> {
        let mut tokens = Vec::new();
        // Everything before this byte is in the range of a token.
        let mut covered = 0;
        for chunk in chunks::chunks(text) {
            if enough <= tokens.len() {
                return Ok(tokens);
            }
            let encoding = self
                .inner
                .encode(&text[chunk.clone()], false)
                .map_err(|source| TokenizeError { source })?;
            let first = tokens.len();
            tokens.extend(pieces(&encoding, chunk.start));
            if first < tokens.len() {
                close_gaps(&mut tokens[first..], covered.min(chunk.start)..chunk.end);
                covered = chunk.end;
            }
        }
        if let Some(last) = tokens.last_mut() {
            last.end = text.len();
        }
        Ok(tokens)
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("before", &self.before)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}

/// A token and the bytes it was read from.
struct Piece {
    id: u32,
    start: usize,
    end: usize,
}

fn pieces(encoding: &Encoding, from: usize) -> impl Iterator<Item = Piece> {
    let pairs = encoding.get_ids().iter().zip(encoding.get_offsets());
    pairs.map(move |(id, (start, end))| Piece {
        id: *id,
        start: from + start,
        end: from + end,
    })
}

/// Stretches the ranges of tokens so that what lies between them belongs to one.
fn close_gaps(tokens: &mut [Piece], range: Range<usize>) {
    let mut covered = range.start;
    for token in &mut *tokens {
        token.start = token.start.min(covered);
        covered = covered.max(token.end);
    }
    if let Some(last) = tokens.last_mut() {
        last.end = range.end;
    }
}

const BROKEN: &str = "save it again with `tokenizer.save_pretrained(dir)` of a recent transformers";
const NO_TEMPLATE: &str = "its post-processor must put special tokens around a text, as the model \
                           was trained";
const NO_UNKNOWN: &str = "its `unk_token` must be in its vocabulary, or an unusual character fails";
const RANDOM: &str = "`dropout` makes ids random: set it to null";

impl Tokenizer {
    /// Reads `tokenizer.json` and holds it against the rows of the embedding.
    ///
    /// # Errors
    /// [`LoadError::Tokenizer`], [`LoadError::TokenizerMismatch`].
    pub(crate) fn load(file: &Read, vocab_size: usize) -> Result<Self, LoadError> {
        let unusable = |mend| {
            move |source| LoadError::Tokenizer {
                path: file.path.clone(),
                mend,
                source,
            }
        };
        let mut inner = tokenizers::Tokenizer::from_bytes(&file.bytes).map_err(unusable(BROKEN))?;
        inner.with_truncation(None).map_err(unusable(BROKEN))?;
        inner.with_padding(None);
        if has_dropout(&inner) {
            return Err(unusable(RANDOM)("dropout is on".into()));
        }
        check_ids(file, &inner, vocab_size)?;
        // The last code point of Unicode is in no vocabulary.
        inner
            .encode("a \u{10FFFF}", false)
            .map_err(unusable(NO_UNKNOWN))?;
        let (before, after) = template(&inner).map_err(unusable(NO_TEMPLATE))?;
        if before.is_empty() && after.is_empty() {
            return Err(unusable(NO_TEMPLATE)("it adds no special tokens".into()));
        }
        Ok(Self {
            inner,
            before,
            after,
        })
    }
}

fn has_dropout(inner: &tokenizers::Tokenizer) -> bool {
    match inner.get_model() {
        ModelWrapper::BPE(model) => model.dropout.is_some_and(|dropout| 0.0 < dropout),
        _ => false,
    }
}

fn check_ids(
    file: &Read,
    inner: &tokenizers::Tokenizer,
    vocab_size: usize,
) -> Result<(), LoadError> {
    let largest = inner.get_vocab(true).into_iter().max_by_key(|(_, id)| *id);
    match largest {
        Some((token, id)) if vocab_size <= id as usize => Err(LoadError::TokenizerMismatch {
            path: file.path.clone(),
            token,
            id,
            vocab_size,
        }),
        _ => Ok(()),
    }
}

/// Special tokens before and after a text.
fn template(inner: &tokenizers::Tokenizer) -> Result<(Vec<u32>, Vec<u32>), tokenizers::Error> {
    let own = Token::new(0, "a".into(), (0, 1));
    let processed = inner.post_process(Encoding::from_tokens(vec![own], 0), None, true)?;
    let ids = processed.get_ids();
    let is_special = processed.get_special_tokens_mask();
    let at = is_special.iter().position(|special| *special == 0);
    match at {
        Some(at) if is_special.iter().filter(|special| **special == 0).count() == 1 => {
            Ok((ids[..at].to_vec(), ids[at + 1..].to_vec()))
        }
        _ => Err("it does not contain the text exactly once".into()),
    }
}
