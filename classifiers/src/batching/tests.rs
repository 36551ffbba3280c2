//! The engine with real threads. Models wait at gates, never for time.

use super::*;
use crate::{Class, Failure, Shed};
use portcullis_models::Batch;
use queue::QueueLimits;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// First ids that make the model do something.
const PANIC: u32 = 1_000_001;
const FAIL: u32 = 1_000_002;
const NAN: u32 = 1_000_003;

/// Logits are the first id and the length. Every batch is reported, and waits at the gate if there
/// is one, until it is opened or the batch cancelled.
struct Model {
    logits: Vec<f32>,
    stage: Arc<Stage>,
}

/// What a test sees of its models and how it holds them.
#[derive(Default)]
struct Stage {
    batches: Mutex<Vec<Vec<u32>>>,
    began: Mutex<Option<Sender<Vec<u32>>>>,
    gate: Mutex<Option<Receiver<Open>>>,
    n_made: AtomicUsize,
    events: Mutex<Vec<WorkerEvent>>,
    has_events: Condvar,
    failures: Mutex<Vec<Failure>>,
    sheds: Mutex<Vec<Shed>>,
    waits: Mutex<Vec<Class>>,
    seen: Mutex<Vec<BatchSeen>>,
    n_joined: AtomicUsize,
}

/// How a gate opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Pass,
    /// Ask whether the batch is cancelled, and stop if it is.
    Ask,
}

impl Runner for Model {
    fn run(&mut self, batch: &Batch, is_cancelled: &dyn Fn() -> bool) -> Result<&[f32], Failure> {
        let bounds = batch.cu_seqlens().windows(2);
        let sequences =
            bounds.map(|bound| &batch.input_ids()[bound[0] as usize..bound[1] as usize]);
        let firsts: Vec<u32> = sequences.clone().map(|ids| ids[0]).collect();
        self.stage.batches.lock().unwrap().push(firsts.clone());
        if let Some(began) = &*self.stage.began.lock().unwrap() {
            began.send(firsts.clone()).unwrap();
        }
        let gate = self.stage.gate.lock().unwrap();
        let opened = gate.as_ref().map(|gate| gate.recv());
        drop(gate);
        if opened == Some(Ok(Open::Ask)) && is_cancelled() {
            return Err(Failure::TimedOut);
        }
        assert!(!firsts.contains(&PANIC), "told to");
        if firsts.contains(&FAIL) {
            return Err(Failure::NonFinite);
        }
        self.logits.clear();
        for ids in sequences {
            let first = if ids[0] == NAN {
                f32::NAN
            } else {
                ids[0] as f32
            };
            self.logits.extend([first, ids.len() as f32]);
        }
        Ok(&self.logits)
    }
}

/// Says by its logits whether it had the machine to itself, and whether it still has at the end.
struct Shares([f32; 2], Arc<Stage>);

impl Shares {
    /// Tells that it runs, and whether alone, and waits at the gate; the second one waits for the
    /// first.
    fn wait(&self, is_alone: bool) {
        let gate = self.1.gate.lock().unwrap();
        if let Some(began) = &*self.1.began.lock().unwrap() {
            began.send(vec![u32::from(is_alone)]).unwrap();
        }
        let opened = gate.as_ref().map(|gate| gate.recv());
        assert!(opened.is_none_or(|opened| opened.is_ok()));
    }
}

impl Runner for Shares {
    fn run(&mut self, _: &Batch, _: &dyn Fn() -> bool) -> Result<&[f32], Failure> {
        self.wait(false);
        self.0 = [0.0, 0.0];
        Ok(&self.0)
    }

    fn run_alone(
        &mut self,
        _: &Batch,
        _: &dyn Fn() -> bool,
        is_alone: &dyn Fn() -> bool,
    ) -> Result<&[f32], Failure> {
        let before = is_alone();
        self.wait(before);
        self.0 = [before, is_alone()].map(|alone| f32::from(u8::from(alone)));
        Ok(&self.0)
    }
}

