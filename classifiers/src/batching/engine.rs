//! The engine: its threads, from start to join.

use super::batch::{Runner, Sequence};
use super::config::BatchingConfig;
use super::crew::PostIdx;
use super::observer::{Observer, WorkerEvent};
use super::queue::Terms;
use super::shared::Shared;
use super::ticket::Ticket;
use super::worker::{BoxError, MakeRunner, Runners, Worker};
use crate::{Class, Deadline, Shed};
use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The watchdog looks this many times while a worker becomes stuck.
const LOOKS: u32 = 4;

/// The engine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting that must not be is 0.
    #[error("`{0}` of the batching engine is 0")]
    Zero(&'static str),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes for the engine's key")]
    NoRandomness(#[source] getrandom::Error),
    /// A runner could not be made.
    #[error("the model of worker {worker_idx} could not be made")]
    Runner {
        /// Which one.
        worker_idx: usize,
        /// Why.
        source: BoxError,
    },
    /// The system gave no thread.
    #[error("the system gave no thread for worker {worker_idx}")]
    Thread {
        /// Which one.
        worker_idx: usize,
        /// Why.
        source: std::io::Error,
    },
}

/// The terms on which [`Engine::check`] found the door open; good for one submission.
#[derive(Debug)]
pub struct Pass {
    terms: Terms,
    is_fresh: bool,
}

impl Pass {
    /// Until when it is good.
    #[must_use]
    pub const fn deadline(&self) -> Deadline {
        self.terms.deadline
    }

    const fn take(self) -> (Terms, bool) {
        (self.terms, self.is_fresh)
    }

    /// For what has to wait before it can be submitted: it is then asked again whether it is late.
    #[must_use]
    pub fn aged(self) -> Self {
        Self {
            is_fresh: false,
            ..self
        }
    }
}

/// What the engine holds at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineLoad {
    /// Sequences in the queue.
    pub n_waiting: usize,
    /// Sequences in the queue and on workers' hands.
    pub n_in_flight: usize,
    /// Workers that work or wait for work; with none the engine is dead.
    pub n_workers: usize,
}

/// Workers before a shared queue. See the module's documentation.
///
/// Dropping it fails what waits with [`Failure::Died`](crate::Failure::Died), asks running batches
/// to end, and joins its threads. A worker that is stuck, or does not come back within
/// `stuck_after`, is left behind: no system lets it be ended.
pub struct Engine {
    shared: Arc<Shared>,
    threads: Arc<Threads>,
    watchdog: Option<(Sender<()>, JoinHandle<()>)>,
    stuck_after: Duration,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine({:?})", self.load())
    }
}

/// What it takes to start a worker.
struct Threads {
    make_runner: Box<MakeRunner>,
    running: Mutex<Vec<(PostIdx, JoinHandle<()>)>>,
}

impl Engine {
    /// Makes two runners for each worker, one after another on this thread, and starts them: the
    /// second runs short work while the first one's long text is interrupted.
    ///
    /// `make_runner` is kept: it makes another after a panic, on the worker's thread.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub fn start(
        config: BatchingConfig,
        observer: Arc<dyn Observer>,
        make_runner: impl Fn(usize) -> Result<Box<dyn Runner>, BoxError> + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let settings = [
            ("n_workers", config.n_workers == 0),
            ("n_labels", config.n_labels == 0),
            ("stuck_after", config.stuck_after.is_zero()),
        ];
        if let Some((name, _)) = settings.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(StartError::Zero(name));
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(StartError::NoRandomness)?;
        let runners = (0..config.n_workers)
            .map(|worker_idx| {
                let make = || make_runner(worker_idx);
                let runners = make().and_then(|own| Ok([own, make()?]));
                runners.map_err(|source| StartError::Runner { worker_idx, source })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut engine = Self {
            shared: Arc::new(Shared::new(config, secret, observer)),
            threads: Arc::new(Threads {
                make_runner: Box::new(make_runner),
                running: Mutex::default(),
            }),
            watchdog: None,
            stuck_after: config.stuck_after,
        };
        engine.start_threads(runners)?;
        Ok(engine)
    }

    /// Takes sequences to score. Never blocks; costs a hash of the ids and a short lock.
    ///
    /// The same sequence of the same tenant that is in flight is not queued again. Across tenants
    /// nothing is shared, so that nobody can tell by the clock what another one asks.
    /// With no worker left the ticket is at once [`Failure::Died`](crate::Failure::Died).
    ///
    /// # Errors
    /// [`Shed`] when the sequences are refused at the door, all of them.
    pub fn submit(
        &self,
        sequences: Vec<Sequence>,
        class: Class,
        tenant: u64,
        deadline: Deadline,
    ) -> Result<Ticket, Shed> {
        let terms = Terms {
            class,
            tenant,
            deadline,
        };
        self.shared.submit(sequences, terms, false)
    }

    /// [`Self::submit`] of what [`Self::check`] passed a moment ago, on the same terms: what came
    /// in meanwhile does not turn it away unless it is long or there is no room. So of two texts
    /// that were let through together the short one is not preferred for being made ready sooner.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_checked(&self, sequences: Vec<Sequence>, pass: Pass) -> Result<Ticket, Shed> {
        let (terms, is_fresh) = pass.take();
        self.shared.submit(sequences, terms, is_fresh)
    }

