//! A day of the queue in virtual time: workers that take what is waiting, at a known speed.

use super::*;
use crate::batching::throughput::{BatchSize, Throughput};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

const SIZE: BatchSize = BatchSize {
    time: Duration::from_millis(10),
    min_tokens: 64,
    max_tokens: 16_384,
};
const LIMITS: QueueLimits = QueueLimits {
    max_items: 1 << 16,
    max_tokens: 1 << 20,
    turn_tokens: 512,
};

/// What the workers can do.
#[derive(Clone, Copy)]
struct Crew {
    n_workers: usize,
    /// Of one worker.
    tokens_per_second: f64,
    /// The cost of a batch besides its tokens.
    per_batch: Duration,
}

impl Crew {
    fn busy(self, n_tokens: usize) -> Duration {
        self.per_batch + Duration::from_secs_f64(n_tokens as f64 / self.tokens_per_second)
    }

    /// Tokens per second of all workers with batches of the right size.
    fn peak(self) -> f64 {
        let useful = (SIZE.time - self.per_batch).as_secs_f64() / SIZE.time.as_secs_f64();
        self.n_workers as f64 * self.tokens_per_second * useful
    }
}

/// Who sends what.
#[derive(Clone, Copy)]
struct Source {
    tenant: u64,
    class: Class,
    /// Share of the peak that it offers.
    load: f64,
    /// Deadlines, evenly between these milliseconds.
    millis: (u64, u64),
}

#[derive(Default)]
struct Seen {
    offered_tokens: usize,
    /// Answered before their deadlines.
    good_tokens: usize,
    /// Of these, answered while work still came.
    good_tokens_meanwhile: usize,
    n_good: usize,
    n_shed: usize,
    n_expired: usize,
    n_offered: usize,
    waits: Vec<Duration>,
}

struct Dice(u64);

impl Dice {
    /// Evenly in (0, 1].
    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + (self.roll() * (most - least) as f64) as u64
    }
}

#[derive(Clone, Copy)]
struct Arrival {
    at: Instant,
    source_idx: usize,
    n_tokens: usize,
    deadline: Instant,
}

/// Independent arrivals of texts of 16 to 256 tokens for `seconds`, in order of time.
fn arrivals(crew: Crew, sources: &[Source], start: Instant, seconds: u64) -> Vec<Arrival> {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut all = Vec::new();
    for (source_idx, source) in sources.iter().enumerate() {
        let per_second = source.load * crew.peak() / 136.0;
        let mut at = start;
        loop {
            at += Duration::from_secs_f64(-dice.roll().ln() / per_second);
            if start + Duration::from_secs(seconds) < at {
                break;
            }
            let within = Duration::from_millis(dice.between(source.millis.0, source.millis.1));
            all.push(Arrival {
                at,
                source_idx,
                n_tokens: dice.between(16, 256) as usize,
                deadline: at + within,
            });
        }
    }
    all.sort_by_key(|arrival| arrival.at);
    all
}

struct Run {
    crew: Crew,
    queue: Queue,
    throughput: Throughput,
    n_free: usize,
    running_tokens: usize,
    /// When each running batch ends, with its size and length.
    ends: BinaryHeap<Reverse<(Instant, usize, Duration)>>,
    arrivals: Vec<Arrival>,
    last_arrival: Instant,
    seen: Vec<Seen>,
}

/// Runs the queue and gives what was seen of each source.
fn simulate(crew: Crew, sources: &[Source], seconds: u64) -> Vec<Seen> {
    let start = Instant::now();
    let mut run = Run {
        crew,
        queue: Queue::new(LIMITS),
        throughput: Throughput::default(),
        n_free: crew.n_workers,
        running_tokens: 0,
        ends: BinaryHeap::new(),
        arrivals: arrivals(crew, sources, start, seconds),
        last_arrival: start + Duration::from_secs(seconds),
        seen: sources.iter().map(|_| Seen::default()).collect(),
    };
    for (arrival_idx, arrival) in run.arrivals.clone().into_iter().enumerate() {
        run.until(arrival.at);
        run.offer(arrival_idx, sources[arrival.source_idx]);
        run.start_batches(arrival.at);
    }
    run.until(start + Duration::from_secs(seconds + 100));
    assert_eq!(run.queue.n_items(), 0, "everything came to an end");
    run.seen
}

