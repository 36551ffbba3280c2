//! Words that are likelier to be written when their letters are moved by 13 or turned round.
//!
//! Every text can be read so; what counts is whether the reading is likelier than the text. Pairs
//! of letters tell: over a stretch of words the logarithm of the likelihood ratio is added up, and
//! a stretch that reaches [`MIN_EVIDENCE`] is read.

use super::{Reading, is_of_longer_word};
use crate::View;
use crate::canonical::Canonical;
use std::ops::Range;

/// Bits for each letter, in eighths, below which a word is written as English is.
const USUAL_BITS: i32 = 30;

/// What each letter of such a word counts against another reading, in eighths of a bit.
const AGAINST: i32 = 8;

/// Evidence from which on a stretch of words is read, in eighths of a bit: 1 in 2,000.
const MIN_EVIDENCE: i32 = 88;

/// Reads the stretches of a text that are likelier to be rot13 than not, and those whose words are
/// likelier to stand backwards: these from their end, and word by word.
pub(super) fn readings(text: &str) -> impl Iterator<Item = Reading> {
    readings_where(text, Demand::Likelier)
}

/// The same on top of another reading, which may be gibberish: here the words must be usual ones.
pub(super) fn usual_readings(text: &str) -> impl Iterator<Item = Reading> {
    readings_where(text, Demand::Usual)
}

/// What is asked of a word in another reading.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Demand {
    /// That it is likelier than the word as it stands.
    Likelier,
    /// That besides it is written as English is.
    Usual,
}

fn readings_where(text: &str, demand: Demand) -> impl Iterator<Item = Reading> {
    let Stretches { rot13, backwards } = stretches(text, demand);
    let moved = read(text, View::Rot13, &rot13, |stretch| {
        stretch.chars().map(moved).collect()
    });
    let whole = read(text, View::Reversed, &backwards, |stretch| {
        stretch.chars().rev().collect()
    });
    let words = read(text, View::Reversed, &backwards, |stretch| {
        let words = stretch.split_inclusive(|c: char| !c.is_ascii_alphabetic());
        words.map(turned).collect()
    });
    [moved, whole, words].into_iter().flatten()
}

/// The stretches of a text in another reading of the same length.
fn read(
    text: &str,
    view: View,
    stretches: &[Range<usize>],
    reading: impl Fn(&str) -> String,
) -> Option<Reading> {
    let mut out = Canonical::default();
    let mut copied = 0;
    for stretch in stretches {
        out.copy(&text[copied..stretch.start], copied);
        out.put(&reading(&text[stretch.clone()]), stretch.clone());
        copied = stretch.end;
    }
    if copied == 0 {
        return None;
    }
    out.copy(&text[copied..], copied);
    Some(Reading::weighty(view, out))
}

const fn moved(c: char) -> char {
    let first = match c {
        'a'..='z' => b'a',
        'A'..='Z' => b'A',
        _ => return c,
    };
    ((c as u8 - first + 13) % 26 + first) as char
}

/// A word and the character after it, with the word backwards.
fn turned(word: &str) -> String {
    let letters = word.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    letters
        .chars()
        .rev()
        .chain(word[letters.len()..].chars())
        .collect()
}

struct Stretches {
    rot13: Vec<Range<usize>>,
    backwards: Vec<Range<usize>>,
}

/// Stretches of words for which the evidence never falls to nothing, up to where it is highest.
fn stretches(text: &str, demand: Demand) -> Stretches {
    let bytes = text.as_bytes();
    let (mut rot13, mut backwards) = (Vec::new(), Vec::new());
    let (mut moved, mut turned) = (Open::default(), Open::default());
    let mut at = 0;
    while at < bytes.len() {
        let word = bytes[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic());
        let word = word.count();
        if word == 0 {
            at += 1;
            continue;
        }
        if is_of_longer_word(text, at..at + word) {
            moved.close(&mut rot13);
            turned.close(&mut backwards);
            at += word;
            continue;
        }
        let letters = &bytes[at..at + word];
        let plain = plain_bits(letters);
        let is_usual = |bits: i32| bits <= USUAL_BITS * (word as i32 + 1);
        let evidence = |bits: fn(&[u8]) -> i32| {
            // Where the word itself is usual no other reading can be much likelier.
            if is_usual(plain) {
                return -AGAINST * word as i32;
            }
            let other = bits(letters);
            match demand {
                Demand::Usual if !is_usual(other) => -AGAINST * word as i32,
                _ => plain - other,
            }
        };
        moved.add(at..at + word, evidence(moved_bits), &mut rot13);
        turned.add(at..at + word, evidence(turned_bits), &mut backwards);
        at += word;
    }
    moved.close(&mut rot13);
    turned.close(&mut backwards);
    Stretches { rot13, backwards }
}

