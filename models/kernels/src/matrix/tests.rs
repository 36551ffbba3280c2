use super::*;
use crate::f32_from_bf16;
use crate::testing::{Numbers, check_close};

struct Case {
    isa: Isa,
    precision: Precision,
    n_rows: usize,
    n_in: usize,
    n_out: usize,
    activation: Activation,
}

/// A product agrees with the reference on the same packed weights and rows, in each way out.
fn check(case: &Case) {
    let Case {
        isa,
        precision,
        n_rows,
        n_in,
        n_out,
        activation,
    } = *case;
    let name = format!("{isa} {precision:?} {n_rows}x{n_in}x{n_out} {activation:?}");
    let mut numbers = Numbers::new((n_rows + 100 * n_in + 10_000 * n_out) as u64);
    let matrix = Matrix::pack(
        isa,
        precision,
        &numbers.many(n_in * n_out),
        &numbers.many(n_out),
    );
    let mut rows = Rows::new(matrix.format);
    rows.fill(isa, &numbers.many(n_rows * n_in), n_in);

    let mut expected = vec![0.0; n_rows * n_out];
    scalar::apply(&matrix, &rows, activation, Out::Store(&mut expected));
    let mut actual = vec![9.0; n_rows * n_out];
    matrix.apply(&rows, activation, Out::Store(&mut actual));
    // Sums of f32 differ by their rounding, and GELU by its polynomial.
    let tolerance = if precision == Precision::F32 {
        4e-6
    } else {
        4e-5
    };
    check_close(&name, &actual, &expected, tolerance);

    let before = numbers.many(n_rows * n_out);
    let mut added = before.clone();
    matrix.apply(&rows, activation, Out::Add(&mut added));
    let sums: Vec<f32> = before.iter().zip(&actual).map(|(b, a)| b + a).collect();
    assert_eq!(added, sums, "{name}: added");

    // Not on a cache line, nor on a word.
    let mut halves = vec![0; n_rows * n_out + 1];
    matrix.apply(&rows, activation, Out::Bf16(&mut halves[1..]));
    for (half, a) in halves[1..].iter().zip(&actual) {
        assert_eq!(
            f32_from_bf16(*half),
            f32_from_bf16(bf16_from_f32(*a)),
            "{name}: bf16"
        );
    }
}

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];

#[test]
fn products_agree_with_the_reference_at_every_tail_of_rows_and_inputs() {
    for isa in Isa::available() {
        for precision in PRECISIONS {
            for n_rows in 1..=14 {
                for n_in in [1, 2, 3, 4, 5, 7, 16, 33, 64] {
                    let activation = Activation::Identity;
                    check(&Case {
                        isa,
                        precision,
                        n_rows,
                        n_in,
                        n_out: 65,
                        activation,
                    });
                }
            }
        }
    }
}

#[test]
fn products_agree_with_the_reference_at_every_tail_of_outputs_and_activation() {
    let all = [
        Activation::Identity,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Relu,
        Activation::Tanh,
    ];
    for isa in Isa::available() {
        for precision in PRECISIONS {
            for n_out in 1..=130 {
                let activation = all[n_out % all.len()];
                check(&Case {
                    isa,
                    precision,
                    n_rows: 7,
                    n_in: 24,
                    n_out,
                    activation,
                });
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_whatever_lies_beside_it() {
    for isa in Isa::available() {
        for precision in PRECISIONS {
            let mut numbers = Numbers::new(3);
            let matrix = Matrix::pack(isa, precision, &numbers.many(96 * 80), &numbers.many(80));
            let x = numbers.many(13 * 96);
            let apply = |x: &[f32]| {
                let mut rows = Rows::new(matrix.format);
                rows.fill(isa, x, 96);
                let mut y = vec![0.0; x.len() / 96 * 80];
                matrix.apply(&rows, Activation::Gelu, Out::Store(&mut y));
                y
            };
            let all = apply(&x);
            for (row, y) in x.chunks(96).zip(all.chunks(80)) {
                assert_eq!(apply(row), y, "{isa} {precision:?}");
            }
        }
    }
}

#[test]
fn eight_bit_products_are_near_the_true_ones_and_zero_is_exact() {
    for isa in Isa::available() {
        let mut numbers = Numbers::new(11);
        let (weight, bias) = (numbers.many(256 * 32), numbers.many(32));
        let matrix = Matrix::pack(isa, Precision::Int8, &weight, &bias);
        let mut x = numbers.many(4 * 256);
        x[..256].fill(0.0);
        let mut rows = Rows::new(matrix.format);
        rows.fill(isa, &x, 256);
        let mut y = vec![0.0; 4 * 32];
        matrix.apply(&rows, Activation::Identity, Out::Store(&mut y));
        for (place, y) in y.iter().enumerate() {
            let (row, output) = (place / 32, place % 32);
            let pairs = x[row * 256..][..256]
                .iter()
                .zip(&weight[output * 256..][..256]);
            let expected = pairs.map(|(x, w)| x * w).sum::<f32>() + bias[output];
            // 256 products, each off by about 1/500 of their spread of 1/3.
            let allowed = if row == 0 { 0.0 } else { 0.15 };
            assert!((y - expected).abs() <= allowed, "{isa}: {y} for {expected}");
        }
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    for isa in Isa::available() {
        for precision in PRECISIONS {
            for activation in [
                Activation::Identity,
                Activation::Gelu,
                Activation::Relu,
                Activation::Tanh,
            ] {
                let mut numbers = Numbers::new(2);
                let matrix =
                    Matrix::pack(isa, precision, &numbers.many(40 * 20), &numbers.many(20));
                let mut x = numbers.many(2 * 40);
                x[45] = f32::NAN;
                let mut rows = Rows::new(matrix.format);
                rows.fill(isa, &x, 40);
                let mut y = vec![0.0; 2 * 20];
                matrix.apply(&rows, activation, Out::Store(&mut y));
                let case = format!("{isa} {precision:?} {activation:?}");
                assert!(y[..20].iter().all(|y| y.is_finite()), "{case}");
                assert!(y[20..].iter().all(|y| y.is_nan()), "{case}");
            }
        }
    }
}