    /// Whether one more short sequence would be let in now, to be asked before work is spent on
    /// making it. Costs a short lock; a refusal is counted.
    ///
    /// # Errors
    /// [`Shed`], as [`Self::submit`] would.
    pub fn check(&self, class: Class, tenant: u64, deadline: Deadline) -> Result<Pass, Shed> {
        let terms = Terms {
            class,
            tenant,
            deadline,
        };
        self.shared.check(terms)?;
        Ok(Pass {
            terms,
            is_fresh: true,
        })
    }

    /// What it holds now.
    #[must_use]
    pub fn load(&self) -> EngineLoad {
        let desk = self.shared.desk();
        EngineLoad {
            n_waiting: desk.n_waiting(),
            n_in_flight: desk.n_in_flight(),
            n_workers: desk.crew.n_able(),
        }
    }

    fn start_threads(&mut self, runners: Vec<Runners>) -> Result<(), StartError> {
        let posts = self.shared.desk().crew.posts();
        for (worker_idx, (post, runners)) in posts.zip(runners).enumerate() {
            start_worker(&self.threads, &self.shared, post, Some(runners))
                .map_err(|source| StartError::Thread { worker_idx, source })?;
        }
        let (stop, stopped) = channel();
        let (threads, shared) = (Arc::clone(&self.threads), Arc::clone(&self.shared));
        let period = self.stuck_after / LOOKS;
        let look = move || {
            while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                watch(&threads, &shared, Instant::now());
            }
        };
        let builder = std::thread::Builder::new().name("portcullis-watchdog".to_owned());
        let thread = builder.spawn(look).map_err(|source| StartError::Thread {
            worker_idx: 0,
            source,
        })?;
        self.watchdog = Some((stop, thread));
        Ok(())
    }

    /// What the watchdog does, at a time that is passed in.
    #[cfg(test)]
    pub(super) fn watch(&self, now: Instant) {
        watch(&self.threads, &self.shared, now);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some((stop, thread)) = self.watchdog.take() {
            drop(stop);
            drop(thread.join());
        }
        self.threads.abandon_unstarted(&self.shared);
        self.shared.wait_for_workers(self.stuck_after);
        for (post, thread) in self.threads.take() {
            if self.shared.desk().crew.is_gone(post) {
                // a thread that panicked has left its post and has nothing more to say
                drop(thread.join());
            } else {
                self.shared.observer().worker(WorkerEvent::Abandoned);
            }
        }
    }
}

/// Gives up workers that are stuck and starts others in their places.
fn watch(threads: &Arc<Threads>, shared: &Arc<Shared>, now: Instant) {
    for post in shared.watch(now).to_start {
        let event = match start_worker(threads, shared, post, None) {
            Ok(()) => WorkerEvent::Replaced,
            Err(_) => WorkerEvent::Retired,
        };
        shared.observer().worker(event);
    }
}

/// Starts the thread of a post; when there is none to be had the post is left.
fn start_worker(
    threads: &Arc<Threads>,
    shared: &Arc<Shared>,
    post: PostIdx,
    runners: Option<Runners>,
) -> std::io::Result<()> {
    let worker_idx = shared.desk().crew.worker_idx(post);
    let builder = std::thread::Builder::new().name(format!("portcullis-worker-{worker_idx}"));
    let (own_threads, own_shared) = (Arc::clone(threads), Arc::clone(shared));
    let started = builder.spawn(move || {
        Worker::new(&own_shared, &*own_threads.make_runner, post, runners).work();
    });
    match started {
        Ok(thread) => {
            threads.lock().push((post, thread));
            Ok(())
        }
        Err(error) => {
            shared.leave(post);
            Err(error)
        }
    }
}

impl Threads {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(PostIdx, JoinHandle<()>)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<(PostIdx, JoinHandle<()>)> {
        std::mem::take(&mut *self.lock())
    }

    /// Posts whose threads were never started, when the engine's start failed half way.
    fn abandon_unstarted(&self, shared: &Shared) {
        let started: Vec<_> = self.lock().iter().map(|(post, _)| *post).collect();
        let posts = shared.desk().crew.posts();
        for post in posts.filter(|post| !started.contains(post)) {
            shared.leave(post);
        }
    }
}
