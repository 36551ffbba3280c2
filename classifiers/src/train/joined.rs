//! Long harmless texts, made by joining harmless rows.
//!
//! The data holds few long prompts and no harmless ones of several windows, so a model trained on it
//! takes length itself for a sign. Harmless texts joined are harmless: these rows teach the weights
//! that, and give the score scale a source of long prompts.

use super::corpus::{Corpus, Example};
use super::holdout;
use super::random::Random;
use crate::dataset::Role;
use portcullis_text::{Category, Content};

/// Name of the made-up source.
pub(crate) const SOURCE: &str = "joined";
/// One joined row for so many rows of the data.
const ROWS_PER_JOINED: usize = 40;
/// Shortest and longest joined text, in bytes.
const MIN_BYTES: u64 = 600;
const MAX_BYTES: u64 = 4000;
/// Longest row that is joined.
const MAX_PIECE_BYTES: usize = 1500;

/// Adds joined rows; each is made of rows of one fold and held out with it.
pub(crate) fn add(corpus: &mut Corpus, seed: u64) {
    let folds = holdout::folds(corpus);
    let by_fold: Vec<Vec<usize>> = (0..holdout::FOLDS)
        .map(|fold| harmless(corpus, &folds, fold))
        .collect();
    let mut random = Random::new(seed ^ 0x6a6f_696e);
    for idx in 0..corpus.examples.len() / ROWS_PER_JOINED {
        let fold = idx as u64 % holdout::FOLDS;
        let pieces = &by_fold[fold as usize];
        if !pieces.is_empty() {
            let (text, known) = join(corpus, pieces, &mut random);
            corpus.push_made(SOURCE, &Content::from(text), known, fold);
        }
    }
}

fn harmless(corpus: &Corpus, folds: &[u64], fold: u64) -> Vec<usize> {
    let is_piece = |idx: &usize| {
        let example = &corpus.examples[*idx];
        let is_known = example.known >> Category::Unsafe.index() & 1 == 1;
        let is_short = corpus.texts[*idx].len() <= MAX_PIECE_BYTES;
        let is_harmless = is_known && example.positive == 0 && example.role != Role::Comment;
        folds[*idx] == fold && is_harmless && is_short
    };
    (0..corpus.examples.len()).filter(is_piece).collect()
}

/// Joins random pieces up to a random length; a label is known where it is in every piece.
fn join(corpus: &Corpus, pieces: &[usize], random: &mut Random) -> (String, u32) {
    let length = MIN_BYTES + random.next() % (MAX_BYTES - MIN_BYTES);
    let (mut text, mut known) = (String::new(), u32::MAX);
    while (text.len() as u64) < length {
        let piece = pieces[(random.next() % pieces.len() as u64) as usize];
        let example: &Example = &corpus.examples[piece];
        known &= example.known;
        text.push_str(corpus.texts[piece].expose());
        text.push_str(if random.next().is_multiple_of(2) {
            "\n\n"
        } else {
            " "
        });
    }
    (text, known)
}
