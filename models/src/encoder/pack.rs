//! From a loader's weights to the layout of the kernels.

use super::calibrate::{self, Reach};
use super::embedding::Embedding;
use super::{Activation, Encoder, Geometry, Head, Layer, LayerNorm, Linear, Precision, Weights};
use portcullis_kernels::{self as kernels, Isa, Matrix, Norm};

/// One layer; queries, keys and values are one product.
#[derive(Debug)]
pub(super) struct PackedLayer {
    pub(super) qkv: Matrix,
    pub(super) output: Matrix,
    pub(super) attention_norm: Norm,
    pub(super) up: Matrix,
    pub(super) down: Matrix,
    pub(super) output_norm: Norm,
}

impl PackedLayer {
    pub(super) fn bytes(&self) -> usize {
        let matrices = [&self.qkv, &self.output, &self.up, &self.down];
        let norms = [&self.attention_norm, &self.output_norm];
        matrices.map(Matrix::bytes).iter().sum::<usize>()
            + norms.map(Norm::bytes).iter().sum::<usize>()
    }
}

/// In f32.
#[derive(Debug)]
pub(super) enum PackedHead {
    First {
        dense: Matrix,
        activation: kernels::Activation,
        classifier: Matrix,
    },
    Token {
        classifier: Matrix,
    },
}

impl PackedHead {
    pub(super) fn classifier(&self) -> &Matrix {
        match self {
            Self::First { classifier, .. } | Self::Token { classifier } => classifier,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let dense = match self {
            Self::First { dense, .. } => dense.bytes(),
            Self::Token { .. } => 0,
        };
        dense + self.classifier().bytes()
    }
}

pub(super) fn encoder(weights: Weights, precision: Precision, isa: Isa) -> Encoder {
    check(&weights);
    let pack = Pack {
        isa,
        precision: precision.into(),
        geometry: weights.geometry,
    };
    let embedding = Embedding::new(&weights, precision);
    let reaches = match precision {
        Precision::Int8 => calibrate::reaches(&weights, isa),
        Precision::F32 | Precision::Bf16 => Vec::new(),
    };
    let Weights {
        geometry,
        embedding_norm,
        layers,
        head,
        ..
    } = weights;
    let mut normed_by = &embedding_norm;
    let mut packed = Vec::with_capacity(layers.len());
    // What a norm's rows are spread by depends on the product that reads them.
    let mut norms = Vec::with_capacity(layers.len() + 1);
    for (place, layer) in layers.iter().enumerate() {
        let reach = reaches.get(place);
        let before_qkv = reach.map(|reach| &reach.before_qkv[..]);
        let (qkv, norm) = pack.normed(qkv_of(layer, geometry), normed_by, before_qkv);
        norms.push(norm);
        let is_last = place + 1 == layers.len();
        let is_for_first_tokens = is_last && matches!(head, Head::First { .. });
        packed.push((qkv, pack.rest_of(layer, is_for_first_tokens, reach)));
        normed_by = &layer.output_norm;
    }
    norms.push(pack.norm(normed_by, &normed_by.gamma));
    let mut norms = norms.into_iter();
    let first = norms
        .next()
        .unwrap_or_else(|| pack.norm(&embedding_norm, &embedding_norm.gamma));
    let layers = packed
        .into_iter()
        .zip(norms)
        .map(|((qkv, rest), output_norm)| PackedLayer {
            qkv,
            output: rest.output,
            attention_norm: rest.attention_norm,
            up: rest.up,
            down: rest.down,
            output_norm,
        })
        .collect();
    Encoder {
        isa,
        geometry,
        embedding,
        embedding_norm: first,
        layers,
        head: pack.head(&head),
        activation: geometry.activation.into(),
        attends_in_bf16: precision != Precision::F32
            && kernels::attention::has_bf16(isa, geometry.hidden / geometry.heads),
    }
}

/// How to pack.
struct Pack {
    isa: Isa,
    precision: kernels::Precision,
    geometry: Geometry,
}

/// A layer without what depends on the next.
struct Rest {
    output: Matrix,
    attention_norm: Norm,
    up: Matrix,
    down: Matrix,
}

impl Pack {
    fn linear(&self, linear: &Linear) -> Matrix {
        Matrix::pack(self.isa, self.precision, &linear.weight, &linear.bias)
    }

    fn norm(&self, norm: &LayerNorm, spread: &[f32]) -> Norm {
        Norm::new(
            &norm.gamma,
            &norm.beta,
            self.geometry.layer_norm_eps,
            spread,
        )
    }

    /// The last layer before a head on first tokens is kept in bf16 at the least: it runs for so
    /// few rows that this costs nothing, and no later layer evens out its errors.
    fn rest_of(&self, layer: &Layer, is_for_first_tokens: bool, reach: Option<&Reach>) -> Rest {
        if is_for_first_tokens && self.precision == kernels::Precision::Int8 {
            let fine = Self {
                precision: kernels::Precision::Bf16,
                ..*self
            };
            return fine.rest(layer, None);
        }
        self.rest(layer, reach)
    }

    fn rest(&self, layer: &Layer, reach: Option<&Reach>) -> Rest {
        let before_up = reach.map(|reach| &reach.before_up[..]);
        let (up, attention_norm) = self.normed(layer.up.clone(), &layer.attention_norm, before_up);
        Rest {
            output: self.linear(&layer.output),
            attention_norm,
            up,
            down: self.linear(&layer.down),
        }
    }

