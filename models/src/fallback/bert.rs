//! BERT's family, from the weights that the fast path takes.
//!
//! These are of one form for all four architectures: types of tokens are added to positions, and
//! padding's rows are skipped. So candle's encoder of BERT runs them all.

use super::set_up;
use crate::LoadError;
use crate::config::Config;
use crate::encoder::{self, Geometry, Head, LayerNorm, Linear, Weights};
use candle_core::{DType, Device, IndexOp, Module, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{self, BertEncoder, HiddenAct};
use std::collections::HashMap;

pub(super) struct Bert {
    /// `[vocab_size, hidden]`.
    words: Tensor,
    /// `[max_positions, hidden]`.
    positions: Tensor,
    position_offset: usize,
    norm: candle_nn::LayerNorm,
    body: BertEncoder,
    head: CandleHead,
}

enum CandleHead {
    First {
        dense: candle_nn::Linear,
        activation: encoder::Activation,
        classifier: candle_nn::Linear,
    },
    Token {
        classifier: candle_nn::Linear,
    },
}

impl Bert {
    pub(super) fn new(config: &Config, weights: Weights) -> std::result::Result<Self, LoadError> {
        let g = weights.geometry;
        let settings = settings(config, g, weights.layers.len())?;
        let of = |weights: Weights| -> Result<Self> {
            Ok(Self {
                words: table(weights.word_embeddings, g.hidden)?,
                positions: table(weights.position_embeddings, g.hidden)?,
                position_offset: g.position_offset,
                norm: layer_norm(weights.embedding_norm, g)?,
                body: BertEncoder::load(layers(weights.layers)?, &settings)?,
                head: head(weights.head)?,
            })
        };
        of(weights).map_err(set_up)
    }

    /// `[1, n_labels]`, or `[n_tokens, n_labels]`.
    pub(super) fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let n_tokens = ids.dim(1)?;
        let words = self.words.index_select(&ids.squeeze(0)?, 0)?; // [n_tokens, hidden]
        let positions = self.positions.narrow(0, self.position_offset, n_tokens)?;
        let x = self.norm.forward(&(words + positions)?.unsqueeze(0)?)?;
        // What is added to the scores: no token is hidden from another.
        let mask = Tensor::zeros((1, 1, 1, n_tokens), DType::F32, ids.device())?;
        let hidden = self.body.forward(&x, &mask)?.squeeze(0)?; // [n_tokens, hidden]
        match &self.head {
            CandleHead::First {
                dense,
                activation,
                classifier,
            } => {
                let first = hidden.i(0..1)?.contiguous()?; // [1, hidden]
                let pooled = super::activate(*activation, &dense.forward(&first)?)?;
                classifier.forward(&pooled)
            }
            CandleHead::Token { classifier } => classifier.forward(&hidden),
        }
    }
}

/// What candle cannot run is refused.
fn settings(
    config: &Config,
    g: Geometry,
    n_layers: usize,
) -> std::result::Result<bert::Config, LoadError> {
    let hidden_act = match g.activation {
        encoder::Activation::Gelu => HiddenAct::Gelu,
        encoder::Activation::GeluTanh => HiddenAct::GeluApproximate,
        encoder::Activation::Relu => HiddenAct::Relu,
        encoder::Activation::Tanh => {
            return Err(config.unsupported("hidden_act", "`gelu`, `gelu_new`, `relu` on candle"));
        }
    };
    Ok(bert::Config {
        vocab_size: g.vocab_size,
        hidden_size: g.hidden,
        num_hidden_layers: n_layers,
        num_attention_heads: g.heads,
        intermediate_size: g.intermediate,
        hidden_act,
        hidden_dropout_prob: 0.0,
        max_position_embeddings: g.max_positions,
        layer_norm_eps: f64::from(g.layer_norm_eps),
        ..bert::Config::default()
    })
}

/// Under the names that candle asks for.
fn layers(layers: Vec<encoder::Layer>) -> Result<VarBuilder<'static>> {
    let mut tensors = HashMap::new();
    for (index, layer) in layers.into_iter().enumerate() {
        let name = |part: &str| format!("layer.{index}.{part}");
        for (part, linear) in [
            ("attention.self.query", layer.query),
            ("attention.self.key", layer.key),
            ("attention.self.value", layer.value),
            ("attention.output.dense", layer.output),
            ("intermediate.dense", layer.up),
            ("output.dense", layer.down),
        ] {
            let (weight, bias) = weight_and_bias(linear)?;
            tensors.insert(name(&format!("{part}.weight")), weight);
            tensors.insert(name(&format!("{part}.bias")), bias);
        }
        for (part, norm) in [
            ("attention.output.LayerNorm", layer.attention_norm),
            ("output.LayerNorm", layer.output_norm),
        ] {
            tensors.insert(name(&format!("{part}.weight")), row(norm.gamma)?);
            tensors.insert(name(&format!("{part}.bias")), row(norm.beta)?);
        }
    }
    Ok(VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu))
}

fn head(head: Head) -> Result<CandleHead> {
    let of = |linear| {
        let (weight, bias) = weight_and_bias(linear)?;
        Result::Ok(candle_nn::Linear::new(weight, Some(bias)))
    };
    Ok(match head {
        Head::First {
            dense,
            activation,
            classifier,
        } => CandleHead::First {
            dense: of(dense)?,
            activation,
            classifier: of(classifier)?,
        },
        Head::Token { classifier } => CandleHead::Token {
            classifier: of(classifier)?,
        },
    })
}

fn layer_norm(norm: LayerNorm, g: Geometry) -> Result<candle_nn::LayerNorm> {
    let eps = f64::from(g.layer_norm_eps);
    Ok(candle_nn::LayerNorm::new(
        row(norm.gamma)?,
        row(norm.beta)?,
        eps,
    ))
}

fn weight_and_bias(linear: Linear) -> Result<(Tensor, Tensor)> {
    let n_in = linear.weight.len() / linear.bias.len().max(1);
    Ok((table(linear.weight, n_in)?, row(linear.bias)?))
}

fn table(values: Vec<f32>, width: usize) -> Result<Tensor> {
    let shape = (values.len() / width.max(1), width);
    Tensor::from_vec(values, shape, &Device::Cpu)
}

fn row(values: Vec<f32>) -> Result<Tensor> {
    let len = values.len();
    Tensor::from_vec(values, len, &Device::Cpu)
}
