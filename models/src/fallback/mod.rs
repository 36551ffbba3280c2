//! The slower way, through candle: architectures that the fast path does not run, and all of them
//! on processors that it has no kernels for.
//!
//! Sequences run one at a time, in f32, so a result never depends on what else is in the batch.
//! Bodies are candle's; heads are ours, since candle's are not those of Hugging Face (its
//! ModernBERT returns probabilities, its DeBERTa knows fewer activations). Every tensor is looked
//! up by our own list first, so that what is missing or misshapen is named here.

mod bert;
mod deberta;
mod modernbert;

use crate::LoadError;
use crate::architecture::Architecture;
use crate::config::Config;
use crate::directory::{Scope, Tensors};
use crate::encoder::{Activation, Weights};
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use std::collections::HashMap;

/// A model on candle.
pub(crate) struct Fallback {
    body: Body,
    pub(crate) sizes: Sizes,
}

enum Body {
    Bert(Box<bert::Bert>),
    Deberta(Box<deberta::Deberta>),
    ModernBert(Box<modernbert::ModernBert>),
}

/// Sizes that a user of the model asks for.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) vocab_size: usize,
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) max_tokens: usize,
    /// Memory of the weights.
    pub(crate) weight_bytes: usize,
}

impl Fallback {
    /// Reads the weights of an architecture that the fast path does not run.
    pub(crate) fn load(
        architecture: Architecture,
        config: &Config,
        tensors: &Tensors,
        n_labels: usize,
    ) -> std::result::Result<Self, LoadError> {
        let mut sizes = Sizes::of(config)?;
        let body = match architecture {
            Architecture::ModernBert => {
                let scope = tensors.scope("model");
                let model = modernbert::ModernBert::load(config, sizes, &scope, n_labels)?;
                Body::ModernBert(Box::new(model))
            }
            _ => {
                let scope = tensors.scope("deberta");
                let model = deberta::Deberta::load(config, sizes, &scope, n_labels)?;
                Body::Deberta(Box::new(model))
            }
        };
        sizes.weight_bytes = tensors.n_taken() * size_of::<f32>();
        Ok(Self { body, sizes })
    }

    /// Takes over the weights of an architecture that the fast path could run.
    pub(crate) fn of_bert(
        config: &Config,
        weights: Weights,
        sizes: Sizes,
    ) -> std::result::Result<Self, LoadError> {
        let body = Body::Bert(Box::new(bert::Bert::new(config, weights)?));
        Ok(Self { body, sizes })
    }

    /// Logits of one sequence, `[n_labels]`, or of each of its tokens, `[n_tokens, n_labels]`.
    pub(crate) fn forward(&self, ids: &[u32]) -> Result<Vec<f32>> {
        let ids = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?; // [1, n_tokens]
        let logits = match &self.body {
            Body::Bert(model) => model.forward(&ids),
            Body::Deberta(model) => model.forward(&ids),
            Body::ModernBert(model) => model.forward(&ids),
        }?;
        logits.flatten_all()?.to_vec1()
    }
}

impl Sizes {
    fn of(config: &Config) -> std::result::Result<Self, LoadError> {
        let (hidden, heads) = config.heads("hidden_size", "num_attention_heads")?;
        Ok(Self {
            vocab_size: config.size("vocab_size")?,
            hidden,
            layers: config.size("num_hidden_layers")?,
            heads,
            max_tokens: config.size("max_position_embeddings")?,
            weight_bytes: 0,
        })
    }
}

/// Tensors by the names that candle asks for.
struct Named<'a> {
    scope: &'a Scope<'a>,
    prefix: &'static str,
    tensors: HashMap<String, Tensor>,
}

impl<'a> Named<'a> {
    fn new(scope: &'a Scope<'a>, prefix: &'static str) -> Self {
        Self {
            scope,
            prefix,
            tensors: HashMap::new(),
        }
    }

    fn body(&mut self, name: &str, shape: &[usize]) -> std::result::Result<(), LoadError> {
        let values = self.scope.body(name, shape)?;
        self.insert(format!("{}.{name}", self.prefix), values, shape)
    }

    fn head(&mut self, name: &str, shape: &[usize]) -> std::result::Result<(), LoadError> {
        let values = self.scope.head(name, shape)?;
        self.insert(name.into(), values, shape)
    }

    fn body_linear(
        &mut self,
        name: &str,
        n_out: usize,
        n_in: usize,
    ) -> std::result::Result<(), LoadError> {
        self.body(&format!("{name}.weight"), &[n_out, n_in])?;
        self.body(&format!("{name}.bias"), &[n_out])
    }

    fn body_norm(&mut self, name: &str, width: usize) -> std::result::Result<(), LoadError> {
        self.body(&format!("{name}.weight"), &[width])?;
        self.body(&format!("{name}.bias"), &[width])
    }

    fn insert(
        &mut self,
        name: String,
        values: Vec<f32>,
        shape: &[usize],
    ) -> std::result::Result<(), LoadError> {
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).map_err(set_up)?;
        self.tensors.insert(name, tensor);
        Ok(())
    }

    fn builder(self) -> VarBuilder<'static> {
        VarBuilder::from_tensors(self.tensors, DType::F32, &Device::Cpu)
    }
}

fn set_up(source: candle_core::Error) -> LoadError {
    LoadError::Candle { source }
}

fn activate(activation: Activation, xs: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::Gelu => xs.gelu_erf(),
        Activation::GeluTanh => xs.gelu(),
        Activation::Relu => xs.relu(),
        Activation::Tanh => xs.tanh(),
    }
}
