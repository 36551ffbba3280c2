//! The same encoder in f64, one sequence at a time, as the papers write it.

use crate::encoder::{Activation, Geometry, Head, Layer, LayerNorm, Linear, Weights};

/// A fixed sequence of numbers in `[-1, 1)`.
pub(super) fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut one = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| one()).collect()
}

/// Three layers of random weights.
pub(super) fn weights(
    hidden: usize,
    heads: usize,
    intermediate: usize,
    activation: Activation,
    is_first: bool,
) -> Weights {
    let mut seed = 0;
    let mut many = |n: usize, size: f32| -> Vec<f32> {
        seed += 1;
        numbers(seed, n).iter().map(|x| x * size).collect()
    };
    let mut linear = |n_out: usize, n_in: usize| Linear {
        weight: many(n_in * n_out, 1.5 / (n_in as f32).sqrt()),
        bias: many(n_out, 0.2),
    };
    let norm = |seed| LayerNorm {
        gamma: numbers(seed, hidden)
            .iter()
            .map(|x| 1.0 + 0.5 * x)
            .collect(),
        beta: numbers(seed + 1, hidden).iter().map(|x| 0.3 * x).collect(),
    };
    let layers = (0..3)
        .map(|layer| Layer {
            query: linear(hidden, hidden),
            key: linear(hidden, hidden),
            value: linear(hidden, hidden),
            output: linear(hidden, hidden),
            attention_norm: norm(1000 + 10 * layer),
            up: linear(intermediate, hidden),
            down: linear(hidden, intermediate),
            output_norm: norm(1005 + 10 * layer),
        })
        .collect();
    let head = if is_first {
        let (dense, classifier) = (linear(hidden, hidden), linear(5, hidden));
        Head::First {
            dense,
            activation: Activation::Tanh,
            classifier,
        }
    } else {
        Head::Token {
            classifier: linear(5, hidden),
        }
    };
    let geometry = Geometry {
        vocab_size: 50,
        hidden,
        heads,
        intermediate,
        max_positions: 70,
        position_offset: 2,
        layer_norm_eps: 1e-6,
        activation,
    };
    Weights {
        geometry,
        word_embeddings: many(50 * hidden, 1.0),
        position_embeddings: many(70 * hidden, 0.3),
        embedding_norm: norm(2000),
        layers,
        head,
    }
}

type Rows = Vec<Vec<f64>>;

pub(super) fn forward(weights: &Weights, ids: &[u32]) -> Vec<f64> {
    let g = weights.geometry;
    let word = |(place, &id): (usize, &u32)| {
        let words = &weights.word_embeddings[id as usize * g.hidden..][..g.hidden];
        let positions = &weights.position_embeddings[(place + g.position_offset) * g.hidden..];
        words
            .iter()
            .zip(positions)
            .map(|(w, p)| f64::from(*w) + f64::from(*p))
            .collect()
    };
    let mut x: Rows = ids.iter().enumerate().map(word).collect();
    norm(&mut x, &weights.embedding_norm, g.layer_norm_eps);
    for layer in &weights.layers {
        let context = attention(&x, layer, g);
        add(&mut x, &linear(&context, &layer.output));
        norm(&mut x, &layer.attention_norm, g.layer_norm_eps);
        let between = activate(g.activation, linear(&x, &layer.up));
        add(&mut x, &linear(&between, &layer.down));
        norm(&mut x, &layer.output_norm, g.layer_norm_eps);
    }
    match &weights.head {
        Head::First {
            dense,
            activation,
            classifier,
        } => {
            x.truncate(1);
            linear(&activate(*activation, linear(&x, dense)), classifier).concat()
        }
        Head::Token { classifier } => linear(&x, classifier).concat(),
    }
}

fn linear(x: &Rows, linear: &Linear) -> Rows {
    let n_in = linear.weight.len() / linear.bias.len();
    let output = |x: &Vec<f64>, (weight, bias): (&[f32], &f32)| {
        let products = x.iter().zip(weight).map(|(x, w)| x * f64::from(*w));
        products.sum::<f64>() + f64::from(*bias)
    };
    x.iter()
        .map(|x| {
            linear
                .weight
                .chunks(n_in)
                .zip(&linear.bias)
                .map(|wb| output(x, wb))
                .collect()
        })
        .collect()
}

fn attention(x: &Rows, layer: &Layer, g: Geometry) -> Rows {
    let [q, k, v] = [&layer.query, &layer.key, &layer.value].map(|part| linear(x, part));
    let dim = g.hidden / g.heads;
    let head = |q: &[f64], at: usize| -> Vec<f64> {
        let score = |k: &Vec<f64>| {
            let products = q[at..at + dim].iter().zip(&k[at..]).map(|(q, k)| q * k);
            (products.sum::<f64>() / (dim as f64).sqrt()).exp()
        };
        let weights: Vec<f64> = k.iter().map(score).collect();
        let total: f64 = weights.iter().sum();
        let mean = |d| {
            weights
                .iter()
                .zip(&v)
                .map(|(w, v)| w * v[at + d])
                .sum::<f64>()
                / total
        };
        (0..dim).map(mean).collect()
    };
    q.iter()
        .map(|q| (0..g.heads).flat_map(|h| head(q, h * dim)).collect())
        .collect()
}

fn add(x: &mut Rows, y: &Rows) {
    for (x, y) in x.iter_mut().flatten().zip(y.iter().flatten()) {
        *x += y;
    }
}

fn norm(x: &mut Rows, norm: &LayerNorm, eps: f32) {
    for row in x {
        let n = row.len() as f64;
        let mean = row.iter().sum::<f64>() / n;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        for (x, (gamma, beta)) in row.iter_mut().zip(norm.gamma.iter().zip(&norm.beta)) {
            let unit = (*x - mean) / (variance + f64::from(eps)).sqrt();
            *x = unit * f64::from(*gamma) + f64::from(*beta);
        }
    }
}

fn activate(activation: Activation, mut x: Rows) -> Rows {
    for x in x.iter_mut().flatten() {
        *x = match activation {
            Activation::Gelu => *x * phi(*x),
            Activation::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (*x + 0.044_715 * x.powi(3));
                0.5 * *x * (1.0 + inner.tanh())
            }
            Activation::Relu => x.max(0.0),
            Activation::Tanh => x.tanh(),
        };
    }
    x
}

/// The normal distribution, by its power series; for what such small weights give.
fn phi(x: f64) -> f64 {
    assert!(x.abs() < 12.0, "beyond the series");
    let (mut term, mut sum) = (x, x);
    for n in 1..400 {
        term *= x * x / f64::from(2 * n + 1);
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}
