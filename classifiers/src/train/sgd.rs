//! Masked multi-label logistic regression by AdaGrad, one row after another.
//!
//! A text's logit is the largest of its windows', in training as in scoring, so a long text trains
//! the window that decides. An unknown label has no gradient.
//! Everything runs in one thread in a fixed order: the same rows and seed give the same bits.

use super::corpus::{Corpus, Example};
use super::holdout::HARM;
use super::random::Random;
use crate::dataset::Role;
use crate::linear::features;
use portcullis_text::Category;

/// Lanes of a row: the categories, padded to whole vectors.
pub(crate) const LANES: usize = 20;

/// One number per category.
pub(crate) type Row = [f32; LANES];

/// Inverse document frequency of a middling n-gram.
const MIDDLE_IDF: f32 = 7.0;
/// Positives of a rare category.
const FEW_POSITIVES: f32 = 300.0;
/// Most that a common category is pulled harder than a rare one.
const MAX_PULL: f32 = 6.0;
/// Gradients below this do not move anything.
const NEGLIGIBLE: f32 = 1e-3;

/// How to train. Chosen on the development set and on held-out sources, never on evaluation sets.
#[derive(Clone, Debug)]
pub(crate) struct Hyper {
    /// Passes over the rows.
    pub(crate) epochs: usize,
    /// Step size of the first epoch; it falls linearly.
    pub(crate) rate: f32,
    /// Pull towards 0, per unit of gradient, for a category of few positives; see [`pulls`].
    pub(crate) l2: f32,
    /// What the sums of squares begin with: below it AdaGrad is plain gradient descent.
    pub(crate) start: f32,
    /// How much more a word or a word pair counts than a character n-gram: there are ten times
    /// fewer, and what they learn carries over to other sources.
    pub(crate) word: f32,
    /// How much more a harmful prompt counts than any other row.
    pub(crate) focus: f32,
}

impl Hyper {
    /// The short training that decides which n-grams stay.
    pub(crate) const SELECTION: Self = Self {
        epochs: 2,
        rate: 1.3,
        l2: 0.05,
        start: 0.1,
        word: 3.0,
        focus: 2.0,
    };
    /// The training of the weights that ship.
    pub(crate) const FINAL: Self = Self {
        epochs: 4,
        ..Self::SELECTION
    };
}

/// A trained linear layer.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    pub(crate) rows: Vec<Row>,
    pub(crate) bias: Row,
}

impl Weights {
    fn window_logits(&self, features: &[u32], norm: f32) -> Row {
        let mut sum = [0.0; LANES];
        for &feature in features {
            let row = &self.rows[feature as usize];
            for (sum, weight) in sum.iter_mut().zip(row) {
                *sum += weight;
            }
        }
        let mut logits = self.bias;
        for (logit, sum) in logits.iter_mut().zip(sum) {
            *logit += sum * norm;
        }
        logits
    }
}

/// Trains on the examples at `chosen`, in an order drawn anew for each epoch.
///
/// - `ids`: the n-gram ids that the corpus' features number.
pub(crate) fn fit(
    corpus: &Corpus,
    chosen: &[u32],
    ids: &[u32],
    hyper: &Hyper,
    seed: u64,
) -> Weights {
    let mut trainer = Trainer {
        gain: gains(corpus, ids, hyper.word),
        pull: pulls(corpus, chosen, hyper.l2),
        rate: hyper.rate,
        weights: Weights {
            rows: vec![[0.0; LANES]; ids.len()],
            bias: [0.0; LANES],
        },
        squares: vec![[hyper.start; LANES]; ids.len()],
        bias_squares: [1.0; LANES],
        hyper: hyper.clone(),
    };
    let mut order = chosen.to_vec();
    let mut random = Random::new(seed);
    for epoch in 0..hyper.epochs {
        let left = 1.0 - epoch as f32 / hyper.epochs as f32;
        trainer.rate = hyper.rate * left;
        random.shuffle(&mut order);
        for &idx in &order {
            trainer.learn(corpus, &corpus.examples[idx as usize]);
        }
    }
    trainer.weights
}

