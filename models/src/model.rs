//! A directory becomes a classifier.

use crate::architecture::{Architecture, Kind};
use crate::config::Config;
use crate::directory::{Directory, Files, Sidecar};
use crate::encoder::{Encoder, Precision, Weights};
use crate::fallback::{Fallback, Sizes};
use crate::{Kernels, LoadError, Tokenizer, Worker, fast};
use portcullis_kernels::{self as kernels, Format, Isa, Matrix};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

macro_rules! embedded {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../default/encoder/", $name)))
    };
}

/// The files of the default guard.
const EMBEDDED: &[(&str, &[u8])] = &[
    embedded!("config.json"),
    embedded!("model.safetensors"),
    embedded!("portcullis.json"),
    embedded!("scale.json"),
    embedded!("tokenizer.json"),
];

/// How to load.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// What the large products run in. Without it: bf16 where the instruction set multiplies it
    /// natively, else f32; f32 on the fallback.
    pub precision: Option<Precision>,
    /// What encoders of the BERT family run on. Without it: the fastest of this machine.
    pub kernels: Option<Kernels>,
}

/// A classifier, ready to run. Immutable; shared by workers.
pub struct Model {
    pub(crate) runner: Runner,
    tokenizer: Tokenizer,
    facts: Facts,
    sidecar: Sidecar,
}

pub(crate) enum Runner {
    Fast(Box<Encoder>),
    Candle(Fallback),
}

/// What a model is.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Its family.
    pub architecture: Architecture,
    /// What its logits mean.
    pub kind: Kind,
    /// Its labels, in order of the logits.
    pub labels: Vec<String>,
    /// Width of a token's vector.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Token ids are below this.
    pub vocab_size: usize,
    /// Longest sequence that can be run, special tokens included.
    pub max_tokens: usize,
    /// What the large products run in: f32 where bf16 was asked for and the kernels have none.
    pub precision: Precision,
    /// What runs it, and why.
    pub route: Route,
    /// `sha256:…` over weights, config and tokenizer.
    pub digest: String,
    /// Memory that the weights hold.
    pub weight_bytes: usize,
}

/// What runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Our kernels.
    Fast {
        /// Those for this instruction set.
        isa: Isa,
    },
    /// candle, one sequence at a time and several times slower.
    Candle {
        /// Why not the fast path.
        reason: &'static str,
    },
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fast { isa } => write!(f, "fast path on {isa} kernels"),
            Self::Candle { reason } => write!(f, "candle, since {reason}"),
        }
    }
}

impl Model {
    /// Reads a directory as Hugging Face writes it, with an optional `portcullis.json`.
    ///
    /// Blocks. While it runs, the files and up to two copies of the weights are in memory.
    ///
    /// # Errors
    /// [`LoadError`] names the file, what is wrong in it, and the mend.
    pub fn load(dir: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        Self::of(Files::In(dir), options)
    }

    /// The default guard, which is in the binary: `models/default/encoder` in the repository.
    ///
    /// Runs in int8, with which it was measured, where our kernels run it. Blocks.
    ///
    /// # Errors
    /// [`LoadError`]: this machine has not what `options` ask for, or the binary is damaged.
    pub fn embedded(options: &LoadOptions) -> Result<Self, LoadError> {
        let kernels = options.kernels.unwrap_or_else(Kernels::fastest);
        let own = matches!(kernels, Kernels::Own(_));
        let options = LoadOptions {
            precision: options.precision.or(own.then_some(Precision::Int8)),
            ..*options
        };
        Self::of(Files::Embedded(EMBEDDED), &options)
    }

    fn of(files: Files<'_>, options: &LoadOptions) -> Result<Self, LoadError> {
        let directory = Directory::read(files)?;
        let config = Config::parse(&directory.config)?;
        let (architecture, task) = Architecture::of(&config)?;
        let labels = config.labels()?;
        let kind = Kind::of(&config, task, labels.len())?;

        let tensors = &directory.tensors;
        let weights = fast::weights(architecture, task, &config, tensors, labels.len())?;
        let (runner, sizes, precision, route) = match weights {
            Some(weights) => bert(architecture, &config, weights, options)?,
            None => on_candle(architecture, &config, &directory, labels.len(), options)?,
        };

        let tokenizer = Tokenizer::load(&directory.tokenizer, sizes.vocab_size)?;
        let sidecar = directory.sidecar;
        sidecar.check_labels(&labels)?;
        let max_tokens = sidecar.max_tokens(tokenizer.n_special(), sizes.max_tokens)?;
        Ok(Self {
            runner,
            tokenizer,
            facts: Facts {
                architecture,
                kind,
                labels,
                hidden: sizes.hidden,
                layers: sizes.layers,
                heads: sizes.heads,
                vocab_size: sizes.vocab_size,
                max_tokens,
                precision,
                route,
                digest: directory.digest,
                weight_bytes: sizes.weight_bytes,
            },
            sidecar,
        })
    }

