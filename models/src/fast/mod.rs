//! From tensors to the [`Weights`] of the fast path.

mod bert;
mod distilbert;

use crate::LoadError;
use crate::architecture::{Architecture, Task};
use crate::config::Config;
use crate::directory::{Scope, Tensors};
use crate::encoder::{LayerNorm, Linear, Weights};

/// Reads the weights of one of the architectures that the fast path runs; `None` for the others.
pub(crate) fn weights(
    architecture: Architecture,
    task: Task,
    config: &Config,
    tensors: &Tensors,
    n_labels: usize,
) -> Result<Option<Weights>, LoadError> {
    match architecture {
        Architecture::Bert => {
            let scope = tensors.scope("bert");
            let head = bert::bert_head(config, &scope, task, n_labels)?;
            bert::weights(config, &scope, 0, head).map(Some)
        }
        Architecture::Roberta | Architecture::XlmRoberta => {
            let scope = tensors.scope("roberta");
            let head = bert::roberta_head(config, &scope, task, n_labels)?;
            // Positions count from the one after that of padding.
            let position_offset = config.size_or("pad_token_id", 1)? + 1;
            bert::weights(config, &scope, position_offset, head).map(Some)
        }
        Architecture::DistilBert => {
            distilbert::weights(config, &tensors.scope("distilbert"), task, n_labels).map(Some)
        }
        Architecture::DebertaV2 | Architecture::ModernBert => Ok(None),
    }
}

fn linear(scope: &Scope<'_>, name: &str, n_out: usize, n_in: usize) -> Result<Linear, LoadError> {
    Ok(Linear {
        weight: scope.body(&format!("{name}.weight"), &[n_out, n_in])?,
        bias: scope.body(&format!("{name}.bias"), &[n_out])?,
    })
}

fn head_linear(
    scope: &Scope<'_>,
    name: &str,
    n_out: usize,
    n_in: usize,
) -> Result<Linear, LoadError> {
    Ok(Linear {
        weight: scope.head(&format!("{name}.weight"), &[n_out, n_in])?,
        bias: scope.head(&format!("{name}.bias"), &[n_out])?,
    })
}

fn layer_norm(scope: &Scope<'_>, name: &str, hidden: usize) -> Result<LayerNorm, LoadError> {
    Ok(LayerNorm {
        gamma: scope.body(&format!("{name}.weight"), &[hidden])?,
        beta: scope.body(&format!("{name}.bias"), &[hidden])?,
    })
}
