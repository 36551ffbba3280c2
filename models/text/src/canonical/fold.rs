//! What one character becomes in the folded view.
//!
//! Sources, in order: our own table of disguised letters, NFKC, and the prototypes of UTS #39.
//! A fold is taken only where it ends in ASCII; anything else would not be plainer than before.
//! ASCII itself is never folded, for UTS #39 would turn `m` into `rn` and `0` into `O`.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{decompose_compatible, is_combining_mark};
use unicode_security::skeleton;

/// Blocks of living scripts other than Latin, Greek, Cyrillic and their kin.
///
/// A text in them must survive the fold, so look-alikes among them (Hebrew samekh for `o`) are
/// folded only right after a plain Latin letter or digit, where no honest text has them.
const FOREIGN: &[(u32, u32)] = &[
    (0xA1, 0xA1),       // the inverted exclamation mark, which opens Spanish words
    (0x0590, 0x109F),   // Hebrew, Arabic, Indic, Thai, Lao, Tibetan, Myanmar
    (0x1100, 0x137F),   // Hangul Jamo, Ethiopic
    (0x1700, 0x1C7F),   // Philippine, Khmer, Mongolian, Balinese, Lepcha
    (0x1CC0, 0x1CFF),   // Vedic
    (0x2500, 0x259F),   // box drawing, which stands next to anything in tables
    (0x2D80, 0x2DDF),   // Ethiopic
    (0x2E80, 0xA4CF),   // CJK, kana, Yi
    (0xA800, 0xAAFF),   // Indic, Thai-like, Javanese, Cham
    (0xAB00, 0xAB2F),   // Ethiopic
    (0xABC0, 0xD7FF),   // Meetei, Hangul
    (0xF900, 0xFAFF),   // CJK
    (0xFB1D, 0xFDFF),   // Hebrew and Arabic presentation forms
    (0xFE70, 0xFEFE),   // Arabic presentation forms
    (0x10A00, 0x11FFF), // historic Semitic, Brahmic
    (0x1B000, 0x1B16F), // kana
    (0x1E800, 0x1EEFF), // Mende, Adlam, Arabic mathematical
    (0x20000, 0x3FFFF), // CJK
];

/// Marks that only decorate Latin, Greek and Cyrillic letters.
const DECORATION: &[(u32, u32)] = &[
    (0x0300, 0x036F),
    (0x0483, 0x0489),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF),
    (0xFE20, 0xFE2F),
];

/// `Default_Ignorable_Code_Point` of Unicode 16; checked against `regex-syntax` in the tests.
const IGNORABLE: &[(u32, u32)] = &[
    (0xAD, 0xAD),
    (0x34F, 0x34F),
    (0x61C, 0x61C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
];

fn within(c: char, ranges: &[(u32, u32)]) -> bool {
    ranges
        .iter()
        .any(|&(low, high)| (low..=high).contains(&u32::from(c)))
}

/// Whether a character is one that shows nothing and so is dropped from every view.
pub(super) fn is_ignorable(c: char) -> bool {
    within(c, IGNORABLE)
}

/// The fold of `c`; `joined` says whether it stands right after a plain letter or digit.
pub(super) fn fold(c: char, joined: bool) -> String {
    let mut out = String::new();
    if let Some(letters) = disguised(c) {
        out.push_str(letters);
        return out;
    }
    for c in std::iter::once(c).nfkc().filter(|&c| !is_ignorable(c)) {
        if within(c, FOREIGN) {
            fold_foreign(c, joined, &mut out);
        } else {
            decompose_compatible(c, |part| fold_plain(part, joined, &mut out));
        }
    }
    out
}

fn fold_foreign(c: char, joined: bool, out: &mut String) {
    if !joined {
        out.extend(c.to_lowercase());
    } else if !is_combining_mark(c) {
        push_skeleton(c, out);
    }
}

fn fold_plain(c: char, joined: bool, out: &mut String) {
    if let Some(letters) = disguised(c) {
        out.push_str(letters);
    } else if c.is_ascii() {
        out.push(c.to_ascii_lowercase());
    } else if within(c, DECORATION) || is_ignorable(c) || (joined && is_combining_mark(c)) {
        // Nothing of it is a letter.
    } else {
        push_skeleton(c, out);
    }
}

/// Pushes the UTS #39 prototype where it is ASCII, else the character in lower case.
fn push_skeleton(c: char, out: &mut String) {
    let mut buffer = [0; 4];
    let prototype: String = skeleton(c.encode_utf8(&mut buffer))
        .filter(|&c| !within(c, DECORATION))
        .collect();
    // UTS #39 files `I` under `l` and `m` under `rn`; a reader sees the letter.
    match prototype.as_str() {
        "l" if c.is_uppercase() => out.push('i'),
        "rn" => out.push('m'),
        "''" | "\"" => out.push('"'),
        ascii if ascii.is_ascii() && !ascii.is_empty() => {
            out.extend(ascii.chars().map(|c| c.to_ascii_lowercase()));
        }
        _ => out.extend(c.to_lowercase().filter(|&c| !within(c, DECORATION))),
    }
}

/// Letters in disguises that neither NFKC nor UTS #39 takes off.
fn disguised(c: char) -> Option<&'static str> {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
    let code = u32::from(c);
    let letter = |first: u32| {
        let idx = (code - first) as usize;
        LETTERS.get(idx..=idx)
    };
    match code {
        0x249C..=0x24B5 => letter(0x249C),    // parenthesised
        0x1F110..=0x1F129 => letter(0x1F110), // parenthesised capitals
        0x1F150..=0x1F169 => letter(0x1F150), // negative circled
        0x1F170..=0x1F189 => letter(0x1F170), // negative squared
        0x1F1E6..=0x1F1FF => letter(0x1F1E6), // regional indicators
        0x2801..=0x283D => braille(code - 0x2800),
        0x2776..=0x277F => digit(code - 0x2776),
        0x2780..=0x2789 => digit(code - 0x2780),
        0x278A..=0x2793 => digit(code - 0x278A),
        _ => look_alike(c),
    }
}