    /// What it is.
    #[must_use]
    pub fn info(&self) -> &Facts {
        &self.facts
    }

    /// Its tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What its `portcullis.json` says.
    #[must_use]
    pub fn sidecar(&self) -> &Sidecar {
        &self.sidecar
    }

    /// Operations that sequences of these lengths take, a multiply-add being two: products and
    /// attention, less what the last layer need not do for a head on the first token. `None` for
    /// what does not run on our kernels.
    #[must_use]
    pub fn n_operations(&self, lengths: &[usize]) -> Option<f64> {
        let Runner::Fast(encoder) = &self.runner else {
            return None;
        };
        let geometry = encoder.geometry();
        let (hidden, wide) = (geometry.hidden as f64, geometry.intermediate as f64);
        let layers = self.facts.layers as f64;
        let of = |length: &usize| {
            let tokens = *length as f64;
            let layer = tokens * (8.0 * hidden * hidden + 4.0 * hidden * wide)
                + 4.0 * hidden * tokens * tokens;
            if self.facts.kind == Kind::Token {
                return layers * layer;
            }
            let last = tokens * 4.0 * hidden * hidden
                + 4.0 * hidden * hidden
                + 4.0 * hidden * wide
                + 4.0 * hidden * tokens;
            (layers - 1.0) * layer + last
        };
        Some(lengths.iter().map(of).sum())
    }

    /// Memory of its own for one thread that runs batches.
    #[must_use]
    pub fn worker(self: &Arc<Self>) -> Worker {
        Worker::new(Arc::clone(self))
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

type Chosen = (Runner, Sizes, Precision, Route);

fn bert(
    architecture: Architecture,
    config: &Config,
    weights: Weights,
    options: &LoadOptions,
) -> Result<Chosen, LoadError> {
    let reason = match options.kernels {
        Some(Kernels::Own(isa)) => return Ok(on_kernels(weights, isa, options.precision)),
        Some(Kernels::Candle) => "it was asked for",
        None => match Kernels::fastest() {
            Kernels::Own(isa) => return Ok(on_kernels(weights, isa, options.precision)),
            Kernels::Candle => "this processor has none of our kernels",
        },
    };
    in_f32(architecture, options)?;
    let sizes = sizes(&weights);
    let runner = Runner::Candle(Fallback::of_bert(config, weights, sizes)?);
    Ok((runner, sizes, Precision::F32, Route::Candle { reason }))
}

fn on_kernels(weights: Weights, isa: Isa, precision: Option<Precision>) -> Chosen {
    let precision = precision_on(isa, precision);
    let sizes = sizes(&weights);
    let encoder = Encoder::new(weights, precision, isa);
    let sizes = Sizes {
        weight_bytes: encoder.weight_bytes(),
        ..sizes
    };
    let runner = Runner::Fast(Box::new(encoder));
    (runner, sizes, precision, Route::Fast { isa })
}

/// Of the weights in f32.
fn sizes(weights: &Weights) -> Sizes {
    let geometry = weights.geometry;
    Sizes {
        vocab_size: geometry.vocab_size,
        hidden: geometry.hidden,
        layers: weights.layers.len(),
        heads: geometry.heads,
        max_tokens: geometry.max_positions - geometry.position_offset,
        weight_bytes: 4 * weights.n_numbers(),
    }
}

/// bf16 costs almost no accuracy, so it is taken where it is fast. Kernels without it would run
/// f32 under its name.
fn precision_on(isa: Isa, asked: Option<Precision>) -> Precision {
    let has_bf16 = Matrix::format_of(isa, kernels::Precision::Bf16) == Format::Bf16;
    match asked {
        None if has_bf16 && isa != Isa::SCALAR => Precision::Bf16,
        None => Precision::F32,
        Some(Precision::Bf16) if !has_bf16 => Precision::F32,
        Some(precision) => precision,
    }
}

/// candle has no other precision here.
fn in_f32(architecture: Architecture, options: &LoadOptions) -> Result<(), LoadError> {
    match options.precision {
        Some(precision @ (Precision::Bf16 | Precision::Int8)) => Err(LoadError::Precision {
            architecture: architecture.name(),
            precision,
            mend: "leave the precision out, or ask for f32",
        }),
        Some(Precision::F32) | None => Ok(()),
    }
}

fn on_candle(
    architecture: Architecture,
    config: &Config,
    directory: &Directory,
    n_labels: usize,
    options: &LoadOptions,
) -> Result<Chosen, LoadError> {
    in_f32(architecture, options)?;
    let fallback = Fallback::load(architecture, config, &directory.tensors, n_labels)?;
    let reason = match architecture {
        Architecture::DebertaV2 => "DeBERTa's disentangled attention has no kernel here",
        _ => "ModernBERT's rotated, windowed attention has no kernel here",
    };
    let sizes = fallback.sizes;
    let runner = Runner::Candle(fallback);
    Ok((runner, sizes, Precision::F32, Route::Candle { reason }))
}
