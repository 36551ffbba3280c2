//! A worker: takes what is waiting and runs it.
//!
//! A text that is longer than a batch should be is interrupted between layers for short work that
//! nobody else is free for: that runs on a runner of its own, on the same thread, one level deep.
//! The long text's own memory stays as it is, so its logits are the same bits.

use super::batch::Runner;
use super::crew::{GoOn, PostIdx};
use super::seat::{Retired, Seat};
use super::shared::Shared;
use crate::Failure;
use std::cell::RefCell;
use std::error::Error;
use std::time::{Duration, Instant};

/// Why a runner could not be made.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Makes the runners of a worker.
pub(super) type MakeRunner = dyn Fn(usize) -> Result<Box<dyn Runner>, BoxError> + Send + Sync;

/// For what is waiting, and for what interrupts it.
pub(super) type Runners = [Box<dyn Runner>; 2];

/// One thread's part of the engine. Dropped, also by a panic, it leaves its post.
pub(super) struct Worker<'a> {
    shared: &'a Shared,
    post: PostIdx,
    seat: Seat<'a>,
    /// Where short work runs while the first is interrupted.
    side: RefCell<Seat<'a>>,
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        self.seat.drop_runner();
        self.side.get_mut().drop_runner();
        self.shared.leave(self.post);
    }
}

impl<'a> Worker<'a> {
    /// With runners, or with none yet: then they are made first.
    pub(super) fn new(
        shared: &'a Shared,
        make_runner: &'a MakeRunner,
        post: PostIdx,
        runners: Option<Runners>,
    ) -> Self {
        let [own, side] = match runners {
            Some(runners) => runners.map(Some),
            None => [None, None],
        };
        Self {
            shared,
            post,
            seat: Seat::new(shared, make_runner, post, own),
            side: RefCell::new(Seat::new(shared, make_runner, post, side)),
        }
    }

    /// Works until the engine stops or the worker cannot go on.
    pub(super) fn work(mut self) {
        if self.make_ready().is_err() {
            return;
        }
        while let Some(work) = self.shared.next(self.post) {
            let side = &self.side;
            let interrupt = || run_short(self.shared, self.post, side);
            let ran = if work.is_long {
                self.seat.run(&work, &interrupt)
            } else {
                self.seat.run(&work, &|| Duration::ZERO)
            };
            match ran {
                Ok(GoOn::Yes | GoOn::Returned) => {}
                Ok(GoOn::No) | Err(Retired) => return,
            }
            if !self.side.get_mut().is_ready() {
                return;
            }
        }
    }

    fn make_ready(&mut self) -> Result<(), Retired> {
        let is_new = !self.seat.is_ready();
        self.seat.make_ready()?;
        self.side.get_mut().make_ready()?;
        if is_new {
            // what it was busy with was the making
            self.shared.finished(self.post);
        }
        Ok(())
    }
}

/// Runs the short work that may go before the long text on the worker's hands; how long it took.
fn run_short(shared: &Shared, post: PostIdx, side: &RefCell<Seat<'_>>) -> Duration {
    let Ok(mut seat) = side.try_borrow_mut() else {
        return Duration::ZERO;
    };
    let started = Instant::now();
    while seat.is_ready()
        && let Some(work) = shared.next_short(post)
    {
        if seat.run(&work, &|| Duration::ZERO).is_err() {
            shared.fail(&work.members, Failure::Died);
            shared.finished(post);
        }
    }
    started.elapsed()
}