/// The letter of a braille cell, by its dots.
fn braille(dots: u32) -> Option<&'static str> {
    const CELLS: [(u32, &str); 26] = [
        (0x01, "a"),
        (0x03, "b"),
        (0x09, "c"),
        (0x19, "d"),
        (0x11, "e"),
        (0x0b, "f"),
        (0x1b, "g"),
        (0x13, "h"),
        (0x0a, "i"),
        (0x1a, "j"),
        (0x05, "k"),
        (0x07, "l"),
        (0x0d, "m"),
        (0x1d, "n"),
        (0x15, "o"),
        (0x0f, "p"),
        (0x1f, "q"),
        (0x17, "r"),
        (0x0e, "s"),
        (0x1e, "t"),
        (0x25, "u"),
        (0x27, "v"),
        (0x3a, "w"),
        (0x2d, "x"),
        (0x3d, "y"),
        (0x35, "z"),
    ];
    let cell = CELLS.iter().find(|(of, _)| *of == dots);
    cell.map(|(_, letter)| *letter)
}

fn digit(idx: u32) -> Option<&'static str> {
    const DIGITS: [&str; 10] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
    DIGITS.get(idx as usize).copied()
}

/// Small capitals, Cyrillic and Greek letters that are read as Latin ones, and typography.
fn look_alike(c: char) -> Option<&'static str> {
    Some(match c {
        'ᴀ' => "a",
        'ʙ' | 'в' | 'β' => "b",
        'ᴄ' => "c",
        'ᴅ' => "d",
        'ᴇ' | 'ε' | 'є' => "e",
        'ꜰ' => "f",
        'ɢ' => "g",
        'ʜ' | 'н' => "h",
        'ɪ' => "i",
        'ᴊ' => "j",
        'ᴋ' | 'к' | 'κ' | 'ĸ' => "k",
        'ʟ' => "l",
        'ᴍ' | 'м' => "m",
        'ɴ' => "n",
        'ᴏ' => "o",
        'ᴘ' => "p",
        'ꞯ' => "q",
        'ʀ' => "r",
        'ꜱ' => "s",
        'ᴛ' | 'т' | 'τ' => "t",
        'ᴜ' => "u",
        'ᴠ' => "v",
        'ᴡ' => "w",
        'χ' => "x",
        'ʏ' => "y",
        'ᴢ' => "z",
        'ß' | 'ẞ' => "ss",
        '“' | '”' | '„' | '‟' | '″' | '«' | '»' => "\"",
        '–' | '—' | '―' => "-",
        '\u{2028}' | '\u{2029}' => "\n",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ignorable_table_is_that_of_unicode() {
        let theirs = regex::Regex::new(r"^\p{Default_Ignorable_Code_Point}$").unwrap();
        for c in '\0'..=char::MAX {
            let mut buffer = [0; 4];
            let listed = is_ignorable(c);
            // Most of the 1.1 million are neither; skip the regex where a cheap test suffices.
            if listed || u32::from(c) < 0x20000 {
                assert_eq!(listed, theirs.is_match(c.encode_utf8(&mut buffer)), "{c:?}");
            }
        }
    }
}
