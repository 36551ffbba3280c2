//! A runner and how a batch is run on it, to the answers.
//!
//! When a batch of several sequences panics or fails, they are run again one by one, once, so that
//! one poisonous text costs its neighbours time and not their answers. A batch of one is not run
//! again. After a panic the runner is made anew before anything else runs; when that fails the
//! worker retires.

use super::batch::Runner;
use super::crew::{GoOn, PostIdx};
use super::desk::{Flight, Member, Work};
use super::observer::{BatchSeen, WorkerEvent};
use super::run::Run;
use super::shared::Shared;
use super::worker::MakeRunner;
use crate::Failure;
use portcullis_models::Batch;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// A worker's place to run batches, one after another.
pub(super) struct Seat<'a> {
    shared: &'a Shared,
    make_runner: &'a MakeRunner,
    post: PostIdx,
    worker_idx: usize,
    /// `None` before it is made, and once it cannot be.
    runner: Option<Box<dyn Runner>>,
    batch: Batch,
}

/// Does something else between layers; how long that took.
pub(super) type Interrupt<'i> = &'i dyn Fn() -> Duration;

/// What a run of the model gave.
struct Scored<'s> {
    /// `[n_seqs, n_labels]`
    logits: &'s [f32],
    n_tokens: usize,
    /// Its own time, without interruptions.
    infer: Duration,
}

enum Fault {
    Failed(Failure),
    Panicked,
}

/// The worker cannot go on.
pub(super) struct Retired;

impl<'a> Seat<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        make_runner: &'a MakeRunner,
        post: PostIdx,
        runner: Option<Box<dyn Runner>>,
    ) -> Self {
        let worker_idx = shared.desk().crew.worker_idx(post);
        Self {
            shared,
            make_runner,
            post,
            worker_idx,
            runner,
            batch: Batch::default(),
        }
    }

    pub(super) const fn is_ready(&self) -> bool {
        self.runner.is_some()
    }

    /// Makes the runner if there is none.
    pub(super) fn make_ready(&mut self) -> Result<(), Retired> {
        if self.is_ready() {
            return Ok(());
        }
        self.rebuild()
    }

    /// Runs a batch and gives every member its answer.
    pub(super) fn run(&mut self, work: &Work, interrupt: Interrupt<'_>) -> Result<GoOn, Retired> {
        let (shared, post) = (self.shared, self.post);
        let fault = match self.score(&work.members, &work.run, work.is_alone, interrupt) {
            Ok(scored) => {
                let Scored {
                    n_tokens, infer, ..
                } = scored;
                let (flights, go_on) = shared.scored(post, &work.members, n_tokens, infer);
                // counted before anybody hears of it, so that no count lags behind an answer
                saw(shared, &scored, work.members.len());
                settle_rows(&flights, scored.logits, shared.n_labels());
                return Ok(go_on);
            }
            Err(fault) => fault,
        };
        let is_over = work.run.is_cancelled() || shared.is_stopping();
        if work.members.len() == 1 || is_over {
            shared.fail(&work.members, self.failure(&fault));
            self.recover(&fault)?;
        } else {
            self.recover(&fault)?;
            for member in &work.members {
                if shared.is_stopping() {
                    shared.fail(std::slice::from_ref(member), Failure::Died);
                } else {
                    self.run_alone(member)?;
                }
            }
        }
        Ok(shared.finished(post))
    }

    fn run_alone(&mut self, member: &Member) -> Result<(), Retired> {
        let (shared, post) = (self.shared, self.post);
        let Some(run) = shared.again(post, member) else {
            return Ok(());
        };
        let members = std::slice::from_ref(member);
        let fault = match self.score(members, &run, false, &|| Duration::ZERO) {
            Ok(scored) => {
                let flight = shared.land(member);
                saw(shared, &scored, 1);
                settle_rows(&[flight], scored.logits, shared.n_labels());
                return Ok(());
            }
            Err(fault) => fault,
        };
        shared.fail(members, self.failure(&fault));
        self.recover(&fault)
    }

    /// One run of the model.
    fn score(
        &mut self,
        members: &[Member],
        run: &Run,
        is_alone: bool,
        interrupt: Interrupt<'_>,
    ) -> Result<Scored<'_>, Fault> {
        self.batch.clear();
        for member in members {
            self.batch.push(member.sequence.ids());
        }
        let runner = self.runner.as_mut().ok_or(Fault::Failed(Failure::Died))?;
        let (shared, batch) = (self.shared, &self.batch);
        let interrupted = &Cell::new(Duration::ZERO);
        let is_over = || run.is_cancelled() || shared.is_stopping();
        let is_cancelled = || {
            if !is_over() {
                interrupted.set(interrupted.get() + interrupt());
            }
            is_over()
        };
        let started = Instant::now();
        let run_batch = move || {
            let runner = runner;
            if is_alone {
                return runner.run_alone(batch, &is_cancelled, &|| shared.desk().is_alone());
            }
            runner.run(batch, &is_cancelled)
        };
        let ran = catch_unwind(AssertUnwindSafe(run_batch));
        let logits = ran
            .map_err(|_panic| Fault::Panicked)?
            .map_err(Fault::Failed)?;
        if logits.len() != members.len() * shared.n_labels() {
            return Err(Fault::Failed(Failure::Died));
        }
        Ok(Scored {
            logits,
            n_tokens: batch.input_ids().len(),
            infer: started.elapsed().saturating_sub(interrupted.get()),
        })
    }

    fn failure(&self, fault: &Fault) -> Failure {
        match fault {
            Fault::Failed(failure) if !self.shared.is_stopping() => *failure,
            Fault::Failed(_) | Fault::Panicked => Failure::Died,
        }
    }

    /// After a panic: another runner.
    fn recover(&mut self, fault: &Fault) -> Result<(), Retired> {
        if matches!(fault, Fault::Failed(_)) {
            return Ok(());
        }
        self.shared.observer().worker(WorkerEvent::Panicked);
        self.drop_runner();
        if self.shared.is_stopping() {
            return Err(Retired);
        }
        self.rebuild()?;
        self.shared.observer().worker(WorkerEvent::Rebuilt);
        Ok(())
    }

    fn rebuild(&mut self) -> Result<(), Retired> {
        self.shared.rebuilding(self.post);
        let made = catch_unwind(AssertUnwindSafe(|| (self.make_runner)(self.worker_idx)));
        if let Ok(Ok(runner)) = made {
            self.runner = Some(runner);
            return Ok(());
        }
        self.shared.observer().worker(WorkerEvent::Retired);
        Err(Retired)
    }

    /// A runner that panicked may panic again when it is dropped.
    pub(super) fn drop_runner(&mut self) {
        let runner = self.runner.take();
        drop(catch_unwind(AssertUnwindSafe(|| drop(runner))));
    }
}

fn saw(shared: &Shared, scored: &Scored<'_>, n_sequences: usize) {
    shared.observer().batch(BatchSeen {
        n_tokens: scored.n_tokens,
        n_sequences,
        infer: scored.infer,
    });
}

/// Gives each flight its row; one that is not all numbers is a failure of its own.
fn settle_rows(flights: &[Option<Flight>], logits: &[f32], n_labels: usize) {
    for (flight, row) in flights.iter().zip(logits.chunks_exact(n_labels)) {
        let Some(flight) = flight else { continue };
        let is_finite = row.iter().all(|logit| logit.is_finite());
        flight.settle(is_finite.then_some(row).ok_or(Failure::NonFinite));
    }
}
