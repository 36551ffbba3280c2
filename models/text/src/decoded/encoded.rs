//! Runs of characters that encode bytes: base64, base32, hexadecimal, binary and decimal.
//!
//! A run counts as encoded when its bytes are text: UTF-8 (or UTF-16 of ASCII), mostly letters,
//! without control characters. A word of six letters passes for base64 of such by chance less than
//! once in 200 times, and then reads as gibberish; usual words are not tried.

use super::{Reading, spelling};
use crate::View;
use crate::canonical::Canonical;
use data_encoding::{BASE32_NOPAD, Encoding, Specification};
use std::ops::Range;
use std::sync::LazyLock;

/// Shortest encoded run, in characters without padding.
const MIN_RUN: usize = 6;

/// From this length on a run is searched for text that does not fill it.
const LONG_RUN: usize = 16;

/// Shortest text that counts when found so, in bytes.
const MIN_STRETCH: usize = 8;

/// The text with encoded runs decoded in place.
pub(super) fn decode(text: &str) -> Option<Reading> {
    let bytes = text.as_bytes();
    let mut out = Canonical::default();
    let mut first = None;
    let mut tried = Tried::default();
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        if !bytes[at].is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        let word = word_len(&bytes[at..]);
        let Some(run) = read_run(&text[at..], at, word, &mut tried) else {
            at += word;
            continue;
        };
        first.get_or_insert(run.view);
        out.copy(&text[copied..at + run.range.start], copied);
        out.put(&run.text, at + run.range.start..at + run.range.end);
        at += run.range.end;
        copied = at;
    }
    out.copy(&text[copied..], copied);
    first.map(|view| Reading::weighty(view, out))
}

/// What a run of the text stands for.
struct Run {
    view: View,
    text: String,
    /// Its bytes, from where it was looked for.
    range: Range<usize>,
}

/// Letters and digits, and the signs that base64 has beside them.
fn word_len(bytes: &[u8]) -> usize {
    let is_word = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(*byte);
    let len = bytes.iter().take_while(is_word).count();
    // A hyphen at the end belongs to the sentence, or closes a run of UTF-7.
    let is_hyphen = |byte: &&u8| matches!(byte, b'-' | b'_');
    len - bytes[..len].iter().rev().take_while(is_hyphen).count()
}

/// Groups of a run that was no text from which on it is looked at again: a text may stand at its
/// end. Before that it is not, or a long run would be read from each of its groups.
const AGAIN: usize = 64;

/// Up to where each kind of run has been read and was no text.
#[derive(Default)]
struct Tried {
    groups: [usize; KINDS.len()],
    base64: usize,
}

/// Groups of a run from which on it is read whatever follows it.
const LONG_GROUPS: usize = 8;

/// Digits of a group, their radix, and the least groups that are a text.
const KINDS: [(usize, u32, View, usize); 6] = [
    (8, 2, View::Codes, 3),
    (7, 2, View::Codes, 4),
    (3, 8, View::Codes, 4),
    (3, 10, View::Codes, 6),
    (0, 10, View::Codes, 4),
    (2, 16, View::Hex, 4),
];

fn read_run(text: &str, at: usize, word: usize, tried: &mut Tried) -> Option<Run> {
    let bytes = text.as_bytes();
    if bytes[0].is_ascii_digit() || is_hex_pair(bytes) {
        for ((digits, radix, view, min), tried) in KINDS.into_iter().zip(&mut tried.groups) {
            if at < *tried {
                continue;
            }
            let read = match digits {
                0 => decimals(text),
                _ => groups(text, digits, radix),
            };
            let decode = if radix == 16 { bytes_of_text } else { readable };
            let enough = |bytes: &Vec<u8>| min <= bytes.len();
            let decoded = read.whole.filter(enough);
            let found =
                decoded.and_then(|bytes| decode(&bytes).or_else(|| stretches_of_text(&bytes)));
            if let Some(text) = found {
                let range = 0..read.end;
                return Some(Run { view, text, range });
            }
            *tried = at + read.again;
        }
    }
    if word < MIN_RUN && word != 4 || MIN_RUN <= word && spelling::is_usual(&text[..word]) {
        return None;
    }
    base32(&text[..word]).or_else(|| base64(text, at, word, &mut tried.base64))
}

