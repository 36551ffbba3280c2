//! Logits to come: the caller's end and the workers' end.

use super::batch::Logits;
use super::queue::ItemId;
use super::shared::Shared;
use super::sync::{Mutex, lock};
use crate::{Deadline, Failure};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Instant;
use tokio::time::Sleep;

/// Where workers put the logits of one ticket.
#[derive(Debug)]
pub(super) struct Reply(Mutex<Slots>);

#[derive(Debug)]
struct Slots {
    n_labels: usize,
    /// `[n_slots, n_labels]`; not numbers where a row is still missing.
    values: Vec<f32>,
    n_missing: usize,
    failure: Option<Failure>,
    waker: Option<Waker>,
}

impl Slots {
    const fn is_settled(&self) -> bool {
        self.n_missing == 0 || self.failure.is_some()
    }
}

impl Reply {
    pub(super) fn new(n_slots: usize, n_labels: usize) -> Self {
        Self(Mutex::new(Slots {
            n_labels,
            values: vec![f32::NAN; n_slots * n_labels],
            n_missing: n_slots,
            failure: None,
            waker: None,
        }))
    }

    /// Puts in one row, or the failure that settles the whole; each slot is filled at most once.
    pub(super) fn fill(&self, slot: usize, row: Result<&[f32], Failure>) {
        let mut slots = lock(&self.0);
        if slots.is_settled() {
            return;
        }
        match row {
            Ok(row) => {
                let start = slot * slots.n_labels;
                slots.values[start..start + row.len()].copy_from_slice(row);
                slots.n_missing -= 1;
            }
            Err(failure) => slots.failure = Some(failure),
        }
        let waker = slots.is_settled().then(|| slots.waker.take()).flatten();
        drop(slots);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether every slot was filled, so that nothing of it can be in flight.
    fn is_complete(&self) -> bool {
        lock(&self.0).n_missing == 0
    }

    /// The values as they are now.
    fn peek(&self) -> Vec<f32> {
        lock(&self.0).values.clone()
    }

    fn poll(&self, waker: &Waker) -> Poll<Result<Vec<f32>, Failure>> {
        let mut slots = lock(&self.0);
        if let Some(failure) = slots.failure {
            return Poll::Ready(Err(failure));
        }
        if slots.n_missing == 0 {
            // asked again it gives a failure and never an empty answer
            slots.failure = Some(Failure::Died);
            return Poll::Ready(Ok(std::mem::take(&mut slots.values)));
        }
        match &mut slots.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Poll::Pending
    }
}

/// Logits to come. Dropping it cancels what nobody else waits for.
///
/// It ends with [`Failure::TimedOut`] at its deadline, by tokio's clock when it is awaited (in a
/// runtime that has one) and by the system's in [`Self::wait`].
pub struct Ticket {
    pub(super) shared: Arc<Shared>,
    pub(super) reply: Arc<Reply>,
    /// What it waits for.
    pub(super) ids: Vec<ItemId>,
    /// For each sequence the slot of its logits; empty when each has its own.
    pub(super) slots: Vec<usize>,
    pub(super) deadline: Deadline,
    /// Set once it has to wait.
    pub(super) alarm: Option<Pin<Box<Sleep>>>,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({} sequences in flight)", self.ids.len())
    }
}

impl Ticket {
    /// Waits on this thread, until the deadline at the latest.
    ///
    /// # Errors
    /// [`Failure`] as for the future.
    pub fn wait(self) -> Result<Logits, Failure> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            if let Poll::Ready(values) = self.reply.poll(&waker) {
                return self.finish(values);
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self.finish(Err(Failure::TimedOut));
            }
            std::thread::park_timeout(left);
        }
    }

    /// The logits that are there, by sequence, when not all came or not all can: those of a ticket
    /// that was late. None once it was answered.
    #[must_use]
    pub fn rows_so_far(&self) -> Vec<(usize, Vec<f32>)> {
        let values = self.reply.peek();
        let rows: Vec<&[f32]> = values.chunks_exact(self.shared.n_labels()).collect();
        let n_sequences = if self.slots.is_empty() {
            rows.len()
        } else {
            self.slots.len()
        };
        let own = (0..n_sequences).filter_map(|idx| {
            let slot = self.slots.get(idx).copied().unwrap_or(idx);
            let row = rows.get(slot)?;
            let is_there = row.iter().all(|logit| logit.is_finite());
            is_there.then(|| (idx, row.to_vec()))
        });
        own.collect()
    }

    fn finish(&self, values: Result<Vec<f32>, Failure>) -> Result<Logits, Failure> {
        let n_labels = self.shared.n_labels();
        match values {
            Ok(values) if self.slots.is_empty() => Ok(Logits { n_labels, values }),
            Ok(values) => {
                let row = |slot: &usize| &values[slot * n_labels..(slot + 1) * n_labels];
                let values = self.slots.iter().flat_map(row).copied().collect();
                Ok(Logits { n_labels, values })
            }
            Err(failure) => {
                self.shared.observer().failure(failure);
                Err(failure)
            }
        }
    }

    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.alarm.is_none() && tokio::runtime::Handle::try_current().is_ok() {
            let alarm = tokio::time::sleep_until(self.deadline.into());
            self.alarm = Some(Box::pin(alarm));
        }
        match &mut self.alarm {
            Some(alarm) => alarm.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

impl Future for Ticket {
    type Output = Result<Logits, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(values) = self.reply.poll(context.waker()) {
            return Poll::Ready(self.finish(values));
        }
        self.poll_alarm(context)
            .map(|()| self.finish(Err(Failure::TimedOut)))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.reply.is_complete() {
            self.shared.cancel(&self.ids, &self.reply);
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
