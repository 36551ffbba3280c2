//! Letters that stand apart, letters written as digits and symbols, and letters backwards.

use super::{Reading, is_of_longer_word};
use crate::View;
use crate::canonical::Canonical;

/// Single letters in a row that count as a word pulled apart.
const MIN_APART: usize = 3;

/// Most signs between two letters of such a word, white space not counted: `"b" + "o"`.
const MAX_GAP: usize = 6;

/// Most characters that are taken out between two letters of a word.
const MAX_SIGNS: usize = 4;

/// `b o m b` as `bomb`. A gap wider than is usual in its row stands between words. Where a row
/// begins with a letter that is a word of its own, as in `a b o m b`, there is a second reading;
/// and one more where numbers stand between, as in `1. b 2. o`.
pub(super) fn spaced(text: &str) -> impl Iterator<Item = Reading> {
    let rows = if may_have_rows(text, u8::is_ascii_alphanumeric) {
        rows(text, char::is_alphanumeric)
    } else {
        Vec::new()
    };
    let plain = pulled_together(text, &rows, false);
    let after_article = pulled_together(text, &rows, true);
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    let numbered =
        (has_digit && may_have_rows(text, u8::is_ascii_alphabetic)).then(|| rows_of_letters(text));
    let numbered = numbered.and_then(|rows| pulled_together(text, &rows, false));
    plain.into_iter().chain(after_article).chain(numbered)
}

/// Rows of letters between which numbers stand.
fn rows_of_letters(text: &str) -> Vec<Vec<Letter>> {
    let mut rows = rows(text, char::is_alphabetic);
    let numbered = |pair: &[Letter]| {
        let between = &text[pair[0].at + pair[0].len..pair[1].at];
        between.contains(|c: char| c.is_ascii_digit())
    };
    rows.retain(|row| row.windows(2).all(numbered));
    rows
}

/// Whether enough letters of an ASCII text stand alone in a row.
fn may_have_rows(text: &str, is_letter: impl Fn(&u8) -> bool) -> bool {
    if !text.is_ascii() {
        return true;
    }
    let (mut run, mut n_alone) = (0, 0);
    for byte in text.bytes().chain([b' ']) {
        if is_letter(&byte) {
            run += 1;
            continue;
        }
        n_alone = match run {
            0 => n_alone,
            1 => n_alone + 1,
            _ => 0,
        };
        if n_alone == MIN_APART {
            return true;
        }
        run = 0;
    }
    false
}

fn pulled_together(text: &str, rows: &[Vec<Letter>], article: bool) -> Option<Reading> {
    let mut out = Canonical::default();
    let mut copied = 0;
    for row in rows {
        let first = row[0].at;
        if article && !text[first..].starts_with(['a', 'A', 'i', 'I']) {
            continue;
        }
        out.copy(&text[copied..first], copied);
        copied = first;
        let usual = usual_gap(row);
        for (idx, letter) in row.iter().enumerate() {
            if 0 < idx && (usual < letter.gap || (article && idx == 1)) {
                out.put(" ", copied..letter.at);
            }
            copied = letter.at + letter.len;
            out.copy(&text[letter.at..copied], letter.at);
        }
    }
    if copied == 0 {
        return None;
    }
    out.copy(&text[copied..], copied);
    Some(Reading::weighty(View::Spaced, out))
}

/// The middle one of the gaps in a row.
fn usual_gap(row: &[Letter]) -> usize {
    let mut gaps: Vec<usize> = row.iter().skip(1).map(|letter| letter.gap).collect();
    gaps.sort_unstable();
    gaps[gaps.len() / 2]
}

/// A letter that stands alone.
#[derive(Clone, Copy)]
struct Letter {
    at: usize,
    len: usize,
    /// Characters since the one before it in its row.
    gap: usize,
}

/// Rows of at least [`MIN_APART`] letters that stand apart.
fn rows(text: &str, is_letter: impl Fn(char) -> bool) -> Vec<Vec<Letter>> {
    let (mut all, mut row): (Vec<Vec<Letter>>, Vec<Letter>) = (Vec::new(), Vec::new());
    let (mut word, mut gap, mut n_signs) = (0, 0, 0);
    let mut close = |row: &mut Vec<Letter>| {
        let closed = std::mem::take(row);
        if MIN_APART <= closed.len() {
            all.push(closed);
        }
    };
    for (at, c) in text.char_indices() {
        if !is_letter(c) {
            if word != 0 {
                (gap, n_signs) = (0, 0);
            }
            gap += 1;
            n_signs += usize::from(!c.is_whitespace());
            word = 0;
            continue;
        }
        word += 1;
        if word == 1 {
            if MAX_GAP < n_signs {
                close(&mut row);
            }
            let len = c.len_utf8();
            row.push(Letter { at, len, gap });
        } else if word == 2 {
            // It was no letter but a word, and parts what stands before it from what follows.
            row.pop();
            close(&mut row);
        }
    }
    close(&mut row);
    all
}

