//! The order of work, and who is let in: a pure value without threads and without a clock.
//!
//! # Which item is next
//! 1. Class: streams before prompts before bulk. Bulk that waits is owed one token in sixteen, so a
//!    flood above it slows it and never stops it.
//! 2. Turn: within a class every tenant may spend `turn_tokens` in a turn; who has spent them waits
//!    for the next turn, which begins when nobody of the present one is waiting.
//! 3. Deadline: within a turn the earliest deadline goes first, whoever's it is; then the older item.
//!
//! So deadlines rule while nobody takes more than a share, and a tenant with a backlog gets its
//! share and no more: of two tenants that always wait, neither gets ahead of the other by more than
//! a turn and an item.
//!
//! # Who is let in
//! - [`Shed::QueueFull`]: the bounds on tokens and on items hold for all items together. Bulk is
//!   let in while half is free and prompts while an eighth is, so the rest is there for what is more
//!   urgent; a sixteenth is kept for bulk. Of its class a tenant may hold seven times what it leaves
//!   free, so nobody's backlog takes the last place of somebody else. The newcomer is refused;
//!   nothing that was taken is pushed out.
//! - [`Shed::Late`]: what stands before the newcomer (running work, more urgent classes, the
//!   tenant's own backlog of that class, and as much of other tenants' as their turns allow) would,
//!   at the measured rate, end after its deadline. The whole own backlog counts, also what has a
//!   later deadline: so first come, first served is a schedule that meets every deadline of what was
//!   taken, and earliest deadline first meets them whenever any schedule does.
//!   There has to be time for a quarter more than that. Behind a backlog of its tenant a newcomer
//!   counts as a turn at the least: when only the short fit, they would take every place before a
//!   long one found room.
//!   More urgent classes are expected to go on as they did in the last moments. When more of them or
//!   a new tenant comes, what was taken may still expire in the queue.
//! - An engine that is idle takes whatever has not expired: otherwise one bad measurement would
//!   refuse all work and never be corrected.
//!
//! Every operation is `O(log n)` in the items waiting, for each item it takes, moves or drops.

mod flow;
mod lane;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use super::throughput::Pace;
use crate::{Class, Deadline, Shed};
use lane::{Lane, Spent};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::time::Instant;

/// Most urgent first, as the lanes are.
const CLASSES: [Class; 3] = [Class::Stream, Class::Prompt, Class::Bulk];
/// Tokens of more urgent work for which waiting bulk is owed one.
const TOKENS_PER_OWED: usize = 15;
/// What is let in has so many times the time that it should take: the rate is an estimate, and once
/// the first of a full queue is late all behind it are.
const CAUTION: f64 = 1.25;
/// A tenant may hold this many times what it leaves free.
const TENANT_TIMES_FREE: usize = 7;

/// An item's name; never used twice in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(pub u64);

/// On what terms an item waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How urgent it is.
    pub class: Class,
    /// Whose it is.
    pub tenant: u64,
    /// When it is no longer of use.
    pub deadline: Deadline,
}

/// A sequence that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub id: ItemId,
    /// Its length.
    pub n_tokens: usize,
    /// Its terms.
    pub terms: Terms,
}

/// What [`Queue::take`] gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// To be run now, in this order.
    pub batch: Vec<Item>,
    /// Dropped because their deadlines passed while they waited.
    pub expired: Vec<Item>,
}

/// The bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Items that may wait; at least 16.
    pub max_items: usize,
    /// Tokens that may wait, over all items.
    pub max_tokens: usize,
    /// Tokens that a tenant may spend in one turn; at least 1.
    pub turn_tokens: usize,
}

/// A number of items and their tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Items.
    pub items: usize,
    /// Tokens of all of them.
    pub tokens: usize,
}

impl Load {
    const fn add(&mut self, n_tokens: usize) {
        self.items += 1;
        self.tokens += n_tokens;
    }

