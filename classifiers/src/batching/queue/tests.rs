use super::*;
use crate::batching::throughput::Pace;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const UNMEASURED: Pace = Pace {
    tokens_per_second: None,
    running_tokens: 0,
    batch_tokens: 0,
};
const LIMITS: QueueLimits = QueueLimits {
    max_items: 1 << 12,
    max_tokens: 1 << 18,
    turn_tokens: 256,
};

fn terms(class: Class, tenant: u64, deadline: Instant) -> Terms {
    Terms {
        class,
        tenant,
        deadline,
    }
}

/// A queue, the time, and everything that waits according to a list.
struct Watched {
    queue: Queue,
    now: Instant,
    next_id: u64,
    waiting: BTreeMap<ItemId, (Item, Instant)>,
    /// Tokens that went before waiting bulk, and bulk that went before others in return.
    passed_bulk: usize,
    early_bulk: usize,
}

#[derive(Clone, Debug)]
enum Step {
    Offer {
        class: Class,
        tenant: u64,
        millis: u64,
        parts: Vec<usize>,
    },
    Take {
        budget: usize,
    },
    Cancel {
        nth: usize,
    },
    Join {
        nth: usize,
        class: Class,
        millis: u64,
    },
    Pass {
        millis: u64,
    },
}

fn class() -> impl Strategy<Value = Class> {
    prop::sample::select(CLASSES.to_vec())
}

fn step() -> impl Strategy<Value = Step> {
    let parts = prop::collection::vec(1..700_usize, 1..4);
    prop_oneof![
        6 => (class(), 0..4_u64, 0..80_u64, parts).prop_map(|(class, tenant, millis, parts)| {
            Step::Offer { class, tenant, millis, parts }
        }),
        3 => (1..1500_usize).prop_map(|budget| Step::Take { budget }),
        1 => any::<usize>().prop_map(|nth| Step::Cancel { nth }),
        1 => (any::<usize>(), class(), 0..200_u64).prop_map(|(nth, class, millis)| {
            Step::Join { nth, class, millis }
        }),
        1 => (0..30_u64).prop_map(|millis| Step::Pass { millis }),
    ]
}

impl Watched {
    fn new(limits: QueueLimits) -> Self {
        Self {
            queue: Queue::new(limits),
            now: Instant::now(),
            next_id: 0,
            waiting: BTreeMap::new(),
            passed_bulk: 0,
            early_bulk: 0,
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Offer {
                class,
                tenant,
                millis,
                parts,
            } => drop(self.offer(
                terms(class, tenant, self.now + Duration::from_millis(millis)),
                &parts,
            )),
            Step::Take { budget } => drop(self.take(budget)),
            Step::Cancel { nth } => {
                let Some(id) = self.nth(nth) else { return };
                let expected = self.waiting.remove(&id).map(|(item, _)| item);
                assert_eq!(self.queue.cancel(id), expected);
                assert_eq!(self.queue.cancel(id), None, "it is gone");
            }
            Step::Join { nth, class, millis } => {
                let Some(id) = self.nth(nth) else { return };
                let deadline = self.now + Duration::from_millis(millis);
                assert!(self.queue.join(id, class, deadline));
                let (item, expires) = self.waiting.get_mut(&id).unwrap();
                item.terms.class = item.terms.class.min(class);
                item.terms.deadline = item.terms.deadline.min(deadline);
                *expires = (*expires).max(deadline);
            }
            Step::Pass { millis } => self.now += Duration::from_millis(millis),
        }
        let n_tokens: usize = self.waiting.values().map(|(item, _)| item.n_tokens).sum();
        assert_eq!(self.queue.n_items(), self.waiting.len());
        assert_eq!(self.queue.n_tokens(), n_tokens);
    }

    fn nth(&self, nth: usize) -> Option<ItemId> {
        let n_waiting = self.waiting.len().max(1);
        self.waiting.keys().nth(nth % n_waiting).copied()
    }

    fn offer(&mut self, terms: Terms, parts: &[usize]) -> Result<(), Shed> {
        let first_id = self.next_id;
        self.next_id += parts.len() as u64;
        let parts: Vec<_> = (first_id..)
            .map(ItemId)
            .zip(parts.iter().copied())
            .collect();
        let taken = self.queue.offer(terms, &parts, UNMEASURED, self.now);
        if taken.is_ok() {
            let item = |(id, n_tokens)| Item {
                id,
                n_tokens,
                terms,
            };
            let items = parts
                .into_iter()
                .map(|part| (part.0, (item(part), terms.deadline)));
            self.waiting.extend(items);
        }
        taken
    }

