//! Marks of Markdown, BBCode and LaTeX that stand within a word: `bo[](https://x/)mb`.

use super::Reading;
use crate::View;
use crate::canonical::Canonical;

/// Longest mark that is taken out.
const MAX_MARK: usize = 256;

/// The text with links read as what they show, and footnotes, tags of BBCode and commands of LaTeX
/// taken out.
pub(super) fn unmarked(text: &str) -> Option<Reading> {
    let is_sign = |byte: &u8| matches!(byte, b'[' | b'\\');
    if !text.as_bytes().iter().any(is_sign) {
        return None;
    }
    let mut out = Canonical::default();
    let (mut at, mut copied) = (0, 0);
    while let Some(skip) = text.as_bytes()[at..].iter().position(is_sign) {
        at += skip;
        let Some(mark) = mark(&text[at..]) else {
            at += 1;
            continue;
        };
        // The sign before a picture goes with it.
        let is_picture = text[..at].ends_with('!') && text.as_bytes()[at] == b'[';
        let start = at - usize::from(is_picture && copied < at);
        out.copy(&text[copied..start], copied);
        out.copy(
            &text[at + mark.shown.start..at + mark.shown.end],
            at + mark.shown.start,
        );
        at += mark.len;
        copied = at;
    }
    if copied == 0 {
        return None;
    }
    out.copy(&text[copied..], copied);
    Some(Reading {
        view: View::Joined,
        text: out,
        weighty: false,
        bounded: false,
    })
}

/// A mark: its bytes, and those within that are shown.
struct Mark {
    len: usize,
    shown: std::ops::Range<usize>,
}

fn mark(text: &str) -> Option<Mark> {
    let head = &text[..text.floor_char_boundary(MAX_MARK)];
    if head.starts_with('\\') {
        return command(head);
    }
    let close = head.find(']')?;
    let inner = &head[1..close];
    let rest = &head[close + 1..];
    let bare = |len| Mark { len, shown: 0..0 };
    if rest.starts_with('(') {
        let len = close + 2 + rest.find(')')?;
        return Some(Mark {
            len,
            shown: 1..close,
        });
    }
    let name = inner.strip_prefix('/').unwrap_or(inner);
    let name = name.split_once('=').map_or(name, |(name, _)| name);
    (inner.starts_with('^') || is_tag(name)).then(|| bare(close + 1))
}

/// Whether a name is that of a tag of BBCode.
fn is_tag(name: &str) -> bool {
    const TAGS: [&str; 15] = [
        "b", "i", "u", "s", "code", "quote", "size", "color", "font", "url", "img", "center",
        "left", "right", "spoiler",
    ];
    TAGS.iter().any(|tag| tag.eq_ignore_ascii_case(name))
}

/// `\text{…}`, shown as what stands in it.
fn command(text: &str) -> Option<Mark> {
    let n_letters = text[1..]
        .bytes()
        .take_while(u8::is_ascii_alphabetic)
        .count();
    let start = 1 + n_letters;
    if n_letters == 0 || !text[start..].starts_with('{') {
        return None;
    }
    let end = start + text[start..].find('}')?;
    Some(Mark {
        len: end + 1,
        shown: start + 1..end,
    })
}