    const fn subtract(&mut self, n_tokens: usize) {
        self.items -= 1;
        self.tokens -= n_tokens;
    }
}

/// Where an item waits; its terms may have become more urgent since it was offered.
#[derive(Clone, Copy, Debug)]
struct Place {
    item: Item,
    /// When nobody needs it any more; its own deadline unless somebody joined with a later one.
    expires: Instant,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Queue {
    limits: QueueLimits,
    places: FxHashMap<ItemId, Place>,
    lanes: [Lane; 3],
    expiries: BTreeSet<(Instant, ItemId)>,
    total: Load,
    /// Tokens of more urgent work that went before waiting bulk.
    passed_bulk: usize,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: QueueLimits) -> Self {
        let limits = QueueLimits {
            max_items: limits.max_items.max(16),
            turn_tokens: limits.turn_tokens.max(1),
            ..limits
        };
        Self {
            limits,
            places: FxHashMap::default(),
            lanes: CLASSES.map(|_| Lane::new(limits.turn_tokens, limits.max_items)),
            expiries: BTreeSet::new(),
            total: Load::default(),
            passed_bulk: 0,
        }
    }

    /// Items that wait.
    #[must_use]
    pub fn n_items(&self) -> usize {
        self.total.items
    }

    /// Tokens that wait.
    #[must_use]
    pub fn n_tokens(&self) -> usize {
        self.total.tokens
    }

    /// Lets items in, all or none. `parts` gives each one's name and length in tokens.
    ///
    /// # Errors
    /// [`Shed`], as the module's documentation says; the queue is then as before.
    pub fn offer(
        &mut self,
        terms: Terms,
        parts: &[(ItemId, usize)],
        pace: Pace,
        now: Instant,
    ) -> Result<(), Shed> {
        let asked = Load {
            items: parts.len(),
            tokens: parts.iter().map(|(_, n_tokens)| n_tokens).sum(),
        };
        self.check(terms, asked, pace, now)?;
        for &(id, n_tokens) in parts {
            let item = Item {
                id,
                n_tokens,
                terms,
            };
            self.insert(item, terms.deadline);
        }
        Ok(())
    }

    /// [`Self::offer`] of what was found to be in time a moment ago, by [`Self::check`]: it is not
    /// turned away for what came in between, as long as it is no more than a turn.
    ///
    /// # Errors
    /// As [`Self::offer`].
    pub fn offer_checked(
        &mut self,
        terms: Terms,
        parts: &[(ItemId, usize)],
        pace: Pace,
        now: Instant,
    ) -> Result<(), Shed> {
        let n_tokens: usize = parts.iter().map(|(_, n_tokens)| n_tokens).sum();
        let pace = Pace {
            tokens_per_second: pace
                .tokens_per_second
                .filter(|_| self.limits.turn_tokens < n_tokens),
            ..pace
        };
        self.offer(terms, parts, pace, now)
    }

    /// Whether so much would be let in.
    ///
    /// # Errors
    /// As [`Self::offer`].
    pub fn check(&self, terms: Terms, asked: Load, pace: Pace, now: Instant) -> Result<(), Shed> {
        if terms.deadline <= now {
            return Err(Shed::Late);
        }
        if asked.items == 0 {
            return Ok(());
        }
        if !self.has_room(terms, asked) {
            return Err(Shed::QueueFull);
        }
        if self.would_be_late(terms, asked.tokens, pace, now) {
            return Err(Shed::Late);
        }
        Ok(())
    }

    /// Takes what runs next: items in order while they fit `budget_tokens`; one that is larger than
    /// the budget runs alone. Items whose deadlines have passed are dropped and named.
    pub fn take(&mut self, budget_tokens: usize, now: Instant) -> Taken {
        self.take_while(now, |_, spent| {
            spent.items == 1 || spent.tokens <= budget_tokens
        })
    }

