//! Which bytes of a growing text are covered: a union of ranges.

use std::ops::Range;

/// A union of byte ranges, kept short by joining what touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cover(Vec<Range<usize>>);

impl Cover {
    /// Adds a range. Amortised constant when ranges come nearly in order.
    pub(crate) fn insert(&mut self, mut added: Range<usize>) {
        if added.is_empty() {
            return;
        }
        let first = self.0.partition_point(|range| range.end < added.start);
        let after = self.0.partition_point(|range| range.start <= added.end);
        if let Some(touching) = self
            .0
            .get(first..after)
            .filter(|touching| !touching.is_empty())
        {
            added.start = added.start.min(touching[0].start);
            added.end = added.end.max(touching[touching.len() - 1].end);
        }
        self.0.splice(first..after.max(first), [added]);
    }

    /// The end of what is covered without a gap from the beginning of the text.
    pub(crate) fn frontier(&self) -> usize {
        self.0
            .first()
            .filter(|range| range.start == 0)
            .map_or(0, |range| range.end)
    }

    /// How many bytes of a range are not covered.
    pub(crate) fn missing(&self, asked: &Range<usize>) -> usize {
        let covered: usize = self
            .0
            .iter()
            .map(|range| {
                range
                    .end
                    .min(asked.end)
                    .saturating_sub(range.start.max(asked.start))
            })
            .sum();
        asked.len().saturating_sub(covered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cover_agrees_with_a_set_of_bytes(
            ranges in prop::collection::vec((0usize..40, 0usize..12), 0..12),
            asked in (0usize..40, 0usize..20),
        ) {
            let mut cover = Cover::default();
            let mut bytes = [false; 64];
            for (start, len) in ranges {
                cover.insert(start..start + len);
                bytes[start..start + len].fill(true);
            }
            let frontier = bytes.iter().take_while(|covered| **covered).count();
            prop_assert_eq!(cover.frontier(), frontier);
            let asked = asked.0..asked.0 + asked.1;
            let missing = bytes[asked.clone()].iter().filter(|covered| !**covered).count();
            prop_assert_eq!(cover.missing(&asked), missing);
        }
    }
}
