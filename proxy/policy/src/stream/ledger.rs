//! The order in which evidence counts.
//!
//! Verdicts come in any order, but what decides must not depend on that: evidence is applied in the
//! order of the bytes it is about, and one that comes early waits for those before it.

use super::CheckId;
use crate::Match;
use portcullis_text::{PatternId, Window};
use std::collections::{BTreeMap, HashMap};

/// Where a piece of evidence stands: by position in the whole stream, then by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Position in the stream, all channels together, at which it was known.
    pub(crate) at: u64,
    pub(crate) rank: Rank,
    /// The channel; what stands at one position is about one channel.
    pub(crate) channel: usize,
    /// Tells apart what is otherwise equal.
    n: u64,
}

/// Evidence known at the same position, in the order in which it counts.
///
/// A match may be reported long after its end, so its place must not depend on when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Match(PatternId),
    Grid,
    Global,
    End,
}

/// A piece of evidence, or the place kept for it.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// Its verdict has not come.
    Waiting,
    Scored(Vec<Window>),
    Matched(Match),
    /// It failed and the policy lets it pass.
    Open,
    /// It failed and the policy does not.
    Failed(CheckId),
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: BTreeMap<Place, Entry>,
    by_check: HashMap<CheckId, Place>,
    n_entries: u64,
}

impl Ledger {
    /// Keeps a place for a verdict to come.
    pub(crate) fn expect(&mut self, check: CheckId, at: u64, rank: Rank, channel: usize) {
        let place = self.place(at, rank, channel);
        self.by_check.insert(check, place);
        self.entries.insert(place, Entry::Waiting);
    }

    /// Enters a match, which needs no verdict.
    pub(crate) fn enter(&mut self, found: Match, at: u64, channel: usize) {
        let place = self.place(at, Rank::Match(found.id), channel);
        self.entries.insert(place, Entry::Matched(found));
    }

    /// Fills a place; `None` when nothing was expected under this number.
    pub(crate) fn fill(&mut self, check: CheckId, entry: Entry) -> Option<()> {
        let place = self.by_check.remove(&check)?;
        self.entries.insert(place, entry);
        Some(())
    }

    /// Takes the next piece of evidence, when it is there and no later than `horizon`.
    pub(crate) fn next(&mut self, horizon: u64) -> Option<(Place, Entry)> {
        let first = self.entries.first_entry()?;
        let waits = matches!(first.get(), Entry::Waiting) || horizon < first.key().at;
        (!waits).then(|| first.remove_entry())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.by_check.clear();
    }

    fn place(&mut self, at: u64, rank: Rank, channel: usize) -> Place {
        self.n_entries += 1;
        Place {
            at,
            rank,
            channel,
            n: self.n_entries,
        }
    }
}
