//! Views of a text, their offsets, tokens and windows.

use crate::cuts::Dice;
use portcullis_text::canonical::{Canonical, Folder, folded, raw, views};
use portcullis_text::segment::{Grid, windows};
use unicode_normalization::UnicodeNormalization;

/// Characters that one segment of the raw view takes; the first may be ASCII.
const SEGMENT: usize = 32;

/// Runs the oracle. Bytes that are not UTF-8 count as replacement characters.
///
/// # Panics
/// When a promise is broken.
pub fn check(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    let mut dice = Dice::of(bytes);
    let (raw, folded) = (raw(text), folded(text));
    check_offsets(text, &raw);
    check_offsets(text, &folded);
    check_raw(text, &raw);
    check_folded(text, &folded, &mut dice);
    check_views(text, &raw, &folded);
    check_grid(text, &mut dice);
    check_windows(text, &mut dice);
}

/// Every character of a view maps to whole characters of the original, in order.
fn check_offsets(text: &str, view: &Canonical) {
    let mut last = 0..0;
    for (at, c) in view.text().char_indices() {
        let range = view.original_range(at..at + c.len_utf8());
        let original = text.get(range.clone());
        assert!(
            original.is_some_and(|original| !original.is_empty()),
            "{range:?} is no text"
        );
        assert!(
            last.start <= range.start && last.end <= range.end,
            "offsets go backwards"
        );
        last = range;
    }
    assert_eq!(view.original_range(0..usize::MAX).end, last.end);
    let middle = view.text().len() / 2;
    for range in [
        0..middle,
        middle..view.text().len(),
        middle..middle,
        1..middle.max(1) + 1,
    ] {
        let original = view.original_range(range);
        assert!(
            text.get(original).is_some(),
            "a range is cut within a character"
        );
    }
    if view.is_identity() {
        // What was dropped at the very end moves nothing.
        let n_bytes = view.text().len();
        assert!(text.is_char_boundary(n_bytes), "an identity moves bytes");
        let same = view.original_range(0..n_bytes) == (0..n_bytes);
        assert!(same, "an identity moves bytes");
    }
}

/// The raw view is NFKC of what shows.
fn check_raw(text: &str, view: &Canonical) {
    if text.is_ascii() {
        assert!(
            view.is_identity() && view.text() == text,
            "ASCII was changed"
        );
        return;
    }
    let mut run = 0;
    let is_bounded = text.chars().all(|c| {
        run = if c.is_ascii() { 0 } else { run + 1 };
        run < SEGMENT
    });
    if !is_bounded {
        return;
    }
    let shows = |c: &char| c.is_ascii() || !raw(c.encode_utf8(&mut [0; 4])).text().is_empty();
    let nfkc: String = text.chars().filter(shows).nfkc().filter(shows).collect();
    assert_eq!(view.text(), nfkc, "the raw view is not NFKC of what shows");
}

/// Any split folds to the same text and map; ASCII only loses its case.
fn check_folded(text: &str, view: &Canonical, dice: &mut Dice) {
    let mut folder = Folder::new();
    let mut taken = 0;
    for piece in dice.text_pieces(text) {
        folder.push(piece);
        taken += piece.len();
        assert_eq!(folder.original_len(), taken);
        assert!(
            view.text().starts_with(folder.text()),
            "folded text changed later"
        );
        let all = 0..folder.text().len();
        if !all.is_empty() {
            let range = folder.original_range(all.clone());
            assert_eq!(range, view.original_range(all), "offsets changed later");
        }
    }
    assert!(folder.finish() == *view, "a split changed the folded view");
    assert!(
        !view.text().bytes().any(|byte| byte.is_ascii_uppercase()),
        "not lower-cased"
    );
    if text.is_ascii() {
        assert_eq!(view.text(), text.to_ascii_lowercase());
    }
    let again = folded(
        &view
            .text()
            .chars()
            .filter(char::is_ascii)
            .collect::<String>(),
    );
    assert!(again.is_identity(), "folded ASCII folds again");
}

/// The folded view is left out only where it says what the raw one says.
fn check_views(text: &str, raw: &Canonical, folded: &Canonical) {
    let (own_raw, own_folded) = views(text);
    assert!(own_raw == *raw);
    match own_folded {
        Some(own) => assert!(own == *folded),
        None => assert_eq!(
            raw.text().to_lowercase().replace('ς', "σ"),
            folded.text().replace('ς', "σ")
        ),
    }
}

/// Any split gives the same tokens, and those that were complete stay.
fn check_grid(text: &str, dice: &mut Dice) {
    let ends =
        |grid: &Grid| -> Vec<usize> { (0..grid.tokens()).map(|idx| grid.end_of(idx)).collect() };
    let mut whole = Grid::new();
    whole.push(text);
    whole.finish();
    let all = ends(&whole);
    let mut grid = Grid::new();
    for piece in dice.text_pieces(text) {
        grid.push(piece);
        assert!(all.starts_with(&ends(&grid)), "a complete token changed");
    }
    grid.finish();
    assert_eq!(ends(&grid), all, "a split changed the tokens");
    assert_eq!(
        all.last().copied().unwrap_or_default(),
        text.len(),
        "bytes without a token"
    );
    let mut start = 0;
    for (idx, end) in all.iter().enumerate() {
        assert_eq!(whole.start_of(idx), start);
        assert!(text.get(start..*end).is_some_and(|token| !token.is_empty()));
        start = *end;
    }
}

/// Windows cover every byte, in order, and hold no more than they may.
fn check_windows(text: &str, dice: &mut Dice) {
    let (max_tokens, overlap) = (dice.below(40), dice.below(40));
    let mut covered = 0;
    for window in windows(text, max_tokens, overlap) {
        assert!(
            window.start <= covered && covered <= window.end,
            "a gap between windows"
        );
        let inside = text
            .get(window.clone())
            .expect("a window cut within a character");
        let mut grid = Grid::new();
        grid.push(inside);
        grid.finish();
        assert!(grid.tokens() <= max_tokens.max(1), "a window is too long");
        covered = window.end;
    }
    assert_eq!(covered, text.len(), "bytes in no window");
}
