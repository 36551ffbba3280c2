//! DistilBERT: BERT without types and pooler, under other names.

use super::{head_linear, layer_norm, linear};
use crate::LoadError;
use crate::architecture::Task;
use crate::config::Config;
use crate::directory::Scope;
use crate::encoder::{Activation, Geometry, Head, Layer, Weights};

/// Body and head.
pub(super) fn weights(
    config: &Config,
    scope: &Scope<'_>,
    task: Task,
    n_labels: usize,
) -> Result<Weights, LoadError> {
    let (hidden, heads) = config.heads("dim", "n_heads")?;
    let geometry = Geometry {
        vocab_size: config.size("vocab_size")?,
        hidden,
        heads,
        intermediate: config.size("hidden_dim")?,
        max_positions: config.size("max_position_embeddings")?,
        position_offset: 0,
        layer_norm_eps: 1e-12,
        activation: config.activation("activation")?,
    };
    let layers = 0..config.size("n_layers")?;
    Ok(Weights {
        word_embeddings: scope.body(
            "embeddings.word_embeddings.weight",
            &[geometry.vocab_size, hidden],
        )?,
        // Sinusoidal ones are saved like learned ones.
        position_embeddings: scope.body(
            "embeddings.position_embeddings.weight",
            &[geometry.max_positions, hidden],
        )?,
        embedding_norm: layer_norm(scope, "embeddings.LayerNorm", hidden)?,
        layers: layers
            .map(|index| layer(scope, index, &geometry))
            .collect::<Result<_, _>>()?,
        head: head(scope, task, hidden, n_labels)?,
        geometry,
    })
}

fn head(scope: &Scope<'_>, task: Task, hidden: usize, n_labels: usize) -> Result<Head, LoadError> {
    let classifier = head_linear(scope, "classifier", n_labels, hidden)?;
    Ok(match task {
        Task::Token => Head::Token { classifier },
        Task::Sequence => Head::First {
            dense: head_linear(scope, "pre_classifier", hidden, hidden)?,
            activation: Activation::Relu,
            classifier,
        },
    })
}

fn layer(scope: &Scope<'_>, index: usize, geometry: &Geometry) -> Result<Layer, LoadError> {
    let (hidden, intermediate) = (geometry.hidden, geometry.intermediate);
    let name = |part: &str| format!("transformer.layer.{index}.{part}");
    let square = |part: &str| linear(scope, &name(part), hidden, hidden);
    Ok(Layer {
        query: square("attention.q_lin")?,
        key: square("attention.k_lin")?,
        value: square("attention.v_lin")?,
        output: square("attention.out_lin")?,
        attention_norm: layer_norm(scope, &name("sa_layer_norm"), hidden)?,
        up: linear(scope, &name("ffn.lin1"), intermediate, hidden)?,
        down: linear(scope, &name("ffn.lin2"), hidden, intermediate)?,
        output_norm: layer_norm(scope, &name("output_layer_norm"), hidden)?,
    })
}
