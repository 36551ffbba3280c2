//! DeBERTa of versions 2 and 3, the geometry of Prompt Guard.

use super::{Named, Sizes, activate, set_up};
use crate::LoadError;
use crate::config::Config;
use crate::directory::Scope;
use crate::encoder::Activation;
use candle_core::{DType, IndexOp, Module, Result, Tensor};
use candle_nn::{Linear, linear};
use candle_transformers::models::debertav2::{self, DebertaV2Model, HiddenAct};

pub(super) struct Deberta {
    body: DebertaV2Model,
    dense: Linear,
    activation: Activation,
    classifier: Linear,
}

impl Deberta {
    pub(super) fn load(
        config: &Config,
        sizes: Sizes,
        scope: &Scope<'_>,
        n_labels: usize,
    ) -> std::result::Result<Self, LoadError> {
        let settings = settings(config, sizes)?;
        let activation = match config.get("pooler_hidden_act") {
            None => Activation::Gelu,
            Some(_) => config.activation("pooler_hidden_act")?,
        };
        let hidden = sizes.hidden;
        let mut named = Named::new(scope, "deberta");
        body_tensors(&mut named, &settings)?;
        named.head("pooler.dense.weight", &[hidden, hidden])?;
        named.head("pooler.dense.bias", &[hidden])?;
        named.head("classifier.weight", &[n_labels, hidden])?;
        named.head("classifier.bias", &[n_labels])?;
        let vb = named.builder();
        Ok(Self {
            body: DebertaV2Model::load(vb.pp("deberta"), &settings).map_err(set_up)?,
            dense: linear(hidden, hidden, vb.pp("pooler.dense")).map_err(set_up)?,
            activation,
            classifier: linear(hidden, n_labels, vb.pp("classifier")).map_err(set_up)?,
        })
    }

    pub(super) fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let mask = ids.ones_like()?.to_dtype(DType::I64)?;
        let hidden = self.body.forward(ids, None, Some(mask))?; // [1, n_tokens, hidden]
        let first = hidden.i((.., 0))?.contiguous()?; // [1, hidden]
        let pooled = activate(self.activation, &self.dense.forward(&first)?)?;
        self.classifier.forward(&pooled) // [1, n_labels]
    }
}

/// Settings with the defaults of Hugging Face; what candle cannot run is refused.
fn settings(config: &Config, sizes: Sizes) -> std::result::Result<debertav2::Config, LoadError> {
    let hidden = sizes.hidden;
    for (key, only) in [
        ("pooler_hidden_size", hidden),
        ("embedding_size", hidden),
        ("attention_head_size", hidden / sizes.heads),
        ("conv_kernel_size", 0),
    ] {
        if config.size_or(key, only)? != only {
            return Err(config.unsupported(key, &only.to_string()));
        }
    }
    let hidden_act = match config.activation("hidden_act")? {
        Activation::Gelu => HiddenAct::Gelu,
        Activation::GeluTanh => HiddenAct::GeluApproximate,
        Activation::Relu => HiddenAct::Relu,
        Activation::Tanh => {
            return Err(config.unsupported("hidden_act", "`gelu`, `gelu_new`, `relu`"));
        }
    };
    Ok(debertav2::Config {
        vocab_size: sizes.vocab_size,
        hidden_size: hidden,
        num_hidden_layers: sizes.layers,
        num_attention_heads: sizes.heads,
        intermediate_size: config.size("intermediate_size")?,
        hidden_act,
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        max_position_embeddings: sizes.max_tokens,
        type_vocab_size: config.size_or("type_vocab_size", 0)?,
        initializer_range: 0.02,
        layer_norm_eps: config.positive_or("layer_norm_eps", 1e-7)?,
        relative_attention: config.switch_or("relative_attention", false)?,
        max_relative_positions: config.integer_or("max_relative_positions", -1)? as isize,
        pad_token_id: Some(config.size_or("pad_token_id", 0)?),
        position_biased_input: config.switch_or("position_biased_input", true)?,
        pos_att_type: pos_att_type(config)?,
        position_buckets: Some(config.integer_or("position_buckets", -1)? as isize),
        share_att_key: Some(config.switch_or("share_att_key", false)?),
        attention_head_size: None,
        embedding_size: None,
        norm_rel_ebd: Some(
            config
                .one_of("norm_rel_ebd", &["none", "layer_norm"])?
                .into(),
        ),
        conv_kernel_size: None,
        conv_groups: None,
        conv_act: None,
        id2label: None,
        label2id: None,
        pooler_dropout: None,
        pooler_hidden_act: None,
        pooler_hidden_size: None,
        cls_dropout: None,
    })
}