impl Run {
    fn until(&mut self, now: Instant) {
        while let Some(Reverse((end, n_tokens, busy))) = self.ends.peek().copied() {
            if now < end {
                break;
            }
            self.ends.pop();
            self.throughput.observe(n_tokens, busy);
            self.running_tokens -= n_tokens;
            self.n_free += 1;
            self.start_batches(end);
        }
    }

    fn offer(&mut self, arrival_idx: usize, source: Source) {
        let arrival = self.arrivals[arrival_idx];
        let pace = Pace {
            tokens_per_second: self
                .throughput
                .tokens_per_second()
                .map(|rate| rate * self.crew.n_workers as f64),
            running_tokens: self.running_tokens,
            batch_tokens: self.throughput.batch_tokens(&SIZE),
        };
        let terms = Terms {
            class: source.class,
            tenant: source.tenant,
            deadline: arrival.deadline,
        };
        let part = (ItemId(arrival_idx as u64), arrival.n_tokens);
        let taken = self.queue.offer(terms, &[part], pace, arrival.at);
        let seen = &mut self.seen[arrival.source_idx];
        seen.n_offered += 1;
        seen.offered_tokens += arrival.n_tokens;
        seen.n_shed += usize::from(taken.is_err());
    }

    fn start_batches(&mut self, now: Instant) {
        while 0 < self.n_free {
            let budget = self.throughput.batch_tokens(&SIZE);
            let Taken { batch, expired } = self.queue.take(budget, now);
            for item in &expired {
                let arrival = self.arrivals[item.id.0 as usize];
                self.seen[arrival.source_idx].n_expired += 1;
            }
            if batch.is_empty() {
                break;
            }
            let n_tokens = batch.iter().map(|item| item.n_tokens).sum();
            let busy = self.crew.busy(n_tokens);
            for item in &batch {
                let arrival = self.arrivals[item.id.0 as usize];
                let seen = &mut self.seen[arrival.source_idx];
                seen.waits.push(now - arrival.at);
                if now + busy <= arrival.deadline {
                    seen.n_good += 1;
                    seen.good_tokens += item.n_tokens;
                    let meanwhile = usize::from(now + busy <= self.last_arrival);
                    seen.good_tokens_meanwhile += meanwhile * item.n_tokens;
                }
            }
            self.n_free -= 1;
            self.running_tokens += n_tokens;
            self.ends.push(Reverse((now + busy, n_tokens, busy)));
        }
    }
}

const CREWS: [Crew; 3] = [
    Crew {
        n_workers: 1,
        tokens_per_second: 50_000.0,
        per_batch: Duration::ZERO,
    },
    Crew {
        n_workers: 2,
        tokens_per_second: 20_000.0,
        per_batch: Duration::from_millis(1),
    },
    Crew {
        n_workers: 8,
        tokens_per_second: 100_000.0,
        per_batch: Duration::from_micros(500),
    },
];

fn prompts(tenant: u64, load: f64) -> Source {
    Source {
        tenant,
        class: Class::Prompt,
        load,
        millis: (100, 1000),
    }
}

/// Ten times what the workers can do: tokens answered in time are at least nine tenths of the peak,
/// and nearly all prompts and streams that are not answered are told so at the door.
fn check_overload(sources: &[Source]) {
    for crew in CREWS {
        let seen = simulate(crew, sources, 5);
        let good = share_of_peak(crew, &seen);
        let (mut n_offered, mut n_expired) = (0, 0);
        for (source, seen) in sources.iter().zip(&seen) {
            if source.class != Class::Bulk {
                n_offered += seen.n_offered;
                n_expired += seen.n_expired;
            }
        }
        println!("goodput {good:.3} of the peak, {n_expired} of {n_offered} expired");
        assert!((0.9..=1.0).contains(&good), "goodput {good}");
        assert!(n_expired * 50 <= n_offered, "{n_expired} of {n_offered}");
    }
}

