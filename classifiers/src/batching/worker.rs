//! A worker: takes what is waiting, runs it, gives the answers, and survives its model.
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
use crate::Failure;
use portcullis_models::Batch;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Why a runner could not be made.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Makes the runner of a worker.
pub(super) type MakeRunner = dyn Fn(usize) -> Result<Box<dyn Runner>, BoxError> + Send + Sync;

/// One thread's part of the engine. Dropped, also by a panic, it leaves its post.
pub(super) struct Worker<'a> {
    shared: &'a Shared,
    make_runner: &'a MakeRunner,
    post: PostIdx,
    worker_idx: usize,
    runner: Option<Box<dyn Runner>>,
    batch: Batch,
}

enum Fault {
    Failed(Failure),
    Panicked,
}

/// The worker cannot go on.
struct Retired;

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        self.drop_runner();
        self.shared.leave(self.post);
    }
}

impl<'a> Worker<'a> {
    /// With a runner, or with none yet: then it is made first.
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

    /// Works until the engine stops or the worker cannot go on.
    pub(super) fn work(mut self) {
        if self.runner.is_none() && self.rebuild().is_err() {
            return;
        }
        while let Some(work) = self.shared.next(self.post) {
            match self.run(&work) {
                Ok(GoOn::Yes | GoOn::Returned) => {}
                Ok(GoOn::No) | Err(Retired) => return,
            }
        }
    }

    /// Runs a batch and gives every member its answer.
    fn run(&mut self, work: &Work) -> Result<GoOn, Retired> {
        let (shared, post) = (self.shared, self.post);
        let started = Instant::now();
        let fault = match self.score(&work.members, &work.run) {
            Ok((logits, n_tokens)) => {
                let infer = started.elapsed();
                let (flights, go_on) = shared.scored(post, &work.members, n_tokens, infer);
                // counted before anybody hears of it, so that no count lags behind an answer
                saw(shared, n_tokens, work.members.len(), infer);
                settle_rows(&flights, logits, shared.n_labels());
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
        let started = Instant::now();
        let fault = match self.score(std::slice::from_ref(member), &run) {
            Ok((logits, n_tokens)) => {
                let flight = shared.land(member);
                saw(shared, n_tokens, 1, started.elapsed());
                settle_rows(&[flight], logits, shared.n_labels());
                return Ok(());
            }
            Err(fault) => fault,
        };
        shared.fail(std::slice::from_ref(member), self.failure(&fault));
        self.recover(&fault)
    }

    /// One run of the model: logits `[n_seqs, n_labels]` and the tokens they were made from.
    fn score(&mut self, members: &[Member], run: &Run) -> Result<(&[f32], usize), Fault> {
        self.batch.clear();
        for member in members {
            self.batch.push(member.sequence.ids());
        }
        let runner = self.runner.as_mut().ok_or(Fault::Failed(Failure::Died))?;
        let (shared, batch) = (self.shared, &self.batch);
        let is_cancelled = || run.is_cancelled() || shared.is_stopping();
        let run_batch = move || {
            let runner = runner;
            runner.run(batch, &is_cancelled)
        };
        let ran = catch_unwind(AssertUnwindSafe(run_batch));
        let logits = ran
            .map_err(|_panic| Fault::Panicked)?
            .map_err(Fault::Failed)?;
        if logits.len() != members.len() * shared.n_labels() {
            return Err(Fault::Failed(Failure::Died));
        }
        Ok((logits, batch.input_ids().len()))
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
    fn drop_runner(&mut self) {
        let runner = self.runner.take();
        drop(catch_unwind(AssertUnwindSafe(|| drop(runner))));
    }
}

fn saw(shared: &Shared, n_tokens: usize, n_sequences: usize, infer: Duration) {
    shared.observer().batch(BatchSeen {
        n_tokens,
        n_sequences,
        infer,
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
