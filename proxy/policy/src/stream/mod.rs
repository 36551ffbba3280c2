//! The machine that holds back a stream until it is screened: one for all dialects.
//!
//! The host gives it upstream events in order, each with the text in it, and does what
//! [`Machine::poll`] says: have a text scored, send whole events on, refuse. Time is passed in.
//!
//! What is scored and decides does not depend on how bytes arrive: windows lie on a fixed token
//! grid ([`CheckKind::Grid`]), views of the whole come at doubling lengths ([`CheckKind::Global`])
//! and at the end, and evidence is applied in the order of the bytes it is about (`ledger`).
//! A tail short of a grid point gets a provisional check ([`CheckKind::Tail`]) half way to it, or
//! when the pace has passed, which may release or hold and never decides. So the cost is linear in
//! the length of the text.
//!
//! Promises, each a property in `tests`: the same verdict for every split and every order of
//! verdicts; a stream that passes leaves as it came; no byte leaves unscreened; after a block
//! nothing leaves; redaction does not depend on the split; no deadlock.
//! Read [`Machine::event`], then `screening.rs` (what is checked and what verdicts do), then
//! `release.rs` (what leaves).

mod channel;
mod cover;
mod ledger;
mod release;
mod screening;
mod types;

pub use types::{
    ChannelKey, Check, CheckId, CheckKind, DeltaIn, EventEdit, EventIn, Hold, Output, Stats, Stop,
    StreamConfig,
};

use crate::{Decision, Engine, Tally};
use channel::Channel;
use ledger::{Entry, Ledger};
use portcullis_config::{FailureRule, Mode};
use portcullis_text::{Surface, Window};
use release::Held;
use screening::Expected;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// Holds back one stream.
///
/// Memory: the text of the stream, and the bookkeeping of events that have not left.
#[derive(Debug)]
pub struct Machine {
    engine: Arc<Engine>,
    config: StreamConfig,
    channels: Vec<Channel>,
    /// The channel that takes text for a key; a completed one makes room for a successor.
    open: HashMap<ChannelKey, usize>,
    /// Position in the stream: bytes of all channels, and one for each end of a channel, so that
    /// what becomes known at different ends stands at different positions.
    clock: u64,
    held: VecDeque<Held>,
    /// Number of the first event in `held`.
    first_held: u64,
    ledger: Ledger,
    expected: HashMap<CheckId, Expected>,
    tally: Tally,
    /// Disclaimers earned by each choice and not yet given out.
    disclaimers: BTreeMap<u32, Vec<String>>,
    state: State,
    outputs: VecDeque<Output>,
    stats: Stats,
}

/// How far the stream has come; it only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// The upstream sends.
    Running,
    /// The upstream has ended; verdicts are outstanding.
    Ended,
    /// Evidence that will stop the stream is in, and earlier evidence is still awaited: nothing
    /// leaves any more.
    Doomed,
    /// Finished, stopped or failed: the last output has been given.
    Over,
}

impl Machine {
    /// A machine for one stream.
    #[must_use]
    pub fn new(engine: Arc<Engine>, config: StreamConfig) -> Self {
        let config = StreamConfig {
            stride: config.stride.max(1),
            ..config
        };
        Self {
            engine,
            config,
            channels: Vec::new(),
            open: HashMap::new(),
            clock: 0,
            held: VecDeque::new(),
            first_held: 0,
            ledger: Ledger::default(),
            expected: HashMap::new(),
            tally: Tally::default(),
            disclaimers: BTreeMap::new(),
            state: State::Running,
            outputs: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Takes the next event of the upstream. Events are numbered 0, 1, 2 … as they come.
    ///
    /// Ignored once the stream is over or its upstream has ended.
    pub fn event(&mut self, now: Instant, event: &EventIn<'_>) {
        if self.state == State::Over || self.state == State::Ended {
            return;
        }
        let mut held = Held::new(now, event.closes);
        for (delta_idx, delta) in event.deltas.iter().enumerate() {
            self.take(now, delta, delta_idx, &mut held);
        }
        for choice in event.closes {
            held.waits_for.extend(self.close(now, *choice));
        }
        self.held.push_back(held);
        self.advance(now);
    }

    /// Takes the verdict of a check: at least one window, or the rule of the classifier that could
    /// not answer. No windows at all count as a failure with the rule `closed`.
    ///
    /// Verdicts that nobody waits for are ignored.
    pub fn verdict(
        &mut self,
        now: Instant,
        check: CheckId,
        result: Result<&[Window], FailureRule>,
    ) {
        if self.state == State::Over {
            return;
        }
        if let Some(expected) = self.expected.remove(&check) {
            self.take_verdict(check, &expected, result);
            self.advance(now);
        }
    }

    /// Nothing more is at hand for now: tails short of a grid point get their checks.
    ///
    /// To be called when the host has given everything it has, and at [`Self::next_wake`]. Events
    /// that came together are so checked together.
    pub fn tick(&mut self, now: Instant) {
        self.advance(now);
        self.check_tails(now);
    }

    /// The upstream has ended properly: every tail gets its last check, then the rest may leave.
    ///
    /// Where it broke off instead, drop the machine: what it still holds must not leave.
    pub fn end(&mut self, now: Instant) {
        if self.state == State::Over || self.state == State::Ended {
            return;
        }
        for idx in 0..self.channels.len() {
            self.complete(now, idx);
        }
        self.state = self.state.max(State::Ended);
        self.advance(now);
    }

    /// What is to be done next; `None` when there is nothing to do but to wait.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::tick`] should be called, unless something else happens before.
    #[must_use]
    pub fn next_wake(&self) -> Option<Instant> {
        if !self.takes_tails() {
            return None;
        }
        let waiting = self
            .channels
            .iter()
            .filter(|channel| channel.wants_tail(&self.config));
        waiting
            .filter_map(|channel| channel.last_check)
            .min()
            .map(|last| last + self.config.pace)
    }

    /// Since when the oldest event that has not left is waiting.
    #[must_use]
    pub fn held_since(&self) -> Option<Instant> {
        self.held.front().map(|held| held.arrived)
    }

    /// The decision about everything that has been decided so far: the record's at the end.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.tally.conclude(&self.engine)
    }

    /// Counts for the record.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let max_scores = Surface::ALL.map(|surface| self.tally.max_scores(surface).copied());
        Stats {
            n_windows: self.tally.n_windows(),
            max_scores,
            ..self.stats.clone()
        }
    }

    /// Everything that can happen now, in the one order that is always safe.
    fn advance(&mut self, now: Instant) {
        self.apply_evidence();
        self.release(now);
    }

    /// In observe mode nothing is held and nothing stops.
    fn enforces(&self) -> bool {
        self.engine.mode() == Mode::Enforce
    }

    /// The last output: after it nothing leaves and nothing is checked.
    fn stop(&mut self, last: Output) {
        self.state = State::Over;
        self.ledger.clear();
        self.expected.clear();
        self.held.clear();
        self.outputs
            .retain(|output| !matches!(output, Output::Check(_)));
        self.outputs.push_back(last);
    }
}