    /// As [`Self::take`], but of this class and more urgent ones alone, and nothing that is larger
    /// than the budget: what may run while something else is interrupted.
    pub fn take_short(&mut self, budget_tokens: usize, class: Class, now: Instant) -> Taken {
        let class_idx = class as usize;
        self.take_while(now, |lane_idx, spent| {
            lane_idx <= class_idx && spent.tokens <= budget_tokens
        })
    }

    /// Takes items in order while `fits` says so of the lane of the next one and of what would then
    /// be taken.
    fn take_while(&mut self, now: Instant, fits: impl Fn(usize, Load) -> bool) -> Taken {
        let expired = self.expire(now);
        let (mut batch, mut spent) = (Vec::new(), Load::default());
        while let Some((lane_idx, id)) = self.next() {
            let Some(place) = self.places.get(&id).copied() else {
                break;
            };
            let n_tokens = place.item.n_tokens;
            spent.add(n_tokens);
            if !fits(lane_idx, spent) {
                break;
            }
            self.remove(place, Spent(n_tokens));
            self.lanes[lane_idx].flow.add(n_tokens, now);
            self.settle_bulk(lane_idx, n_tokens);
            batch.push(place.item);
        }
        Taken { batch, expired }
    }

    /// Drops and names the items that nobody needs any more.
    pub fn expire(&mut self, now: Instant) -> Vec<Item> {
        let mut expired = Vec::new();
        while let Some((expires, id)) = self.expiries.first().copied() {
            if now < expires {
                break;
            }
            match self.cancel(id) {
                Some(item) => expired.push(item),
                None => drop(self.expiries.pop_first()),
            }
        }
        expired
    }

    /// Takes an item out; `None` when it does not wait here.
    pub fn cancel(&mut self, id: ItemId) -> Option<Item> {
        let place = *self.places.get(&id)?;
        self.remove(place, Spent(0));
        Some(place.item)
    }

    /// Somebody else of the same tenant wants the same item: it takes the more urgent class, the
    /// earlier deadline, and is kept until the later one. `false` when it does not wait here.
    pub fn join(&mut self, id: ItemId, class: Class, deadline: Deadline) -> bool {
        let Some(Place { mut item, expires }) = self.places.get(&id).copied() else {
            return false;
        };
        let later = expires.max(deadline);
        let is_more_urgent = class < item.terms.class || deadline < item.terms.deadline;
        if is_more_urgent || later != expires {
            self.cancel(id);
            item.terms.class = item.terms.class.min(class);
            item.terms.deadline = item.terms.deadline.min(deadline);
            self.insert(item, later);
        }
        true
    }

    /// Takes everything out, in no order.
    pub fn drain(&mut self) -> Vec<Item> {
        let items = self.places.values().map(|place| place.item).collect();
        *self = Self::new(self.limits);
        items
    }

    fn has_room(&self, terms: Terms, asked: Load) -> bool {
        let of_bulk = self.lanes[Class::Bulk as usize].total();
        let own = self.lanes[terms.class as usize].own(terms.tenant);
        let fits = |limit: usize, total: usize, bulk: usize, own: usize, asked: usize| {
            let kept_for_bulk = limit / (TOKENS_PER_OWED + 1);
            let without_bulk = total - bulk;
            let used = without_bulk + bulk.max(kept_for_bulk) + asked;
            let free = match terms.class {
                Class::Stream => limit.checked_sub(used),
                Class::Prompt => (limit - limit / 8).checked_sub(used),
                Class::Bulk => (limit / 2)
                    .checked_sub(total + asked)
                    .max(kept_for_bulk.checked_sub(bulk + asked)),
            };
            free.is_some_and(|free| own + asked <= free.saturating_mul(TENANT_TIMES_FREE))
        };
        let (limits, total) = (&self.limits, self.total);
        fits(
            limits.max_items,
            total.items,
            of_bulk.items,
            own.items,
            asked.items,
        ) && fits(
            limits.max_tokens,
            total.tokens,
            of_bulk.tokens,
            own.tokens,
            asked.tokens,
        )
    }

