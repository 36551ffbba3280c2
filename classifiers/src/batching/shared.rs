//! Where threads meet: the desk behind its lock, and the bell that wakes workers.
//!
//! The lock is held for bookkeeping only. Answers are given, models run and observers are called
//! without it. A worker goes to sleep under the lock only after it found nothing waiting, and whoever
//! adds work afterwards sees it sleeping and wakes it: no work waits beside a sleeping worker.

use super::batch::Sequence;
use super::config::BatchingConfig;
use super::crew::{GoOn, PostIdx};
use super::desk::{Desk, Flight, Key, Member, Order, Step, Watched, Work};
use super::observer::{Observer, WorkerEvent};
use super::queue::{ItemId, Terms};
use super::run::Run;
use super::sync::{AtomicBool, Condvar, Mutex, MutexGuard, Ordering, lock};
use super::ticket::{Reply, Ticket};
use crate::{Failure, Shed};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Ids hashed at a time.
const IDS_PER_BLOCK: usize = 256;

/// What the callers, the workers and the watchdog share.
pub(super) struct Shared {
    config: BatchingConfig,
    /// Keys of sequences mean nothing outside of this engine, which has one model.
    secret: [u8; 32],
    observer: Arc<dyn Observer>,
    desk: Mutex<Desk>,
    /// Wakes a worker.
    work: Condvar,
    /// Rung when a worker has left.
    left: Condvar,
    is_stopping: AtomicBool,
}

impl Shared {
    pub(super) fn new(
        config: BatchingConfig,
        secret: [u8; 32],
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self {
            config,
            secret,
            observer,
            desk: Mutex::new(Desk::new(config)),
            work: Condvar::new(),
            left: Condvar::new(),
            is_stopping: AtomicBool::new(false),
        }
    }

    pub(super) const fn n_labels(&self) -> usize {
        self.config.n_labels
    }

    pub(super) fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    /// Asked by runners between layers.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }

    /// Queues what is not in flight already and gives the ticket.
    pub(super) fn submit(
        self: &Arc<Self>,
        sequences: Vec<Sequence>,
        terms: Terms,
        is_checked: bool,
    ) -> Result<Ticket, Shed> {
        let (sequences, slots) = self.keyed(sequences, terms.tenant);
        let order = Order {
            terms,
            is_checked,
            sequences,
        };
        let reply = Arc::new(Reply::new(order.sequences.len(), self.config.n_labels));
        let admitted = self.admit(order, &reply);
        let ids = match admitted {
            Ok(ids) => ids,
            Err(Failure::Shed(shed)) => {
                self.observer.shed(shed);
                return Err(shed);
            }
            Err(failure) => {
                reply.fill(0, Err(failure));
                Vec::new()
            }
        };
        Ok(Ticket {
            shared: Arc::clone(self),
            reply,
            ids,
            slots,
            deadline: terms.deadline,
            alarm: None,
        })
    }

    /// Whether the door is open for one more.
    pub(super) fn check(&self, terms: Terms) -> Result<(), Shed> {
        let checked = self.desk().check(terms, Instant::now());
        checked.inspect_err(|shed| self.observer.shed(*shed))
    }

    fn admit(&self, order: Order, reply: &Arc<Reply>) -> Result<Vec<ItemId>, Failure> {
        if order.sequences.is_empty() {
            return Ok(Vec::new());
        }
        let mut desk = self.desk();
        let admitted = desk.submit(order, reply, Instant::now())?;
        let n_calls = desk.call_workers(admitted.ids.len() - admitted.n_joined);
        drop(desk);
        self.call(n_calls);
        if 0 < admitted.n_joined {
            self.observer.joined(admitted.n_joined);
        }
        Ok(admitted.ids)
    }

    fn call(&self, n_calls: usize) {
        for _ in 0..n_calls {
            self.work.notify_one();
        }
    }

    /// Keys every sequence, and finds those that are the same: each once, and for each sequence
    /// which of them it is. The list is empty when all are different.
    fn keyed(&self, sequences: Vec<Sequence>, tenant: u64) -> (Vec<(Key, Sequence)>, Vec<usize>) {
        let n_sequences = sequences.len();
        let mut keyed = Vec::with_capacity(n_sequences);
        if n_sequences == 1 {
            let key = |sequence| (self.key(tenant, &sequence), sequence);
            keyed.extend(sequences.into_iter().map(key));
            return (keyed, Vec::new());
        }
        let mut slot_of = FxHashMap::default();
        let mut slots = Vec::with_capacity(n_sequences);
        for sequence in sequences {
            let key = self.key(tenant, &sequence);
            let slot = *slot_of.entry(key).or_insert(keyed.len());
            if slot == keyed.len() {
                keyed.push((key, sequence));
            }
            slots.push(slot);
        }
        if keyed.len() == n_sequences {
            slots.clear();
        }
        (keyed, slots)
    }

