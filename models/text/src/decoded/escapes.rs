//! Escapes of URLs, HTML, programming languages, mail and terminals, tags within words, and text
//! written in characters that show nothing.

use super::Reading;
use crate::View;
use crate::canonical::Canonical;

/// Longest tag that is taken out.
const MAX_TAG: usize = 256;

/// Escapes from which on a run is read whatever stands in it.
const MANY: usize = 64;

/// Longest name of a tag.
const MAX_TAG_NAME: usize = 16;

/// Longest name of an entity, `&` and `;` included.
const MAX_ENTITY: usize = 36;

/// The text with escapes undone and tags taken out.
pub(super) fn undo(text: &str) -> Option<Reading> {
    let is_sign = |byte: &u8| matches!(byte, b'%' | b'&' | b'\\' | b'<' | b'=' | b'U' | 0x1b);
    if !text.as_bytes().iter().any(is_sign) {
        return None;
    }
    let ends = Ends::of(text);
    let mut out = Canonical::default();
    let (mut at, mut copied) = (0, 0);
    while let Some(skip) = text.as_bytes()[at..].iter().position(is_sign) {
        at += skip;
        let Some((undone, len)) = undone(text, at, &ends) else {
            at += 1;
            continue;
        };
        out.copy(&text[copied..at], copied);
        out.put(&undone, at..at + len);
        at += len;
        copied = at;
    }
    if copied == 0 {
        return None;
    }
    out.copy(&text[copied..], copied);
    Some(Reading::weighty(View::Escapes, out))
}

/// What stands at the start, and the bytes that it takes there.
fn undone(whole: &str, at: usize, ends: &Ends) -> Option<(String, usize)> {
    let text = &whole[at..];
    match text.as_bytes().first()? {
        b'%' => bytes_behind(text, "%", 1).or_else(|| units(text, "%u")),
        b'=' => bytes_behind(text, "=", 3),
        b'&' => entity(text),
        b'\\' => bytes_behind(text, "\\x", 1)
            .or_else(|| bytes_behind(text, "\\X", 1))
            .or_else(|| code_point(text, "\\u{", Some('}')))
            .or_else(|| code_point(text, "\\x{", Some('}')))
            .or_else(|| units(text, "\\u"))
            .or_else(|| code_point(text, "\\U", None))
            .or_else(|| octal(text))
            .or_else(|| code_point(text, "\\", Some(' '))),
        b'U' => code_point(text, "U+", None),
        0x1b => terminal(text).map(|len| (String::new(), len)),
        _ => ends.enclosed(text, at).or_else(|| tag(text)).map(|len| {
            (
                if is_inline(&text[..len]) { "" } else { " " }.to_owned(),
                len,
            )
        }),
    }
}

/// A run of at least `min` bytes written as `prefix` and two hexadecimal digits each.
fn bytes_behind(text: &str, prefix: &str, min: usize) -> Option<(String, usize)> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(digits) = rest.strip_prefix(prefix) {
        let Some(byte) = digits
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
        else {
            break;
        };
        bytes.push(byte);
        rest = &digits[2..];
    }
    let decoded = text_of(bytes)?;
    (min <= decoded.len()).then(|| (decoded, text.len() - rest.len()))
}