    /// A product of what a norm gives, and the norm.
    ///
    /// Where the inputs' reach is given, the norm's shift moves into the product's bias, which is
    /// exact, and part of its scale into the weights, so that inputs and weights are rounded
    /// about equally (SmoothQuant, Xiao et al. 2022).
    fn normed(
        &self,
        mut linear: Linear,
        norm: &LayerNorm,
        reach: Option<&[f32]>,
    ) -> (Matrix, Norm) {
        let Some(reach) = reach else {
            return (self.linear(&linear), self.norm(norm, &norm.gamma));
        };
        let factors = balance(&linear.weight, reach);
        for (row, bias) in linear.weight.chunks_mut(reach.len()).zip(&mut linear.bias) {
            let shift = row
                .iter()
                .zip(&norm.beta)
                .map(|(w, b)| f64::from(*w) * f64::from(*b));
            *bias += shift.sum::<f64>() as f32;
            for (weight, factor) in row.iter_mut().zip(&factors) {
                *weight *= factor;
            }
        }
        let spread: Vec<f32> = norm
            .gamma
            .iter()
            .zip(&factors)
            .map(|(g, f)| g / f)
            .collect();
        (self.linear(&linear), self.norm(norm, &spread))
    }

    /// In f32 whatever the precision: it is small, and nothing after it evens out an error.
    fn head(&self, head: &Head) -> PackedHead {
        let pack = |linear: &Linear| {
            Matrix::pack(
                self.isa,
                kernels::Precision::F32,
                &linear.weight,
                &linear.bias,
            )
        };
        match head {
            Head::First {
                dense,
                activation,
                classifier,
            } => PackedHead::First {
                dense: pack(dense),
                activation: (*activation).into(),
                classifier: pack(classifier),
            },
            Head::Token { classifier } => PackedHead::Token {
                classifier: pack(classifier),
            },
        }
    }
}

/// Queries, keys and values as one product. Scores become powers of two, divided by the root of
/// the head's width.
pub(super) fn qkv_of(layer: &Layer, geometry: Geometry) -> Linear {
    let head_dim = geometry.hidden / geometry.heads;
    let scale = std::f32::consts::LOG2_E / (head_dim as f32).sqrt();
    let mut all = Linear {
        weight: Vec::new(),
        bias: Vec::new(),
    };
    all.weight
        .extend(layer.query.weight.iter().map(|w| w * scale));
    all.bias.extend(layer.query.bias.iter().map(|b| b * scale));
    for part in [&layer.key, &layer.value] {
        all.weight.extend_from_slice(&part.weight);
        all.bias.extend_from_slice(&part.bias);
    }
    all
}

/// For each input, what its weights are multiplied and its values divided by: the root of the
/// values' reach over the weights', relative to the mean of that over all inputs.
fn balance(weight: &[f32], reach: &[f32]) -> Vec<f32> {
    let mut largest = vec![1e-5_f32; reach.len()];
    for row in weight.chunks(reach.len()) {
        for (largest, weight) in largest.iter_mut().zip(row) {
            *largest = largest.max(weight.abs());
        }
    }
    let logs: Vec<f32> = reach
        .iter()
        .zip(&largest)
        .map(|(reach, largest)| 0.5 * (reach.max(1e-3) / largest).ln())
        .collect();
    let mean = logs.iter().sum::<f32>() / logs.len() as f32;
    logs.iter()
        .map(|log| (log - mean).exp().clamp(0.02, 50.0))
        .collect()
}

fn check(weights: &Weights) {
    let g = &weights.geometry;
    assert!(
        0 < g.heads && g.hidden.is_multiple_of(g.heads),
        "heads must divide hidden"
    );
    assert!(0 < g.vocab_size, "there must be words");
    assert!(
        g.position_offset < g.max_positions,
        "there must be positions"
    );
    assert!(
        weights.word_embeddings.len() == g.vocab_size * g.hidden,
        "words must be [vocab, hidden]"
    );
    assert!(
        weights.position_embeddings.len() == g.max_positions * g.hidden,
        "positions must be [max_positions, hidden]"
    );
    for layer in &weights.layers {
        for square in [&layer.query, &layer.key, &layer.value, &layer.output] {
            check_linear(square, g.hidden, g.hidden);
        }
        check_linear(&layer.up, g.hidden, g.intermediate);
        check_linear(&layer.down, g.intermediate, g.hidden);
    }
    match &weights.head {
        Head::First {
            dense, classifier, ..
        } => {
            check_linear(dense, g.hidden, g.hidden);
            check_linear(classifier, g.hidden, classifier.bias.len());
        }
        Head::Token { classifier } => check_linear(classifier, g.hidden, classifier.bias.len()),
    }
}

fn check_linear(linear: &Linear, n_in: usize, n_out: usize) {
    assert!(linear.bias.len() == n_out, "bias must be [out_features]");
    assert!(
        linear.weight.len() == n_in * n_out,
        "weight must be [out_features, in_features]"
    );
}

impl From<Precision> for kernels::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
            Precision::Int8 => Self::Int8,
        }
    }
}

impl From<Activation> for kernels::Activation {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::Gelu => Self::Gelu,
            Activation::GeluTanh => Self::GeluTanh,
            Activation::Relu => Self::Relu,
            Activation::Tanh => Self::Tanh,
        }
    }
}