impl Observer for Stage {
    fn batch(&self, batch: BatchSeen) {
        self.seen.lock().unwrap().push(batch);
    }
    fn queue_wait(&self, class: Class, _: Duration) {
        self.waits.lock().unwrap().push(class);
    }
    fn shed(&self, reason: Shed) {
        self.sheds.lock().unwrap().push(reason);
    }
    fn failure(&self, failure: Failure) {
        self.failures.lock().unwrap().push(failure);
    }
    fn joined(&self, n_sequences: usize) {
        self.n_joined.fetch_add(n_sequences, Ordering::Relaxed);
    }
    fn worker(&self, event: WorkerEvent) {
        self.events.lock().unwrap().push(event);
        self.has_events.notify_all();
    }
}

impl Stage {
    fn events(&self) -> Vec<WorkerEvent> {
        self.events.lock().unwrap().clone()
    }

    fn wait_for(&self, event: WorkerEvent) {
        let events = self.events.lock().unwrap();
        let is_missing = |events: &mut Vec<_>| !events.contains(&event);
        drop(self.has_events.wait_while(events, is_missing).unwrap());
    }

    fn batches(&self) -> Vec<Vec<u32>> {
        self.batches.lock().unwrap().clone()
    }

    /// From now on batches wait; gives what opens the gate and what tells of batches.
    fn hold(&self) -> (Sender<Open>, Receiver<Vec<u32>>) {
        let (open, gate) = channel();
        let (began, batches) = channel();
        *self.gate.lock().unwrap() = Some(gate);
        *self.began.lock().unwrap() = Some(began);
        (open, batches)
    }
}

fn config(n_workers: usize) -> BatchingConfig {
    BatchingConfig {
        stuck_after: Duration::from_secs(3600),
        ..BatchingConfig::new(n_workers, 2)
    }
}

/// Models may be made so many times.
fn start_limited(config: BatchingConfig, max_made: usize) -> (Engine, Arc<Stage>) {
    let stage = Arc::new(Stage::default());
    let own = Arc::clone(&stage);
    let make = move |_| {
        if max_made <= own.n_made.fetch_add(1, Ordering::Relaxed) {
            return Err("no more models".into());
        }
        let stage = Arc::clone(&own);
        let logits = Vec::new();
        Ok(Box::new(Model { logits, stage }) as Box<dyn Runner>)
    };
    let observer: Arc<dyn Observer> = stage.clone();
    (Engine::start(config, observer, make).unwrap(), stage)
}

fn start(config: BatchingConfig) -> (Engine, Arc<Stage>) {
    start_limited(config, usize::MAX)
}

/// Later than any watch of these tests.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(36_000)
}

fn sequences(firsts: &[u32]) -> Vec<Sequence> {
    let sequence = |first: &u32| Sequence::new(vec![*first, 0, 0]).unwrap();
    firsts.iter().map(sequence).collect()
}

fn submit(engine: &Engine, firsts: &[u32]) -> Ticket {
    let submitted = engine.submit(sequences(firsts), Class::Prompt, 0, far());
    submitted.unwrap()
}

fn firsts(ticket: Ticket) -> Result<Vec<u32>, Failure> {
    let logits = ticket.wait()?;
    assert!(logits.rows().all(|row| row[1] == 3.0), "the length of each");
    Ok(logits.rows().map(|row| row[0] as u32).collect())
}

#[test]
fn every_sequence_gets_its_own_logits_in_order_and_is_counted_once() {
    let (engine, stage) = start(config(2));
    assert_eq!(firsts(submit(&engine, &[5, 6, 7])), Ok(vec![5, 6, 7]));
    assert_eq!(firsts(submit(&engine, &[])), Ok(vec![]));
    drop(engine);
    let n_sequences: usize = stage
        .seen
        .lock()
        .unwrap()
        .iter()
        .map(|seen| seen.n_sequences)
        .sum();
    let n_tokens: usize = stage
        .seen
        .lock()
        .unwrap()
        .iter()
        .map(|seen| seen.n_tokens)
        .sum();
    assert_eq!((n_sequences, n_tokens), (3, 9));
    assert_eq!(*stage.waits.lock().unwrap(), [Class::Prompt; 3]);
}

