//! How far the inputs of 8-bit products reach.
//!
//! In encoders of this family a few places of the hidden state are many times larger than the
//! rest, whatever the text. Random tokens show which, so no text is needed; it takes a forward
//! pass in f32 over a few hundred tokens.

use super::embedding::Embedding;
use super::pack::qkv_of;
use super::{LayerNorm, Linear, Precision, Weights};
use portcullis_kernels::attention::{Heads, Qkv, Scratch, attend};
use portcullis_kernels::{self as kernels, Activation, Isa, Matrix, Norm, Out, Rows};

const SEQUENCES: usize = 4;
const TOKENS: usize = 64;

/// The largest absolute value of each place before each layer's two products of a norm's output,
/// without the norm's shift.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) before_qkv: Vec<f32>,
    pub(super) before_up: Vec<f32>,
}

/// One for each layer.
pub(super) fn reaches(weights: &Weights, isa: Isa) -> Vec<Reach> {
    let g = weights.geometry;
    let pass = Pass {
        isa,
        n_tokens: TOKENS.min(g.max_positions - g.position_offset),
        weights,
    };
    let mut x = pass.embed();
    pass.norm(&mut x, &weights.embedding_norm);
    let mut normed_by = &weights.embedding_norm;
    let mut reaches = Vec::with_capacity(weights.layers.len());
    for layer in &weights.layers {
        let before_qkv = reach(&x, normed_by);
        let context = pass.attend(&pass.linear(&x, &qkv_of(layer, g), Activation::Identity));
        add(
            &mut x,
            &pass.linear(&context, &layer.output, Activation::Identity),
        );
        pass.norm(&mut x, &layer.attention_norm);
        let before_up = reach(&x, &layer.attention_norm);
        let between = pass.linear(&x, &layer.up, g.activation.into());
        add(
            &mut x,
            &pass.linear(&between, &layer.down, Activation::Identity),
        );
        pass.norm(&mut x, &layer.output_norm);
        normed_by = &layer.output_norm;
        reaches.push(Reach {
            before_qkv,
            before_up,
        });
    }
    reaches
}

struct Pass<'a> {
    isa: Isa,
    n_tokens: usize,
    weights: &'a Weights,
}

impl Pass<'_> {
    /// `[SEQUENCES * n_tokens, hidden]`.
    fn embed(&self) -> Vec<f32> {
        let g = self.weights.geometry;
        let embedding = Embedding::new(self.weights, Precision::F32);
        let mut x = vec![0.0; SEQUENCES * self.n_tokens * g.hidden];
        // Weyl's sequence: the ids spread evenly over the vocabulary.
        let step = (g.vocab_size as f64 * 0.618_033_988_749_895) as usize | 1;
        for (token, x) in x.chunks_mut(g.hidden).enumerate() {
            let id = (token + 1) * step % g.vocab_size;
            embedding.write(id as u32, g.position_offset + token % self.n_tokens, x);
        }
        x
    }

    fn norm(&self, x: &mut [f32], norm: &LayerNorm) {
        let eps = self.weights.geometry.layer_norm_eps;
        Norm::new(&norm.gamma, &norm.beta, eps, &norm.gamma).apply(self.isa, x, None);
    }

    fn linear(&self, x: &[f32], linear: &Linear, activation: Activation) -> Vec<f32> {
        let n_in = linear.weight.len() / linear.bias.len();
        let precision = kernels::Precision::F32;
        let matrix = Matrix::pack(self.isa, precision, &linear.weight, &linear.bias);
        let mut rows = Rows::new(matrix.format());
        rows.fill(self.isa, x, n_in);
        let mut y = vec![0.0; rows.len() * matrix.n_out()];
        matrix.apply(&rows, activation, Out::Store(&mut y));
        y
    }

    fn attend(&self, qkv: &[f32]) -> Vec<f32> {
        let g = self.weights.geometry;
        let heads = Heads {
            count: g.heads,
            dim: g.hidden / g.heads,
        };
        let mut context = vec![0.0; qkv.len() / 3];
        let mut scratch = Scratch::default();
        for (seq, out) in context.chunks_mut(self.n_tokens * g.hidden).enumerate() {
            let tokens = seq * self.n_tokens..(seq + 1) * self.n_tokens;
            attend(
                self.isa,
                heads,
                Qkv::F32(qkv),
                (tokens.clone(), tokens),
                (&mut scratch, out),
            );
        }
        context
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

fn reach(x: &[f32], norm: &LayerNorm) -> Vec<f32> {
    let mut reach = vec![0.0_f32; norm.beta.len()];
    for row in x.chunks(norm.beta.len()) {
        for ((reach, x), beta) in reach.iter_mut().zip(row).zip(&norm.beta) {
            *reach = reach.max((x - beta).abs());
        }
    }
    reach
}
