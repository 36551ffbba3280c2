//! A stream without a network: drives a [`Machine`] and watches its promises from outside.
//!
//! A script says what the upstream writes, an [`Arrival`] how it is cut into events and when it
//! comes, and a function plays the classifier, with a latency for each check.
//! The simulator keeps its own account of which bytes a passing verdict covered and which left;
//! it asks the machine for nothing but its outputs. Everything is deterministic.

mod script;

pub use script::{Arrival, Step};

use crate::stream::{
    ChannelKey, Check, CheckId, CheckKind, DeltaIn, EventIn, Hold, Machine, Output, Stats, Stop,
    StreamConfig,
};
use crate::{Decision, Engine};
use portcullis_config::{Action, FailureRule, Mode, StreamMode};
use portcullis_text::segment::Grid;
use portcullis_text::{Detector, Scores, Span, Vectors, View, Window};
use script::{Delta, Event, arrange, cycle};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What plays the classifier.
pub type Classify<'a> = &'a dyn Fn(&str) -> Result<Scores, FailureRule>;

/// How a stream ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Everything left.
    Finished,
    /// Refused.
    Blocked(Stop),
    /// Answered with the policy's text.
    Redirected(Stop),
    /// A classifier failed closed.
    Fault,
    /// Nothing left to happen, and no end: always a fault of the machine.
    Stuck,
}

/// What was seen from outside.
#[derive(Clone, Debug)]
pub struct Report {
    /// How the stream ended.
    pub outcome: Outcome,
    /// The machine's decision at the end.
    pub decision: Decision,
    /// Promises that were broken; must be empty.
    pub violations: Vec<String>,
    /// The text that left, by channel.
    pub received: BTreeMap<ChannelKey, String>,
    /// Events that left, of how many that came.
    pub n_released: (u64, u64),
    /// Edits that were made.
    pub n_edits: usize,
    /// Disclaimers: events that had left before, choice, texts.
    pub disclaimers: Vec<(u64, u32, Vec<String>)>,
    /// Bytes that left although no passing check had seen them.
    pub n_unscreened: usize,
    /// Grid tokens of the script, and of all texts that were checked.
    pub n_tokens: (usize, usize),
    /// Time from the first event to the first release that has text.
    pub first_text: Option<Duration>,
    /// The machine's own counts.
    pub stats: Stats,
}

/// A stream to be played.
pub struct Simulation<'a> {
    /// The policy.
    pub engine: Arc<Engine>,
    /// How the stream is held.
    pub config: StreamConfig,
    /// What the upstream writes.
    pub script: &'a [Step],
    /// How it comes.
    pub arrival: &'a Arrival,
    /// The classifier.
    pub classify: Classify<'a>,
    /// Any instant; times are counted from it.
    pub start: Instant,
}

impl fmt::Debug for Simulation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Simulation<'_> {
    /// Plays the stream to its end.
    #[must_use]
    pub fn run(&self) -> Report {
        let mut play = Play::new(self);
        while let Some(next) = play.next() {
            match next {
                Happening::Event(idx) => play.deliver_event(idx),
                Happening::Verdict(id) => play.deliver_verdict(id),
                Happening::End => play.deliver_end(),
                Happening::Tick => {}
            }
            if next == Happening::Tick || play.is_idle() {
                play.machine.tick(play.now);
            }
            play.read_outputs();
        }
        play.report()
    }
}

/// A channel as the outside sees it: a key gets a new one after it is complete.
#[derive(Debug)]
struct Account {
    key: ChannelKey,
    text: String,
    screened: Vec<bool>,
    complete: bool,
    hold: Hold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Event(usize),
    Verdict(u64),
    End,
    Tick,
}

struct Play<'a> {
    simulation: &'a Simulation<'a>,
    machine: Machine,
    now: Instant,
    events: Vec<Event>,
    agenda: BinaryHeap<Reverse<(Instant, u64, Happening)>>,
    n_entered: u64,
    accounts: Vec<Account>,
    open: HashMap<ChannelKey, usize>,
    checks: HashMap<u64, (Check, usize)>,
    ended: bool,
    outcome: Option<Outcome>,
    n_steps: usize,
    seen: Report,
}