#[test]
fn a_hundred_thousand_submissions_at_once_all_end() {
    let (engine, stage) = start(config(2));
    let counts: Vec<(usize, usize)> = std::thread::scope(|scope| {
        let submitter = |caller_idx: u32| {
            let engine = &engine;
            move || {
                let own = caller_idx * 25_000..(caller_idx + 1) * 25_000;
                let submit_one = |first| {
                    let class = [Class::Stream, Class::Prompt, Class::Bulk][first as usize % 3];
                    let ticket =
                        engine.submit(sequences(&[first]), class, u64::from(first % 7), far());
                    (first, ticket)
                };
                let tickets: Vec<_> = own.map(submit_one).collect();
                let mut counts = (0, 0);
                for (first, ticket) in tickets {
                    match ticket {
                        Ok(ticket) => {
                            assert_eq!(firsts(ticket), Ok(vec![first]));
                            counts.0 += 1;
                        }
                        Err(shed) => {
                            assert_eq!(shed, Shed::QueueFull);
                            counts.1 += 1;
                        }
                    }
                }
                counts
            }
        };
        let callers: Vec<_> = (0..4).map(|idx| scope.spawn(submitter(idx))).collect();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .collect()
    });
    let (n_scored, n_shed) = counts
        .iter()
        .fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    assert_eq!(n_scored + n_shed, 100_000);
    assert_eq!(stage.sheds.lock().unwrap().len(), n_shed);
    assert_eq!(engine.load().n_in_flight, 0);
    let run: Vec<u32> = stage.batches().concat();
    let different: HashSet<&u32> = run.iter().collect();
    assert_eq!(
        (run.len(), different.len()),
        (n_scored, n_scored),
        "each once"
    );
}

#[test]
fn one_poisonous_text_fails_alone_and_the_worker_goes_on() {
    for (poison, failure, n_made) in [(PANIC, Failure::Died, 4), (FAIL, Failure::NonFinite, 2)] {
        let (engine, stage) = start(config(1));
        let (open, began) = stage.hold();
        let first = submit(&engine, &[1]);
        began.recv().unwrap();
        // these wait behind the first and make one batch
        let good = [submit(&engine, &[2]), submit(&engine, &[3])];
        let bad = submit(&engine, &[poison]);
        drop(open);
        assert_eq!(firsts(first), Ok(vec![1]));
        assert_eq!(firsts(bad), Err(failure));
        assert_eq!(good.map(firsts), [Ok(vec![2]), Ok(vec![3])]);
        let expected = [vec![1], vec![2, 3, poison], vec![2], vec![3], vec![poison]];
        assert_eq!(stage.batches(), expected, "one by one, once");
        assert_eq!(firsts(submit(&engine, &[4])), Ok(vec![4]));
        assert_eq!(stage.n_made.load(Ordering::Relaxed), n_made);
        assert_eq!(*stage.failures.lock().unwrap(), [failure]);
        assert_eq!(engine.load().n_workers, 1);
    }
}

#[test]
fn the_same_poison_again_and_again_kills_nothing_else() {
    let (engine, stage) = start(config(1));
    for first in 0..50 {
        assert_eq!(firsts(submit(&engine, &[PANIC])), Err(Failure::Died));
        assert_eq!(firsts(submit(&engine, &[first])), Ok(vec![first]));
    }
    let panics = stage.events();
    assert_eq!(panics.len(), 100);
    assert!(
        panics
            .chunks(2)
            .all(|pair| pair == [WorkerEvent::Panicked, WorkerEvent::Rebuilt])
    );
}

#[test]
fn logits_that_are_not_numbers_fail_that_sequence_only() {
    let (engine, stage) = start(config(1));
    let (open, began) = stage.hold();
    let first = submit(&engine, &[1]);
    began.recv().unwrap();
    let (good, bad) = (submit(&engine, &[2]), submit(&engine, &[NAN]));
    drop(open);
    assert_eq!(firsts(first), Ok(vec![1]));
    assert_eq!(firsts(good), Ok(vec![2]));
    assert_eq!(firsts(bad), Err(Failure::NonFinite));
    assert_eq!(
        stage.batches(),
        [vec![1], vec![2, NAN]],
        "and it is not run again"
    );
}

