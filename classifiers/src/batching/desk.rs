//! Everything the engine knows, without threads: what waits, what runs, for whom, and who works.
//!
//! A *flight* is a sequence between its submission and its answer. Tickets that want the same
//! sequence of the same tenant wait on one flight; it is dropped when the last of them is gone.
//! Nothing here blocks or calls foreign code, so one lock around it is held for microseconds.

use super::batch::Sequence;
use super::config::BatchingConfig;
use super::crew::{Crew, Hand, PostIdx};
use super::queue::{Item, ItemId, Load, Queue, Taken, Terms};
use super::run::Run;
use super::throughput::{Pace, Throughput};
use super::ticket::Reply;
use crate::{Class, Deadline, Failure, Shed};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tickets that share a flight; the next one begins another, so that each is dropped quickly.
const MAX_WAITERS: usize = 256;

/// A long text is interrupted only while so many times its own time is left: it is slower than
/// its tokens say, and is not to be late for what came after it.
const LONG_TIMES: usize = 2;

/// A keyed hash of tenant and ids, long enough that no two sequences ever share one.
pub(super) type Key = [u8; 32];

/// A submission: its different sequences, each once.
pub(super) struct Order {
    pub(super) terms: Terms,
    /// Whether it was found to be in time a moment ago.
    pub(super) is_checked: bool,
    pub(super) sequences: Vec<(Key, Sequence)>,
}

/// What became of an order that was taken.
pub(super) struct Admitted {
    /// One for each sequence, in order.
    pub(super) ids: Vec<ItemId>,
    /// How many were in flight already.
    pub(super) n_joined: usize,
}

/// A sequence between submission and answer.
#[derive(Debug)]
pub(super) struct Flight {
    key: Key,
    class: Class,
    offered_at: Instant,
    /// Until it runs.
    sequence: Option<Sequence>,
    /// Once it runs.
    run: Option<Arc<Run>>,
    waiters: Vec<(Arc<Reply>, usize)>,
}

impl Flight {
    /// Gives everybody who waits their row. To be called without the lock.
    pub(super) fn settle(&self, row: Result<&[f32], Failure>) {
        for (reply, slot) in &self.waiters {
            reply.fill(*slot, row);
        }
    }
}

/// A sequence on a worker's hands.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: ItemId,
    pub(super) sequence: Sequence,
    pub(super) class: Class,
    pub(super) queue_wait: Duration,
}

/// A batch on a worker's hands.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) members: Vec<Member>,
    pub(super) run: Arc<Run>,
    /// Whether short work may interrupt it.
    pub(super) is_long: bool,
    /// Whether it is worth the cores of the others, which were idle when it was taken.
    pub(super) is_alone: bool,
}

/// What a worker that asked for work gets.
#[derive(Default)]
pub(super) struct Step {
    pub(super) work: Option<Work>,
    /// Dropped in the queue because their deadlines passed.
    pub(super) expired: Vec<Flight>,
}

/// What a look at the workers found.
#[derive(Default)]
pub(super) struct Watched {
    /// Given up with their workers, or expired in the queue.
    pub(super) timed_out: Vec<Flight>,
    /// Nobody is left to run them.
    pub(super) died: Vec<Flight>,
    pub(super) n_stuck: usize,
    /// Posts whose threads are to be started.
    pub(super) to_start: Vec<PostIdx>,
}

#[derive(Debug)]
pub(super) struct Desk {
    config: BatchingConfig,
    queue: Queue,
    throughput: Throughput,
    flights: FxHashMap<ItemId, Flight>,
    by_key: FxHashMap<Key, ItemId>,
    next_id: u64,
    pub(super) crew: Crew,
    pub(super) is_stopping: bool,
}

