//! What is checked, and what a verdict does.

use super::channel::Stretch;
use super::ledger::{Place, Rank};
use super::release::Held;
use super::{Channel, Check, CheckId, CheckKind, DeltaIn, Entry, Machine, Output, State, Stop};
use crate::patterns::located;
use crate::tally::redaction;
use crate::{Match, Terminal};
use portcullis_config::{Action, FailureRule, StreamMode};
use portcullis_text::pattern::PatternMatch;
use portcullis_text::{Content, Label, Window};
use std::ops::Range;
use std::time::Instant;

/// A check that was submitted and not yet answered.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    channel: usize,
    kind: CheckKind,
    range: Range<usize>,
}

impl Machine {
    /// Takes a delta: appends its text and cuts the checks that have become due.
    pub(super) fn take(
        &mut self,
        now: Instant,
        delta: &DeltaIn<'_>,
        delta_idx: usize,
        held: &mut Held,
    ) {
        let idx = self.channel(delta);
        if !delta.text.is_empty() {
            let range = self.channels[idx].append(delta.text, self.clock);
            self.clock += delta.text.len() as u64;
            self.stats.bytes_in += delta.text.len() as u64;
            held.add(idx, delta_idx, range);
            let hits = self.channels[idx].watch.push(delta.text);
            self.enter_matches(idx, hits);
            self.cut_grid(now, idx);
        }
        if delta.complete {
            self.complete(now, idx);
            held.waits_for.push(idx);
        }
    }

    /// Completes the channels of a choice and names them.
    pub(super) fn close(&mut self, now: Instant, choice: u32) -> Vec<usize> {
        let all = 0..self.channels.len();
        let of_choice: Vec<usize> = all
            .filter(|idx| self.channels[*idx].key.choice == choice)
            .collect();
        for idx in &of_choice {
            self.complete(now, *idx);
        }
        of_choice
    }

    /// Nothing more comes for a channel: what the grid has not seen gets its last check.
    pub(super) fn complete(&mut self, now: Instant, idx: usize) {
        if self.channels[idx].complete {
            return;
        }
        self.clock += 1;
        self.channels[idx].finish();
        let hits = self.channels[idx].watch.finish();
        self.enter_matches(idx, hits);
        self.cut_grid(now, idx);
        if let Some(rest) = self.channels[idx].cut_rest(&self.config) {
            self.submit(now, idx, CheckKind::End, rest);
        }
        if let Some(whole) = self.channels[idx].cut_last_global(&self.config) {
            self.submit(now, idx, CheckKind::Global, whole);
        }
    }

    /// Checks tails short of a grid point where they are due.
    pub(super) fn check_tails(&mut self, now: Instant) {
        if !self.takes_tails() {
            return;
        }
        for idx in 0..self.channels.len() {
            let channel = &mut self.channels[idx];
            if !channel.is_tail_due(now, &self.config) || !channel.wants_tail(&self.config) {
                continue;
            }
            let Some(tail) = channel.cut_tail(&self.config) else {
                continue;
            };
            if self.disguises(idx, &tail).is_empty() {
                let id = self.submit(now, idx, CheckKind::Tail, tail);
                self.channels[idx].tail = Some(id);
            } else {
                // What is in it is decided at its grid point.
                let channel = &mut self.channels[idx];
                channel.suspect_until = channel.suspect_until.max(tail.range.end);
            }
        }
    }

    /// Whether provisional checks are of any use now.
    pub(super) fn takes_tails(&self) -> bool {
        let balanced = self.config.mode == StreamMode::Balanced;
        self.state == State::Running && balanced && self.enforces()
    }

    /// Files a verdict. What it decides waits for its turn; what it releases or holds does not.
    pub(super) fn take_verdict(
        &mut self,
        check: CheckId,
        expected: &Expected,
        result: Result<&[Window], FailureRule>,
    ) {
        let channel = &self.channels[expected.channel];
        let (part, surface) = (channel.part, channel.surface);
        let windows = result.map(|windows| {
            let mut windows = windows.to_vec();
            for window in &mut windows {
                window.span.part = part;
                window.surface = surface;
            }
            windows
        });
        let outcome = match windows {
            Ok(windows) if !windows.is_empty() => Ok(windows),
            Ok(_) => Err(FailureRule::Closed),
            Err(rule) => Err(rule),
        };
        match expected.kind {
            CheckKind::Tail => self.take_provisional(expected, outcome.as_deref().ok()),
            _ => self.take_decisive(check, expected, outcome),
        }
    }