/// What groups of digits stand for.
struct Groups {
    /// Their bytes, unless they are no groups.
    whole: Option<Vec<u8>>,
    end: usize,
    /// Where the last [`AGAIN`] of them begin.
    again: usize,
}

impl Groups {
    fn new(whole: Option<Vec<u8>>, starts: &[usize], end: usize) -> Self {
        let again = starts.len().checked_sub(AGAIN).map_or(0, |idx| starts[idx]);
        Self { whole, end, again }
    }
}

fn is_hex_pair(bytes: &[u8]) -> bool {
    let pair = bytes.get(..2);
    pair.is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit))
}

/// What says before a group of digits which they are.
fn prefix_len(bytes: &[u8]) -> usize {
    match bytes {
        [b'0', b'x' | b'X' | b'b' | b'B' | b'o' | b'O', ..] | [b'\\', b'x', ..] => 2,
        [b'$' | b'#', ..] => 1,
        _ => 0,
    }
}

/// Bytes as groups of digits that stand together or apart, each perhaps behind `0x` or `\x`.
fn groups(text: &str, digits: usize, radix: u32) -> Groups {
    let bytes = text.as_bytes();
    let is_digit = |byte: &u8| char::from(*byte).is_digit(radix);
    let (mut decoded, mut starts) = (Some(Vec::new()), Vec::new());
    let (mut at, mut end) = (0, 0);
    loop {
        at += prefix_len(&bytes[at..]);
        let group = bytes.get(at..at + digits);
        if !group.is_some_and(|group| group.iter().all(is_digit)) {
            break;
        }
        starts.push(at);
        match u8::from_str_radix(&text[at..at + digits], radix) {
            Ok(byte) => decoded.iter_mut().for_each(|decoded| decoded.push(byte)),
            Err(_) => {
                decoded = None;
                break;
            }
        }
        at += digits;
        at += usize::from(radix == 16 && bytes.get(at) == Some(&b'h'));
        end = at;
        at += separator_len(&bytes[at..]);
    }
    // A short number that goes on is no group. Of a long run, a group that the end of the text cuts
    // is left out: windows of streams end anywhere.
    let n_left = bytes[end..]
        .iter()
        .take(digits)
        .take_while(|byte| is_digit(byte))
        .count();
    if 0 < n_left && starts.len() < LONG_GROUPS {
        decoded = None;
    } else if n_left < digits && end + n_left == bytes.len() {
        end += n_left;
    }
    Groups::new(decoded, &starts, end)
}

fn separator_len(bytes: &[u8]) -> usize {
    let is_separator = |byte: &&u8| b" ,;:-\n\r\t".contains(*byte);
    bytes.iter().take(2).take_while(is_separator).count()
}

/// From the end of `chr(98)` to the number in the next such call.
fn call_len(bytes: &[u8]) -> Option<usize> {
    const MAX_CALL: usize = 16;
    let head = &bytes[..bytes.len().min(MAX_CALL)];
    let opens = head.iter().position(|byte| *byte == b'(')?;
    (head[0] == b')').then_some(opens + 1)
}

/// Decimal codes of ASCII characters, apart.
fn decimals(text: &str) -> Groups {
    let bytes = text.as_bytes();
    let (mut decoded, mut starts) = (Vec::new(), Vec::new());
    let (mut at, mut end) = (0, 0);
    loop {
        let n_digits = bytes[at..]
            .iter()
            .take(4)
            .take_while(|byte| byte.is_ascii_digit());
        let n_digits = n_digits.count();
        let code = text[at..at + n_digits].parse::<u8>().unwrap_or(0);
        if !(b' '..=b'~').contains(&code) {
            break;
        }
        starts.push(at);
        decoded.push(code);
        at += n_digits;
        end = at;
        let separator = call_len(&bytes[at..]).unwrap_or_else(|| separator_len(&bytes[at..]));
        if separator == 0 {
            break;
        }
        at += separator;
    }
    Groups::new(Some(decoded), &starts, end)
}

