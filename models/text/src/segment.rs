//! Tokens of the fixed grid and overlapping windows.
//!
//! Where a window of a stream begins and ends must not depend on how the text arrived, so windows
//! lie on tokens that are found by character classes alone. A token is a run of up to
//! 8 letters and digits of an alphabet (longer runs are chopped), or one character of a
//! script without spaces between words, or one punctuation mark or symbol. Whitespace and marks
//! belong to a token: whitespace to the one after it, marks to the one before.

use std::ops::Range;

/// Characters of an alphabetic run that make one token at most.
const MAX_RUN: u32 = 8;

/// Whitespace in front of a token that makes a token of its own, so that tokens stay short.
const MAX_SPACE: u32 = 64;

/// Finds the tokens of a text as it arrives; any split gives the same tokens.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    /// Byte after each complete token. 32 bits: past 4 GiB offsets stay at the last one.
    ends: Vec<u32>,
    len: usize,
    open: Open,
}

/// What the token under construction holds so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    /// Nothing yet.
    #[default]
    Empty,
    /// So many whitespace characters.
    Space(u32),
    /// So many characters of an alphabetic run.
    Run(u32),
    /// One character that is a token by itself; only marks (so many) may follow.
    Single(u32),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Space,
    Letter,
    Mark,
    Single,
}

impl Grid {
    /// Starts with nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends text.
    pub fn push(&mut self, text: &str) {
        for c in text.chars() {
            self.open = match (self.open, class(c)) {
                (Open::Empty, class) => begin(class),
                (Open::Space(n), Class::Space) if n < MAX_SPACE => Open::Space(n + 1),
                (Open::Space(_), class) if class != Class::Space => begin(class),
                (Open::Run(n), Class::Letter | Class::Mark) if n < MAX_RUN => Open::Run(n + 1),
                (Open::Single(n), Class::Mark) if n < MAX_RUN => Open::Single(n + 1),
                (_, class) => {
                    self.close();
                    begin(class)
                }
            };
            self.len += c.len_utf8();
        }
    }

    fn close(&mut self) {
        self.ends.push(u32::try_from(self.len).unwrap_or(u32::MAX));
        self.open = Open::Empty;
    }

    /// Tokens that are complete: no later text can change them.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.ends.len()
    }

    /// First byte of a token, its leading whitespace included. `start_of(tokens())` is where the
    /// open token begins; larger indexes give the length of the text.
    #[must_use]
    pub fn start_of(&self, token_idx: usize) -> usize {
        token_idx
            .checked_sub(1)
            .map_or(0, |before| self.end_of(before))
    }

    /// Byte after a token; the length of the text for an index that is not complete.
    #[must_use]
    pub fn end_of(&self, token_idx: usize) -> usize {
        self.ends
            .get(token_idx)
            .map_or(self.len, |&end| end as usize)
    }

    /// Closes the last open token: the text has ended.
    pub fn finish(&mut self) {
        if self.open != Open::Empty {
            self.close();
        }
    }
}

fn begin(class: Class) -> Open {
    match class {
        Class::Space => Open::Space(1),
        Class::Letter => Open::Run(1),
        Class::Mark | Class::Single => Open::Single(0),
    }
}

fn class(c: char) -> Class {
    match c {
        _ if c.is_ascii_alphanumeric() => Class::Letter,
        _ if c.is_whitespace() => Class::Space,
        _ if c.is_ascii() => Class::Single,
        _ if unicode_normalization::char::is_combining_mark(c) => Class::Mark,
        // Thai, Lao, Tibetan, Myanmar, Khmer, CJK, kana and Yi do not put spaces between words;
        // a Hangul syllable carries about as much as a short word.
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' => Class::Single,
        '\u{2E80}'..='\u{A4CF}' | '\u{AC00}'..='\u{D7FF}' | '\u{F900}'..='\u{FAFF}' => {
            Class::Single
        }
        '\u{20000}'.. => Class::Single,
        _ if c.is_alphanumeric() => Class::Letter,
        _ => Class::Single,
    }
}

