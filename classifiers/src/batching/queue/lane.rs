//! The tenants of one class, and whose turn it is.
//!
//! A tenant's `spent` tokens divided by `turn_tokens` is the turn in which it may go on. The lane
//! serves the lowest turn first, so it is deficit round robin without rounds to walk through. A
//! tenant that comes back starts no earlier than the present turn; what it spent in the present turn
//! is remembered while it is away, or a tenant that queues one item at a time would never wait.

use super::flow::Flow;
use super::{Item, ItemId, Load};
use crate::Deadline;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// Where a tenant's first item stands among those of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    turn: usize,
    deadline: Deadline,
    id: ItemId,
    tenant: u64,
}

/// One tenant's items, earliest deadline first.
#[derive(Debug, Default)]
struct Line {
    spent: usize,
    total: Load,
    items: BTreeMap<(Deadline, ItemId), usize>,
}

/// What a tenant is charged for an item that leaves: its tokens when it runs, nothing otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent(pub(super) usize);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Lane {
    turn_tokens: usize,
    /// Tenants that are remembered without waiting items; past it the one furthest behind goes.
    max_away: usize,
    turn: usize,
    total: Load,
    /// What was taken of this class lately.
    pub(super) flow: Flow,
    lines: FxHashMap<u64, Line>,
    heads: BTreeSet<Head>,
    away: BTreeSet<(usize, u64)>,
}

impl Lane {
    pub(super) fn new(turn_tokens: usize, max_away: usize) -> Self {
        Self {
            turn_tokens,
            max_away,
            turn: 0,
            total: Load::default(),
            flow: Flow::default(),
            lines: FxHashMap::default(),
            heads: BTreeSet::new(),
            away: BTreeSet::new(),
        }
    }

    /// What waits in this class.
    pub(super) const fn total(&self) -> Load {
        self.total
    }

    /// What a tenant has waiting in this class.
    pub(super) fn own(&self, tenant: u64) -> Load {
        let line = self.lines.get(&tenant);
        line.map_or_else(Load::default, |line| line.total)
    }

    /// The item that is next.
    pub(super) fn first(&self) -> Option<ItemId> {
        self.heads.first().map(|head| head.id)
    }

    /// An upper bound on the tokens of this class that go before `n_tokens` more of a tenant: its
    /// own, and of the others what waits or what their turns allow them until then.
    pub(super) fn tokens_before(&self, tenant: u64, n_tokens: usize) -> usize {
        let own = self.own(tenant).tokens;
        let n_others = self.heads.len() - usize::from(0 < own);
        // They may be as far into the present turn as a turn is long.
        let allowed = own + n_tokens + self.turn_tokens;
        own + (self.total.tokens - own).min(n_others.saturating_mul(allowed))
    }

    pub(super) fn insert(&mut self, item: &Item) {
        let tenant = item.terms.tenant;
        let line = self.lines.entry(tenant).or_default();
        if line.items.is_empty() {
            self.away.remove(&(line.spent, tenant));
            line.spent = line.spent.max(self.turn.saturating_mul(self.turn_tokens));
        }
        let before = line.head(tenant, self.turn_tokens);
        line.items
            .insert((item.terms.deadline, item.id), item.n_tokens);
        line.total.add(item.n_tokens);
        self.total.add(item.n_tokens);
        self.rank(tenant, before);
    }

    /// Takes an item out. When it was served, its turn becomes the present one.
    pub(super) fn remove(&mut self, item: &Item, Spent(spent): Spent) {
        let tenant = item.terms.tenant;
        let Some(line) = self.lines.get_mut(&tenant) else {
            return;
        };
        let before = line.head(tenant, self.turn_tokens);
        if 0 < spent {
            self.turn = self.turn.max(line.spent / self.turn_tokens);
            line.spent = line.spent.saturating_add(spent);
        }
        let key = (item.terms.deadline, item.id);
        if let Some(n_tokens) = line.items.remove(&key) {
            line.total.subtract(n_tokens);
            self.total.subtract(n_tokens);
        }
        self.rank(tenant, before);
        self.forget_past_turns();
    }

    /// Puts a tenant where its first item now belongs, or away when it has none.
    fn rank(&mut self, tenant: u64, before: Option<Head>) {
        let line = self.lines.get(&tenant);
        let after = line.and_then(|line| line.head(tenant, self.turn_tokens));
        if before != after {
            if let Some(before) = before {
                self.heads.remove(&before);
            }
            self.heads.extend(after);
        }
        if after.is_none() {
            self.send_away(tenant);
        }
    }

    fn send_away(&mut self, tenant: u64) {
        if self.heads.is_empty() {
            // Nobody waits, so nobody can be put at a disadvantage: everybody starts afresh.
            self.lines.clear();
            self.away.clear();
            self.turn = 0;
            return;
        }
        let spent = self.lines.get(&tenant).map_or(0, |line| line.spent);
        self.away.insert((spent, tenant));
        if self.max_away < self.away.len() {
            self.forget_first();
        }
    }

    fn forget_past_turns(&mut self) {
        while let Some((spent, _)) = self.away.first() {
            if self.turn <= spent / self.turn_tokens {
                break;
            }
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, tenant)) = self.away.pop_first() {
            self.lines.remove(&tenant);
        }
    }
}

impl Line {
    fn head(&self, tenant: u64, turn_tokens: usize) -> Option<Head> {
        let ((deadline, id), _) = self.items.first_key_value()?;
        Some(Head {
            turn: self.spent / turn_tokens,
            deadline: *deadline,
            id: *id,
            tenant,
        })
    }
}

#[cfg(test)]
impl Lane {
    /// Whether it is as new.
    pub(super) fn is_blank(&self) -> bool {
        let counts = [self.turn, self.total.tokens, self.lines.len()];
        counts == [0; 3] && self.heads.is_empty() && self.away.is_empty()
    }
}
