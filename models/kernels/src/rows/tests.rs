use super::*;
use crate::testing::Numbers;

/// Rows of an instruction set hold the same bits as the reference's.
fn check(isa: Isa, format: Format, len: usize, width: usize) {
    let case = format!("{isa} {format:?} {len}x{width}");
    let mut numbers = Numbers::new((len * 1000 + width) as u64);
    let x: Vec<f32> = (0..len * width).map(|_| 3.0 * numbers.one()).collect();
    let (mut actual, mut expected) = (Rows::new(format), Rows::new(format));
    // Old numbers in the padding must not show.
    actual.fill(isa, &vec![7.0; len * (width + 9)], width + 9);
    actual.fill(isa, &x, width);
    expected.fill(Isa::SCALAR, &x, width);
    let words = len * expected.stride();
    assert_eq!(actual.words[..words], expected.words[..words], "{case}");
    if matches!(format, Format::U8 | Format::I16) {
        assert_eq!(actual.scale[..len], expected.scale[..len], "{case}");
        assert_eq!(actual.zero[..len], expected.zero[..len], "{case}");
    }
}

#[test]
fn rows_hold_the_reference_s_bits_at_every_tail() {
    for isa in Isa::available() {
        for width in 1..=67 {
            for format in [Format::F32, Format::Bf16, Format::U8, Format::I16] {
                check(isa, format, 3, width);
            }
        }
        check(isa, Format::U8, 2, 1536);
    }
}

#[test]
fn eight_bits_stand_within_half_a_step_of_the_number() {
    for isa in Isa::available() {
        let x = Numbers::new(5).many(200);
        let mut rows = Rows::new(Format::U8);
        rows.fill(isa, &x, 100);
        for (place, x) in x.iter().enumerate() {
            let row = place / 100;
            let back = rows.scale[row] * (rows.raw(row, place % 100) - rows.zero[row]);
            // The place of 0 is rounded too, so the ends of the range may lose another half.
            assert!(
                (back - x).abs() <= 1.001 * rows.scale[row],
                "{isa}: {back} for {x}"
            );
        }
    }
}

#[test]
fn a_number_that_is_not_finite_shows_in_the_scale() {
    for isa in Isa::available() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 16, 40, 66] {
                let mut x = Numbers::new(9).many(67);
                x[place] = bad;
                let mut rows = Rows::new(Format::U8);
                rows.fill(isa, &x, 67);
                assert!(rows.scale[0].is_nan(), "{isa}: {bad} at {place}");
            }
        }
    }
}

#[test]
fn zeros_and_single_values_have_a_scale() {
    for isa in Isa::available() {
        for value in [0.0, 1e-38, -2.5, 3e38] {
            let mut rows = Rows::new(Format::U8);
            rows.fill(isa, &[value; 20], 20);
            let back = rows.scale[0] * (rows.raw(0, 3) - rows.zero[0]);
            assert!(
                (back - value).abs() <= 1e-5 * value.abs() + 1e-30,
                "{isa}: {back} for {value}"
            );
        }
    }
}