/// Overlapping windows that together cover every byte, on char boundaries.
///
/// Each holds at most `max_tokens` tokens of the [`Grid`] (taken as 1 when it is 0), and begins
/// `overlap` tokens before the end of the one before it (fewer where that would not move on). The
/// last window is a full one too, so it may overlap more. An empty text has one empty window.
#[must_use]
pub fn windows(text: &str, max_tokens: usize, overlap: usize) -> Vec<Range<usize>> {
    let max_tokens = max_tokens.max(1);
    // No token is without a byte, so a text this short cannot hold more tokens than one window.
    if text.len() <= max_tokens {
        return vec![Range {
            start: 0,
            end: text.len(),
        }];
    }
    let mut grid = Grid::new();
    grid.push(text);
    grid.finish();

    let step = max_tokens.saturating_sub(overlap).max(1);
    let n_tokens = grid.tokens();
    let mut found = Vec::new();
    let mut first = 0;
    while first + max_tokens < n_tokens {
        found.push(grid.start_of(first)..grid.end_of(first + max_tokens - 1));
        first += step;
    }
    let first = n_tokens.saturating_sub(max_tokens);
    found.push(grid.start_of(first)..text.len());
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(text: &str) -> Vec<&str> {
        let mut grid = Grid::new();
        grid.push(text);
        grid.finish();
        (0..grid.tokens())
            .map(|idx| &text[grid.start_of(idx)..grid.end_of(idx)])
            .collect()
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(tokens(text), expected, "{text:?}");
    }

    #[test]
    fn words_are_chopped_and_carry_the_space_before_them() {
        check("", &[]);
        check("a bomb, now", &["a", " bomb", ",", " now"]);
        check("extraordinarily", &["extraord", "inarily"]);
        check("  \n", &["  \n"]);
        check("a\n\n b ", &["a", "\n\n b", " "]);
    }

    #[test]
    fn scripts_without_spaces_count_by_character() {
        check("如何制作", &["如", "何", "制", "作"]);
        check("नमस्ते दुनिया", &["नमस्ते", " दुनिया"]);
        check("폭탄", &["폭", "탄"]);
        check("😀😀", &["😀", "😀"]);
    }

    #[test]
    fn an_open_token_is_not_counted_until_it_cannot_change() {
        let mut grid = Grid::new();
        grid.push("one tw");
        assert_eq!((grid.tokens(), grid.start_of(1), grid.end_of(1)), (1, 3, 6));
        grid.push("o ");
        assert_eq!((grid.tokens(), grid.end_of(1)), (2, 7));
    }

    #[test]
    fn a_long_text_gives_full_windows_that_overlap() {
        let text = "a b c d e f g h i j";
        let texts: Vec<_> = windows(text, 4, 1).into_iter().map(|w| &text[w]).collect();
        assert_eq!(texts, ["a b c d", " d e f g", " g h i j"]);
        assert_eq!(windows("", 4, 1), [Range { start: 0, end: 0 }]);
        assert_eq!(
            windows(text, 50, 8),
            [Range {
                start: 0,
                end: text.len()
            }]
        );
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_tokens(text in "(\\PC|[a-z ]){0,60}", cuts in prop::collection::vec(0..240usize, 0..6)) {
            let mut grid = Grid::new();
            for piece in crate::testing::split(&text, &cuts) {
                grid.push(piece);
                let complete: Vec<_> = (0..grid.tokens()).map(|idx| grid.end_of(idx)).collect();
                let whole: Vec<_> = tokens(&text).iter().scan(0, |end, token| { *end += token.len(); Some(*end) }).collect();
                prop_assert!(whole.starts_with(&complete));
            }
            grid.finish();
            prop_assert_eq!(grid.tokens(), tokens(&text).len());
            prop_assert_eq!(tokens(&text).concat(), text);
        }

        #[test]
        fn windows_cover_every_byte(text in "(\\PC|[a-z ]){0,80}", max in 0..12usize, overlap in 0..14usize) {
            let found = windows(&text, max, overlap);
            let mut covered = 0;
            for window in &found {
                prop_assert!(window.start <= covered && window.end >= covered);
                prop_assert!(text.get(window.clone()).is_some());
                prop_assert!(tokens(&text[window.clone()]).len() <= max.max(1));
                covered = window.end;
            }
            prop_assert_eq!(covered, text.len());
        }
    }
}