fn share_of_peak(crew: Crew, seen: &[Seen]) -> f64 {
    let good: usize = seen.iter().map(|seen| seen.good_tokens_meanwhile).sum();
    good as f64 / 5.0 / crew.peak()
}

#[test]
fn ten_times_the_load_of_one_tenant_keeps_the_goodput() {
    check_overload(&[prompts(0, 10.0)]);
}

#[test]
fn ten_times_the_load_of_many_tenants_and_classes_keeps_the_goodput() {
    let mut sources: Vec<_> = (0..20).map(|tenant| prompts(tenant, 0.3)).collect();
    sources.push(Source {
        class: Class::Stream,
        millis: (50, 200),
        ..prompts(3, 0.5)
    });
    sources.push(Source {
        class: Class::Bulk,
        millis: (1000, 60_000),
        ..prompts(4, 3.5)
    });
    check_overload(&sources);
}

#[test]
fn long_texts_are_let_in_as_readily_as_short_ones() {
    for crew in CREWS {
        let even = Source {
            millis: (500, 501),
            ..prompts(0, 10.0)
        };
        let seen = &simulate(crew, &[even], 5)[0];
        let mean = |n_tokens: usize, n: usize| n_tokens as f64 / n as f64;
        let offered = mean(seen.offered_tokens, seen.n_offered);
        let answered = mean(seen.good_tokens, seen.n_good);
        println!("mean length offered {offered:.1}, answered {answered:.1}");
        assert!(0.95 * offered < answered, "{answered} of {offered}");
    }
}

#[test]
fn at_a_third_of_the_load_the_wait_is_within_a_batch() {
    for crew in CREWS {
        let mut seen = simulate(crew, &[prompts(0, 0.2), prompts(1, 0.1)], 60);
        let mut waits: Vec<_> = seen
            .iter_mut()
            .flat_map(|seen| seen.waits.drain(..))
            .collect();
        waits.sort_unstable();
        let p99 = waits[waits.len() * 99 / 100];
        println!("p99 of the wait: {p99:?}");
        assert!(p99 <= SIZE.time, "{p99:?}");
        assert!(seen.iter().all(|seen| seen.n_shed + seen.n_expired == 0));
    }
}

#[test]
fn a_tenant_within_its_share_does_not_notice_anothers_flood() {
    for crew in CREWS {
        let seen = simulate(
            crew,
            &[prompts(0, 10.0), prompts(1, 0.3), prompts(2, 0.2)],
            5,
        );
        for quiet in &seen[1..] {
            let answered = quiet.good_tokens as f64 / quiet.offered_tokens as f64;
            println!("{answered:.3} of a quiet tenant's work done in time");
            assert!(0.99 < answered, "{answered}");
        }
    }
}

#[test]
fn bulk_gets_its_small_share_under_a_flood_of_streams() {
    for crew in CREWS {
        let streams = Source {
            class: Class::Stream,
            ..prompts(0, 10.0)
        };
        let bulk = Source {
            class: Class::Bulk,
            millis: (60_000, 60_001),
            ..prompts(0, 2.0)
        };
        let seen = simulate(crew, &[streams, bulk], 5);
        let [of_streams, of_bulk] = [0, 1].map(|idx| share_of_peak(crew, &seen[idx..=idx]));
        println!(
            "streams {of_streams:.3}, bulk {of_bulk:.3} of the peak; {} of {} bulk shed, {} expired",
            seen[1].n_shed, seen[1].n_offered, seen[1].n_expired
        );
        assert!((0.05..0.07).contains(&of_bulk), "bulk {of_bulk}");
        assert!(0.88 < of_streams, "streams {of_streams}");
    }
}