impl Desk {
    pub(super) fn new(config: BatchingConfig) -> Self {
        Self {
            config,
            queue: Queue::new(config.queue),
            throughput: Throughput::default(),
            flights: FxHashMap::default(),
            by_key: FxHashMap::default(),
            next_id: 0,
            crew: Crew::new(config.n_workers, config.max_replacements),
            is_stopping: false,
        }
    }

    pub(super) fn n_waiting(&self) -> usize {
        self.queue.n_items()
    }

    pub(super) fn n_in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Takes an order, all of it or nothing; `reply` has a slot for each of its sequences.
    pub(super) fn submit(
        &mut self,
        order: Order,
        reply: &Arc<Reply>,
        now: Instant,
    ) -> Result<Admitted, Failure> {
        if self.is_stopping || self.crew.n_able() == 0 {
            return Err(Failure::Died);
        }
        let terms = order.terms;
        let known: Vec<_> = order
            .sequences
            .iter()
            .map(|(key, _)| self.joinable(key))
            .collect();
        let first_id = self.next_id;
        let fresh = known
            .iter()
            .zip(&order.sequences)
            .filter(|(known, _)| known.is_none());
        let parts: Vec<_> = (first_id..)
            .map(ItemId)
            .zip(fresh.map(|(_, (_, sequence))| sequence.ids().len()))
            .collect();
        let pace = self.pace();
        if order.is_checked {
            self.queue.offer_checked(terms, &parts, pace, now)?;
        } else {
            self.queue.offer(terms, &parts, pace, now)?;
        }
        self.next_id += parts.len() as u64;

        let mut new_ids = parts.iter().map(|(id, _)| *id);
        let mut ids = Vec::with_capacity(known.len());
        for (slot, ((key, sequence), known)) in order.sequences.into_iter().zip(known).enumerate() {
            let waiter = (Arc::clone(reply), slot);
            if let Some(id) = known {
                self.join(id, waiter, terms);
                ids.push(id);
            } else if let Some(id) = new_ids.next() {
                let flight = Flight {
                    key,
                    class: terms.class,
                    offered_at: now,
                    sequence: Some(sequence),
                    run: None,
                    waiters: vec![waiter],
                };
                self.flights.insert(id, flight);
                self.by_key.insert(key, id);
                ids.push(id);
            }
        }
        let n_joined = ids.len() - parts.len();
        Ok(Admitted { ids, n_joined })
    }

    /// Whether an order of one sequence would be taken now.
    pub(super) fn check(&self, terms: Terms, now: Instant) -> Result<(), Shed> {
        let least = Load {
            items: 1,
            tokens: 1,
        };
        self.queue.check(terms, least, self.pace(), now)
    }

    /// How many sleeping workers to wake for what waits now; each is counted as woken.
    pub(super) fn call_workers(&mut self, n_new: usize) -> usize {
        let least = self.config.batch.min_tokens.max(1);
        let n_batches = self.queue.n_tokens().div_ceil(least);
        self.crew.call(n_new.min(n_batches))
    }

    /// A ticket is gone: what nobody else waits for leaves the queue, or is no longer wanted where
    /// it runs.
    pub(super) fn cancel(&mut self, ids: &[ItemId], reply: &Arc<Reply>) {
        for id in ids {
            let Some(flight) = self.flights.get_mut(id) else {
                continue;
            };
            let n_before = flight.waiters.len();
            flight
                .waiters
                .retain(|(waiter, _)| !Arc::ptr_eq(waiter, reply));
            if n_before == flight.waiters.len() || !flight.waiters.is_empty() {
                continue;
            }
            if let Some(run) = &flight.run {
                run.leave();
            } else {
                self.queue.cancel(*id);
                self.remove(*id);
            }
        }
    }

    /// Gives a worker what is waiting. It gets a share when others are free too.
    pub(super) fn take(&mut self, post: PostIdx, now: Instant) -> Step {
        let n_free = 1 + self.crew.n_idle();
        let share = self.queue.n_tokens().div_ceil(n_free);
        let budget = self
            .throughput
            .batch_tokens(&self.config.batch)
            .min(share.max(self.config.batch.min_tokens));
        let taken = self.queue.take(budget, now);
        self.hand_out(post, &taken, now)
    }