#[test]
fn a_worker_that_cannot_be_rebuilt_retires_and_without_workers_nothing_hangs() {
    let (engine, stage) = start_limited(config(1), 2);
    let (open, began) = stage.hold();
    let bad = submit(&engine, &[PANIC]);
    began.recv().unwrap();
    let waiting = submit(&engine, &[1]);
    drop(open);
    assert_eq!(firsts(bad), Err(Failure::Died));
    assert_eq!(firsts(waiting), Err(Failure::Died));
    assert_eq!(
        firsts(submit(&engine, &[2])),
        Err(Failure::Died),
        "and at once"
    );
    assert_eq!(
        stage.events(),
        [WorkerEvent::Panicked, WorkerEvent::Retired]
    );
    assert_eq!(engine.load().n_workers, 0);
}

#[test]
fn a_model_that_cannot_be_made_is_an_error_of_the_start() {
    let make = |worker_idx| match worker_idx {
        0 => Ok(Box::new(Model {
            logits: Vec::new(),
            stage: Arc::default(),
        }) as Box<dyn Runner>),
        _ => Err("no second one".into()),
    };
    let error = Engine::start(config(2), Arc::new(()), make).unwrap_err();
    assert_eq!(error.to_string(), "the model of worker 1 could not be made");
    let error = Engine::start(config(0), Arc::new(()), make).unwrap_err();
    assert_eq!(error.to_string(), "`n_workers` of the batching engine is 0");
}

#[test]
fn a_ticket_dropped_while_it_waits_is_never_run() {
    let (engine, stage) = start(config(1));
    let (open, began) = stage.hold();
    let first = submit(&engine, &[1]);
    began.recv().unwrap();
    let (dropped, kept) = (submit(&engine, &[2]), submit(&engine, &[3]));
    drop(dropped);
    assert_eq!(engine.load().n_waiting, 1);
    drop(open);
    assert_eq!(firsts(first), Ok(vec![1]));
    assert_eq!(firsts(kept), Ok(vec![3]));
    assert_eq!(stage.batches(), [[1], [3]]);
}

#[test]
fn what_is_done_of_a_ticket_can_be_had_before_its_end_and_is_given_once() {
    let mut each_alone = config(1);
    (each_alone.batch.min_tokens, each_alone.batch.max_tokens) = (1, 3);
    let (engine, stage) = start(each_alone);
    let (open, began) = stage.hold();
    let ticket = submit(&engine, &[5, 6, 5]);
    began.recv().unwrap();
    assert_eq!(ticket.rows_so_far(), []);
    open.send(Open::Pass).unwrap();
    began.recv().unwrap();
    let first = vec![5.0, 3.0];
    assert_eq!(ticket.rows_so_far(), [(0, first.clone()), (2, first)]);
    drop(open);
    assert_eq!(firsts(ticket), Ok(vec![5, 6, 5]));
}

/// Two tickets run in one batch; some are dropped meanwhile. Whether the model is told to stop.
fn check_running_cancel(n_dropped: usize, expected: &[Result<Vec<u32>, Failure>]) {
    let (engine, stage) = start(config(1));
    let (open, began) = stage.hold();
    let first = submit(&engine, &[1]);
    began.recv().unwrap();
    let mut tickets = vec![submit(&engine, &[2]), submit(&engine, &[3])];
    open.send(Open::Pass).unwrap();
    assert_eq!(firsts(first), Ok(vec![1]));
    assert_eq!(began.recv(), Ok(vec![2, 3]));
    tickets.drain(..n_dropped);
    open.send(Open::Ask).unwrap();
    let answers: Vec<_> = tickets.into_iter().map(firsts).collect();
    assert_eq!(answers, expected);
    open.send(Open::Pass).unwrap();
    assert_eq!(firsts(submit(&engine, &[4])), Ok(vec![4]));
    let n_scored = stage.seen.lock().unwrap().len();
    assert_eq!(n_scored, 3 - usize::from(n_dropped == 2), "batches scored");
    assert_eq!(stage.batches().len(), 3, "nothing is run again for nobody");
}

#[test]
fn a_running_batch_is_cancelled_when_nobody_waits_for_any_of_it() {
    check_running_cancel(1, &[Ok(vec![3])]);
    check_running_cancel(2, &[]);
}

