//! Logits of training texts from models that did not see them.
//!
//! A model's logits on its own training texts are too low where they are harmless, so the score
//! scale is fitted on held-out ones. Sources of ordinary prompts and answers are held out whole:
//! the texts that a gate will see come from sources it was not trained on.

use super::corpus::{Corpus, Example};
use super::joined;
use super::quantise;
use super::random;
use super::sgd::{self, Hyper};
use crate::dataset::Role;
use crate::linear::features::Features;
use crate::linear::table::Table;
use crate::linear::window::Views;
use portcullis_text::Category;
use portcullis_text::segment::Grid;

/// Models trained, each without its part of the rows.
pub(crate) const FOLDS: u64 = 4;
/// Sources of many languages stay in every fold by rows: without them a fold would take every
/// foreign word for harm, which says nothing about the model that ships.
const SPLIT_BY_ROW: [&str; 2] = ["xquad", "chatterbot"];
/// Tokens of a stream's window, and how far it begins after the one before (DESIGN section 7).
const STREAM_TOKENS: usize = 32;
const STREAM_STRIDE: usize = 8;

/// One number per category.
pub(crate) type Logits = [f32; Category::COUNT];

/// What held-out models say about a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldOut {
    /// The largest logits over the text's windows.
    pub(crate) text: Logits,
    /// The largest logits over all windows of the text as a stream; equal to `text` but for
    /// answers.
    pub(crate) stream: Logits,
}

/// What a fold is made from.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) corpus: &'a Corpus,
    pub(crate) ids: &'a [u32],
    pub(crate) n_slots: u32,
    pub(crate) seed: u64,
}

/// Which fold holds each example out.
pub(crate) fn folds(corpus: &Corpus) -> Vec<u64> {
    let mut is_pure = vec![true; corpus.sources.len()];
    for example in &corpus.examples {
        is_pure[example.source as usize] &= example.positive & HARM == 0;
    }
    let fold = |example: &Example| {
        let source = &corpus.sources[example.source as usize];
        if source == joined::SOURCE {
            return example.unit;
        }
        let whole = is_pure[example.source as usize]
            && example.role != Role::Comment
            && !SPLIT_BY_ROW.contains(&source.as_str());
        let unit = if whole { hash(source) } else { example.unit };
        random::mix(unit) % FOLDS
    };
    corpus.examples.iter().map(fold).collect()
}

/// Every category but the advice topics, which are no harm.
pub(crate) const HARM: u32 = {
    let all = (1 << Category::COUNT) - 1;
    let advice = 1 << Category::AdviceMedical.index()
        | 1 << Category::AdviceLegal.index()
        | 1 << Category::AdviceFinancial.index();
    all & !advice
};

/// Trains without one fold and scores it; the results stand in the order of the fold's examples.
pub(crate) fn score_fold(setup: &Setup<'_>, folds: &[u64], fold: u64) -> Vec<HeldOut> {
    let corpus = setup.corpus;
    let all = 0..corpus.examples.len() as u32;
    let (held, kept): (Vec<u32>, Vec<u32>) = all.partition(|&idx| folds[idx as usize] == fold);
    let weights = sgd::fit(
        corpus,
        &kept,
        setup.ids,
        &Hyper::FINAL,
        setup.seed ^ (fold + 1),
    );
    let table = quantise::table(&weights, setup.ids, setup.n_slots);
    let mut features = Features::default();
    let score = |idx: u32| {
        let text = corpus.texts[idx as usize].expose();
        held_out(
            &table,
            &mut features,
            text,
            corpus.examples[idx as usize].role,
        )
    };
    held.into_iter().map(score).collect()
}

fn held_out(table: &Table, features: &mut Features, text: &str, role: Role) -> HeldOut {
    let whole = text_logits(table, features, text);
    let mut stream = whole;
    if role == Role::Response {
        for (start, end) in stream_windows(text) {
            raise(
                &mut stream,
                &text_logits(table, features, &text[start..end]),
            );
        }
    }
    HeldOut {
        text: whole,
        stream,
    }
}

/// The largest logits over all views and windows of a text, as the classifier takes them.
pub(crate) fn text_logits(table: &Table, features: &mut Features, text: &str) -> Logits {
    let mut largest = [f32::NEG_INFINITY; Category::COUNT];
    for piece in Views::of(text).pieces() {
        raise(&mut largest, &table.logits(features, piece.text));
    }
    largest
}

fn raise(largest: &mut Logits, logits: &Logits) {
    for (largest, logit) in largest.iter_mut().zip(logits) {
        *largest = largest.max(*logit);
    }
}

/// The windows a stream of this text is judged by: growing ones at its beginning, then 32 tokens
/// at a time, and what is left at its end.
fn stream_windows(text: &str) -> Vec<(usize, usize)> {
    let mut grid = Grid::new();
    grid.push(text);
    grid.finish();
    let n_tokens = grid.tokens();
    let ends = (STREAM_STRIDE..n_tokens)
        .step_by(STREAM_STRIDE)
        .chain([n_tokens]);
    let window = |end: usize| {
        let first = end.saturating_sub(STREAM_TOKENS) / STREAM_STRIDE * STREAM_STRIDE;
        (grid.start_of(first), grid.start_of(end))
    };
    ends.map(window).collect()
}

fn hash(name: &str) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}
