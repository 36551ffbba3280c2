//! Every order in which threads can meet, tried by loom on small models of the engine.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p portcullis-classifiers --lib batching::loom`, under a
//! minute. A ticket that never ends, or a wake-up that is lost, shows as a deadlock.

use super::batch::{Runner, Sequence};
use super::config::BatchingConfig;
use super::queue::Terms;
use super::shared::Shared;
use super::throughput::BatchSize;
use super::ticket::Ticket;
use super::worker::{MakeRunner, Worker};
use crate::{Class, Failure};
use loom::future::block_on;
use loom::thread;
use portcullis_models::Batch;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Its logit is the first id; id 13 kills it.
#[derive(Default)]
struct Echo(Vec<f32>);

impl Runner for Echo {
    fn run(&mut self, batch: &Batch, is_cancelled: &dyn Fn() -> bool) -> Result<&[f32], Failure> {
        if is_cancelled() {
            return Err(Failure::TimedOut);
        }
        let starts = &batch.cu_seqlens()[..batch.n_seqs()];
        let first = |start: &u32| batch.input_ids()[*start as usize] as f32;
        self.0.clear();
        self.0.extend(starts.iter().map(first));
        assert!(!self.0.contains(&13.0), "unlucky");
        Ok(&self.0)
    }
}

fn shared(n_workers: usize) -> Arc<Shared> {
    let config = BatchingConfig {
        // the same size whatever was measured: models must not depend on the clock
        batch: BatchSize {
            time: Duration::from_millis(10),
            min_tokens: 4,
            max_tokens: 4,
        },
        ..BatchingConfig::new(n_workers, 1)
    };
    Arc::new(Shared::new(config, [0; 32], Arc::new(())))
}

fn start_workers(shared: &Arc<Shared>) -> Vec<thread::JoinHandle<()>> {
    let posts = shared.desk().crew.posts();
    let start = |post| {
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let none: Box<MakeRunner> = Box::new(|_| Err("there is one life".into()));
            let echo = || Box::new(Echo::default()) as Box<dyn Runner>;
            Worker::new(&shared, &*none, post, Some([echo(), echo()])).work();
        })
    };
    posts.map(start).collect()
}

fn submit(shared: &Arc<Shared>, id: u32) -> Ticket {
    submit_long(shared, id, 1)
}

/// Batches are of four tokens; what is longer may be interrupted.
fn submit_long(shared: &Arc<Shared>, id: u32, n_tokens: usize) -> Ticket {
    let terms = Terms {
        class: Class::Prompt,
        tenant: 0,
        deadline: Instant::now() + Duration::from_secs(3600),
    };
    let sequences = Sequence::new(vec![id; n_tokens]).into_iter().collect();
    shared.submit(sequences, terms, false).unwrap()
}

fn logit(ticket: Ticket) -> Result<f32, Failure> {
    block_on(ticket).map(|logits| logits.rows().next().unwrap()[0])
}

fn end(shared: &Arc<Shared>, workers: Vec<thread::JoinHandle<()>>) {
    shared.stop();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(shared.desk().n_in_flight(), 0, "nothing is left behind");
    assert_eq!(shared.desk().crew.running_tokens(), 0);
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn two_callers_are_answered_by_one_worker() {
    check(|| {
        let shared = shared(1);
        let workers = start_workers(&shared);
        let own = Arc::clone(&shared);
        let other = thread::spawn(move || assert_eq!(logit(submit(&own, 2)), Ok(2.0)));
        assert_eq!(logit(submit(&shared, 1)), Ok(1.0));
        other.join().unwrap();
        end(&shared, workers);
    });
}

#[test]
fn two_workers_answer_every_sequence_of_an_order() {
    check(|| {
        let shared = shared(2);
        let workers = start_workers(&shared);
        let (one, two) = (submit(&shared, 1), submit(&shared, 2));
        assert_eq!((logit(one), logit(two)), (Ok(1.0), Ok(2.0)));
        end(&shared, workers);
    });
}

#[test]
fn a_dropped_ticket_leaves_nothing_and_harms_nobody() {
    check(|| {
        let shared = shared(1);
        let workers = start_workers(&shared);
        drop(submit(&shared, 1));
        assert_eq!(logit(submit(&shared, 2)), Ok(2.0));
        end(&shared, workers);
    });
}

#[test]
fn a_follower_keeps_the_work_alive_when_the_leader_is_dropped() {
    check(|| {
        let shared = shared(1);
        let workers = start_workers(&shared);
        let own = Arc::clone(&shared);
        let leader = thread::spawn(move || drop(submit(&own, 7)));
        assert_eq!(logit(submit(&shared, 7)), Ok(7.0));
        leader.join().unwrap();
        end(&shared, workers);
    });
}

#[test]
fn a_ticket_ends_when_the_engine_stops() {
    check(|| {
        let shared = shared(1);
        let workers = start_workers(&shared);
        let own = Arc::clone(&shared);
        let stopper = thread::spawn(move || own.stop());
        let answer = logit(submit(&shared, 1));
        assert!(matches!(answer, Ok(1.0) | Err(Failure::Died)), "{answer:?}");
        stopper.join().unwrap();
        end(&shared, workers);
    });
}

#[test]
fn a_ticket_ends_when_the_last_worker_dies() {
    check(|| {
        let shared = shared(1);
        let workers = start_workers(&shared);
        let own = Arc::clone(&shared);
        let unlucky =
            thread::spawn(move || assert_eq!(logit(submit(&own, 13)), Err(Failure::Died)));
        let answer = logit(submit(&shared, 1));
        assert!(matches!(answer, Ok(1.0) | Err(Failure::Died)), "{answer:?}");
        unlucky.join().unwrap();
        end(&shared, workers);
    });
}

#[test]
fn a_long_text_and_the_short_one_that_may_interrupt_it_are_both_answered() {
    check(|| {
        let shared = shared(1);
        let workers = start_workers(&shared);
        let own = Arc::clone(&shared);
        let short = thread::spawn(move || assert_eq!(logit(submit(&own, 2)), Ok(2.0)));
        assert_eq!(logit(submit_long(&shared, 1, 6)), Ok(1.0));
        short.join().unwrap();
        end(&shared, workers);
    });
}

#[test]
fn a_short_text_that_kills_the_second_runner_ends_all_tickets() {
    check(|| {
        let shared = shared(1);
        let workers = start_workers(&shared);
        let own = Arc::clone(&shared);
        let unlucky =
            thread::spawn(move || assert_eq!(logit(submit(&own, 13)), Err(Failure::Died)));
        let answer = logit(submit_long(&shared, 1, 6));
        assert!(matches!(answer, Ok(1.0) | Err(Failure::Died)), "{answer:?}");
        unlucky.join().unwrap();
        end(&shared, workers);
    });
}