/// A list, or one string with bars between the words.
fn pos_att_type(config: &Config) -> std::result::Result<Vec<String>, LoadError> {
    const KEY: &str = "pos_att_type";
    let words: Option<Vec<&str>> = match config.get(KEY) {
        None => Some(Vec::new()),
        Some(value) => value
            .as_str()
            .map(|words| words.split('|').collect())
            .or_else(|| {
                let list = value.as_array()?;
                list.iter().map(|word| word.as_str()).collect()
            }),
    };
    let known = |words: &Vec<&str>| words.iter().all(|word| ["c2p", "p2c"].contains(word));
    match words.filter(known) {
        Some(words) => Ok(words.into_iter().map(str::to_owned).collect()),
        None => Err(config.unsupported(KEY, "a list of `c2p` and `p2c`")),
    }
}

fn body_tensors(
    named: &mut Named<'_>,
    settings: &debertav2::Config,
) -> std::result::Result<(), LoadError> {
    let hidden = settings.hidden_size;
    named.body(
        "embeddings.word_embeddings.weight",
        &[settings.vocab_size, hidden],
    )?;
    if settings.position_biased_input {
        let shape = [settings.max_position_embeddings, hidden];
        named.body("embeddings.position_embeddings.weight", &shape)?;
    }
    if 0 < settings.type_vocab_size {
        let shape = [settings.type_vocab_size, hidden];
        named.body("embeddings.token_type_embeddings.weight", &shape)?;
    }
    named.body_norm("embeddings.LayerNorm", hidden)?;
    if settings.relative_attention {
        let shape = [2 * span(settings), hidden];
        named.body("encoder.rel_embeddings.weight", &shape)?;
    }
    if settings.norm_rel_ebd.as_deref() == Some("layer_norm") {
        named.body_norm("encoder.LayerNorm", hidden)?;
    }
    (0..settings.num_hidden_layers).try_for_each(|index| layer_tensors(named, settings, index))
}

/// Relative distances in one direction.
fn span(settings: &debertav2::Config) -> usize {
    let positive = |size: isize| usize::try_from(size).ok().filter(|size| 0 < *size);
    settings
        .position_buckets
        .and_then(positive)
        .or_else(|| positive(settings.max_relative_positions))
        .unwrap_or(settings.max_position_embeddings)
}

fn layer_tensors(
    named: &mut Named<'_>,
    settings: &debertav2::Config,
    index: usize,
) -> std::result::Result<(), LoadError> {
    let (hidden, intermediate) = (settings.hidden_size, settings.intermediate_size);
    let name = |part: &str| format!("encoder.layer.{index}.{part}");
    let has = |word: &str| settings.pos_att_type.iter().any(|kind| kind == word);
    let own_keys = settings.relative_attention && settings.share_att_key != Some(true);
    let squares = [
        ("attention.self.query_proj", true),
        ("attention.self.key_proj", true),
        ("attention.self.value_proj", true),
        ("attention.self.pos_key_proj", own_keys && has("c2p")),
        ("attention.self.pos_query_proj", own_keys && has("p2c")),
        ("attention.output.dense", true),
    ];
    for (part, _) in squares.into_iter().filter(|(_, is_there)| *is_there) {
        named.body_linear(&name(part), hidden, hidden)?;
    }
    named.body_norm(&name("attention.output.LayerNorm"), hidden)?;
    named.body_linear(&name("intermediate.dense"), intermediate, hidden)?;
    named.body_linear(&name("output.dense"), hidden, intermediate)?;
    named.body_norm(&name("output.LayerNorm"), hidden)
}
