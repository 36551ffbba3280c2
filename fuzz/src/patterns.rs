//! Patterns of an operator: whole text against stream, and against the `regex` crate.
//!
//! The input is a list of regexes, one a line, `!` before those that excuse; then an empty line,
//! and behind it the text.

use crate::cuts::Dice;
use portcullis_text::pattern::{PatternMatch, PatternSet, PatternSpec, Scanner};
use portcullis_text::{PatternId, View, canonical};
use regex::RegexBuilder;
use std::time::{Duration, Instant};

/// Most regexes of each kind, and bytes of each: enough to interact, few enough to be fast.
const MAX_REGEXES: usize = 4;
const MAX_REGEX: usize = 64;

/// Bytes of text that are looked at.
const MAX_TEXT: usize = 2048;

/// Matches longer than this are reported in part.
const WHOLE_MATCH: usize = portcullis_text::pattern::MAX_MATCH;

/// Runs the oracle.
///
/// # Panics
/// When a promise is broken.
pub fn check(bytes: &[u8]) {
    let input = String::from_utf8_lossy(bytes);
    let (regexes, text) = input.split_once("\n\n").unwrap_or((&*input, ""));
    let text = &text[..text.floor_char_boundary(MAX_TEXT)];
    let short = |regex: &&str| !regex.is_empty() && regex.len() <= MAX_REGEX;
    let (allow, deny): (Vec<&str>, Vec<&str>) = regexes
        .lines()
        .filter(short)
        .take(MAX_REGEXES)
        .partition(|line| line.starts_with('!'));
    let deny: Vec<String> = deny.into_iter().map(str::to_owned).collect();
    let allow: Vec<String> = allow.into_iter().map(|line| line[1..].to_owned()).collect();
    let (Some(set), Some(denying)) = (compile(&deny, &allow), compile(&deny, &[])) else {
        return;
    };
    let mut dice = Dice::of(bytes);
    let found = set.find(text);
    check_ranges(text, &found);
    for _ in 0..2 {
        check_split(&set, &found, text, &dice.text_pieces(text));
    }
    let single: Vec<&str> = text
        .char_indices()
        .map(|(at, c)| &text[at..at + c.len_utf8()])
        .collect();
    check_split(&set, &found, text, &single);
    let denied = denying.find(text);
    check_excused(text, &found, &denied);
    check_against_regex(&deny, text, &denied);
    if dice.below(64) == 0 {
        check_linear(&set, text);
    }
}

fn compile(deny: &[String], allow: &[String]) -> Option<PatternSet> {
    let id = PatternId(7);
    match PatternSet::compile(&[PatternSpec { id, deny, allow }]) {
        Ok(set) => {
            assert_eq!(set.is_empty(), deny.is_empty());
            Some(set)
        }
        Err(error) => {
            assert_eq!(error.id, id);
            let list = match error.list {
                portcullis_text::pattern::List::Deny => deny,
                portcullis_text::pattern::List::Allow => allow,
            };
            let regex = &list[error.index];
            let offset = error.offset.unwrap_or_default();
            assert!(regex.is_char_boundary(offset), "a fault outside its regex");
            None
        }
    }
}

/// Ranges are whole characters, in order, each once.
fn check_ranges(text: &str, found: &[PatternMatch]) {
    for one in found {
        let range = text.get(one.range.clone()).unwrap_or_default();
        assert!(!range.is_empty(), "{:?} is no text", one.range);
        let is_shared = range.is_ascii();
        assert!(
            !is_shared || one.view == View::Raw,
            "views share plain ASCII"
        );
    }
    for (idx, one) in found.iter().enumerate() {
        assert!(!found[..idx].contains(one), "a match is reported twice");
    }
    let starts: Vec<usize> = found.iter().map(|one| one.range.start).collect();
    assert!(starts.is_sorted(), "matches are out of order");
}

/// A stream finds the same, and nothing that it has let go of.
fn check_split(set: &PatternSet, whole: &[PatternMatch], text: &str, pieces: &[&str]) {
    let mut scanner: Scanner = set.scanner();
    let mut found: Vec<PatternMatch> = Vec::new();
    let (mut taken, mut free_to) = (0, 0);
    for piece in pieces {
        let more = scanner.push(piece);
        check_held(&more, free_to);
        found.extend(more);
        taken += piece.len();
        free_to = scanner.hold_from().unwrap_or(taken);
        assert!(
            free_to <= taken && text.is_char_boundary(free_to),
            "held from nowhere"
        );
    }
    let more = scanner.finish();
    check_held(&more, free_to);
    found.extend(more);
    let key = |one: &PatternMatch| (one.range.start, one.range.end, one.view.name());
    let (mut whole, mut found) = (whole.to_vec(), found);
    whole.sort_unstable_by_key(key);
    found.sort_unstable_by_key(key);
    assert_eq!(found, whole, "a split changed the matches");
}

fn check_held(found: &[PatternMatch], free_to: usize) {
    for one in found {
        assert!(
            free_to <= one.range.start,
            "a match in text that was let go"
        );
    }
}

/// An excuse takes matches away and never adds bytes.
fn check_excused(text: &str, found: &[PatternMatch], denied: &[PatternMatch]) {
    if WHOLE_MATCH < text.chars().count() {
        return;
    }
    for one in found {
        let is_denied = |at: &usize| denied.iter().any(|other| other.range.contains(at));
        assert!(
            one.range.clone().all(|at| is_denied(&at)),
            "an excuse added a match"
        );
    }
}

/// Where the `regex` crate finds something in the raw view, so do we; where it finds nothing, no
/// match of ours is said to be of that view; and on plain ASCII we find no more than it.
fn check_against_regex(deny: &[String], text: &str, denied: &[PatternMatch]) {
    let build = |regex: &String| RegexBuilder::new(regex).case_insensitive(true).build().ok();
    let Some(regexes) = deny.iter().map(build).collect::<Option<Vec<_>>>() else {
        return;
    };
    let raw = canonical::raw(text);
    if regexes.iter().any(|regex| regex.is_match(raw.text())) {
        assert!(!denied.is_empty(), "the regex crate finds what we do not");
        return;
    }
    for one in denied {
        let is_shared = text[one.range.clone()].is_ascii();
        assert!(
            is_shared || one.view == View::Folded,
            "nothing matches in the raw view"
        );
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" |()?*+".contains(&byte);
    if text.is_ascii() && deny.iter().all(|regex| regex.bytes().all(is_plain)) {
        assert!(denied.is_empty(), "we find what the regex crate does not");
    }
}

/// Sixteen times the text takes about sixteen times the work, never its square.
fn check_linear(set: &PatternSet, text: &str) {
    const SHORT: usize = 1 << 10;
    const TIMES: usize = 16;
    if text.is_empty() {
        return;
    }
    let short = text.repeat(SHORT.div_ceil(text.len()));
    let long = short.repeat(TIMES);
    let took = |text: &str| {
        let start = Instant::now();
        let mut scanner = set.scanner();
        scanner.push(text);
        scanner.finish();
        start.elapsed()
    };
    // Another process may have had the core: only what is slow each time is slow.
    let is_slow = || {
        let most = took(&short) * (8 * TIMES) as u32 + Duration::from_millis(20);
        most < took(&long)
    };
    assert!(
        !(0..4).all(|_| is_slow()),
        "work grows faster than the text"
    );
}
