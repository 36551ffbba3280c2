//! ModernBERT.

use super::{Named, Sizes, activate, set_up};
use crate::LoadError;
use crate::config::Config;
use crate::directory::Scope;
use crate::encoder::Activation;
use candle_core::{DType, IndexOp, Module, Result, Tensor};
use candle_nn::{LayerNorm, Linear, layer_norm_no_bias, linear, linear_no_bias};
use candle_transformers::models::modernbert;
use serde_json::Value;

pub(super) struct ModernBert {
    body: modernbert::ModernBert,
    pooling: Pooling,
    dense: Linear,
    activation: Activation,
    norm: LayerNorm,
    classifier: Linear,
}

/// What the head reads.
#[derive(Clone, Copy)]
enum Pooling {
    First,
    Mean,
}

impl ModernBert {
    pub(super) fn load(
        config: &Config,
        sizes: Sizes,
        scope: &Scope<'_>,
        n_labels: usize,
    ) -> std::result::Result<Self, LoadError> {
        let settings = settings(config, sizes)?;
        let hidden = sizes.hidden;
        let bias = config.switch_or("classifier_bias", false)?;
        let mut named = Named::new(scope, "model");
        body_tensors(&mut named, &settings)?;
        named.head("head.dense.weight", &[hidden, hidden])?;
        if bias {
            named.head("head.dense.bias", &[hidden])?;
        }
        named.head("head.norm.weight", &[hidden])?;
        named.head("classifier.weight", &[n_labels, hidden])?;
        named.head("classifier.bias", &[n_labels])?;

        let pooling = match config.one_of("classifier_pooling", &["cls", "mean"])? {
            "mean" => Pooling::Mean,
            _ => Pooling::First,
        };
        let activation = match config.get("classifier_activation") {
            None => Activation::Gelu,
            Some(_) => config.activation("classifier_activation")?,
        };
        let vb = named.builder();
        let dense = if bias { linear } else { linear_no_bias };
        let eps = settings.layer_norm_eps;
        Ok(Self {
            body: modernbert::ModernBert::load(vb.clone(), &settings).map_err(set_up)?,
            pooling,
            dense: dense(hidden, hidden, vb.pp("head.dense")).map_err(set_up)?,
            activation,
            norm: layer_norm_no_bias(hidden, eps, vb.pp("head.norm")).map_err(set_up)?,
            classifier: linear(hidden, n_labels, vb.pp("classifier")).map_err(set_up)?,
        })
    }

    pub(super) fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let mask = ids.ones_like()?.to_dtype(DType::F32)?;
        let hidden = self.body.forward(ids, &mask)?; // [1, n_tokens, hidden]
        let pooled = match self.pooling {
            Pooling::First => hidden.i((.., 0))?.contiguous()?,
            Pooling::Mean => hidden.mean(1)?,
        }; // [1, hidden]
        let dense = activate(self.activation, &self.dense.forward(&pooled)?)?;
        self.classifier.forward(&self.norm.forward(&dense)?) // [1, n_labels]
    }
}

/// Settings in the spelling before and after transformers 5; what candle cannot run is refused.
fn settings(config: &Config, sizes: Sizes) -> std::result::Result<modernbert::Config, LoadError> {
    for key in ["attention_bias", "mlp_bias", "norm_bias"] {
        config.off(key)?;
    }
    config.one_of("hidden_activation", &["gelu"])?;
    if !(sizes.hidden / sizes.heads).is_multiple_of(2) {
        let needs = "such that each head has an even width, for its rotations";
        return Err(config.wrong("num_attention_heads", needs));
    }
    let global_attn_every_n_layers = config.size_or("global_attn_every_n_layers", 3)?.max(1);
    check_layer_types(config, sizes, global_attn_every_n_layers)?;
    Ok(modernbert::Config {
        vocab_size: sizes.vocab_size,
        hidden_size: sizes.hidden,
        num_hidden_layers: sizes.layers,
        num_attention_heads: sizes.heads,
        intermediate_size: config.size("intermediate_size")?,
        max_position_embeddings: sizes.max_tokens,
        layer_norm_eps: config.positive_or("norm_eps", 1e-5)?,
        pad_token_id: 0,
        global_attn_every_n_layers,
        global_rope_theta: theta(config, "full_attention", "global_rope_theta", 160_000.0)?,
        local_attention: config.size_or("local_attention", 128)?,
        local_rope_theta: theta(config, "sliding_attention", "local_rope_theta", 10_000.0)?,
        classifier_config: None,
    })
}

/// The list of transformers 5 must say what candle does: the first of every `n` is global.
fn check_layer_types(
    config: &Config,
    sizes: Sizes,
    n: usize,
) -> std::result::Result<(), LoadError> {
    const KEY: &str = "layer_types";
    let Some(types) = config.get(KEY) else {
        return Ok(());
    };
    let kind = |index: usize| match index.is_multiple_of(n) {
        true => "full_attention",
        false => "sliding_attention",
    };
    let is_right = types.as_array().is_some_and(|types| {
        let mut pairs = types.iter().zip(0..);
        types.len() == sizes.layers
            && pairs.all(|(found, index)| found.as_str() == Some(kind(index)))
    });
    if is_right {
        return Ok(());
    }
    let supported = format!("`full_attention` for the first of every {n} and `sliding_attention`");
    Err(config.unsupported(KEY, &supported))
}

/// The base of the rotations, in either spelling.
fn theta(
    config: &Config,
    kind: &str,
    key: &str,
    default: f64,
) -> std::result::Result<f64, LoadError> {
    const NEW: &str = "rope_parameters";
    let Some(parameters) = config.get(NEW) else {
        return config.positive_or(key, default);
    };
    let of_kind = parameters.get(kind);
    let rope_type = of_kind.and_then(|of_kind| of_kind.get("rope_type"));
    if rope_type.is_some_and(|rope_type| rope_type != "default") {
        return Err(config.unsupported(NEW, "`rope_type` `default`"));
    }
    let theta = of_kind.and_then(|of_kind| of_kind.get("rope_theta"));
    match theta.and_then(Value::as_f64).filter(|theta| 0.0 < *theta) {
        Some(theta) => Ok(theta),
        None => Err(config.wrong(
            NEW,
            &format!("such that `{kind}` has a positive `rope_theta`"),
        )),
    }
}

fn body_tensors(
    named: &mut Named<'_>,
    settings: &modernbert::Config,
) -> std::result::Result<(), LoadError> {
    let (hidden, intermediate) = (settings.hidden_size, settings.intermediate_size);
    named.body(
        "embeddings.tok_embeddings.weight",
        &[settings.vocab_size, hidden],
    )?;
    named.body("embeddings.norm.weight", &[hidden])?;
    for index in 0..settings.num_hidden_layers {
        let name = |part: &str| format!("layers.{index}.{part}.weight");
        // The norm of the embeddings stands in for that of the first layer.
        if 0 < index {
            named.body(&name("attn_norm"), &[hidden])?;
        }
        named.body(&name("attn.Wqkv"), &[3 * hidden, hidden])?;
        named.body(&name("attn.Wo"), &[hidden, hidden])?;
        named.body(&name("mlp_norm"), &[hidden])?;
        named.body(&name("mlp.Wi"), &[2 * intermediate, hidden])?;
        named.body(&name("mlp.Wo"), &[hidden, intermediate])?;
    }
    named.body("final_norm.weight", &[hidden])
}