impl<'a> Play<'a> {
    fn new(simulation: &'a Simulation<'a>) -> Self {
        let machine = Machine::new(Arc::clone(&simulation.engine), simulation.config);
        let events = arrange(simulation.script, simulation.arrival);
        let seen = Report {
            outcome: Outcome::Stuck,
            decision: machine.decision(),
            violations: Vec::new(),
            received: BTreeMap::new(),
            n_released: (0, events.len() as u64),
            n_edits: 0,
            disclaimers: Vec::new(),
            n_unscreened: 0,
            n_tokens: (0, 0),
            first_text: None,
            stats: Stats::default(),
        };
        let mut play = Self {
            simulation,
            machine,
            now: simulation.start,
            agenda: BinaryHeap::new(),
            n_entered: 0,
            accounts: Vec::new(),
            open: HashMap::new(),
            checks: HashMap::new(),
            ended: false,
            outcome: None,
            n_steps: 0,
            seen,
            events,
        };
        let mut at = simulation.start;
        for idx in 0..play.events.len() {
            at += cycle(&simulation.arrival.gaps, idx).unwrap_or_default();
            play.enter(at, Happening::Event(idx));
        }
        play.enter(at, Happening::End);
        play
    }

    fn enter(&mut self, at: Instant, what: Happening) {
        self.n_entered += 1;
        self.agenda.push(Reverse((at, self.n_entered, what)));
    }

    /// What happens next; the machine's own wish to be woken counts.
    fn next(&mut self) -> Option<Happening> {
        self.n_steps += 1;
        if 1_000_000 < self.n_steps {
            self.seen
                .violations
                .push("the machine never comes to rest".to_owned());
            return None;
        }
        let wake = self.machine.next_wake();
        let first = self.agenda.peek().map(|Reverse((at, ..))| *at);
        if let Some(wake) = wake.filter(|wake| first.is_none_or(|first| *wake < first)) {
            self.now = self.now.max(wake);
            return Some(Happening::Tick);
        }
        let Reverse((at, _, what)) = self.agenda.pop()?;
        self.now = self.now.max(at);
        Some(what)
    }

    /// Nothing else happens at this very time.
    fn is_idle(&self) -> bool {
        let next = self.agenda.peek();
        next.is_none_or(|Reverse((at, ..))| self.now < *at)
    }

    fn deliver_event(&mut self, idx: usize) {
        let mut event = std::mem::take(&mut self.events[idx]);
        for delta in &mut event.deltas {
            let account_idx = self.account(delta);
            let account = &mut self.accounts[account_idx];
            let start = account.text.len();
            account.text.push_str(&delta.text);
            account.screened.resize(account.text.len(), false);
            account.complete |= delta.complete;
            delta.at = (account_idx, start..account.text.len());
        }
        for account in &mut self.accounts {
            account.complete |= event.closes == Some(account.key.choice);
        }
        let deltas: Vec<DeltaIn<'_>> = event.deltas.iter().map(Delta::as_input).collect();
        self.machine.event(
            self.now,
            &EventIn {
                deltas: &deltas,
                closes: event.closes.as_slice(),
            },
        );
        self.events[idx] = event;
    }

    fn account(&mut self, delta: &Delta) -> usize {
        let open = self.open.get(&delta.key).copied();
        let goes_on = |idx: &usize| !self.accounts[*idx].complete || delta.text.is_empty();
        if let Some(idx) = open.filter(goes_on) {
            return idx;
        }
        let idx = self.accounts.len();
        self.accounts.push(Account {
            key: delta.key,
            text: String::new(),
            screened: Vec::new(),
            complete: false,
            hold: delta.hold,
        });
        self.open.insert(delta.key, idx);
        idx
    }

    fn deliver_end(&mut self) {
        self.ended = true;
        self.machine.end(self.now);
    }

    fn deliver_verdict(&mut self, id: u64) {
        let Some((check, account)) = self.checks.remove(&id) else {
            return;
        };
        let result = (self.simulation.classify)(check.text.expose());
        let windows = result.map(|scores| {
            let span = Span {
                part: check.part,
                range: check.range.clone(),
            };
            let (view, detector) = (View::Raw, Detector::Linear);
            [Window {
                span,
                surface: check.surface,
                view,
                detector,
                scores,
                vectors: Vectors::NONE,
            }]
        });
        let passes = windows
            .as_ref()
            .is_ok_and(|windows| self.simulation.engine.earned(&windows[0]) < Action::Redirect);
        if passes && check.kind != CheckKind::Global {
            self.accounts[account].screened[check.range].fill(true);
        }
        let result = windows
            .as_ref()
            .map(|windows| windows.as_slice())
            .map_err(|rule| *rule);
        self.machine.verdict(self.now, CheckId(id), result);
    }

