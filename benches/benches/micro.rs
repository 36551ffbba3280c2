//! The steps of a request by themselves, on the prompt of 60 words that the goals are stated for.
//!
//! For comparing two commits on one machine: `cargo bench -p portcullis-benches`. What a person
//! waits for is measured by `src/bin/gate`, not here.

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use portcullis_benches::{Error, words};
use portcullis_classifiers::linear::LinearModel;
use portcullis_config::{parse_policy, shipped};
use portcullis_policy::{Engine, Evidence};
use portcullis_protocol::{Dialect, ParseRules};
use portcullis_text::{Detector, PartId, Scores, Span, Surface, Vectors, View, Window, canonical};
use serde_json::json;
use std::hint::black_box;

/// Lengths in words; the linear tier has to be linear in them.
const LENGTHS: [usize; 3] = [60, 600, 6000];

fn main() -> Result<(), Error> {
    let mut criterion = Criterion::default().configure_from_args();
    canonical_views(&mut criterion);
    linear_logits(&mut criterion, &*LinearModel::embedded()?);
    parse(&mut criterion)?;
    decide(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn canonical_views(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("canonical views");
    let plain = words::sentence(1, 60);
    // Full-width letters and a zero-width space: nothing of it passes by a short cut.
    let disguised = plain.replace('a', "\u{ff41}").replace(' ', "\u{200b} ");
    for (name, text) in [("plain", plain), ("disguised", disguised)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bench| {
            bench.iter(|| canonical::views(black_box(&text)));
        });
    }
    group.finish();
}

fn linear_logits(criterion: &mut Criterion, model: &LinearModel) {
    let mut group = criterion.benchmark_group("linear logits");
    for n_words in LENGTHS {
        let text = words::sentence(1, n_words);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(n_words), |bench| {
            bench.iter(|| model.logits(black_box(&text)));
        });
    }
    group.finish();
}

fn parse(criterion: &mut Criterion) -> Result<(), Error> {
    let request = Bytes::from(
        json!({
            "model": "mock", "stream": false, "max_tokens": 256,
            "messages": [
                {"role": "system", "content": words::sentence(2, 20)},
                {"role": "user", "content": words::sentence(1, 60)},
            ],
        })
        .to_string(),
    );
    let rules = ParseRules::default();
    Dialect::OpenAiChat.parse(request.clone(), &rules)?;
    let mut group = criterion.benchmark_group("parse a request");
    group.throughput(Throughput::Bytes(request.len() as u64));
    group.bench_function("openai", |bench| {
        bench.iter(|| Dialect::OpenAiChat.parse(black_box(request.clone()), &rules));
    });
    group.finish();
    Ok(())
}

fn decide(criterion: &mut Criterion) -> Result<(), Error> {
    let balanced = shipped("balanced").ok_or("the policy `balanced` is not shipped")?;
    let engine = Engine::compile(&parse_policy(balanced, "balanced")?)?;
    let windows = vec![Window {
        span: Span {
            part: PartId(0),
            range: 0..300,
        },
        surface: Surface::User,
        view: View::Raw,
        detector: Detector::Linear,
        scores: Scores::ZERO,
        vectors: Vectors::NONE,
    }];
    criterion.bench_function("decide about one window", |bench| {
        bench.iter(|| {
            engine.decide(black_box(&Evidence {
                windows: &windows,
                matches: &[],
            }))
        });
    });
    let text = words::sentence(1, 60);
    criterion.bench_function("find the policy's patterns", |bench| {
        bench.iter(|| engine.find_patterns(PartId(0), Surface::User, black_box(&text)));
    });
    Ok(())
}
