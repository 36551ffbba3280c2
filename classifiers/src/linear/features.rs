//! From a text to the numbers of its n-grams.
//!
//! A text is lower-cased and its white space collapsed; then every character n-gram of 2 to 5
//! characters inside a space-padded word, every word and every pair of neighbouring words becomes
//! one 32-bit id. An n-gram that stands twice gives its id twice.
//! The trainer and the scorer share this file, so they cannot disagree about a feature.
//! The cost is linear in the text and nothing is allocated once the buffers have grown.

/// Names this feature map in manifests; another number means another model.
pub(crate) const FEATURES_VERSION: u32 = 1;

/// Longest character n-gram.
const MAX_CHARS: usize = 5;
/// Odd multiplier of the polynomial hashes (from the digits of pi, as in FxHash).
const MULTIPLIER: u64 = 0xf135_7aea_2e62_a9c5;
/// Start values that keep the three kinds of n-gram apart.
const CHARS_SEED: u64 = 0x243f_6a88_85a3_08d3;
const WORD_SEED: u64 = 0x1319_8a2e_0370_7344;
const PAIR_SEED: u64 = 0xa409_3822_299f_31d0;

/// Set in the ids of words and word pairs.
const WORD_BIT: u32 = 1;

/// Buffers of one scorer, reused from text to text.
#[derive(Debug, Default)]
pub(crate) struct Features {
    folded: Vec<u32>,
    ids: Vec<u32>,
}

impl Features {
    /// The n-gram ids of a text, in a fixed order; valid until the next call.
    pub(crate) fn of(&mut self, text: &str) -> &[u32] {
        self.ids.clear();
        self.fold(text);
        self.push_chars();
        self.push_words();
        &self.ids
    }

    /// Lower-cases, and turns each run of white space into one space; one space at either end.
    fn fold(&mut self, text: &str) {
        self.folded.clear();
        self.folded.push(u32::from(' '));
        for char in text.chars() {
            self.push_folded(char);
        }
        if self.folded.last() != Some(&u32::from(' ')) {
            self.folded.push(u32::from(' '));
        }
    }

    fn push_folded(&mut self, char: char) {
        if char.is_ascii_graphic() {
            self.folded.push(u32::from(char.to_ascii_lowercase()));
        } else if char.is_whitespace() || char.is_control() {
            if self.folded.last() != Some(&u32::from(' ')) {
                self.folded.push(u32::from(' '));
            }
        } else {
            self.folded.extend(char.to_lowercase().map(u32::from));
        }
    }

    /// N-grams of each word with one space on both sides.
    fn push_chars(&mut self) {
        let space = u32::from(' ');
        let n_chars = self.folded.len();
        let mut word_end = 0; // index of the space that ends the current word
        for start in 0..n_chars.saturating_sub(1) {
            if start == word_end {
                let rest = &self.folded[start + 1..];
                word_end = start + 1 + rest.iter().position(|&c| c == space).unwrap_or(rest.len());
            }
            let end = (start + MAX_CHARS).min(word_end + 1).min(n_chars);
            let mut hash = step(CHARS_SEED, self.folded[start]);
            for &char in &self.folded[start + 1..end] {
                hash = step(hash, char);
                self.ids.push(id(hash) & !WORD_BIT);
            }
        }
    }

    /// Words (runs of letters, digits and marks) and pairs of neighbouring words.
    fn push_words(&mut self) {
        let mut previous = WORD_SEED;
        let mut word = WORD_SEED;
        for &char in &self.folded {
            if is_word(char) {
                word = step(word, char);
            } else if word != WORD_SEED {
                self.ids.push(id(word) | WORD_BIT);
                self.ids.push(id(pair(previous, word)) | WORD_BIT);
                previous = word;
                word = WORD_SEED;
            }
        }
    }
}

fn is_word(char: u32) -> bool {
    match char {
        0x61..=0x7a | 0x30..=0x39 | 0x27 | 0x5f => true,
        0..=0x7f => false,
        _ => char::from_u32(char).is_some_and(char::is_alphanumeric),
    }
}

/// Whether an id stands for a word or a pair of words.
pub(crate) const fn is_word_id(id: u32) -> bool {
    id & WORD_BIT != 0
}

const fn pair(first: u64, second: u64) -> u64 {
    (first ^ PAIR_SEED)
        .wrapping_add(second.rotate_left(17))
        .wrapping_mul(MULTIPLIER)
}

const fn step(hash: u64, char: u32) -> u64 {
    hash.wrapping_add(char as u64).wrapping_mul(MULTIPLIER)
}

const fn id(hash: u64) -> u32 {
    (hash >> 32) as u32
}