    /// Takes, and holds what comes against every promise about one batch.
    fn take(&mut self, budget: usize) -> Vec<Item> {
        let Taken { batch, expired } = self.queue.take(budget, self.now);
        for item in &expired {
            let (known, expires) = self
                .waiting
                .remove(&item.id)
                .expect("expired, and not waiting");
            assert_eq!(*item, known);
            assert!(expires <= self.now, "dropped before its time");
        }
        assert!(
            self.waiting
                .values()
                .all(|(_, expires)| self.now < *expires)
        );
        let spent: usize = batch.iter().map(|item| item.n_tokens).sum();
        assert!(spent <= budget || batch.len() == 1, "over the budget");
        assert!(
            !batch.is_empty() || self.waiting.is_empty(),
            "idle while work waits"
        );
        for item in &batch {
            self.check_next(item);
        }
        batch
    }

    fn check_next(&mut self, item: &Item) {
        let (known, _) = self.waiting.remove(&item.id).expect("taken, never waiting");
        assert_eq!(*item, known, "taken as it waited");
        let mut others = self.waiting.values().map(|(other, _)| other);
        let is_overtaken = others
            .clone()
            .any(|other| other.terms.class < item.terms.class);
        assert!(
            !is_overtaken || item.terms.class == Class::Bulk,
            "a less urgent class first"
        );
        let is_earliest = others
            .clone()
            .filter(|other| {
                (other.terms.class, other.terms.tenant) == (item.terms.class, item.terms.tenant)
            })
            .all(|other| (item.terms.deadline, item.id) < (other.terms.deadline, other.id));
        assert!(is_earliest, "a tenant's later deadline first");
        if item.terms.class != Class::Bulk {
            if others.any(|other| other.terms.class == Class::Bulk) {
                self.passed_bulk += item.n_tokens;
            }
        } else if is_overtaken {
            self.early_bulk += item.n_tokens;
        }
        // the last item that passed may have been long
        assert!(self.early_bulk * TOKENS_PER_OWED <= self.passed_bulk);
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_or_run_twice_and_every_batch_keeps_order_and_budget(
        steps in prop::collection::vec(step(), 1..200)
    ) {
        let mut watched = Watched::new(LIMITS);
        for step in steps {
            watched.run(step);
        }
        while !watched.waiting.is_empty() {
            watched.take(512);
        }
        prop_assert_eq!(watched.queue.take(512, watched.now), Taken::default());
    }

    #[test]
    fn whatever_is_offered_the_queue_stays_within_its_bounds(
        offers in prop::collection::vec((class(), 0..6_u64, 1..200_usize), 1..300)
    ) {
        let limits = QueueLimits { max_items: 40, max_tokens: 3000, turn_tokens: 64 };
        let mut watched = Watched::new(limits);
        for (class, tenant, n_tokens) in offers {
            let deadline = watched.now + Duration::from_secs(1);
            let before = watched.queue.n_items();
            let taken = watched.offer(terms(class, tenant, deadline), &[n_tokens]);
            let after = before + usize::from(taken.is_ok());
            prop_assert_eq!(watched.queue.n_items(), after, "a refusal pushes nobody out");
            prop_assert!(matches!(taken, Ok(()) | Err(Shed::QueueFull)));
            prop_assert!(after <= 40 && watched.queue.n_tokens() <= 3000);
        }
        while !watched.waiting.is_empty() {
            watched.take(100);
        }
        let lanes = &watched.queue.lanes;
        prop_assert!(lanes.iter().all(Lane::is_blank), "no memory of tenants that are gone");
    }

    /// Two tenants that always wait: neither is ahead by more than a turn and an item.
    #[test]
    fn two_waiting_tenants_share_whatever_their_deadlines_and_lengths(
        lengths in prop::collection::vec((1..400_usize, 1..400_usize, 1..900_u64), 100),
        hurry in 0..2_u64,
    ) {
        let mut watched = Watched::new(LIMITS);
        for (one, two, millis) in &lengths {
            for (tenant, n_tokens) in [(0, *one), (1, *two)] {
                // the one in a hurry always has the earlier deadlines
                let millis = if tenant == hurry { *millis } else { 1000 + *millis };
                let deadline = watched.now + Duration::from_millis(millis);
                prop_assert_eq!(watched.offer(terms(Class::Prompt, tenant, deadline), &[n_tokens]), Ok(()));
            }
        }
        let mut spent = [0_i64; 2];
        let is_waiting = |watched: &Watched, tenant| {
            watched.waiting.values().any(|(item, _)| item.terms.tenant == tenant)
        };
        while is_waiting(&watched, 0) && is_waiting(&watched, 1) {
            for item in watched.take(1) {
                spent[item.terms.tenant as usize] += item.n_tokens as i64;
            }
            prop_assert!((spent[0] - spent[1]).abs() < 256 + 400, "{spent:?}");
        }
    }
}

/// What is taken of these, in the order given, one by one.
fn check_order(offers: &[(Class, u64, u64)], expected: &[usize]) {
    let mut watched = Watched::new(LIMITS);
    for (class, tenant, millis) in offers {
        let deadline = watched.now + Duration::from_millis(*millis);
        watched
            .offer(terms(*class, *tenant, deadline), &[100])
            .unwrap();
    }
    let order: Vec<_> = std::iter::from_fn(|| watched.take(1).pop())
        .map(|item| item.id.0 as usize)
        .collect();
    assert_eq!(order, expected);
}

#[test]
fn streams_go_before_prompts_and_prompts_before_bulk() {
    let offers = [
        (Class::Bulk, 0, 5),
        (Class::Prompt, 0, 10),
        (Class::Stream, 0, 90),
        (Class::Prompt, 1, 9),
    ];
    check_order(&offers, &[2, 3, 1, 0]);
}

#[test]
fn deadlines_rule_within_a_turn_and_shares_beyond_it() {
    // Tenant 0 has the four earliest deadlines; after 300 of its 256 tokens it waits for tenant 1.
    let offers = [
        (Class::Prompt, 0, 1),
        (Class::Prompt, 0, 2),
        (Class::Prompt, 0, 3),
        (Class::Prompt, 0, 4),
        (Class::Prompt, 1, 50),
        (Class::Prompt, 1, 40),
    ];
    check_order(&offers, &[0, 1, 2, 5, 4, 3]);
}

#[test]
fn a_tenant_that_queues_one_item_at_a_time_still_spends_its_turn() {
    let mut watched = Watched::new(LIMITS);
    let far = watched.now + Duration::from_secs(9);
    for _ in 0..50 {
        watched.offer(terms(Class::Prompt, 0, far), &[100]).unwrap();
    }
    let mut spent = [0; 2];
    for _ in 0..40 {
        let soon = watched.now + Duration::from_millis(5);
        if watched.queue.lanes[1].own(1).items == 0 {
            watched
                .offer(terms(Class::Prompt, 1, soon), &[100])
                .unwrap();
        }
        for item in watched.take(1) {
            spent[item.terms.tenant as usize] += item.n_tokens;
        }
    }
    assert!(1700 < spent[0], "{spent:?}");
}

#[test]
fn an_item_larger_than_the_budget_runs_alone() {
    let mut watched = Watched::new(LIMITS);
    let deadline = watched.now + Duration::from_secs(1);
    for n_tokens in [900, 50, 50] {
        watched
            .offer(terms(Class::Prompt, 0, deadline), &[n_tokens])
            .unwrap();
    }
    let lengths = |batch: Vec<Item>| batch.iter().map(|item| item.n_tokens).collect::<Vec<_>>();
    assert_eq!(lengths(watched.take(100)), [900]);
    assert_eq!(lengths(watched.take(100)), [50, 50]);
}

#[test]
fn a_tenant_or_a_class_that_fills_its_room_leaves_room_to_others() {
    let mut watched = Watched::new(LIMITS);
    let deadline = watched.now + Duration::from_secs(1);
    let mut fill = |class, tenant| {
        let mut n_taken = 0;
        while watched.offer(terms(class, tenant, deadline), &[64]) == Ok(()) {
            n_taken += 1;
        }
        n_taken
    };
    let bulk = fill(Class::Bulk, 0);
    let more_bulk = fill(Class::Bulk, 1);
    let prompts = fill(Class::Prompt, 2);
    let more_prompts = fill(Class::Prompt, 3);
    let streams = fill(Class::Stream, 0) + fill(Class::Stream, 4);
    let all = [bulk, more_bulk, prompts, more_prompts, streams];
    // of 4096 items half are for bulk and seven eighths for prompts; the second tenant to come finds
    // an eighth of what its class may use
    assert_eq!(all, [1792, 224, 1372, 171, 528], "items taken");
}

/// Offers 100 tokens of tenant 9 after `before` (class, tenant, tokens), at 1000 tokens a second.
/// A quarter more time is asked for than the work takes.
fn check_door(before: &[(Class, u64, usize)], millis: u64, expected: Result<(), Shed>) {
    let mut watched = Watched::new(LIMITS);
    let far = watched.now + Duration::from_secs(60);
    for (class, tenant, n_tokens) in before {
        watched
            .offer(terms(*class, *tenant, far), &[*n_tokens])
            .unwrap();
    }
    let deadline = watched.now + Duration::from_millis(millis);
    let pace = Pace {
        tokens_per_second: Some(1000.0),
        running_tokens: 0,
        batch_tokens: 10,
    };
    let part = (ItemId(u64::MAX), 100);
    let terms = terms(Class::Prompt, 9, deadline);
    let answer = watched.queue.offer(terms, &[part], pace, watched.now);
    assert_eq!(answer, expected, "with {before:?} before it");
}

#[test]
fn what_would_be_late_is_refused_at_the_door() {
    let late = Err(Shed::Late);
    check_door(&[], 0, late);
    check_door(&[], 1, Ok(())); // an idle engine tries
    check_door(&[(Class::Stream, 0, 500)], 755, late);
    check_door(&[(Class::Stream, 0, 500)], 770, Ok(()));
    check_door(&[(Class::Prompt, 9, 500)], 950, late);
    check_door(&[(Class::Prompt, 9, 500)], 965, Ok(()));
    // (behind one's own backlog one counts as a turn, 256 tokens)
    // somebody else's backlog counts for as much as its turns allow: 100 tokens and a turn of 256
    check_door(&[(Class::Prompt, 0, 5000)], 575, late);
    check_door(&[(Class::Prompt, 0, 5000)], 590, Ok(()));
    // bulk counts for its small share, a sixteenth
    check_door(&[(Class::Bulk, 0, 5000)], 140, late);
    check_door(&[(Class::Bulk, 0, 5000)], 150, Ok(()));
}

#[test]
fn more_urgent_work_is_expected_to_go_on_as_it_did() {
    let mut watched = Watched::new(LIMITS);
    let far = watched.now + Duration::from_secs(60);
    let pace = Pace {
        tokens_per_second: Some(1000.0),
        running_tokens: 0,
        batch_tokens: 0,
    };
    // streams take half of what the workers can do
    for _ in 0..100 {
        watched.offer(terms(Class::Stream, 0, far), &[5]).unwrap();
        watched.take(5);
        watched.now += Duration::from_millis(10);
    }
    watched.offer(terms(Class::Prompt, 0, far), &[300]).unwrap();
    let mut offer = |class, millis| {
        let deadline = watched.now + Duration::from_millis(millis);
        let part = (ItemId(u64::MAX - millis), 100);
        watched
            .queue
            .offer(terms(class, 0, deadline), &[part], pace, watched.now)
    };
    assert_eq!(offer(Class::Prompt, 1300), Err(Shed::Late));
    assert_eq!(offer(Class::Stream, 150), Ok(()));
    assert_eq!(offer(Class::Prompt, 1600), Ok(()));
}

#[test]
fn only_what_is_short_and_as_urgent_may_interrupt() {
    let mut watched = Watched::new(LIMITS);
    let far = watched.now + Duration::from_secs(60);
    for (class, n_tokens) in [(Class::Bulk, 10), (Class::Prompt, 40), (Class::Prompt, 30)] {
        watched.offer(terms(class, 0, far), &[n_tokens]).unwrap();
    }
    let mut take = |budget, class| {
        let batch = watched.queue.take_short(budget, class, watched.now).batch;
        batch.iter().map(|item| item.n_tokens).collect::<Vec<_>>()
    };
    assert_eq!(take(39, Class::Bulk), [0; 0], "the first is too long");
    assert_eq!(take(100, Class::Stream), [0; 0], "none is as urgent");
    assert_eq!(take(69, Class::Prompt), [40]);
    assert_eq!(take(69, Class::Prompt), [30]);
    assert_eq!(take(69, Class::Prompt), [0; 0], "what is left is bulk");
}

#[test]
fn what_passed_the_door_a_moment_ago_is_not_late_unless_it_is_long() {
    let mut watched = Watched::new(LIMITS);
    let soon = watched.now + Duration::from_millis(500);
    let pace = Pace {
        tokens_per_second: Some(1000.0),
        running_tokens: 0,
        batch_tokens: 10,
    };
    let terms = terms(Class::Prompt, 0, soon);
    watched.offer(terms, &[1000]).unwrap();
    let (queue, now) = (&mut watched.queue, watched.now);
    let part = |n_tokens| [(ItemId(1), n_tokens)];
    let late = Err(Shed::Late);
    assert_eq!(queue.offer(terms, &part(256), pace, now), late);
    assert_eq!(queue.offer_checked(terms, &part(257), pace, now), late);
    assert_eq!(queue.offer_checked(terms, &part(256), pace, soon), late);
    assert_eq!(queue.offer_checked(terms, &part(256), pace, now), Ok(()));
}