#[test]
fn identical_sequences_in_flight_are_scored_once_and_outlive_their_leader() {
    let (engine, stage) = start(config(1));
    let (open, began) = stage.hold();
    let running = submit(&engine, &[1]);
    began.recv().unwrap();
    let joins_running = submit(&engine, &[1]);
    let leader = submit(&engine, &[2]);
    let follower = submit(&engine, &[2, 3, 2, 2]);
    drop((leader, running));
    let stranger = engine
        .submit(sequences(&[2]), Class::Prompt, 1, far())
        .unwrap();
    drop(open);
    assert_eq!(firsts(joins_running), Ok(vec![1]));
    assert_eq!(firsts(follower), Ok(vec![2, 3, 2, 2]));
    assert_eq!(firsts(stranger), Ok(vec![2]));
    let mut run = stage.batches().concat();
    run.sort_unstable();
    assert_eq!(run, [1, 2, 2, 3], "once for each tenant");
    assert_eq!(stage.n_joined.load(Ordering::Relaxed), 2);
}

#[test]
fn what_nobody_wants_any_more_is_not_joined() {
    let (engine, stage) = start(config(1));
    let (open, began) = stage.hold();
    drop_running(&engine, &began);
    let late = submit(&engine, &[1]);
    open.send(Open::Ask).unwrap();
    open.send(Open::Pass).unwrap();
    assert_eq!(
        firsts(late),
        Ok(vec![1]),
        "run anew, not failed with the cancelled"
    );
    assert_eq!(stage.batches(), [[1], [1]]);
}

