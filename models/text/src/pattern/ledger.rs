//! From the matches of one pattern's regexes to the ranges that are reported.
//!
//! The set of all deny matches, less those within an allow match, is reported as the union of its
//! ranges. A range is reported once nothing still live can extend or excuse it. Positions are
//! characters of the view; bytes of the original go along.

use super::MAX_MATCH;

/// A range that a deny regex matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// First character of the view, and the one after the last.
    pub start: usize,
    pub end: usize,
    /// First byte of the original, and the one after the last.
    pub from: usize,
    pub to: usize,
    /// End of the last original character before `to` that is not ASCII.
    pub wide: usize,
}

/// Earliest starts of live partial matches; `usize::MAX` where there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    pub deny: usize,
    pub allow: usize,
}

impl Live {
    pub(super) const NONE: Self = Self {
        deny: usize::MAX,
        allow: usize::MAX,
    };
}

/// The open matches of one pattern.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// Deny matches that an allow match may still excuse; starts and ends strictly increase,
    /// since a later match that covers an earlier one stands for it.
    pending: Vec<Hit>,
    /// Ranges that count and may still grow; disjoint and increasing.
    counted: Vec<Hit>,
    /// View character and original byte up to which all was reported.
    floor: (usize, usize),
}

impl Ledger {
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.counted.is_empty()
    }

    pub(super) fn deny(&mut self, hit: Hit) {
        let Some(hit) = self.above_floor(hit) else {
            return;
        };
        while self
            .pending
            .last()
            .is_some_and(|last| last.start >= hit.start)
        {
            self.pending.pop();
        }
        self.pending.push(hit);
    }

    /// An allow match that began at `start` ends here: what lies within it does not count.
    pub(super) fn allow(&mut self, start: usize) {
        while self.pending.last().is_some_and(|last| last.start >= start) {
            self.pending.pop();
        }
    }

    /// Decides what can be decided at character `at`, and gives the ranges that are final.
    pub(super) fn settle(&mut self, at: usize, live: Live, report: &mut impl FnMut(Hit)) {
        let open = |hit: &&Hit| live.allow <= hit.start && at - hit.start < MAX_MATCH;
        let n_decided = self.pending.len() - self.pending.iter().rev().take_while(open).count();
        for hit in self.pending.drain(..n_decided).collect::<Vec<_>>() {
            self.count(hit);
        }

        let next_start = self.pending.first().map_or(usize::MAX, |hit| hit.start);
        let stop = live.deny.min(next_start);
        let is_final = |hit: &&Hit| hit.end <= stop || at - hit.start >= MAX_MATCH;
        let n_final = self.counted.iter().take_while(is_final).count();
        for hit in self.counted.drain(..n_final) {
            self.floor = (hit.end, hit.to);
            report(hit);
        }
    }

    fn count(&mut self, hit: Hit) {
        let Some(mut hit) = self.above_floor(hit) else {
            return;
        };
        while let Some(last) = self.counted.pop_if(|last| last.end > hit.start) {
            hit.start = hit.start.min(last.start);
            hit.from = hit.from.min(last.from);
            hit.end = hit.end.max(last.end);
            hit.to = hit.to.max(last.to);
            hit.wide = hit.wide.max(last.wide);
        }
        self.counted.push(hit);
    }

    /// Cuts off what was already reported.
    fn above_floor(&self, mut hit: Hit) -> Option<Hit> {
        if hit.start < self.floor.0 {
            (hit.start, hit.from) = self.floor;
        }
        (hit.start < hit.end).then_some(hit)
    }

    /// Earliest original byte of what is open.
    pub(super) fn hold(&self) -> usize {
        let pending = self.pending.first().map_or(usize::MAX, |hit| hit.from);
        self.counted
            .first()
            .map_or(pending, |hit| pending.min(hit.from))
    }

    /// The original byte that a match is reported from, when it began at view character `start`,
    /// which came from original byte `from`.
    pub(super) fn reported_from(&self, start: usize, from: usize) -> usize {
        if start < self.floor.0 {
            self.floor.1
        } else {
            from
        }
    }
}