    /// A provisional verdict releases or holds. A failure does neither: the grid will tell.
    fn take_provisional(&mut self, expected: &Expected, windows: Option<&[Window]>) {
        let stops = windows.map(|windows| self.stops(windows));
        let channel = &mut self.channels[expected.channel];
        channel.tail = None;
        match stops {
            Some(true) => channel.suspect_until = channel.suspect_until.max(expected.range.end),
            Some(false) => {
                channel.soft.insert(expected.range.clone());
                channel.seen.insert(expected.range.clone());
            }
            None => {}
        }
    }

    fn take_decisive(
        &mut self,
        check: CheckId,
        expected: &Expected,
        outcome: Result<Vec<Window>, FailureRule>,
    ) {
        let entry = match outcome {
            Ok(windows) => {
                if self.stops(&windows) {
                    self.doom();
                } else {
                    self.cover(expected, true);
                }
                Entry::Scored(windows)
            }
            Err(FailureRule::Closed | FailureRule::LowerTier) if self.enforces() => {
                self.doom();
                Entry::Failed(check)
            }
            Err(_) => {
                self.stats.n_failed_open += 1;
                self.cover(expected, false);
                Entry::Open
            }
        };
        self.ledger.fill(check, entry);
    }

    /// A window of the grid lets its bytes leave. A view of the whole skips bytes, so it does not.
    fn cover(&mut self, expected: &Expected, seen: bool) {
        if expected.kind == CheckKind::Global {
            return;
        }
        let channel = &mut self.channels[expected.channel];
        channel.sure.insert(expected.range.clone());
        channel.soft.insert(expected.range.clone());
        if seen {
            channel.seen.insert(expected.range.clone());
        }
    }

    /// Applies what is in, in the order of the bytes it is about.
    pub(super) fn apply_evidence(&mut self) {
        let horizon = self.horizon();
        while let Some((place, entry)) = self.ledger.next(horizon) {
            self.channels[place.channel].n_pending -= 1;
            self.apply(place, entry);
            if self.state == State::Over {
                return;
            }
        }
    }

    /// Evidence about later bytes waits, since a pattern may still match before them.
    fn horizon(&self) -> u64 {
        let held = |channel: &Channel| channel.watch.hold_from().map(|byte| channel.position(byte));
        self.channels
            .iter()
            .filter_map(held)
            .min()
            .unwrap_or(u64::MAX)
    }

    fn apply(&mut self, place: Place, entry: Entry) {
        let stops = match entry {
            Entry::Scored(windows) => {
                for window in &windows {
                    self.tally.add_window(&self.engine, window);
                    self.note_disclaimers(place.channel, window);
                }
                self.stops(&windows)
            }
            Entry::Matched(found) => {
                self.tally.add_match(&self.engine, &found);
                if self.engine.action_of(&found) == Action::Disclaim {
                    self.disclaim(place.channel, Label::Pattern(found.id));
                }
                self.enforces() && Action::Redirect <= self.engine.action_of(&found)
            }
            Entry::Failed(check) => {
                self.stop(Output::Fault(check));
                return;
            }
            Entry::Open | Entry::Waiting => false,
        };
        if stops {
            self.stop_by_policy();
        }
    }

    fn stop_by_policy(&mut self) {
        let decision = Box::new(self.decision());
        let redirects = matches!(decision.terminal, Terminal::Redirect(_));
        let stop = Stop {
            decision,
            text_released: 0 < self.stats.bytes_released,
        };
        self.stop(if redirects {
            Output::Redirect(stop)
        } else {
            Output::Block(stop)
        });
    }

    fn note_disclaimers(&mut self, channel: usize, window: &Window) {
        for (category, score) in self.engine.rows.reached(window.surface, &window.scores) {
            let earned = self.engine.rows.earned(category, window.surface, score);
            if earned.is_some_and(|(action, _)| action == Action::Disclaim) {
                self.disclaim(channel, Label::Category(category));
            }
        }
    }

    fn disclaim(&mut self, channel: usize, label: Label) {
        if !self.enforces() {
            return;
        }
        let text = self.engine.disclaimer(label);
        let texts = self
            .disclaimers
            .entry(self.channels[channel].key.choice)
            .or_default();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }

    fn enter_matches(&mut self, idx: usize, hits: Vec<PatternMatch>) {
        for hit in hits {
            let at = self.channels[idx].position(hit.range.end.saturating_sub(1)) + 1;
            let channel = &self.channels[idx];
            self.enter_match(idx, located(hit, channel.part, channel.surface), at);
        }
    }

