//! BERT, and RoBERTa and XLM-RoBERTa, which differ from it in positions and head only.

use super::{head_linear, layer_norm, linear};
use crate::LoadError;
use crate::architecture::Task;
use crate::config::Config;
use crate::directory::Scope;
use crate::encoder::{Activation, Geometry, Head, Layer, Weights};

/// The body, with a head already read.
pub(super) fn weights(
    config: &Config,
    scope: &Scope<'_>,
    position_offset: usize,
    head: Head,
) -> Result<Weights, LoadError> {
    let geometry = geometry(config, position_offset)?;
    let hidden = geometry.hidden;
    let layers = 0..config.size("num_hidden_layers")?;
    Ok(Weights {
        word_embeddings: scope.body(
            "embeddings.word_embeddings.weight",
            &[geometry.vocab_size, hidden],
        )?,
        position_embeddings: position_embeddings(config, scope, &geometry)?,
        embedding_norm: layer_norm(scope, "embeddings.LayerNorm", hidden)?,
        layers: layers
            .map(|index| layer(scope, index, &geometry))
            .collect::<Result<_, _>>()?,
        head,
        geometry,
    })
}

/// The pooler and the classifier.
pub(super) fn bert_head(
    config: &Config,
    scope: &Scope<'_>,
    task: Task,
    n_labels: usize,
) -> Result<Head, LoadError> {
    let hidden = config.size("hidden_size")?;
    let classifier = head_linear(scope, "classifier", n_labels, hidden)?;
    Ok(match task {
        Task::Token => Head::Token { classifier },
        Task::Sequence => Head::First {
            dense: linear(scope, "pooler.dense", hidden, hidden)?,
            activation: Activation::Tanh,
            classifier,
        },
    })
}

/// A head of two layers; a pooler that may have been saved is not part of it.
pub(super) fn roberta_head(
    config: &Config,
    scope: &Scope<'_>,
    task: Task,
    n_labels: usize,
) -> Result<Head, LoadError> {
    let hidden = config.size("hidden_size")?;
    Ok(match task {
        Task::Token => Head::Token {
            classifier: head_linear(scope, "classifier", n_labels, hidden)?,
        },
        Task::Sequence => Head::First {
            dense: head_linear(scope, "classifier.dense", hidden, hidden)?,
            activation: Activation::Tanh,
            classifier: head_linear(scope, "classifier.out_proj", n_labels, hidden)?,
        },
    })
}

fn geometry(config: &Config, position_offset: usize) -> Result<Geometry, LoadError> {
    config.one_of("position_embedding_type", &["absolute"])?;
    config.off("is_decoder")?;
    config.off("add_cross_attention")?;
    let (hidden, heads) = config.heads("hidden_size", "num_attention_heads")?;
    let max_positions = config.size("max_position_embeddings")?;
    if max_positions <= position_offset {
        let needs = format!("more than {position_offset}, where the positions of tokens start");
        return Err(config.wrong("max_position_embeddings", &needs));
    }
    Ok(Geometry {
        vocab_size: config.size("vocab_size")?,
        hidden,
        heads,
        intermediate: config.size("intermediate_size")?,
        max_positions,
        position_offset,
        layer_norm_eps: config.positive_or("layer_norm_eps", 1e-12)? as f32,
        activation: config.activation("hidden_act")?,
    })
}

/// Position embeddings with the embedding of the only type of token, the first, added.
fn position_embeddings(
    config: &Config,
    scope: &Scope<'_>,
    geometry: &Geometry,
) -> Result<Vec<f32>, LoadError> {
    let hidden = geometry.hidden;
    let mut positions = scope.body(
        "embeddings.position_embeddings.weight",
        &[geometry.max_positions, hidden],
    )?;
    let n_types = config.size("type_vocab_size")?;
    let types = scope.body(
        "embeddings.token_type_embeddings.weight",
        &[n_types, hidden],
    )?;
    for row in positions.chunks_exact_mut(hidden) {
        for (value, of_type) in row.iter_mut().zip(&types) {
            *value += of_type;
        }
    }
    Ok(positions)
}

fn layer(scope: &Scope<'_>, index: usize, geometry: &Geometry) -> Result<Layer, LoadError> {
    let (hidden, intermediate) = (geometry.hidden, geometry.intermediate);
    let name = |part: &str| format!("encoder.layer.{index}.{part}");
    let square = |part: &str| linear(scope, &name(part), hidden, hidden);
    Ok(Layer {
        query: square("attention.self.query")?,
        key: square("attention.self.key")?,
        value: square("attention.self.value")?,
        output: square("attention.output.dense")?,
        attention_norm: layer_norm(scope, &name("attention.output.LayerNorm"), hidden)?,
        up: linear(scope, &name("intermediate.dense"), intermediate, hidden)?,
        down: linear(scope, &name("output.dense"), hidden, intermediate)?,
        output_norm: layer_norm(scope, &name("output.LayerNorm"), hidden)?,
    })
}