fn drop_running(engine: &Engine, began: &Receiver<Vec<u32>>) {
    let ticket = submit(engine, &[1]);
    assert_eq!(began.recv(), Ok(vec![1]));
    drop(ticket);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_ends_at_its_deadline_though_the_worker_hangs() {
    let (engine, stage) = start(config(1));
    let (open, began) = stage.hold();
    let ticket = submit(&engine, &[1]);
    began.recv().unwrap();
    // virtual time runs to the deadline as soon as nothing else is to be done
    assert_eq!(ticket.await, Err(Failure::TimedOut));
    assert_eq!(*stage.failures.lock().unwrap(), [Failure::TimedOut]);
    drop(open);
    assert_eq!(firsts(submit(&engine, &[2])), Ok(vec![2]));
}

#[test]
fn a_ticket_that_is_waited_for_on_a_thread_ends_at_its_deadline() {
    let (engine, stage) = start(config(1));
    let (open, began) = stage.hold();
    let soon = Instant::now() + Duration::from_millis(1);
    let holding = submit(&engine, &[1]);
    began.recv().unwrap();
    let late = engine.submit(sequences(&[2]), Class::Prompt, 0, Instant::now());
    assert_eq!(late.unwrap_err(), Shed::Late);
    // by now the deadline may have passed: then it is shed, which is as good
    if let Ok(ticket) = engine.submit(sequences(&[2]), Class::Prompt, 0, soon) {
        assert_eq!(firsts(ticket), Err(Failure::TimedOut));
    }
    drop(open);
    assert_eq!(firsts(holding), Ok(vec![1]));
}

#[test]
fn a_stuck_worker_is_replaced_and_its_batch_given_up() {
    let config = BatchingConfig {
        max_replacements: 1,
        ..config(1)
    };
    let (engine, stage) = start(config);
    let (open, began) = stage.hold();
    let stuck = submit(&engine, &[1]);
    began.recv().unwrap();
    let now = Instant::now();
    engine.watch(now);
    assert_eq!(stage.events(), [], "it has time left");
    engine.watch(now + 2 * config.stuck_after);
    assert_eq!(firsts(stuck), Err(Failure::TimedOut));
    assert_eq!(stage.events(), [WorkerEvent::Stuck, WorkerEvent::Replaced]);
    drop(open);
    assert_eq!(
        firsts(submit(&engine, &[1])),
        Ok(vec![1]),
        "not joined to the stuck one"
    );
    assert_eq!(
        engine.load(),
        EngineLoad {
            n_waiting: 0,
            n_in_flight: 0,
            n_workers: 1
        }
    );
}

#[test]
fn a_stuck_worker_without_replacement_returns_and_goes_on() {
    let config = BatchingConfig {
        max_replacements: 0,
        ..config(1)
    };
    let (engine, stage) = start(config);
    let (open, began) = stage.hold();
    let stuck = submit(&engine, &[1]);
    began.recv().unwrap();
    let waiting = submit(&engine, &[2]);
    engine.watch(Instant::now() + 2 * config.stuck_after);
    assert_eq!(firsts(stuck), Err(Failure::TimedOut));
    assert_eq!(
        firsts(waiting),
        Err(Failure::Died),
        "nobody is left to run it"
    );
    assert_eq!(firsts(submit(&engine, &[3])), Err(Failure::Died));
    drop(open);
    stage.wait_for(WorkerEvent::Returned);
    assert_eq!(firsts(submit(&engine, &[4])), Ok(vec![4]));
}

#[test]
fn dropping_the_engine_ends_every_ticket_and_joins_its_threads() {
    let (engine, stage) = start(config(1));
    let (open, began) = stage.hold();
    let running = submit(&engine, &[1]);
    began.recv().unwrap();
    let waiting = submit(&engine, &[2]);
    // the model asks only once the engine is stopping
    let opener = std::thread::spawn(move || {
        let failed = firsts(waiting);
        open.send(Open::Ask).unwrap();
        failed
    });
    drop(engine);
    assert_eq!(opener.join().unwrap(), Err(Failure::Died));
    assert_eq!(firsts(running), Err(Failure::Died));
    assert_eq!(Arc::strong_count(&stage), 1, "every thread has let go");
    assert_eq!(stage.events(), []);
}

#[test]
fn a_full_queue_sheds_the_newcomer_and_keeps_the_rest() {
    let config = BatchingConfig {
        queue: QueueLimits {
            max_items: 16,
            max_tokens: 1000,
            turn_tokens: 64,
        },
        ..config(1)
    };
    let (engine, stage) = start(config);
    let (open, began) = stage.hold();
    let first = submit(&engine, &[0]);
    began.recv().unwrap();
    let mut tickets = Vec::new();
    let shed = loop {
        let next = tickets.len() as u32 + 1;
        match engine.submit(sequences(&[next]), Class::Prompt, 0, far()) {
            Ok(ticket) => tickets.push(ticket),
            Err(shed) => break shed,
        }
    };
    assert_eq!(shed, Shed::QueueFull);
    assert_eq!(tickets.len(), 11, "of 16, less what is kept for others");
    let joined = submit(&engine, &[1]);
    drop(open);
    assert_eq!(firsts(first), Ok(vec![0]));
    let answers: Vec<_> = tickets.into_iter().map(firsts).collect();
    let expected: Vec<_> = (1..=11).map(|first| Ok(vec![first])).collect();
    assert_eq!(answers, expected);
    assert_eq!(
        firsts(joined),
        Ok(vec![1]),
        "what is in flight needs no room"
    );
}

/// Batches of four tokens, so that a longer text may be interrupted, and one such text at the gate.
fn hold_long(deadline: Instant) -> (Engine, Arc<Stage>, Sender<Open>, Receiver<Vec<u32>>, Ticket) {
    let config = BatchingConfig {
        batch: throughput::BatchSize {
            time: Duration::from_millis(10),
            min_tokens: 4,
            max_tokens: 4,
        },
        ..config(1)
    };
    let (engine, stage) = start(config);
    let (open, began) = stage.hold();
    let long = Sequence::new(vec![1, 0, 0, 0, 0, 0, 0]).unwrap();
    let long = engine.submit(vec![long], Class::Prompt, 0, deadline);
    began.recv().unwrap();
    (engine, stage, open, began, long.unwrap())
}

/// How many tokens each batch had, in the order they ended.
fn ends(stage: &Stage) -> Vec<usize> {
    let seen = stage.seen.lock().unwrap();
    seen.iter().map(|seen| seen.n_tokens).collect()
}

#[test]
fn short_texts_go_before_a_long_one_between_its_layers_up_to_its_own_length() {
    let (engine, stage, open, _began, long) = hold_long(far());
    let short: Vec<_> = [2, 3, 4].map(|first| submit(&engine, &[first])).into();
    open.send(Open::Ask).unwrap();
    drop(open);
    let answers: Vec<_> = short.into_iter().map(firsts).collect();
    assert_eq!(answers, [Ok(vec![2]), Ok(vec![3]), Ok(vec![4])]);
    assert_eq!(long.wait().unwrap().rows().next().unwrap(), [1.0, 7.0]);
    assert_eq!(ends(&stage), [3, 3, 7, 3]);
    assert_eq!(engine.load().n_in_flight, 0);
}

#[test]
fn a_less_urgent_or_long_text_waits_for_the_long_one() {
    let (engine, stage, open, _began, long) = hold_long(far());
    let bulk = engine.submit(sequences(&[2]), Class::Bulk, 0, far());
    open.send(Open::Ask).unwrap();
    drop(open);
    assert!(long.wait().is_ok());
    assert_eq!(firsts(bulk.unwrap()), Ok(vec![2]));
    assert_eq!(ends(&stage), [7, 3]);
}

#[test]
fn a_short_text_that_panics_costs_the_long_one_nothing() {
    let (engine, stage, open, _began, long) = hold_long(far());
    let bad = submit(&engine, &[PANIC]);
    open.send(Open::Ask).unwrap();
    drop(open);
    assert_eq!(firsts(bad), Err(Failure::Died));
    assert_eq!(long.wait().unwrap().rows().next().unwrap(), [1.0, 7.0]);
    assert_eq!(stage.batches(), [vec![1], vec![PANIC]]);
    assert_eq!(firsts(submit(&engine, &[2])), Ok(vec![2]));
}

#[test]
fn a_worker_stuck_in_what_interrupts_loses_both_and_returns() {
    let (engine, stage, open, began, long) = hold_long(far());
    let short = submit(&engine, &[2]);
    open.send(Open::Ask).unwrap();
    assert_eq!(began.recv(), Ok(vec![2]));
    engine.watch(Instant::now() + 2 * config(1).stuck_after);
    assert_eq!(firsts(short), Err(Failure::TimedOut));
    assert_eq!(long.wait(), Err(Failure::TimedOut));
    assert_eq!(stage.events(), [WorkerEvent::Stuck, WorkerEvent::Replaced]);
    drop(open);
    assert_eq!(firsts(submit(&engine, &[3])), Ok(vec![3]));
    assert_eq!(engine.load().n_workers, 1);
}

#[test]
fn a_text_alone_has_the_other_cores_until_another_comes() {
    let stage = Arc::new(Stage::default());
    let start = |n_workers| {
        let own = Arc::clone(&stage);
        let make = move |_| Ok(Box::new(Shares([0.0; 2], Arc::clone(&own))) as Box<dyn Runner>);
        Engine::start(config(n_workers), Arc::new(()), make).unwrap()
    };
    let ask = |engine: &Engine, n_tokens: usize| {
        let sequence = Sequence::new(vec![7; n_tokens]).unwrap();
        let ticket = engine.submit(vec![sequence], Class::Prompt, 0, far());
        ticket.unwrap()
    };
    let row = |ticket: Ticket| ticket.wait().unwrap().rows().next().unwrap().to_vec();
    let (one, two) = (start(1), start(2));
    assert_eq!(row(ask(&one, 64)), [0.0, 0.0], "there are no others");
    // at the very start the other worker is on its way to sleep
    while row(ask(&two, 64)) != [1.0, 1.0] {}
    assert_eq!(row(ask(&two, 63)), [0.0, 0.0], "too little to share");
    let (open, began) = stage.hold();
    let alone = loop {
        let ticket = ask(&two, 64);
        if began.recv().unwrap() == [1] {
            break ticket;
        }
        // after its answer a worker goes to sleep in its own time
        open.send(Open::Pass).unwrap();
        assert_eq!(row(ticket)[0], 0.0);
    };
    let other = ask(&two, 65);
    open.send(Open::Pass).unwrap();
    assert_eq!(row(alone), [1.0, 0.0]);
    open.send(Open::Pass).unwrap();
    assert_eq!(row(other), [0.0, 0.0]);
}