    fn enter_match(&mut self, idx: usize, found: Match, at: u64) {
        let channel = &mut self.channels[idx];
        channel.redactions.extend(redaction(&self.engine, &found));
        channel.n_pending += 1;
        if self.enforces() && Action::Redirect <= self.engine.action_of(&found) {
            self.doom();
        }
        self.ledger.enter(found, at, idx);
    }

    /// Matches in the readings of a stretch, at their places in the channel.
    ///
    /// The automaton that watches the channel sees the text as written; disguises are taken off
    /// window by window, each with some of what stands before it. A sample skips bytes, which its
    /// windows have seen.
    fn disguises(&self, idx: usize, stretch: &Stretch) -> Vec<Match> {
        let channel = &self.channels[idx];
        let patterns = self.engine.patterns.on(channel.surface);
        if stretch.sample.is_some() || patterns.is_empty() {
            return Vec::new();
        }
        let start = channel.read_from(stretch.range.start);
        let text = &channel.text[start..stretch.range.end];
        let found = patterns.find_in_readings(text);
        if found.is_empty() {
            return Vec::new();
        }
        // What stands there undisguised is for the automaton, which knows what excuses it.
        let plain = patterns.find(text);
        let is_plain = |hit: &PatternMatch| {
            plain.iter().any(|plain| {
                plain.id == hit.id
                    && plain.range.start <= hit.range.start
                    && hit.range.end <= plain.range.end
            })
        };
        let hidden = found.into_iter().filter(|hit| !is_plain(hit));
        hidden
            .map(|mut hit| {
                hit.range = start + hit.range.start..start + hit.range.end;
                Match {
                    replaceable: false,
                    ..located(hit, channel.part, channel.surface)
                }
            })
            .collect()
    }

    fn stops(&self, windows: &[Window]) -> bool {
        self.enforces()
            && windows
                .iter()
                .any(|window| Action::Redirect <= self.engine.earned(window))
    }

    fn doom(&mut self) {
        self.state = self.state.max(State::Doomed);
    }

    fn channel(&mut self, delta: &DeltaIn<'_>) -> usize {
        let open = self.open.get(&delta.key).copied();
        if let Some(idx) = open.filter(|idx| !self.channels[*idx].complete || delta.text.is_empty())
        {
            return idx;
        }
        let idx = self.channels.len();
        let number = u32::try_from(idx).unwrap_or(u32::MAX);
        self.channels
            .push(Channel::new(&self.engine, &self.config, delta, number));
        self.open.insert(delta.key, idx);
        idx
    }

    fn cut_grid(&mut self, now: Instant, idx: usize) {
        while let Some(window) = self.channels[idx].cut_grid(&self.config) {
            self.submit(now, idx, CheckKind::Grid, window);
            if let Some(whole) = self.channels[idx].cut_global(&self.config) {
                self.submit(now, idx, CheckKind::Global, whole);
            }
        }
    }

    fn submit(&mut self, now: Instant, idx: usize, kind: CheckKind, stretch: Stretch) -> CheckId {
        let id = CheckId(self.stats.n_checks.iter().sum());
        let known = known_at(&self.channels[idx], stretch.range.end, self.clock);
        if kind != CheckKind::Tail {
            for hit in self.disguises(idx, &stretch) {
                if self.channels[idx]
                    .disguises
                    .insert((hit.id, hit.span.range.end))
                {
                    self.enter_match(idx, hit, known);
                }
            }
        }
        let channel = &mut self.channels[idx];
        let Stretch { range, sample } = stretch;
        let text = sample.unwrap_or_else(|| channel.text[range.clone()].to_owned());
        self.stats.n_checks[kind.index()] += 1;
        self.stats.bytes_checked += text.len() as u64;
        channel.note_check(now);
        let rank = match kind {
            CheckKind::Grid => Some(Rank::Grid),
            CheckKind::Global => Some(Rank::Global),
            CheckKind::End => Some(Rank::End),
            CheckKind::Tail => None,
        };
        if let Some(rank) = rank {
            channel.n_pending += 1;
            self.ledger.expect(id, known, rank, idx);
        }
        let (key, part, surface) = (channel.key, channel.part, channel.surface);
        self.expected.insert(
            id,
            Expected {
                channel: idx,
                kind,
                range: range.clone(),
            },
        );
        let text = Content::from(text);
        self.outputs.push_back(Output::Check(Check {
            id,
            key,
            part,
            surface,
            kind,
            text,
            range,
        }));
        id
    }
}

/// When it was known that a window ends at `end`: with the next byte, or when the channel ended.
fn known_at(channel: &Channel, end: usize, now: u64) -> u64 {
    if end < channel.text.len() {
        channel.position(end) + 1
    } else {
        now
    }
}
