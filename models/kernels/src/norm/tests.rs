use super::*;
use crate::testing::{Numbers, check_close};

fn check(isa: Isa, width: usize) {
    let case = format!("{isa} {width}");
    let mut numbers = Numbers::new(width as u64);
    let norm = Norm::new(
        &numbers.many(width),
        &numbers.many(width),
        1e-5,
        &numbers.many(width),
    );
    let x = numbers.many(3 * width);
    let (mut actual, mut expected) = (x.clone(), x);
    norm.apply(Isa::SCALAR, &mut expected, None);
    norm.apply(isa, &mut actual, None);
    // Near variance 0, as in rows of one or two numbers, rounding of the mean is magnified.
    let tolerance = if width < 8 { 2e-4 } else { 3e-6 };
    check_close(&case, &actual, &expected, tolerance);
}

#[test]
fn norms_agree_with_the_reference_at_every_tail() {
    for isa in Isa::available() {
        (1..=140).for_each(|width| check(isa, width));
    }
}

#[test]
fn rows_of_eight_bits_hold_the_spread_without_the_shift() {
    for isa in Isa::available() {
        let mut numbers = Numbers::new(4);
        let width = 75;
        let (gamma, beta) = (numbers.many(width), numbers.many(width));
        let x = numbers.many(2 * width);
        let norm = Norm::new(&gamma, &beta, 1e-5, &vec![1.0; width]);
        let mut normed = x.clone();
        let mut rows = Rows::new(crate::Matrix::format_of(isa, crate::Precision::Int8));
        norm.apply(isa, &mut normed, Some(&mut rows));
        let unit = Norm::new(&vec![1.0; width], &vec![0.0; width], 1e-5, &gamma);
        let mut units = x;
        unit.apply(Isa::SCALAR, &mut units, None);
        for (place, unit) in units.iter().enumerate() {
            let (row, at) = (place / width, place % width);
            let back = rows.scale[row] * (rows.raw(row, at) - rows.zero[row]);
            assert!(
                (back - unit).abs() <= 1.001 * rows.scale[row],
                "{isa}: {back} for {unit}"
            );
            check_close(
                "normed",
                &[normed[place]],
                &[unit * gamma[at] + beta[at]],
                3e-6,
            );
        }
    }
}

#[test]
fn one_bad_number_spoils_its_row_alone() {
    for isa in Isa::available() {
        let norm = Norm::new(&[1.0; 20], &[0.0; 20], 1e-5, &[1.0; 20]);
        let mut x = Numbers::new(1).many(40);
        x[5] = f32::INFINITY;
        let mut rows = Rows::new(crate::Matrix::format_of(isa, crate::Precision::Int8));
        norm.apply(isa, &mut x, Some(&mut rows));
        assert!(rows.scale[0].is_nan() && !rows.scale[1].is_nan(), "{isa}");
        assert!(x[20..].iter().all(|x| x.is_finite()), "{isa}");
    }
}
