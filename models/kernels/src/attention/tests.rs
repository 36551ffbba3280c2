use super::*;
use crate::testing::{Numbers, check_close};
use crate::{Aligned as Room, bf16_from_f32};

/// `before` tokens of another sequence, then `n_tokens` of this one, of which the queries from
/// `first` on are asked.
struct Case {
    isa: Isa,
    heads: Heads,
    n_tokens: usize,
    before: usize,
    first: usize,
    is_bf16: bool,
}

fn run(case: &Case, isa: Isa, numbers: &[f32], halves: &[u16]) -> Vec<f32> {
    let tokens = case.before..case.before + case.n_tokens;
    let queries = case.before + case.first..tokens.end;
    let mut out = vec![9.0; queries.len() * case.heads.count * case.heads.dim];
    let qkv = if case.is_bf16 {
        Qkv::Bf16(halves)
    } else {
        Qkv::F32(numbers)
    };
    let scratch = &mut Scratch::default();
    // What an earlier, longer sequence left behind must not show.
    scratch.values = Room::copied(&[0x7fc0_7fc0; 4096]);
    scratch.keys = Room::copied(&[0x7fc0_7fc0; 4096]);
    scratch.scores = Room::copied(&[f32::NAN; 4096]);
    attend(isa, case.heads, qkv, (tokens, queries), (scratch, &mut out));
    out
}

fn check(case: &Case) {
    let Case {
        isa,
        heads,
        n_tokens,
        before,
        first,
        is_bf16,
    } = *case;
    let name =
        format!("{isa} {heads:?} {n_tokens} tokens after {before} from {first} bf16 {is_bf16}");
    let n = (before + n_tokens) * 3 * heads.count * heads.dim;
    let mut numbers = Numbers::new((n + first) as u64).many(n);
    numbers.iter_mut().for_each(|x| *x *= 1.5);
    let halves: Vec<u16> = numbers.iter().map(|&x| bf16_from_f32(x)).collect();
    let expected = run(case, Isa::SCALAR, &numbers, &halves);
    let actual = run(case, isa, &numbers, &halves);
    // A weight that is rounded to the other of two bf16 moves by 1/256 of itself.
    check_close(&name, &actual, &expected, if is_bf16 { 4e-3 } else { 4e-6 });
}

#[test]
fn attention_agrees_with_the_reference_at_every_tail() {
    for isa in Isa::available() {
        for is_bf16 in [false, true] {
            for n_tokens in (1..=70).chain([127, 200]) {
                let heads = Heads { count: 2, dim: 32 };
                check(&Case {
                    isa,
                    heads,
                    n_tokens,
                    before: 3,
                    first: n_tokens / 3,
                    is_bf16,
                });
            }
        }
    }
}

#[test]
fn attention_agrees_with_the_reference_at_every_width_of_head() {
    for isa in Isa::available() {
        for is_bf16 in [false, true] {
            for dim in (1..=40).chain([64, 80, 96, 128]) {
                let heads = Heads { count: 3, dim };
                check(&Case {
                    isa,
                    heads,
                    n_tokens: 19,
                    before: 1,
                    first: 0,
                    is_bf16,
                });
            }
        }
    }
}

#[test]
fn a_query_has_the_same_bits_whatever_is_asked_beside_it() {
    for isa in Isa::available() {
        for is_bf16 in [false, true] {
            let heads = Heads { count: 2, dim: 32 };
            let numbers = Numbers::new(8).many(45 * 3 * 64);
            let halves: Vec<u16> = numbers.iter().map(|&x| bf16_from_f32(x)).collect();
            let of = |first| {
                let case = Case {
                    isa,
                    heads,
                    n_tokens: 45,
                    before: 0,
                    first,
                    is_bf16,
                };
                run(&case, isa, &numbers, &halves)
            };
            let all = of(0);
            for first in 1..45 {
                assert_eq!(of(first), all[first * 64..], "{isa} from {first}");
            }
        }
    }
}

#[test]
fn scores_far_apart_do_not_overflow() {
    for isa in Isa::available() {
        let heads = Heads { count: 1, dim: 32 };
        let numbers: Vec<f32> = Numbers::new(8)
            .many(20 * 96)
            .iter()
            .map(|x| 1e3 * x)
            .collect();
        let case = Case {
            isa,
            heads,
            n_tokens: 20,
            before: 0,
            first: 0,
            is_bf16: false,
        };
        let out = run(&case, isa, &numbers, &[]);
        assert!(out.iter().all(|x| x.is_finite()), "{isa}");
    }
}