    fn read_outputs(&mut self) {
        while let Some(output) = self.machine.poll() {
            if self.outcome.is_some() {
                self.violation(format!("output after the end: {output:?}"));
            }
            match output {
                Output::Check(check) => self.take_check(check),
                Output::Release { events, edits, .. } => {
                    if events.start != self.seen.n_released.0 || events.is_empty() {
                        self.violation(format!("events {events:?} left out of order"));
                    }
                    self.seen.n_edits += edits.len();
                    for event in events.clone() {
                        let of_event = edits.iter().filter(|edit| edit.event == event);
                        let edits: HashMap<usize, &str> = of_event
                            .map(|edit| (edit.delta, edit.text.expose()))
                            .collect();
                        self.take_released(event, &edits);
                    }
                    self.seen.n_released.0 = events.end;
                }
                Output::Disclaim { choice, texts } => {
                    self.seen
                        .disclaimers
                        .push((self.seen.n_released.0, choice, texts));
                }
                Output::Block(stop) => self.outcome = Some(Outcome::Blocked(stop)),
                Output::Redirect(stop) => self.outcome = Some(Outcome::Redirected(stop)),
                Output::Fault(_) => self.outcome = Some(Outcome::Fault),
                Output::Finished => self.outcome = Some(Outcome::Finished),
            }
        }
    }

    fn take_check(&mut self, check: Check) {
        let account = check.part.0 - self.simulation.config.first_part.0;
        let account = usize::try_from(account).unwrap_or(usize::MAX);
        let is_range =
            self.accounts[account].text.get(check.range.clone()) == Some(check.text.expose());
        if !is_range && check.kind != CheckKind::Global {
            self.violation(format!("check {:?} is not the text of its range", check.id));
        }
        self.seen.n_tokens.1 += n_tokens(check.text.expose());
        let idx = usize::try_from(check.id.0).unwrap_or(usize::MAX);
        let latency = cycle(&self.simulation.arrival.latencies, idx).unwrap_or_default();
        self.enter(self.now + latency, Happening::Verdict(check.id.0));
        self.checks.insert(check.id.0, (check, account));
    }

    fn take_released(&mut self, event: u64, edits: &HashMap<usize, &str>) {
        let idx = usize::try_from(event).unwrap_or(usize::MAX);
        let deltas = self.events[idx].deltas.clone();
        for (delta_idx, delta) in deltas.iter().enumerate() {
            let account = &self.accounts[delta.at.0];
            let screened = &account.screened[delta.at.1.clone()];
            self.seen.n_unscreened += screened.iter().filter(|screened| !**screened).count();
            let holds = self.simulation.engine.mode() == Mode::Enforce && !delta.text.is_empty();
            let waits = account.hold == Hold::UntilComplete && !account.complete;
            if holds && !self.ended && (waits || self.simulation.config.mode == StreamMode::Buffer)
            {
                self.seen
                    .violations
                    .push(format!("event {event} left before its text was complete"));
            }
            let text = edits.get(&delta_idx).copied().unwrap_or(&delta.text);
            self.seen
                .received
                .entry(delta.key)
                .or_default()
                .push_str(text);
            if !delta.text.is_empty() && self.seen.first_text.is_none() {
                self.seen.first_text = Some(self.now - self.simulation.start);
            }
        }
    }

    fn violation(&mut self, what: String) {
        self.seen.violations.push(what);
    }

    fn report(mut self) -> Report {
        self.seen.outcome = self.outcome.unwrap_or(Outcome::Stuck);
        self.seen.decision = self.machine.decision();
        self.seen.stats = self.machine.stats();
        self.seen.n_tokens.0 = self
            .accounts
            .iter()
            .map(|account| n_tokens(&account.text))
            .sum();
        self.seen
    }
}

fn n_tokens(text: &str) -> usize {
    let mut grid = Grid::new();
    grid.push(text);
    grid.finish();
    grid.tokens()
}