/// Bytes as text. A few that are none are not escaped text at all; of many, what is none is shown
/// so, or a long run would be read from each of its bytes.
fn text_of(bytes: Vec<u8>) -> Option<String> {
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if MANY <= error.as_bytes().len() => {
            Some(String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        Err(_) => None,
    }
}

/// A run of `\uXXXX`, with surrogate pairs.
fn units(text: &str, prefix: &str) -> Option<(String, usize)> {
    let mut units = Vec::new();
    let mut rest = text;
    while let Some(digits) = rest.strip_prefix(prefix) {
        let Some(unit) = digits
            .get(..4)
            .and_then(|hex| u16::from_str_radix(hex, 16).ok())
        else {
            break;
        };
        units.push(unit);
        rest = &digits[4..];
    }
    let decoded = match String::from_utf16(&units) {
        Ok(text) => text,
        Err(_) if MANY <= units.len() => String::from_utf16_lossy(&units),
        Err(_) => return None,
    };
    (!decoded.is_empty()).then(|| (decoded, text.len() - rest.len()))
}

/// One code point of up to 8 hexadecimal digits behind a prefix.
fn code_point(text: &str, prefix: &str, close: Option<char>) -> Option<(String, usize)> {
    let digits = text.strip_prefix(prefix)?;
    let n_digits = digits
        .bytes()
        .take(8)
        .take_while(u8::is_ascii_hexdigit)
        .count();
    let code = u32::from_str_radix(&digits[..n_digits], 16).ok()?;
    let decoded = char::from_u32(code)?.to_string();
    let closed = close.is_none_or(|close| digits[n_digits..].starts_with(close));
    let len = prefix.len() + n_digits + usize::from(close.is_some());
    (closed && 2 <= n_digits).then_some((decoded, len))
}

/// A named or numbered entity of HTML, with or without its semicolon.
fn entity(text: &str) -> Option<(String, usize)> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'#');
    let name = text.bytes().skip(1).take(MAX_ENTITY);
    let mut len = 1 + name.take_while(is_name).count();
    if text[len..].starts_with(';') {
        len += 1;
    }
    let decoded = htmlize::unescape(&text[..len]);
    (decoded != text[..len]).then(|| (decoded.into_owned(), len))
}

/// Whether a tag stands within a line of text; others part what stands before and after them.
fn is_inline(tag: &str) -> bool {
    const INLINE: [&str; 24] = [
        "a", "abbr", "b", "bdi", "bdo", "big", "code", "del", "em", "font", "i", "ins", "kbd",
        "mark", "s", "script", "small", "span", "strong", "style", "sub", "sup", "u", "wbr",
    ];
    let name = tag.trim_start_matches(['<', '/']);
    let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next();
    let name = name.unwrap_or_default().to_ascii_lowercase();
    name.is_empty() || INLINE.contains(&name.as_str())
}

/// What nobody reads on a page: how it begins, and how it ends.
const UNREAD: [(&str, &str); 3] = [
    ("<!--", "-->"),
    ("<script", "</script>"),
    ("<style", "</style>"),
];

/// Where such things end last, so that an end is never looked for where there is none: one that is
/// found is behind all that was looked through, and so the work is linear.
struct Ends([Option<usize>; UNREAD.len()]);

impl Ends {
    fn of(text: &str) -> Self {
        let has_tags = text.contains('<');
        Self(UNREAD.map(|(_, end)| has_tags.then(|| text.rfind(end))?))
    }

    /// The length of what begins at `at` with its end, where nobody reads it.
    fn enclosed(&self, text: &str, at: usize) -> Option<usize> {
        let mut all = UNREAD.iter().zip(self.0);
        let ((_, end), last) = all.find(|((begin, _), _)| text.starts_with(begin))?;
        last.filter(|last| at < *last)?;
        text.find(end).map(|found| found + end.len())
    }
}

/// The length of a tag of HTML.
fn tag(text: &str) -> Option<usize> {
    let inner = &text.as_bytes()[1..text.len().min(MAX_TAG)];
    let name = inner.strip_prefix(b"/").unwrap_or(inner);
    let end = inner.iter().position(|byte| matches!(byte, b'<' | b'>'))?;
    let is_named = name.first().is_some_and(u8::is_ascii_alphabetic);
    // A longer word in angle brackets is no tag but something encoded.
    let n_letters = name.iter().take_while(|byte| byte.is_ascii_alphanumeric());
    let is_short = n_letters.count() <= MAX_TAG_NAME;
    (inner[end] == b'>' && is_named && is_short).then_some(end + 2)
}

