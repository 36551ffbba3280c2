//! Replacing matched text inside parts.

use portcullis_policy::Redaction;
use portcullis_protocol::Part;
use portcullis_text::PartId;
use std::collections::BTreeMap;
use std::ops::Range;

/// The new text of every part that redactions touch; `None` when one of them cannot be replaced.
pub(crate) fn redacted_texts<'a>(
    redactions: &[Redaction],
    part_of: impl Fn(PartId) -> Option<&'a Part>,
    locate: impl Fn(PartId, Range<usize>) -> Vec<(PartId, Range<usize>)>,
) -> Option<Vec<(PartId, String)>> {
    let mut by_part: BTreeMap<PartId, Vec<(Range<usize>, &str)>> = BTreeMap::new();
    for redaction in redactions {
        let places = locate(redaction.span.part, redaction.span.range.clone());
        // A match over several parts is replaced in the first; nothing of it is left in the others.
        let texts = std::iter::once(redaction.replacement.as_str()).chain(std::iter::repeat(""));
        for ((part, range), text) in places.into_iter().zip(texts) {
            by_part.entry(part).or_default().push((range, text));
        }
    }
    let edited = by_part.into_iter().map(|(id, spans)| {
        let part = part_of(id).filter(|part| part.editable)?;
        Some((id, replaced(part.content.expose(), spans)))
    });
    edited.collect()
}

/// A text with spans replaced; of overlapping spans the first in order wins and swallows the rest.
fn replaced(text: &str, mut spans: Vec<(Range<usize>, &str)>) -> String {
    // Of two matches of one place, the one that says something stands.
    spans.sort_by_key(|(range, text)| (range.start, std::cmp::Reverse(range.end), text.is_empty()));
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (range, replacement) in spans {
        if range.start >= done {
            out.push_str(text.get(done..range.start).unwrap_or_default());
            out.push_str(replacement);
        }
        done = done.max(range.end);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_matches_leave_nothing_of_either() {
        let spans = vec![(4..9, "[a]"), (0..6, "[b]"), (12..14, "[c]")];
        assert_eq!(replaced("0123456789abcdef", spans), "[b]9ab[c]ef");
    }
}
