//! Harmless sentences by number: the same number gives the same sentence, two numbers differ.

#[rustfmt::skip] // one word a line tells nothing more
const WORDS: [&str; 64] = [
    "the", "tallest", "mountain", "of", "our", "solar", "system", "and", "how", "its", "height",
    "was", "measured", "river", "garden", "bread", "recipe", "for", "a", "quiet", "evening",
    "with", "friends", "music", "lesson", "about", "planets", "light", "travels", "through",
    "water", "glass", "window", "morning", "train", "station", "map", "city", "museum",
    "painting", "colour", "blue", "green", "summer", "winter", "coat", "walk", "forest", "bird",
    "song", "book", "chapter", "story", "please", "explain", "in", "two", "short", "sentences",
    "table", "chair", "lamp", "coffee", "tea",
];

/// A sentence of `n_words` words.
#[must_use]
pub fn sentence(number: u64, n_words: usize) -> String {
    let mut state = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut sentence = String::with_capacity(n_words * 7);
    for word_idx in 0..n_words {
        if 0 < word_idx {
            sentence.push(' ');
        }
        // Knuth's MMIX generator; its high bits are the good ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        sentence.push_str(WORDS[(state >> 58) as usize]);
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_number_names_one_sentence() {
        assert_eq!(sentence(7, 60), sentence(7, 60));
        let all: BTreeSet<String> = (0..1000).map(|number| sentence(number, 60)).collect();
        assert_eq!(all.len(), 1000);
        assert_eq!(sentence(1, 60).split(' ').count(), 60);
    }
}