    /// Gives a worker that is busy with a long text what may go before it: work that nobody else is
    /// free for, at most a batch or half as long as the text. All of it together is at most as long
    /// as what it interrupts, and there is time left for both.
    pub(super) fn take_short(&mut self, post: PostIdx, now: Instant) -> Step {
        if 0 < self.crew.n_idle() || self.queue.n_items() == 0 {
            return Step::default();
        }
        let budget = self.throughput.batch_tokens(&self.config.batch);
        let rate = self.throughput.tokens_per_second();
        let Some(hand) = self.crew.only_hand(post) else {
            return Step::default();
        };
        let budget = budget.max(hand.n_tokens / 2).min(hand.allowance);
        let left = hand.deadline.saturating_duration_since(now);
        let needed = (LONG_TIMES * hand.n_tokens + budget) as f64;
        if rate.is_some_and(|rate| left.as_secs_f64() * rate < needed) {
            return Step::default();
        }
        let taken = self.queue.take_short(budget, hand.class, now);
        let spent: usize = taken.batch.iter().map(|item| item.n_tokens).sum();
        hand.allowance -= spent;
        self.hand_out(post, &taken, now)
    }

    /// Whether a worker that is busy is the only one, and nothing waits.
    pub(super) fn is_alone(&self) -> bool {
        1 < self.crew.n_able()
            && self.crew.n_able() == 1 + self.crew.n_asleep()
            && self.queue.n_items() == 0
    }

    fn hand_out(&mut self, post: PostIdx, taken: &Taken, now: Instant) -> Step {
        let expired = self.remove_items(&taken.expired);
        let items = || taken.batch.iter();
        let class = items().map(|item| item.terms.class).min();
        let deadline = items().map(|item| item.terms.deadline).min();
        let (Some(class), Some(deadline)) = (class, deadline) else {
            return Step {
                work: None,
                expired,
            };
        };
        let run = Arc::new(Run::new(taken.batch.len()));
        let mut members = Vec::with_capacity(taken.batch.len());
        for item in items() {
            members.extend(self.board(item, &run, now));
        }
        let n_tokens = items().map(|item| item.n_tokens).sum();
        let is_long = self.throughput.batch_tokens(&self.config.batch) < n_tokens;
        let hand = Hand {
            run: Some(Arc::clone(&run)),
            n_tokens,
            allowance: if is_long { n_tokens } else { 0 },
            class,
            deadline,
            ids: members.iter().map(|member| member.id).collect(),
        };
        self.crew.start(post, hand, now);
        let work = Work {
            members,
            run,
            is_long,
            is_alone: self.config.batch.min_tokens <= n_tokens && self.is_alone(),
        };
        Step {
            work: Some(work),
            expired,
        }
    }

    /// Prepares to run one member of a failed batch by itself; `None` when nobody waits for it.
    pub(super) fn again(&mut self, post: PostIdx, id: ItemId, now: Instant) -> Option<Arc<Run>> {
        let flight = self.flights.get_mut(&id)?;
        if flight.waiters.is_empty() {
            self.remove(id);
            return None;
        }
        let run = Arc::new(Run::new(1));
        flight.run = Some(Arc::clone(&run));
        self.crew.restart(post, Some(&run), now);
        Some(run)
    }

