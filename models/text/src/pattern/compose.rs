//! Letters that a mark still to come can turn into something a pattern looks for.
//!
//! The last letter of a stream so far may yet be composed with marks. Its plain form tells what
//! it can match, unless the patterns speak of composed letters on the same base.

use regex_syntax::hir::{Class, Hir, HirKind};
use std::collections::HashSet;
use std::sync::LazyLock;
use unicode_normalization::char::decompose_canonical;

/// Pairs of a composed letter and its base, outside Hangul.
static COMPOSED: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    let all = '\u{C0}'..='\u{1FFFF}';
    all.filter(|&c| !is_hangul(c))
        .filter_map(|c| {
            let (base, n_parts) = base_of(c);
            (n_parts > 1).then_some((c, base))
        })
        .collect()
});

/// The first character of the canonical decomposition, and how many there are.
fn base_of(c: char) -> (char, usize) {
    let mut base = None;
    let mut n_parts = 0;
    decompose_canonical(c, |part| {
        base = base.or(Some(part));
        n_parts += 1;
    });
    (base.unwrap_or(c), n_parts)
}

/// The bases of all composed letters that a set of regexes can consume.
#[derive(Clone, Debug, Default)]
pub(super) struct ComposedBases(HashSet<char>);

impl ComposedBases {
    pub(super) fn new(hirs: &[Hir]) -> Self {
        let mut ranges = Vec::new();
        for hir in hirs {
            consumed(hir, &mut ranges);
        }
        ranges.sort_unstable();
        ranges.dedup();
        let mut bases = HashSet::new();
        for (low, high) in ranges.into_iter().filter(|(_, high)| !high.is_ascii()) {
            let first = COMPOSED.partition_point(|&(c, _)| c < low);
            let within = COMPOSED[first..].iter().take_while(|&&(c, _)| c <= high);
            bases.extend(within.map(|&(_, base)| base));
        }
        Self(bases)
    }

    /// Whether text that ends in the open segment `open` may yet compose into such a letter.
    /// Hangul composes by rule, so it always may.
    pub(super) fn may_compose(&self, open: &str) -> bool {
        open.chars()
            .any(|c| is_hangul(c) || self.0.contains(&base_of(c).0))
    }
}

fn is_hangul(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11FF}' | '\u{AC00}'..='\u{D7A3}')
}

fn consumed(hir: &Hir, ranges: &mut Vec<(char, char)>) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Bytes(_)) => {}
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).unwrap_or_default();
            ranges.extend(text.chars().map(|c| (c, c)));
        }
        HirKind::Class(Class::Unicode(class)) => {
            ranges.extend(class.iter().map(|range| (range.start(), range.end())));
        }
        HirKind::Repetition(repetition) => consumed(&repetition.sub, ranges),
        HirKind::Capture(capture) => consumed(&capture.sub, ranges),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().for_each(|part| consumed(part, ranges));
        }
    }
}