fn base32(word: &str) -> Option<Run> {
    let bytes = word.as_bytes();
    let is_upper = bytes
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(byte));
    let is_lower = bytes
        .iter()
        .all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(byte));
    let has_digit = || bytes.iter().any(u8::is_ascii_digit);
    if word.len() < MIN_RUN || !(is_upper || is_lower && (LONG_RUN <= word.len() || has_digit())) {
        return None;
    }
    // A length that no number of bytes gives cannot be decoded; its last digits are left.
    let whole = [0, 0, 2, 2, 4, 5, 5, 7][bytes.len() % 8] + bytes.len() / 8 * 8;
    let decoded = BASE32_NOPAD
        .decode(&bytes.to_ascii_uppercase()[..whole])
        .ok()?;
    Some(Run {
        view: View::Base32,
        text: bytes_of_text(&decoded)?,
        range: 0..bytes.len(),
    })
}

/// Both alphabets in one, without padding, whatever the unused bits say.
static BASE64: LazyLock<Option<Encoding>> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    specification.translate.from.push_str("-_");
    specification.translate.to.push_str("+/");
    specification.check_trailing_bits = false;
    specification.encoding().ok()
});

fn base64(text: &str, at: usize, word: usize, tried: &mut usize) -> Option<Run> {
    let encoding = BASE64.as_ref()?;
    if word < LONG_RUN && !is_head_of_text(&text.as_bytes()[..word]) {
        return None;
    }
    if at < *tried {
        return None;
    }
    let (run, end) = joined_lines(text, word);
    if run.len() < MIN_RUN {
        return None;
    }
    *tried = at + end.saturating_sub(4 * AGAIN);
    // The run may begin within a group, where a window cuts it or a word stands before it.
    let starts = if run.len() < LONG_RUN { 0..1 } else { 0..4 };
    starts.into_iter().find_map(|start| {
        let run = &run[start..];
        let whole = run.len() - usize::from(run.len() % 4 == 1);
        let decoded = encoding.decode(&run[..whole]).ok()?;
        let text = all_text(&decoded, bytes_of_text)?;
        Some(Run {
            view: View::Base64,
            text,
            range: start..end,
        })
    })
}

/// Whether the first group of a run decodes to bytes of a text: few words pass that are none.
fn is_head_of_text(run: &[u8]) -> bool {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        _ => 63,
    };
    let Some(&[a, b, c, d]) = run.first_chunk::<4>() else {
        return false;
    };
    let [a, b, c, d] = [a, b, c, d].map(digit);
    // The first byte of the text, and the second where it is not the high half of a wide one.
    let first = a << 2 | b >> 4;
    let second = b << 4 | c >> 2;
    let third = c << 6 | d;
    let is_text = |byte: u8| matches!(byte, 0 | b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0xc2..=0xf4);
    is_text(first) && (is_text(second) || 0x80 <= second) && (is_text(third) || 0x80 <= third)
}

/// Bytes read as text, and where that is not all of them, the other stretches of text in them.
fn all_text(bytes: &[u8], read: impl Fn(&[u8]) -> Option<String>) -> Option<String> {
    let first = read(bytes);
    let is_all = |text: &String| bytes.len() <= text.len() + MIN_STRETCH;
    if first.as_ref().is_some_and(is_all) {
        return first;
    }
    match (first, stretches_of_text(bytes)) {
        (Some(first), Some(rest)) => Some(first + "\n" + &rest),
        (first, rest) => first.or(rest),
    }
}