    fn key(&self, tenant: u64, sequence: &Sequence) -> Key {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(&tenant.to_le_bytes());
        let mut block = [0; 4 * IDS_PER_BLOCK];
        for ids in sequence.ids().chunks(IDS_PER_BLOCK) {
            for (bytes, id) in block.chunks_exact_mut(4).zip(ids) {
                bytes.copy_from_slice(&id.to_le_bytes());
            }
            hasher.update(&block[..4 * ids.len()]);
        }
        *hasher.finalize().as_bytes()
    }

    pub(super) fn cancel(&self, ids: &[ItemId], reply: &Arc<Reply>) {
        self.desk().cancel(ids, reply);
    }

    /// Waits for work; `None` at shutdown.
    pub(super) fn next(&self, post: PostIdx) -> Option<Work> {
        loop {
            let mut desk = self.desk();
            if desk.is_stopping {
                return None;
            }
            let step = desk.take(post, Instant::now());
            if step.work.is_none() && step.expired.is_empty() {
                desk.crew.sleep();
                let mut desk = self
                    .work
                    .wait(desk)
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                desk.crew.wake();
                continue;
            }
            // what is left is for the next sleeping worker
            let n_left = desk.n_waiting();
            let n_calls = desk.call_workers(n_left.min(1));
            drop(desk);
            self.call(n_calls);
            if let Some(work) = self.handed(step) {
                return Some(work);
            }
        }
    }

    /// Short work that may run while a worker's long text is interrupted, if there is any.
    pub(super) fn next_short(&self, post: PostIdx) -> Option<Work> {
        let mut desk = self.desk();
        if desk.is_stopping {
            return None;
        }
        let step = desk.take_short(post, Instant::now());
        drop(desk);
        self.handed(step)
    }

    fn handed(&self, step: Step) -> Option<Work> {
        settle_all(&step.expired, Failure::TimedOut);
        let work = step.work?;
        for member in &work.members {
            self.observer.queue_wait(member.class, member.queue_wait);
        }
        Some(work)
    }

    /// Takes out what was scored, counts it, and says whether the worker goes on.
    pub(super) fn scored(
        &self,
        post: PostIdx,
        members: &[Member],
        n_tokens: usize,
        busy: Duration,
    ) -> (Vec<Option<Flight>>, GoOn) {
        let mut desk = self.desk();
        let flights = desk.land(members.iter().map(|member| &member.id));
        desk.observe(n_tokens, busy);
        let go_on = desk.crew.finish(post, Instant::now());
        drop(desk);
        (flights, self.welcome(go_on))
    }

    /// Takes out one member that has its answer while the others still wait for theirs.
    pub(super) fn land(&self, member: &Member) -> Option<Flight> {
        self.desk().land([member.id].iter()).pop().flatten()
    }

    /// Gives up members of a batch.
    pub(super) fn fail(&self, members: &[Member], failure: Failure) {
        let flights = self.desk().land(members.iter().map(|member| &member.id));
        for flight in flights.iter().flatten() {
            flight.settle(Err(failure));
        }
    }

    pub(super) fn again(&self, post: PostIdx, member: &Member) -> Option<Arc<Run>> {
        self.desk().again(post, member.id, Instant::now())
    }

    /// The worker makes a runner: a while that is watched like a batch.
    pub(super) fn rebuilding(&self, post: PostIdx) {
        self.desk().crew.restart(post, None, Instant::now());
    }

    /// All of a worker's batch is settled; whether it goes on.
    pub(super) fn finished(&self, post: PostIdx) -> GoOn {
        let go_on = self.desk().crew.finish(post, Instant::now());
        self.welcome(go_on)
    }

    fn welcome(&self, go_on: GoOn) -> GoOn {
        if go_on == GoOn::Returned {
            self.observer.worker(WorkerEvent::Returned);
        }
        go_on
    }

    /// A worker leaves for good, whatever the reason.
    pub(super) fn leave(&self, post: PostIdx) {
        let died = self.desk().leave(post);
        self.left.notify_all();
        settle_all(&died, Failure::Died);
    }

    pub(super) fn watch(&self, now: Instant) -> Watched {
        let watched = self.desk().watch(now);
        settle_all(&watched.timed_out, Failure::TimedOut);
        settle_all(&watched.died, Failure::Died);
        for _ in 0..watched.n_stuck {
            self.observer.worker(WorkerEvent::Stuck);
        }
        watched
    }

    /// Takes nothing any more, fails what waits, and lets the workers end.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        let died = self.desk().stop();
        self.work.notify_all();
        settle_all(&died, Failure::Died);
    }

    /// Waits until every worker has left, or until the grace is over.
    pub(super) fn wait_for_workers(&self, grace: Duration) {
        let until = Instant::now() + grace;
        let mut desk = self.desk();
        while !desk.crew.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.left.wait_timeout(desk, left);
            desk = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }
}

fn settle_all(flights: &[Flight], failure: Failure) {
    for flight in flights {
        flight.settle(Err(failure));
    }
}