/// Letters that stand alone from which on a text of joined words is another text: `w.h.a.t i.s`.
const MANY_ALONE: usize = 6;

/// `bo-mb` and `b**om**b` as `bomb`: what is neither letter nor space between two letters is taken
/// out, and so is the end of a line.
pub(super) fn joined(text: &str) -> Option<Reading> {
    // A sign right behind a letter, and no space behind the sign.
    let is_sign = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b' ';
    let may_join =
        |three: &[u8]| three[0].is_ascii_alphanumeric() && is_sign(three[1]) && three[2] != b' ';
    let quotes = || text.contains(['"', '\'', '`']);
    if text.is_ascii() && !text.as_bytes().windows(3).any(may_join) && !quotes() {
        return None;
    }
    let mut out = Canonical::default();
    let mut copied = 0;
    let (mut end_of_letters, mut n_signs) = (0, 0);
    let (mut n_letters, mut n_alone) = (0, 0);
    for (at, c) in text.char_indices() {
        if !c.is_alphanumeric() {
            n_signs += 1;
            continue;
        }
        let within = 0 < end_of_letters && (1..=MAX_GAP + 2).contains(&n_signs);
        if within && joins(&text[end_of_letters..at], n_signs) {
            n_alone += usize::from(n_letters == 1);
            out.copy(&text[copied..end_of_letters], copied);
            copied = at;
        }
        n_letters = if n_signs == 0 { n_letters + 1 } else { 1 };
        (end_of_letters, n_signs) = (at + c.len_utf8(), 0);
    }
    if copied == 0 {
        return None;
    }
    out.copy(&text[copied..], copied);
    Some(Reading {
        view: View::Joined,
        text: out,
        weighty: MANY_ALONE <= n_alone,
        bounded: false,
    })
}

/// White space, hyphens and low lines between words as one space: `project\n-  nightfall`.
pub(super) fn evened(text: &str) -> Option<Reading> {
    let is_gap = |c: char| c.is_whitespace() || matches!(c, '-' | '_');
    let is_odd = |byte: &u8| matches!(byte, b'\t'..=b'\r' | b'-' | b'_');
    if text.is_ascii() && !text.bytes().any(|byte| is_odd(&byte)) && !text.contains("  ") {
        return None;
    }
    let mut out = Canonical::default();
    let (mut at, mut copied) = (0, 0);
    while let Some(skip) = text[at..].find(is_gap) {
        let start = at + skip;
        let len = text[start..]
            .find(|c| !is_gap(c))
            .unwrap_or(text.len() - start);
        at = start + len;
        if &text[start..at] != " " && 0 < start && at < text.len() {
            out.copy(&text[copied..start], copied);
            out.put(" ", start..at);
            copied = at;
        }
    }
    if copied == 0 {
        return None;
    }
    out.copy(&text[copied..], copied);
    Some(Reading {
        view: View::Spaced,
        text: out,
        weighty: false,
        bounded: false,
    })
}

