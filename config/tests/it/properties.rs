//! Whatever stands in a file, it is read or refused with a place in it.

use miette::{GraphicalReportHandler, GraphicalTheme};
use portcullis_config::check;
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../../examples/portcullis.yaml");

/// Pieces that matter to YAML, to the types, or to neither.
const PIECES: [&str; 24] = [
    ":", " ", "\n", "- ", "{", "}", "[", "]", "\"", "'", "&a ", "*a", "null", "~", "-1", "1e99",
    "#", "|\n", "é", "\t", "(", "\\", "<<: ", "@",
];

fn check_damaged(text: &str) -> Result<(), TestCaseError> {
    let Err(error) = check(text, "gate.yaml") else {
        return Ok(());
    };
    prop_assert!(error.problems().count() > 0);
    for problem in error
        .problems()
        .filter(|problem| problem.place().name == "gate.yaml")
    {
        let place = problem.place();
        prop_assert!(
            (1..=text.lines().count() + 1).contains(&place.line),
            "{place}"
        );
        let line = text.split('\n').nth(place.line - 1).unwrap_or_default();
        prop_assert!(
            (1..=line.chars().count() + 1).contains(&place.column),
            "{place}"
        );
    }
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    let mut rendered = String::new();
    let shown = handler.render_report(&mut rendered, &error);
    prop_assert!(shown.is_ok(), "not rendered: {error:?}");
    prop_assert!(
        rendered.contains("gate.yaml:") || rendered.contains("(shipped):"),
        "{rendered}"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_damaged_file_is_read_or_refused_with_a_place(
        damages in prop::collection::vec((0..EXAMPLE.len(), 0..12_usize, 0..PIECES.len()), 1..4),
    ) {
        let mut text = EXAMPLE.to_owned();
        for (at, len, piece) in damages {
            let start = text.floor_char_boundary(at.min(text.len()));
            let end = text.ceil_char_boundary((start + len).min(text.len()));
            text.replace_range(start..end, PIECES[piece]);
        }
        check_damaged(&text)?;
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place(
        text in "[a-c:{}\\[\\]&*\\-#|> \n\t'\"0-9.é]{0,60}",
    ) {
        check_damaged(&text)?;
    }
}
