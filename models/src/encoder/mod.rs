//! The fast path: encoders of the BERT family on the kernels of this machine.
//!
//! [`Weights`] is what a loader fills, in f32 and in the layout of PyTorch's `nn.Linear`
//! (`[out_features, in_features]`, row-major); [`Encoder::new`] packs them once for the chosen
//! precision and instruction set; [`Encoder::forward`] runs a packed batch.

mod calibrate;
mod embedding;
mod forward;
mod pack;
mod scratch;
#[cfg(test)]
mod tests;

use crate::Batch;
use embedding::Embedding;
use pack::{PackedHead, PackedLayer};
use portcullis_kernels::Norm;

pub use portcullis_kernels::{Isa, Team};
pub use scratch::Scratch;

/// Sizes of an encoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of a token's vector.
    pub hidden: usize,
    /// Attention heads; divides `hidden`.
    pub heads: usize,
    /// Width between the two feed-forward projections.
    pub intermediate: usize,
    /// Rows of the position embedding.
    pub max_positions: usize,
    /// The first token's row of the position embedding: 0 for BERT, padding id + 1 for RoBERTa.
    pub position_offset: usize,
    /// Epsilon of every layer norm.
    pub layer_norm_eps: f32,
    /// Between the two feed-forward projections.
    pub activation: Activation,
}

/// An element-wise function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Exact, by the error function.
    Gelu,
    /// By the hyperbolic tangent (`gelu_new`, `gelu_pytorch_tanh`).
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

/// `y = x W^T + b`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// `[out_features, in_features]`, row-major.
    pub weight: Vec<f32>,
    /// `[out_features]`.
    pub bias: Vec<f32>,
}

/// Scale and shift after normalisation, each `[hidden]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    /// Scale.
    pub gamma: Vec<f32>,
    /// Shift.
    pub beta: Vec<f32>,
}

/// One layer, post-norm as in BERT.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// `[hidden, hidden]`.
    pub query: Linear,
    /// `[hidden, hidden]`.
    pub key: Linear,
    /// `[hidden, hidden]`.
    pub value: Linear,
    /// `[hidden, hidden]`, then the residual and `attention_norm`.
    pub output: Linear,
    /// After attention.
    pub attention_norm: LayerNorm,
    /// `[intermediate, hidden]`, then the activation.
    pub up: Linear,
    /// `[hidden, intermediate]`, then the residual and `output_norm`.
    pub down: Linear,
    /// After the feed-forward part.
    pub output_norm: LayerNorm,
}

/// From the last hidden states to logits.
#[derive(Clone, Debug, PartialEq)]
pub enum Head {
    /// On the first token of each sequence: `classifier(activation(dense(x)))`. BERT's pooler
    /// (tanh), RoBERTa's head (tanh), DistilBERT's (relu). Logits are `[n_seqs, n_labels]`.
    First {
        /// `[hidden, hidden]`.
        dense: Linear,
        /// After `dense`.
        activation: Activation,
        /// `[n_labels, hidden]`.
        classifier: Linear,
    },
    /// On every token: `classifier(x)`. Logits are `[total_tokens, n_labels]`.
    Token {
        /// `[n_labels, hidden]`.
        classifier: Linear,
    },
}

/// Everything an encoder of the BERT family consists of.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Sizes.
    pub geometry: Geometry,
    /// `[vocab_size, hidden]`.
    pub word_embeddings: Vec<f32>,
    /// `[max_positions, hidden]`; the token-type row 0, where there is one, is added to each row.
    pub position_embeddings: Vec<f32>,
    /// Of the embeddings.
    pub embedding_norm: LayerNorm,
    /// From the first to the last.
    pub layers: Vec<Layer>,
    /// To logits.
    pub head: Head,
}

impl Weights {
    /// Numbers in all its arrays.
    pub(crate) fn n_numbers(&self) -> usize {
        let linear = |linear: &Linear| linear.weight.len() + linear.bias.len();
        let norm = |norm: &LayerNorm| norm.gamma.len() + norm.beta.len();
        let layer = |layer: &Layer| {
            let (attention_norm, output_norm) = (&layer.attention_norm, &layer.output_norm);
            [&layer.query, &layer.key, &layer.value, &layer.output]
                .map(linear)
                .iter()
                .sum::<usize>()
                + linear(&layer.up)
                + linear(&layer.down)
                + norm(attention_norm)
                + norm(output_norm)
        };
        let head = match &self.head {
            Head::First {
                dense, classifier, ..
            } => linear(dense) + linear(classifier),
            Head::Token { classifier } => linear(classifier),
        };
        self.word_embeddings.len()
            + self.position_embeddings.len()
            + norm(&self.embedding_norm)
            + self.layers.iter().map(layer).sum::<usize>()
            + head
    }
}

