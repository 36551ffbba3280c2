//! A small random encoder, held against a plain one in f64.

mod plain;

use super::*;
use plain::{numbers, weights};
use portcullis_kernels::counting::{CountingAllocator, n_allocations};
use std::cell::{Cell, RefCell};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];

fn never() -> bool {
    false
}

fn batch_of(sequences: &[Vec<u32>]) -> Batch {
    let mut batch = Batch::default();
    sequences.iter().for_each(|ids| batch.push(ids));
    batch
}

/// Sequences of the given lengths.
fn sequences(lengths: &[usize], vocab_size: usize) -> Vec<Vec<u32>> {
    let one = |(place, &len): (usize, &usize)| {
        numbers(place as u64 + 77, len)
            .iter()
            .map(|x| ((x + 1.0) * 0.5 * vocab_size as f32) as u32)
            .collect()
    };
    lengths.iter().enumerate().map(one).collect()
}

/// Logits of each sequence are near those of the plain encoder.
fn check(weights: &Weights, lengths: &[usize]) {
    let sequences = sequences(lengths, weights.geometry.vocab_size);
    let expected: Vec<f64> = sequences
        .iter()
        .flat_map(|ids| plain::forward(weights, ids))
        .collect();
    for isa in Isa::available() {
        for (precision, allowed) in PRECISIONS.into_iter().zip([2e-5, 0.04, 0.12]) {
            let encoder = Encoder::new(weights.clone(), precision, isa);
            let mut scratch = Scratch::default();
            let logits = encoder
                .forward(&mut scratch, &batch_of(&sequences), &never)
                .unwrap();
            assert_eq!(logits.len(), expected.len());
            for (logit, expected) in logits.iter().zip(&expected) {
                let error = (f64::from(*logit) - expected).abs();
                let g = weights.geometry;
                assert!(
                    error <= allowed,
                    "{isa} {precision:?} {g:?}: {logit} for {expected}"
                );
            }
        }
    }
}

#[test]
fn logits_are_those_of_a_plain_encoder() {
    check(
        &weights(64, 2, 128, Activation::Gelu, true),
        &[1, 5, 16, 40, 2],
    );
}

#[test]
fn other_widths_of_heads_and_activations_are_right_too() {
    check(&weights(24, 2, 36, Activation::Relu, true), &[3, 20]);
    check(&weights(128, 2, 64, Activation::GeluTanh, true), &[7]);
    check(&weights(10, 2, 15, Activation::Gelu, true), &[9, 1]);
}

#[test]
fn a_head_on_tokens_gives_logits_for_each() {
    check(&weights(64, 2, 128, Activation::Gelu, false), &[4, 33, 1]);
}

#[test]
fn a_batch_gives_the_bits_of_its_members_one_by_one_on_any_team() {
    let weights = weights(64, 2, 128, Activation::Gelu, true);
    let sequences = sequences(&[17, 1, 50, 4, 33, 64, 2], weights.geometry.vocab_size);
    for isa in Isa::available() {
        for precision in PRECISIONS {
            let encoder = Encoder::new(weights.clone(), precision, isa);
            let mut scratch = Scratch::default();
            let mut alone = Vec::new();
            for ids in &sequences {
                let one = batch_of(std::slice::from_ref(ids));
                alone.extend_from_slice(encoder.forward(&mut scratch, &one, &never).unwrap());
            }
            let batch = batch_of(&sequences);
            assert_eq!(
                encoder.forward(&mut scratch, &batch, &never).unwrap(),
                alone
            );
            for members in [1, 2, 3, 7] {
                let team = Team::new(members);
                let logits = encoder
                    .forward_on(&team, &mut scratch, &batch, &never)
                    .unwrap();
                assert_eq!(logits, alone, "{isa} {precision:?} {members}");
            }
        }
    }
}