#[derive(Default)]
struct Open {
    start: usize,
    evidence: i32,
    best: i32,
    best_end: usize,
}

impl Open {
    fn add(&mut self, word: Range<usize>, evidence: i32, found: &mut Vec<Range<usize>>) {
        if self.evidence == 0 {
            self.start = word.start;
        }
        self.evidence += evidence;
        if self.best < self.evidence {
            self.best = self.evidence;
            self.best_end = word.end;
        }
        if self.evidence <= 0 {
            self.close(found);
        }
    }

    fn close(&mut self, found: &mut Vec<Range<usize>>) {
        if MIN_EVIDENCE <= self.best {
            found.push(self.start..self.best_end);
        }
        *self = Self::default();
    }
}

/// Information in a word as it stands, in eighths of a bit.
fn plain_bits(word: &[u8]) -> i32 {
    bits(word.iter().map(|byte| number(*byte)))
}

fn moved_bits(word: &[u8]) -> i32 {
    bits(word.iter().map(|byte| (number(*byte) + 12) % 26 + 1))
}

fn turned_bits(word: &[u8]) -> i32 {
    bits(word.iter().rev().map(|byte| number(*byte)))
}

fn number(letter: u8) -> usize {
    usize::from(letter.to_ascii_lowercase() - b'a') + 1
}

fn bits(letters: impl Iterator<Item = usize>) -> i32 {
    let mut before = 0;
    let pairs = letters.chain([0]).map(|letter| {
        let bits = BITS[before][letter];
        before = letter;
        i32::from(bits)
    });
    pairs.sum()
}

