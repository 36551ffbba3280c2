//! Our logits against Hugging Face's, and against each other.

use crate::fixture::{CANDLE, Case, FAST, all, in_f32, model, path, reference};
use portcullis_kernels::{Isa, Team};
use portcullis_models::{
    Batch, Facts, Kernels, Kind, LoadOptions, Model, Precision, Route, RunError, Worker,
};
use std::sync::Arc;

/// Largest difference of a logit from Hugging Face's in f32.
const F32: f32 = 1e-4;
/// The same in bf16 and int8, as a share of the spread (standard deviation) of a model's logits.
/// The weights here are spread wider than trained ones, which makes for larger errors.
const BF16: f32 = 0.10;
const INT8: f32 = 0.20;

fn batch<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Batch {
    let mut batch = Batch::default();
    cases.into_iter().for_each(|case| batch.push(&case.ids));
    batch
}

fn run(worker: &mut Worker, batch: &Batch) -> Vec<f32> {
    worker.run(batch, &|| false).unwrap().to_vec()
}

fn expected<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Vec<f32> {
    cases
        .into_iter()
        .flat_map(|case| case.logits.clone())
        .collect()
}

fn furthest(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

fn spread(values: &[f32]) -> f32 {
    let n = values.len() as f32;
    let mean = values.iter().sum::<f32>() / n;
    (values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f32>()
        / n)
        .sqrt()
}

/// Every text and every length, one at a time.
fn check_singles(name: &str, options: LoadOptions, bound: impl Fn(&[f32]) -> f32) {
    let model = Arc::new(Model::load(&path(name), &options).unwrap());
    let mut worker = model.worker();
    let reference = reference(name);
    let cases = || reference.texts.iter().chain(&reference.ids);
    let bound = bound(&expected(cases()));
    for case in cases() {
        let off = furthest(&run(&mut worker, &batch([case])), &case.logits);
        let n_tokens = case.ids.len();
        assert!(
            off <= bound,
            "{name}, {options:?}: {off} past {bound} at {n_tokens} tokens"
        );
    }
}

#[test]
fn logits_in_f32_are_those_of_hugging_face() {
    all().for_each(|name| check_singles(name, in_f32(), |_| F32));
}

#[test]
fn all_kernels_of_this_machine_and_candle_give_the_same_logits() {
    for kernels in Kernels::available() {
        let options = LoadOptions {
            kernels: Some(kernels),
            ..in_f32()
        };
        FAST.into_iter()
            .for_each(|name| check_singles(name, options, |_| F32));
    }
}

#[test]
fn candle_runs_batches_of_the_family_as_it_runs_their_members() {
    for name in FAST {
        let options = LoadOptions {
            kernels: Some(Kernels::Candle),
            ..in_f32()
        };
        let model = Arc::new(Model::load(&path(name), &options).unwrap());
        let ours = self::model(name);
        let facts = |model: &Model| Facts {
            route: Route::Candle { reason: "" },
            weight_bytes: 0,
            ..model.info().clone()
        };
        assert_eq!(facts(&model), facts(&ours), "{name}");
        assert_eq!(
            model.info().route.to_string(),
            "candle, since it was asked for"
        );
        let cases = reference(name).padded;
        let off = furthest(&run(&mut model.worker(), &batch(&cases)), &expected(&cases));
        assert!(off <= F32, "{name}: {off}");
    }
}

#[test]
fn kernels_without_bf16_run_f32_and_say_so() {
    for isa in Isa::available() {
        let options = LoadOptions {
            precision: Some(Precision::Bf16),
            kernels: Some(Kernels::Own(isa)),
        };
        let has_bf16 = ["avx512", "scalar"].contains(&isa.name());
        let expected = match has_bf16 {
            true => Precision::Bf16,
            false => Precision::F32,
        };
        let model = Model::load(&path("bert-single"), &options).unwrap();
        assert_eq!(model.info().precision, expected, "{isa}");
    }
}

#[test]
fn lower_precisions_stay_near() {
    for isa in Isa::available() {
        for (precision, share) in [(Precision::Bf16, BF16), (Precision::Int8, INT8)] {
            let options = LoadOptions {
                precision: Some(precision),
                kernels: Some(Kernels::Own(isa)),
            };
            for name in FAST {
                check_singles(name, options, |logits| share * spread(logits));
            }
        }
    }
}

#[test]
fn a_packed_batch_equals_a_padded_one_of_hugging_face() {
    for name in all() {
        let cases = reference(name).padded;
        let off = furthest(
            &run(&mut model(name).worker(), &batch(&cases)),
            &expected(&cases),
        );
        assert!(off <= F32, "{name}: {off}");
    }
}

/// In every precision, to the last bit: a score must not depend on who else asks.
#[test]
fn a_batch_equals_its_members_one_by_one_in_any_order() {
    for name in all() {
        let precisions = match CANDLE.contains(&name) {
            true => vec![Precision::F32],
            false => vec![Precision::F32, Precision::Bf16, Precision::Int8],
        };
        for precision in precisions {
            let options = LoadOptions {
                precision: Some(precision),
                kernels: None,
            };
            let model = Arc::new(Model::load(&path(name), &options).unwrap());
            let mut worker = model.worker();
            let reference = reference(name);
            let cases: Vec<&Case> = reference.texts.iter().chain(&reference.ids).collect();
            let mut one_by_one = |cases: &[&Case]| -> Vec<f32> {
                let members = cases.iter().map(|case| batch([*case]));
                members
                    .flat_map(|member| run(&mut worker, &member))
                    .collect()
            };
            let backwards: Vec<&Case> = cases.iter().copied().rev().collect();
            for cases in [cases, backwards] {
                let singly = one_by_one(&cases);
                let together = run(&mut model.worker(), &batch(cases));
                assert_eq!(together, singly, "{name} in {precision:?}");
            }
        }
    }
}

#[test]
fn a_model_says_what_it_is() {
    let facts = |name: &str| -> Facts { model(name).info().clone() };
    for (name, kind, n_labels) in [
        ("bert-single", Kind::SingleLabel, 3),
        ("bert-multi", Kind::MultiLabel, 5),
        ("bert-token", Kind::Token, 4),
        ("distilbert", Kind::SingleLabel, 2),
        ("roberta", Kind::MultiLabel, 5),
        ("modernbert-cls", Kind::SingleLabel, 3),
    ] {
        let facts = facts(name);
        assert_eq!((facts.kind, facts.labels.len()), (kind, n_labels), "{name}");
        assert_eq!(facts.max_tokens, 512, "{name}");
        assert_eq!(facts.precision, Precision::F32, "{name}");
    }
    let bert = facts("bert-multi");
    assert_eq!(
        (bert.hidden, bert.layers, bert.heads, bert.vocab_size),
        (36, 2, 3, 400)
    );
    assert_eq!(facts("distilbert").labels, ["LABEL_0", "LABEL_1"]);
    assert!(matches!(bert.route, Route::Fast { .. }));
    assert!(
        facts("deberta-v3")
            .route
            .to_string()
            .starts_with("candle, since DeBERTa")
    );
}

#[test]
fn a_batch_that_cannot_be_run_is_refused_whole() {
    for name in ["bert-single", "deberta-v3"] {
        let model = model(name);
        let mut worker = model.worker();
        let ids = |n_tokens: usize, last: u32| {
            let mut ids = vec![2; n_tokens];
            ids.push(last);
            let mut batch = Batch::default();
            batch.push(&[2, 3]);
            batch.push(&ids);
            batch
        };
        let vocab_size = model.info().vocab_size;
        assert!(matches!(
            worker.run(&ids(512, 3), &|| false),
            Err(RunError::TooLong {
                n_tokens: 513,
                max_tokens: 512
            })
        ));
        assert!(matches!(
            worker.run(&ids(3, vocab_size as u32), &|| false),
            Err(RunError::UnknownToken { .. })
        ));
        assert!(matches!(
            worker.run(&ids(3, 3), &|| true),
            Err(RunError::Cancelled)
        ));
        // It serves the next one as if nothing had been.
        assert_eq!(
            run(&mut worker, &ids(3, 3)),
            run(&mut model.worker(), &ids(3, 3))
        );
        assert!(run(&mut worker, &Batch::default()).is_empty());
    }
}

#[test]
fn a_team_gives_the_same_bits() {
    let team = Team::new(3);
    for name in all() {
        let model = model(name);
        let batch = batch(&reference(name).ids);
        let alone = run(&mut model.worker(), &batch);
        let mut worker = model.worker();
        assert_eq!(
            worker.run_on(&team, &batch, &|| false).unwrap(),
            alone,
            "{name}"
        );
    }
}

#[test]
fn workers_share_one_model_across_threads() {
    let model = model("bert-single");
    let cases = reference("bert-single").padded;
    let expected = run(&mut model.worker(), &batch(&cases));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(run(&mut model.worker(), &batch(&cases)), expected));
        }
    });
}
