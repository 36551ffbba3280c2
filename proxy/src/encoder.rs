//! The encoder that a configuration names: loaded and started.

use portcullis_classifiers::batching::Observer;
use portcullis_classifiers::neural::{NeuralClassifier, NeuralConfig, NeuralError};
use portcullis_config::{Encoder, EncoderModel, Kernels, Precision};
use portcullis_models::{LoadError, LoadOptions, Model};
use std::sync::Arc;

/// Why the encoder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// Its directory is no model that we run.
    #[error("the model cannot be loaded")]
    Load(#[from] LoadError),
    /// Its labels or scale, or the engine.
    #[error(transparent)]
    Neural(#[from] NeuralError),
    /// This machine has no such kernels.
    #[error("this processor has no {0} kernels; leave `encoder.kernels` out")]
    Kernels(&'static str),
}

/// Loads the model and starts the engine on it, where the configuration has one.
///
/// # Errors
/// [`EncoderError`]; also for a model whose scores would mean nothing.
pub(crate) fn start(
    rules: &Encoder,
    observer: Arc<dyn Observer>,
) -> Result<Option<Arc<NeuralClassifier>>, EncoderError> {
    let Some(model) = load(rules)? else {
        return Ok(None);
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let config = NeuralConfig {
        n_workers: rules.workers.map_or(cores, |workers| workers as usize),
        known_bytes: rules.known,
    };
    let encoder = NeuralClassifier::start(Arc::new(model), config, observer)?;
    if let EncoderModel::Directory(dir) = &rules.model {
        encoder.require_scale(dir)?;
    }
    Ok(Some(Arc::new(encoder)))
}

/// The model alone.
///
/// # Errors
/// [`EncoderError`].
pub(crate) fn load(rules: &Encoder) -> Result<Option<Model>, EncoderError> {
    let options = options(rules)?;
    Ok(match &rules.model {
        EncoderModel::None => None,
        EncoderModel::Embedded => Some(Model::embedded(&options)?),
        EncoderModel::Directory(dir) => Some(Model::load(dir, &options)?),
    })
}

fn options(rules: &Encoder) -> Result<LoadOptions, EncoderError> {
    Ok(LoadOptions {
        precision: rules.precision.map(precision),
        kernels: rules.kernels.map(kernels).transpose()?,
    })
}

pub(crate) const fn precision(named: Precision) -> portcullis_models::Precision {
    match named {
        Precision::F32 => portcullis_models::Precision::F32,
        Precision::Bf16 => portcullis_models::Precision::Bf16,
        Precision::Int8 => portcullis_models::Precision::Int8,
    }
}

fn kernels(named: Kernels) -> Result<portcullis_models::Kernels, EncoderError> {
    let name = match named {
        Kernels::Avx512 => "avx512",
        Kernels::Avx512Vnni => "avx512_vnni",
        Kernels::Avx512Base => "avx512_base",
        Kernels::AvxVnni => "avx_vnni",
        Kernels::Avx2 => "avx2",
        Kernels::Scalar => "scalar",
        Kernels::Candle => "candle",
    };
    name.parse().map_err(|_| EncoderError::Kernels(name))
}