    fn would_be_late(&self, terms: Terms, n_tokens: usize, pace: Pace, now: Instant) -> bool {
        let Some(tokens_per_second) = pace.tokens_per_second else {
            return false;
        };
        let is_idle = self.total.items == 0 && pace.running_tokens == 0;
        if is_idle {
            return false;
        }
        let until_done = self.seconds_until_done(terms, n_tokens, pace, tokens_per_second, now);
        terms.deadline.duration_since(now).as_secs_f64() < CAUTION * until_done
    }

    /// An upper bound, as long as no more of what is more urgent and no new tenant comes.
    fn seconds_until_done(
        &self,
        terms: Terms,
        n_tokens: usize,
        pace: Pace,
        rate: f64,
        now: Instant,
    ) -> f64 {
        let lane_idx = terms.class as usize;
        let more_urgent = &self.lanes[..lane_idx];
        let lane = &self.lanes[lane_idx];
        let backlog = lane.own(terms.tenant).tokens;
        let own = lane.tokens_before(terms.tenant, n_tokens)
            + n_tokens.max(backlog.min(self.limits.turn_tokens));
        let above: usize = more_urgent.iter().map(|lane| lane.total().tokens).sum();
        let flow: f64 = more_urgent
            .iter()
            .map(|lane| lane.flow.per_second(now))
            .sum();
        // The answer comes when the whole batch ends, so a batch is added.
        let before = (pace.running_tokens + above + pace.batch_tokens) as f64 / rate;
        let is_bulk = terms.class == Class::Bulk;
        let has_bulk = 0 < self.lanes[Class::Bulk as usize].total().tokens;
        let owed = rate / (TOKENS_PER_OWED + 1) as f64;
        let free = if has_bulk && !is_bulk {
            rate - owed
        } else {
            rate
        };
        let in_order = before + own as f64 / (free - flow).max(owed);
        if is_bulk {
            let by_share =
                (pace.running_tokens + pace.batch_tokens) as f64 / rate + own as f64 / owed;
            return in_order.min(by_share);
        }
        in_order
    }

    /// The lane and the name of the item that is next.
    fn next(&self) -> Option<(usize, ItemId)> {
        let bulk = Class::Bulk as usize;
        if let Some(id) = self.lanes[bulk].first() {
            let n_tokens = self.places.get(&id).map_or(0, |place| place.item.n_tokens);
            if n_tokens.saturating_mul(TOKENS_PER_OWED) <= self.passed_bulk {
                return Some((bulk, id));
            }
        }
        let mut lanes = self.lanes.iter().enumerate();
        lanes.find_map(|(lane_idx, lane)| Some((lane_idx, lane.first()?)))
    }

    const fn settle_bulk(&mut self, lane_idx: usize, n_tokens: usize) {
        let bulk = Class::Bulk as usize;
        if lane_idx == bulk {
            let owed = n_tokens.saturating_mul(TOKENS_PER_OWED);
            self.passed_bulk = self.passed_bulk.saturating_sub(owed);
        } else {
            self.passed_bulk = self.passed_bulk.saturating_add(n_tokens);
        }
        if self.lanes[bulk].total().tokens == 0 {
            self.passed_bulk = 0;
        }
    }

    fn insert(&mut self, item: Item, expires: Instant) {
        let terms = item.terms;
        self.places.insert(item.id, Place { item, expires });
        self.expiries.insert((expires, item.id));
        self.lanes[terms.class as usize].insert(&item);
        self.total.add(item.n_tokens);
    }

    fn remove(&mut self, Place { item, expires }: Place, spent: Spent) {
        let terms = item.terms;
        self.places.remove(&item.id);
        self.expiries.remove(&(expires, item.id));
        self.lanes[terms.class as usize].remove(&item, spent);
        self.total.subtract(item.n_tokens);
    }
}