/// Inverse document frequency of each feature, and more for words; 1 in the middle.
fn gains(corpus: &Corpus, ids: &[u32], word: f32) -> Vec<f32> {
    let mut uses = vec![0_u32; ids.len()];
    for window in &corpus.windows {
        for &feature in corpus.features_of(window) {
            uses[feature as usize] += 1;
        }
    }
    let n_windows = corpus.windows.len() as f32;
    let gain = |(&id, &uses): (&u32, &u32)| {
        let idf = 1.0 + (n_windows / (1.0 + uses as f32)).ln().max(0.0);
        let kind = if features::is_word_id(id) { word } else { 1.0 };
        kind * idf / MIDDLE_IDF
    };
    ids.iter().zip(&uses).map(gain).collect()
}

/// The pull towards 0 of each category: it grows with the positives, since a category of many rows
/// from few sources learns the habits of those sources.
fn pulls(corpus: &Corpus, chosen: &[u32], l2: f32) -> Row {
    let mut pulls = [0.0; LANES];
    for (lane, pull) in pulls.iter_mut().enumerate().take(Category::COUNT) {
        let holds = |idx: &&u32| corpus.examples[**idx as usize].positive >> lane & 1 == 1;
        let n_positives = chosen.iter().filter(holds).count() as f32;
        *pull = l2 * (n_positives / FEW_POSITIVES).sqrt().clamp(1.0, MAX_PULL);
    }
    pulls
}

struct Trainer {
    weights: Weights,
    squares: Vec<Row>,
    bias_squares: Row,
    /// How strongly each feature takes part.
    gain: Vec<f32>,
    pull: Row,
    rate: f32,
    hyper: Hyper,
}

impl Trainer {
    fn learn(&mut self, corpus: &Corpus, example: &Example) {
        let windows = corpus.windows_of(example);
        let mut best = [f32::NEG_INFINITY; LANES];
        let mut witness = [0; LANES];
        for (at, window) in windows.iter().enumerate() {
            let logits = self
                .weights
                .window_logits(corpus.features_of(window), window.norm);
            for lane in 0..LANES {
                if best[lane] < logits[lane] {
                    best[lane] = logits[lane];
                    witness[lane] = at;
                }
            }
        }
        let gradient = self.gradient(example, &best);
        self.move_bias(&gradient);
        for (at, window) in windows.iter().enumerate() {
            let mut mine = [0.0; LANES];
            for lane in 0..LANES {
                if witness[lane] == at {
                    mine[lane] = gradient[lane] * window.norm;
                }
            }
            if gradient
                .iter()
                .zip(&mine)
                .any(|(g, m)| *m != 0.0 && NEGLIGIBLE < g.abs())
            {
                self.move_rows(corpus.features_of(window), &mine);
            }
        }
    }

    fn gradient(&self, example: &Example, logits: &Row) -> Row {
        let mut gradient = [0.0; LANES];
        let focus = self.focus(example);
        for lane in 0..Category::COUNT {
            if example.known >> lane & 1 == 0 {
                continue;
            }
            let probability = 1.0 / (1.0 + (-logits[lane]).exp());
            gradient[lane] = if example.positive >> lane & 1 == 1 {
                probability - 1.0
            } else {
                probability
            } * focus;
        }
        gradient
    }

    /// Harmful prompts count for more: few rows show how one hazard differs from another.
    fn focus(&self, example: &Example) -> f32 {
        let is_harmful = example.positive & HARM != 0;
        if is_harmful && example.role == Role::Prompt {
            self.hyper.focus
        } else {
            1.0
        }
    }

    fn move_bias(&mut self, gradient: &Row) {
        let lanes = self
            .bias_squares
            .iter_mut()
            .zip(&mut self.weights.bias)
            .zip(gradient);
        for ((squares, bias), g) in lanes {
            *squares += g * g;
            *bias -= 0.5 * self.rate * g / squares.sqrt();
        }
    }

    fn move_rows(&mut self, features: &[u32], gradient: &Row) {
        let rate = self.rate;
        for &feature in features {
            let row = &mut self.weights.rows[feature as usize];
            let squares = &mut self.squares[feature as usize];
            let gain = self.gain[feature as usize];
            for lane in 0..LANES {
                let g =
                    gain * (gradient[lane] + self.pull[lane] * row[lane] * gradient[lane].abs());
                squares[lane] += g * g;
                row[lane] -= rate * gain * g / squares[lane].sqrt();
            }
        }
    }
}
