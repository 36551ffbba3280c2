//! A long text in pieces, so that no step of a tokenizer sees more than one of them.

use std::ops::Range;

/// Longest piece in bytes. A text up to this long is one piece.
pub(super) const CHUNK: usize = 16 << 10;
/// How far back from the end of a piece white space is looked for.
const REACH: usize = 4 << 10;
/// Bytes read twice where a piece ends within a word, so that a word up to this long is whole on
/// one side.
pub(super) const SEAM: usize = 256;

/// Byte ranges that cover the text in order, at least one, on character boundaries.
///
/// A piece ends before white space, where tokenizers end a word anyway. Where there is none near
/// its end, it ends within a word and the next one starts [`SEAM`] bytes earlier.
pub(super) fn chunks(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let start = next?;
        if text.len() - start <= CHUNK {
            next = None;
            return Some(start..text.len());
        }
        let limit = text.floor_char_boundary(start + CHUNK);
        let end = gap_before(text, limit);
        next = Some(end.unwrap_or_else(|| text.floor_char_boundary(limit - SEAM)));
        Some(start..end.unwrap_or(limit))
    })
}

/// Where the last white space before a word starts, within reach of `limit`.
fn gap_before(text: &str, limit: usize) -> Option<usize> {
    let from = text.ceil_char_boundary(limit - REACH);
    let mut is_word_next = text[limit..].starts_with(|next: char| !next.is_whitespace());
    for (at, character) in text[from..limit].char_indices().rev() {
        if character.is_whitespace() && is_word_next {
            return Some(from + at);
        }
        is_word_next = !character.is_whitespace();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(usize, usize)]) {
        let found: Vec<_> = chunks(text).map(|range| (range.start, range.end)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_short_text_is_one_piece() {
        check("", &[(0, 0)]);
        check(&"a ".repeat(CHUNK / 2), &[(0, CHUNK)]);
    }

    #[test]
    fn a_piece_ends_before_the_white_space_before_a_word() {
        let text = format!("{}  {}", "a".repeat(CHUNK - 10), "b".repeat(100));
        check(&text, &[(0, CHUNK - 9), (CHUNK - 9, text.len())]);
    }

    #[test]
    fn a_piece_that_ends_within_a_word_overlaps_the_next() {
        let text = "a".repeat(CHUNK + 1);
        check(&text, &[(0, CHUNK), (CHUNK - SEAM, CHUNK + 1)]);
    }

    #[test]
    fn characters_stay_whole() {
        let text = "\u{1F600}x\u{4E00}".repeat(CHUNK);
        let ranges: Vec<_> = chunks(&text).collect();
        assert!(ranges.iter().all(|range| text.get(range.clone()).is_some()));
        assert!(ranges.windows(2).all(|pair| pair[1].start <= pair[0].end));
        assert_eq!(ranges.last().map(|range| range.end), Some(text.len()));
    }
}