#[test]
fn a_scratch_serves_encoders_of_any_kind() {
    let small = weights(24, 2, 36, Activation::Gelu, true);
    let large = weights(64, 2, 128, Activation::Gelu, true);
    let mut shared = Scratch::default();
    for isa in Isa::available() {
        for weights in [&small, &large, &small] {
            for precision in PRECISIONS {
                let batch = batch_of(&sequences(&[9, 3], weights.geometry.vocab_size));
                let encoder = Encoder::new(weights.clone(), precision, isa);
                let expected = encoder
                    .forward(&mut Scratch::default(), &batch, &never)
                    .unwrap()
                    .to_vec();
                assert_eq!(
                    encoder.forward(&mut shared, &batch, &never).unwrap(),
                    expected
                );
            }
        }
    }
}

#[test]
fn nothing_is_allocated_once_the_scratch_has_grown() {
    let weights = weights(64, 2, 128, Activation::Gelu, true);
    let [large, small] =
        [&[40, 3, 25][..], &[8, 2]].map(|l| batch_of(&sequences(l, weights.geometry.vocab_size)));
    let team = Team::new(2);
    for isa in Isa::available() {
        for precision in PRECISIONS {
            let encoder = Encoder::new(weights.clone(), precision, isa);
            let mut scratch = Scratch::default();
            let before = n_allocations();
            encoder.forward(&mut scratch, &large, &never).unwrap();
            encoder
                .forward_on(&team, &mut scratch, &large, &never)
                .unwrap();
            assert!(before < n_allocations(), "the allocator counts");
            let before = n_allocations();
            for batch in [&large, &small, &large] {
                encoder.forward(&mut scratch, batch, &never).unwrap();
                encoder
                    .forward_on(&team, &mut scratch, batch, &never)
                    .unwrap();
            }
            assert_eq!(n_allocations(), before, "{isa} {precision:?}");
        }
    }
}

#[test]
fn a_team_that_is_called_away_between_layers_changes_no_bit() {
    let weights = weights(64, 2, 128, Activation::Gelu, true);
    let batch = batch_of(&sequences(&[60, 3], weights.geometry.vocab_size));
    let team = Team::new(2);
    for precision in PRECISIONS {
        let encoder = Encoder::new(weights.clone(), precision, Isa::detect());
        let (mut own, mut shared) = (Scratch::default(), Scratch::default());
        let alone = encoder.forward(&mut own, &batch, &never).unwrap();
        let n_steps = 1 + weights.layers.len();
        for n_shared in 0..=n_steps {
            let n_asked = Cell::new(0);
            let is_free = || n_asked.replace(n_asked.get() + 1) < n_shared;
            let logits = encoder.forward_while(&team, &is_free, &mut shared, &batch, &never);
            assert_eq!(
                logits.unwrap(),
                alone,
                "{n_shared} of {n_steps} steps shared"
            );
            assert_eq!(n_asked.get(), n_steps.min(n_shared + 1));
        }
    }
}

#[test]
fn a_pass_that_others_interrupt_gives_the_same_bits_and_allocates_nothing() {
    let weights = weights(64, 2, 128, Activation::Gelu, true);
    let [long, short] =
        [&[60][..], &[8, 2]].map(|l| batch_of(&sequences(l, weights.geometry.vocab_size)));
    for isa in Isa::available() {
        for precision in PRECISIONS {
            let encoder = Encoder::new(weights.clone(), precision, isa);
            let (mut own, side) = (Scratch::default(), RefCell::new(Scratch::default()));
            let whole = encoder.forward(&mut own, &long, &never).unwrap().to_vec();
            let mut fresh = Scratch::default();
            let alone = encoder.forward(&mut fresh, &short, &never).unwrap();
            let n_short = Cell::new(0);
            let interrupt = || {
                let mut side = side.borrow_mut();
                let logits = encoder.forward(&mut side, &short, &never).unwrap();
                assert_eq!(logits, alone);
                n_short.set(n_short.get() + 1);
                false
            };
            encoder.forward(&mut own, &long, &interrupt).unwrap();
            let before = n_allocations();
            let logits = encoder.forward(&mut own, &long, &interrupt).unwrap();
            assert_eq!(n_allocations(), before, "{isa} {precision:?}");
            assert_eq!(logits, whole, "{isa} {precision:?}");
            assert_eq!(n_short.get(), 2 * (1 + weights.layers.len()));
        }
    }
}