/// Eighths of bits of information in a letter after a letter, 0 being the end of a word, in the
/// harmless and harmful English texts of the training data.
#[rustfmt::skip]
const BITS: [[u8; 27]; 27] = [
    [127, 26, 37, 34, 37, 41, 38, 45, 38, 29, 56, 55, 41, 36, 40, 34, 37, 62, 41, 30, 24, 47, 53, 35, 82, 43, 75],
    [25, 69, 43, 37, 40, 78, 57, 44, 61, 41, 77, 48, 27, 40, 20, 75, 48, 84, 27, 30, 24, 48, 43, 61, 72, 42, 68],
    [36, 27, 59, 67, 75, 14, 79, 83, 76, 27, 56, 89, 25, 74, 64, 25, 79, 93, 33, 48, 57, 28, 71, 85, 98, 36, 93],
    [34, 22, 86, 47, 82, 25, 92, 97, 21, 33, 102, 34, 37, 84, 83, 21, 89, 82, 37, 58, 28, 38, 99, 103, 109, 54, 92],
    [10, 32, 74, 82, 52, 20, 77, 63, 71, 25, 79, 88, 58, 68, 58, 29, 80, 103, 45, 43, 78, 43, 64, 76, 101, 53, 101],
    [13, 36, 67, 42, 35, 43, 55, 54, 68, 47, 86, 69, 37, 42, 28, 57, 54, 68, 24, 28, 39, 60, 47, 58, 50, 53, 76],
    [14, 31, 83, 76, 73, 26, 35, 78, 87, 25, 101, 86, 43, 82, 84, 20, 88, 101, 30, 66, 42, 32, 88, 85, 93, 58, 94],
    [12, 31, 74, 86, 75, 21, 83, 46, 31, 33, 98, 86, 45, 69, 44, 30, 60, 103, 33, 44, 56, 37, 98, 84, 98, 56, 92],
    [23, 19, 79, 91, 78, 11, 90, 95, 80, 25, 102, 99, 63, 71, 62, 26, 87, 103, 48, 70, 40, 51, 103, 77, 108, 52, 99],
    [30, 42, 55, 32, 39, 37, 43, 42, 79, 75, 84, 50, 35, 40, 17, 32, 53, 76, 40, 25, 25, 73, 43, 98, 68, 87, 56],
    [33, 21, 71, 73, 68, 19, 73, 75, 71, 41, 70, 59, 76, 68, 63, 20, 59, 72, 57, 49, 69, 13, 74, 66, 82, 77, 80],
    [15, 38, 72, 85, 75, 15, 72, 71, 54, 22, 88, 35, 48, 63, 34, 47, 72, 90, 57, 32, 50, 53, 82, 71, 93, 53, 95],
    [20, 27, 65, 65, 35, 21, 54, 69, 65, 24, 93, 56, 24, 58, 72, 30, 55, 95, 70, 40, 44, 42, 59, 64, 108, 32, 85],
    [21, 20, 40, 73, 78, 17, 66, 80, 81, 29, 99, 94, 68, 42, 65, 27, 31, 106, 75, 44, 72, 38, 89, 83, 100, 36, 92],
    [15, 37, 79, 37, 24, 30, 54, 24, 58, 39, 76, 51, 57, 71, 51, 33, 70, 88, 81, 34, 27, 52, 61, 85, 86, 48, 76],
    [22, 60, 52, 48, 44, 55, 33, 55, 67, 52, 80, 53, 39, 34, 21, 42, 43, 95, 24, 40, 35, 23, 47, 38, 72, 64, 83],
    [27, 26, 86, 76, 68, 21, 69, 83, 40, 34, 93, 91, 26, 58, 77, 25, 36, 67, 22, 42, 38, 35, 89, 93, 99, 52, 101],
    [29, 60, 74, 75, 73, 79, 73, 81, 81, 61, 79, 70, 57, 69, 67, 77, 43, 70, 62, 81, 67, 2, 81, 72, 75, 72, 69],
    [17, 29, 66, 51, 42, 17, 65, 52, 73, 28, 98, 53, 50, 45, 46, 29, 64, 92, 46, 36, 35, 45, 59, 75, 103, 41, 85],
    [10, 41, 79, 44, 78, 25, 72, 77, 37, 33, 99, 57, 58, 57, 62, 33, 44, 77, 80, 35, 24, 40, 79, 62, 110, 54, 98],
    [15, 34, 80, 54, 78, 27, 78, 81, 17, 27, 102, 97, 56, 70, 77, 27, 63, 106, 38, 43, 46, 46, 85, 60, 89, 48, 79],
    [24, 41, 48, 36, 44, 35, 58, 42, 71, 43, 88, 68, 28, 36, 27, 72, 39, 99, 23, 23, 26, 79, 74, 93, 78, 59, 74],
    [40, 26, 86, 65, 80, 6, 82, 82, 83, 19, 92, 92, 76, 85, 85, 31, 89, 112, 67, 67, 80, 62, 81, 94, 94, 61, 91],
    [22, 22, 75, 77, 74, 24, 78, 89, 19, 19, 103, 79, 59, 87, 41, 25, 65, 103, 45, 48, 66, 70, 97, 63, 98, 79, 105],
    [17, 28, 72, 33, 66, 31, 66, 75, 59, 25, 79, 73, 65, 66, 63, 44, 20, 80, 74, 69, 22, 38, 82, 71, 50, 50, 76],
    [7, 48, 60, 62, 67, 38, 71, 75, 85, 48, 90, 75, 57, 51, 54, 17, 48, 102, 64, 37, 49, 70, 89, 69, 87, 71, 81],
    [22, 25, 64, 64, 56, 13, 74, 61, 53, 25, 79, 64, 49, 58, 61, 34, 68, 72, 68, 66, 48, 30, 66, 53, 71, 39, 41],
];