/// Whether what stands between two letters may be taken out: a few signs, or the quotes that end one
/// string and begin the next.
fn joins(gap: &str, n_signs: usize) -> bool {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`');
    let is_space = |c: char| c.is_whitespace() && !matches!(c, '\n' | '\r');
    // The members of a document are put together elsewhere.
    let is_member = gap.starts_with('"') && gap.contains(':');
    let is_quoted =
        2 <= n_signs && gap.starts_with(is_quote) && gap.ends_with(is_quote) && !is_member;
    is_quoted || (n_signs <= MAX_SIGNS && !is_member && !gap.contains(is_space))
}

/// `b0mb` as `bomb`, once for each of the two letters that some signs stand for; and letters that
/// stand three times or more in a row once; and a word of doubled letters with each of them once.
pub(super) fn leet(text: &str) -> Vec<Reading> {
    let first = rewritten(text, letter_of);
    let has_other = text.bytes().any(|byte| other_letter_of(byte).is_some());
    let second = has_other.then(|| {
        rewritten(text, |byte| {
            other_letter_of(byte).or_else(|| letter_of(byte))
        })
    });
    first.into_iter().chain(second.flatten()).collect()
}

const fn letter_of(byte: u8) -> Option<u8> {
    Some(match byte {
        b'0' => b'o',
        b'1' | b'!' => b'i',
        b'3' => b'e',
        b'4' | b'@' => b'a',
        b'5' | b'$' => b's',
        b'6' | b'9' => b'g',
        b'7' | b'+' => b't',
        b'8' => b'b',
        b'|' => b'l',
        _ => return None,
    })
}

const fn other_letter_of(byte: u8) -> Option<u8> {
    Some(match byte {
        b'1' | b'!' => b'l',
        b'|' => b'i',
        b'6' => b'b',
        _ => return None,
    })
}

fn rewritten(text: &str, letter_of: impl Fn(u8) -> Option<u8>) -> Option<Reading> {
    let bytes = text.as_bytes();
    let mut out = Canonical::default();
    let (mut copied, mut at, mut weighty) = (0, 0, false);
    while at < bytes.len() {
        let word = bytes[at..]
            .iter()
            .take_while(|byte| is_leet(**byte))
            .count();
        let word = trimmed(&bytes[at..at + word]);
        if let Some(changed) = plain(word, &letter_of)
            && !is_of_longer_word(text, at..at + word.len())
        {
            out.copy(&text[copied..at], copied);
            out.put(&changed.text, at..at + word.len());
            copied = at + word.len();
            weighty |= changed.weighty;
        }
        at += word.len().max(1);
    }
    if copied == 0 {
        return None;
    }
    out.copy(&text[copied..], copied);
    Some(Reading {
        view: View::Leet,
        text: out,
        weighty,
        bounded: false,
    })
}

const fn is_leet(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'$' | b'!' | b'|' | b'+')
}

/// Signs at the end of a word are what they are.
fn trimmed(word: &[u8]) -> &[u8] {
    let end = word.iter().rposition(u8::is_ascii_alphanumeric);
    end.map_or(word, |end| &word[..=end])
}

struct Plain {
    text: String,
    weighty: bool,
}

/// A word in letters, when it has letters and something that stands for one.
fn plain(word: &[u8], letter_of: &impl Fn(u8) -> Option<u8>) -> Option<Plain> {
    let has_sign = word.iter().any(|byte| letter_of(*byte).is_some());
    let has_run = word
        .windows(3)
        .any(|three| three[0] == three[1] && three[1] == three[2]);
    let runs = || word.chunk_by(|one, next| one == next);
    // The last letter may stand alone: its twin is still to come where a stream is read.
    let n_runs = runs().count();
    let is_pair = |(idx, run): (usize, &[u8])| run.len().is_multiple_of(2) || idx + 1 == n_runs;
    let is_doubled = 6 <= word.len() && word[0] == word[1] && runs().enumerate().all(is_pair);
    if word.len() < 3
        || !(has_sign || has_run || is_doubled)
        || !word.iter().any(u8::is_ascii_alphabetic)
    {
        return None;
    }
    let mut letters = String::with_capacity(word.len());
    for run in runs() {
        let letter = char::from(letter_of(run[0]).unwrap_or(run[0]));
        let n_times = match run.len() {
            len if is_doubled => len.div_ceil(2),
            len if 3 <= len => 1,
            len => len,
        };
        letters.extend(std::iter::repeat_n(letter, n_times));
    }
    let between = |three: &[u8]| {
        let [before, sign, after] = three else {
            return false;
        };
        before.is_ascii_alphabetic() && !sign.is_ascii_alphabetic() && after.is_ascii_alphabetic()
    };
    Some(Plain {
        text: letters,
        weighty: word.windows(3).any(between),
    })
}

/// Whether a text says that something is to be read backwards.
pub(super) fn speaks_of_reversal(text: &str) -> bool {
    const WORDS: [&str; 3] = ["revers", "backward", "right to left"];
    let bytes = text.as_bytes();
    // Few letters of a text are these, so few places are compared.
    let starts = (0..bytes.len()).filter(|at| matches!(bytes[*at] | 0x20, b'r' | b'b'));
    starts.into_iter().any(|at| {
        WORDS.iter().any(|word| {
            let there = bytes.get(at..at + word.len());
            there.is_some_and(|there| there.eq_ignore_ascii_case(word.as_bytes()))
        })
    })
}

/// The text from its end to its beginning. Any part of it stands for the whole.
pub(super) fn reversed(text: &str) -> Reading {
    let mut out = Canonical::default();
    let backwards: String = text.chars().rev().collect();
    out.put(&backwards, 0..text.len());
    Reading::weighty(View::Reversed, out)
}