/// What weights and activations of the large products are held in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// bfloat16 with sums in f32.
    Bf16,
    /// 8-bit integers: weights scaled per channel, activations per token.
    Int8,
}

/// Why a batch has no logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// A sequence has more tokens than the model has positions.
    TooLong {
        /// Tokens of the sequence.
        n_tokens: usize,
        /// Positions of the model.
        max_tokens: usize,
    },
    /// A token id the embedding has no row for.
    UnknownToken {
        /// The id.
        id: u32,
        /// Rows of the embedding.
        vocab_size: usize,
    },
    /// `is_cancelled` said so between two layers.
    Cancelled,
    /// A logit is not a number.
    NonFinite,
    /// A thread of the team panicked.
    Panicked,
}

/// An encoder, packed for one precision and instruction set. Immutable; shared by workers.
#[derive(Debug)]
pub struct Encoder {
    isa: Isa,
    geometry: Geometry,
    embedding: Embedding,
    embedding_norm: Norm,
    layers: Vec<PackedLayer>,
    head: PackedHead,
    /// Whether queries, keys and values are kept in bf16.
    attends_in_bf16: bool,
    /// Between the feed-forward products.
    activation: portcullis_kernels::Activation,
}

impl Encoder {
    /// Packs weights; takes a moment for each million of them.
    ///
    /// The large products run in `precision`; attention in bf16, save for f32, which is f32
    /// throughout; norms, softmax and the head in f32. Without BF16 in the processor f32 stands in
    /// for it. Embeddings are kept as `precision` says, 8-bit ones with a scale per row.
    ///
    /// # Panics
    /// When arrays are not as long as the geometry says.
    #[must_use]
    pub fn new(weights: Weights, precision: Precision, isa: Isa) -> Self {
        pack::encoder(weights, precision, isa)
    }

    /// Sizes.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Instruction set.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Logits for each sequence, or for each token.
    #[must_use]
    pub fn n_labels(&self) -> usize {
        self.head.classifier().n_out()
    }

    /// Memory that the packed weights hold.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let layers: usize = self.layers.iter().map(PackedLayer::bytes).sum();
        layers + self.embedding.bytes() + self.embedding_norm.bytes() + self.head.bytes()
    }

    /// Runs one packed batch on this thread and returns its logits, uncalibrated, in input order.
    ///
    /// A sequence's logits are the same bits whatever else is in the batch. `is_cancelled` is
    /// asked between layers. Blocks; allocates nothing once `scratch` has grown.
    ///
    /// # Errors
    /// [`EncodeError`], save [`EncodeError::Panicked`].
    pub fn forward<'s>(
        &self,
        scratch: &'s mut Scratch,
        batch: &Batch,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<&'s [f32], EncodeError> {
        self.run(None, scratch, batch, is_cancelled)
    }

    /// [`Self::forward`] with the tokens shared out over the team: for one request that is to be
    /// fast rather than many that are to be cheap. The logits are the same bits for any team.
    ///
    /// # Errors
    /// [`EncodeError`].
    pub fn forward_on<'s>(
        &self,
        team: &Team,
        scratch: &'s mut Scratch,
        batch: &Batch,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<&'s [f32], EncodeError> {
        self.forward_while(team, &|| true, scratch, batch, is_cancelled)
    }

    /// [`Self::forward_on`] for as long as `is_free`, which is asked between layers, says that the
    /// team's cores are; then [`Self::forward`]. The logits are the same bits at any rate.
    ///
    /// # Errors
    /// [`EncodeError`].
    pub fn forward_while<'s>(
        &self,
        team: &Team,
        is_free: &dyn Fn() -> bool,
        scratch: &'s mut Scratch,
        batch: &Batch,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<&'s [f32], EncodeError> {
        let help = forward::Help { team, is_free };
        self.run(Some(help), scratch, batch, is_cancelled)
    }
}