/// A run of `\` and three octal digits.
fn octal(text: &str) -> Option<(String, usize)> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(digits) = rest.strip_prefix('\\') {
        let Some(byte) = digits
            .get(..3)
            .and_then(|octal| u8::from_str_radix(octal, 8).ok())
        else {
            break;
        };
        bytes.push(byte);
        rest = &digits[3..];
    }
    let decoded = text_of(bytes)?;
    (!decoded.is_empty()).then(|| (decoded, text.len() - rest.len()))
}

/// The length of a control sequence of a terminal, such as a colour.
fn terminal(text: &str) -> Option<usize> {
    let parameters = text.as_bytes().strip_prefix(b"\x1b[")?;
    let n_parameters = parameters
        .iter()
        .take_while(|byte| matches!(byte, b' '..=b'?'));
    Some(2 + n_parameters.count() + 1)
        .filter(|len| *len <= text.len() && text.is_char_boundary(*len))
}

/// Texts written in tag characters, and in variation selectors that stand for bytes.
pub(super) fn hidden(text: &str) -> Vec<Reading> {
    let tags = rewritten(
        text,
        |run| {
            let letters = run.chars().filter_map(|c| {
                let code = u32::from(c).checked_sub(0xe0000)?;
                u8::try_from(code).ok().map(char::from)
            });
            letters.filter(char::is_ascii).collect()
        },
        |c| matches!(c, '\u{e0020}'..='\u{e007e}'),
    );
    let selectors = rewritten(
        text,
        |run| {
            let bytes: Vec<u8> = run.chars().filter_map(selected).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        },
        |c| selected(c).is_some(),
    );
    tags.into_iter()
        .chain(selectors)
        .chain(scattered(text))
        .collect()
}

/// Tag characters that stand apart, one behind each letter of another text.
fn scattered(text: &str) -> Option<Reading> {
    let is_tag = |c: char| matches!(c, '\u{e0020}'..='\u{e007e}');
    let mut tags = text.char_indices().filter(|(_, c)| is_tag(*c));
    let (first, _) = tags.next()?;
    let (mut last, _) = tags.next_back()?;
    last += '\u{e0020}'.len_utf8();
    let letters = text[first..last].chars().filter(|c| is_tag(*c));
    let read: String = letters
        .filter_map(|c| u8::try_from(u32::from(c) - 0xe0000).ok().map(char::from))
        .collect();
    let is_apart = read.len() * '\u{e0020}'.len_utf8() < last - first;
    let mut out = Canonical::default();
    out.put(&read, first..last);
    (is_apart && 3 <= read.len()).then(|| Reading::weighty(View::Hidden, out))
}

/// The byte that a variation selector is used for.
fn selected(c: char) -> Option<u8> {
    let code = u32::from(c);
    let byte = match code {
        0xfe00..=0xfe0f => code - 0xfe00,
        0xe0100..=0xe01ef => code - 0xe0100 + 16,
        _ => return None,
    };
    u8::try_from(byte).ok()
}

/// Runs of at least three characters of a kind, read.
fn rewritten(
    text: &str,
    read: impl Fn(&str) -> String,
    is_kind: impl Fn(char) -> bool,
) -> Option<Reading> {
    const MIN_RUN: usize = 3;
    let mut out = Canonical::default();
    let (mut at, mut copied) = (0, 0);
    while let Some(skip) = text[at..].find(&is_kind) {
        let start = at + skip;
        let len = text[start..]
            .find(|c| !is_kind(c))
            .unwrap_or(text.len() - start);
        at = start + len;
        if MIN_RUN <= text[start..at].chars().count() {
            out.copy(&text[copied..start], copied);
            out.put(&read(&text[start..at]), start..at);
            copied = at;
        }
    }
    if copied == 0 {
        return None;
    }
    out.copy(&text[copied..], copied);
    Some(Reading::weighty(View::Hidden, out))
}