/// The readable stretches of a run's bytes, when something else stands around them.
fn stretches_of_text(bytes: &[u8]) -> Option<String> {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    let stretches = bytes.split(|byte| !is_text(byte));
    let long = stretches.filter(|stretch| MIN_STRETCH <= stretch.len());
    let texts: Vec<String> = long.filter_map(readable).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// The run's characters over as many lines or groups as it has, and where it ends with its padding.
fn joined_lines(text: &str, word: usize) -> (Vec<u8>, usize) {
    let bytes = text.as_bytes();
    let mut run = bytes[..word].to_vec();
    let mut end = word;
    while run.len().is_multiple_of(word) && word.is_multiple_of(4) {
        let break_len = match &bytes[end..] {
            [b'\r', b'\n', ..] => 2,
            [b'\n' | b' ', ..] => 1,
            _ => 0,
        };
        let line = word_len(&bytes[end + break_len..]);
        if break_len == 0 || line == 0 || word < line {
            break;
        }
        run.extend_from_slice(&bytes[end + break_len..end + break_len + line]);
        end += break_len + line;
    }
    let padding = bytes[end..]
        .iter()
        .take(2)
        .take_while(|byte| **byte == b'=');
    end += padding.count();
    (run, end)
}

/// Decoded bytes from which on ASCII is no chance: one run in 2^22 begins with so many.
const PLAIN_RUN: usize = 16;

/// [`readable`] for bytes that could have been any: enough of them that are ASCII are text, whatever
/// it says. It may be encoded once more. What follows it is a line that is none of the run.
fn bytes_of_text(bytes: &[u8]) -> Option<String> {
    let is_plain = |byte: &&u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    let n_plain = bytes.iter().take_while(is_plain).count();
    if PLAIN_RUN <= n_plain && bytes.len() <= 2 * n_plain {
        return String::from_utf8(bytes[..n_plain].to_vec()).ok();
    }
    readable(bytes)
}

/// The bytes without the noughts that wider encodings have between those of ASCII.
fn narrowed(bytes: &[u8]) -> Option<Vec<u8>> {
    [4, 2].into_iter().find_map(|width| {
        let is_wide = |used: usize| {
            let nought = |(at, byte): (usize, &u8)| at % width == used || *byte == 0;
            bytes.iter().enumerate().all(nought)
        };
        let used = [0, width - 1].into_iter().find(|used| is_wide(*used))?;
        let narrow = bytes.iter().copied().skip(used).step_by(width);
        (4 <= bytes.len()).then(|| narrow.collect())
    })
}

/// The bytes as text, when they are text.
fn readable(bytes: &[u8]) -> Option<String> {
    let narrow = narrowed(bytes);
    let bytes = narrow.as_deref().unwrap_or(bytes);
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?,
    };
    let is_text = |c: &char| !c.is_control() || c.is_whitespace();
    let text: String = valid.chars().take_while(is_text).collect();
    // What shows nothing does not make it less of a text.
    let is_shown = |c: &char| !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    let n_chars = text.chars().filter(is_shown).count();
    let n_letters = text.chars().filter(|c| c.is_alphabetic()).count();
    // What is encoded once more consists of these too.
    let is_sign = |c: &char| c.is_alphanumeric() || " =+/%\\&".contains(*c);
    let n_signs = text.chars().filter(is_sign).count();
    // A few bytes that do not fit are the end of a window or of another alphabet.
    let is_most = bytes.len() <= text.len() + 2 || 24 <= text.len();
    let is_encoded = text
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || b"%&#;xX\\u".contains(&byte));
    let is_readable = n_chars <= 3 * n_letters && 3 * n_chars <= 4 * n_signs;
    // Bytes that make characters of several bytes by chance are rarer still than letters.
    let n_wide = text.chars().filter(|c| !c.is_ascii() && is_shown(c));
    let is_wide = n_chars <= 2 * n_wide.count();
    (4 <= n_chars && is_most && (is_readable || is_encoded || is_wide)).then_some(text)
}