    /// Takes flights that have their answer out; those given up meanwhile are `None`.
    pub(super) fn land<'a>(
        &mut self,
        ids: impl Iterator<Item = &'a ItemId>,
    ) -> Vec<Option<Flight>> {
        ids.map(|id| self.remove(*id)).collect()
    }

    /// Counts a batch that was scored.
    pub(super) fn observe(&mut self, n_tokens: usize, busy: Duration) {
        self.throughput.observe(n_tokens, busy);
    }

    /// A worker leaves for good: what it had is given up, and when nobody is left, everything is.
    pub(super) fn leave(&mut self, post: PostIdx) -> Vec<Flight> {
        let ids = self.crew.leave(post);
        let mut died: Vec<_> = self.land(ids.iter()).into_iter().flatten().collect();
        died.extend(self.give_up_without_workers());
        died
    }

    /// Looks after workers that take longer than `stuck_after`, and after what expired while nobody
    /// took anything.
    pub(super) fn watch(&mut self, now: Instant) -> Watched {
        let mut watched = Watched::default();
        let expired = self.queue.expire(now);
        watched.timed_out = self.remove_items(&expired);
        let stuck = self.crew.find_stuck(now, self.config.stuck_after);
        for (post, ids) in stuck {
            watched.n_stuck += 1;
            let given_up = self.land(ids.iter());
            watched.timed_out.extend(given_up.into_iter().flatten());
            if !self.is_stopping {
                watched.to_start.extend(self.crew.replace(post));
            }
        }
        watched.died = self.give_up_without_workers();
        watched
    }

    /// Nothing is taken any more; what waits is given up.
    pub(super) fn stop(&mut self) -> Vec<Flight> {
        self.is_stopping = true;
        self.give_up_waiting()
    }

    fn give_up_without_workers(&mut self) -> Vec<Flight> {
        if 0 < self.crew.n_able() {
            return Vec::new();
        }
        self.give_up_waiting()
    }

    fn give_up_waiting(&mut self) -> Vec<Flight> {
        let items = self.queue.drain();
        self.remove_items(&items)
    }

    fn pace(&self) -> Pace {
        let n_able = self.crew.n_able() as f64;
        Pace {
            tokens_per_second: self
                .throughput
                .tokens_per_second()
                .map(|rate| rate * n_able),
            running_tokens: self.crew.running_tokens(),
            batch_tokens: self.throughput.batch_tokens(&self.config.batch),
        }
    }

    /// A flight that will still have an answer and has room for one more.
    fn joinable(&self, key: &Key) -> Option<ItemId> {
        let id = *self.by_key.get(key)?;
        let flight = self.flights.get(&id)?;
        let is_dead = flight.run.as_ref().is_some_and(|run| run.is_cancelled());
        (!is_dead && flight.waiters.len() < MAX_WAITERS).then_some(id)
    }

    fn join(&mut self, id: ItemId, waiter: (Arc<Reply>, usize), terms: Terms) {
        let Some(flight) = self.flights.get_mut(&id) else {
            return;
        };
        match &flight.run {
            Some(run) if flight.waiters.is_empty() => run.enter(),
            Some(_) => {}
            None => {
                let deadline: Deadline = terms.deadline;
                self.queue.join(id, terms.class, deadline);
                flight.class = flight.class.min(terms.class);
            }
        }
        flight.waiters.push(waiter);
    }

    /// Moves a flight from the queue into a run.
    fn board(&mut self, item: &Item, run: &Arc<Run>, now: Instant) -> Option<Member> {
        let flight = self.flights.get_mut(&item.id)?;
        flight.run = Some(Arc::clone(run));
        Some(Member {
            id: item.id,
            sequence: flight.sequence.take()?,
            class: flight.class,
            queue_wait: now.saturating_duration_since(flight.offered_at),
        })
    }

    fn remove_items(&mut self, items: &[Item]) -> Vec<Flight> {
        let ids = items.iter().map(|item| &item.id);
        self.land(ids).into_iter().flatten().collect()
    }

    fn remove(&mut self, id: ItemId) -> Option<Flight> {
        let flight = self.flights.remove(&id)?;
        // a later flight may have taken its place after its run was cancelled
        if self.by_key.get(&flight.key) == Some(&id) {
            self.by_key.remove(&flight.key);
        }
        Some(flight)
    }
}