#[test]
fn an_empty_batch_has_no_logits() {
    let encoder = Encoder::new(
        weights(24, 2, 36, Activation::Gelu, true),
        Precision::F32,
        Isa::detect(),
    );
    let mut scratch = Scratch::default();
    let logits = encoder.forward(&mut scratch, &Batch::default(), &never);
    assert_eq!(logits, Ok(&[][..]));
}

#[test]
fn what_cannot_be_encoded_is_an_error() {
    let mut weights = weights(24, 2, 36, Activation::Gelu, true);
    let Geometry {
        vocab_size,
        max_positions,
        position_offset,
        ..
    } = weights.geometry;
    let encoder = Encoder::new(weights.clone(), Precision::Int8, Isa::detect());
    let mut scratch = Scratch::default();
    let max_tokens = max_positions - position_offset;
    let fitting = batch_of(&[vec![1; max_tokens]]);
    assert!(encoder.forward(&mut scratch, &fitting, &never).is_ok());
    let long = batch_of(&[vec![1], vec![1; max_tokens + 1]]);
    let error = EncodeError::TooLong {
        n_tokens: max_tokens + 1,
        max_tokens,
    };
    assert_eq!(encoder.forward(&mut scratch, &long, &never), Err(error));

    let unknown = batch_of(&[vec![1, vocab_size as u32 - 1], vec![vocab_size as u32]]);
    let error = EncodeError::UnknownToken {
        id: vocab_size as u32,
        vocab_size,
    };
    assert_eq!(encoder.forward(&mut scratch, &unknown, &never), Err(error));

    weights.word_embeddings[3 * 24 + 5] = f32::NAN;
    for isa in Isa::available() {
        for precision in PRECISIONS {
            let encoder = Encoder::new(weights.clone(), precision, isa);
            let bad = encoder.forward(&mut scratch, &batch_of(&[vec![1, 2], vec![1, 3]]), &never);
            assert_eq!(bad, Err(EncodeError::NonFinite), "{isa} {precision:?}");
            assert!(
                encoder
                    .forward(&mut scratch, &batch_of(&[vec![1, 2]]), &never)
                    .is_ok()
            );
        }
    }
}

#[test]
fn cancelling_is_asked_for_between_layers() {
    let weights = weights(24, 2, 36, Activation::Gelu, true);
    let encoder = Encoder::new(weights.clone(), Precision::F32, Isa::detect());
    let mut scratch = Scratch::default();
    let asked = std::cell::Cell::new(0);
    for stop_at in 1..=weights.layers.len() + 1 {
        asked.set(0);
        let is_cancelled = || {
            asked.set(asked.get() + 1);
            asked.get() == stop_at
        };
        let end = encoder.forward(&mut scratch, &batch_of(&[vec![1, 2]]), &is_cancelled);
        assert_eq!((end, asked.get()), (Err(EncodeError::Cancelled), stop_at));
    }
}

#[test]
fn eight_bits_take_a_quarter_of_the_memory() {
    let weights = weights(64, 2, 256, Activation::Gelu, false);
    let bytes = |precision| Encoder::new(weights.clone(), precision, Isa::detect()).weight_bytes();
    if Isa::detect().name() != "avx512" {
        eprintln!("this machine has no AVX-512 with VNNI and BF16, where these take 8 and 16 bits");
        return;
    }
    assert!(10 * bytes(Precision::Int8) < 4 * bytes(Precision::F32));
    assert!(10 * bytes(Precision::Bf16) < 6 * bytes(Precision::F32));
}
