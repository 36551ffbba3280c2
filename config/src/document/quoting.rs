//! From an offset in a text value back to the offset in the way it was written.

/// Where byte `offset` of `value` stands in `written`, the value as the file has it: plain,
/// single-quoted or double-quoted on one line. `None` for what spans lines.
pub(crate) fn source_offset(written: &str, value: &str, offset: usize) -> Option<usize> {
    let quote = written
        .chars()
        .next()
        .filter(|first| matches!(first, '"' | '\''));
    let body = match quote {
        Some(quote) => written.strip_prefix(quote)?.strip_suffix(quote)?,
        None => written,
    };
    let mut done = 0; // bytes of the value
    let mut at = usize::from(quote.is_some()); // bytes of the writing
    let mut rest = body;
    let mut found = None;
    while !rest.is_empty() {
        if done >= offset && found.is_none() {
            found = Some(at);
        }
        let (decoded, taken) = decode(rest, quote)?;
        done += decoded.len_utf8();
        at += taken;
        rest = rest.get(taken..)?;
    }
    // A writing that we misread gives another length: then no place is better than a wrong one.
    (done == value.len()).then(|| found.unwrap_or(at))
}

/// One character of the value, and how many bytes it takes in the writing.
fn decode(rest: &str, quote: Option<char>) -> Option<(char, usize)> {
    let first = rest.chars().next()?;
    match (quote, first) {
        (_, '\n') => None,
        (Some('\''), '\'') => Some(('\'', 2)),
        (Some('"'), '\\') => escape(rest),
        _ => Some((first, first.len_utf8())),
    }
}

fn escape(rest: &str) -> Option<(char, usize)> {
    let kind = rest.chars().nth(1)?;
    let digits = match kind {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        '0' | 'a' | 'b' | 't' | 'n' | 'v' | 'f' | 'r' | 'e' => return Some(('\0', 2)),
        'N' => return Some(('\u{85}', 2)),
        '_' => return Some(('\u{a0}', 2)),
        'L' | 'P' => return Some(('\u{2028}', 2)),
        literal => return Some((literal, 1 + literal.len_utf8())),
    };
    let code = u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?;
    Some((char::from_u32(code)?, 2 + digits))
}

#[cfg(test)]
mod tests {
    use super::source_offset;

    #[track_caller]
    fn check(written: &str, value: &str, offset: usize, expected: Option<usize>) {
        assert_eq!(source_offset(written, value, offset), expected);
    }

    #[test]
    fn offsets_are_found_through_quotes_and_escapes() {
        check("a(b", "a(b", 1, Some(1));
        check("'it''s ('", "it's (", 5, Some(7));
        check(r#""\\d(""#, r"\d(", 2, Some(4));
        check(r#""\u00e9(""#, "é(", 2, Some(7));
        check("ab", "ab", 2, Some(2));
    }

    #[test]
    fn a_writing_that_cannot_be_followed_has_no_offset() {
        check("a\n  b(", "a b(", 3, None);
    }
}
