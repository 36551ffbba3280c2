//! The automaton at work on one view: a set of live states, each with the earliest start of a
//! match that leads to it.
//!
//! A character costs at most the number of live states, and no state is live twice, so time is
//! linear in the text with a factor that the size of the patterns bounds. Nothing backtracks.

use super::ledger::{Hit, Ledger, Live};
use super::program::{Program, Reading, step};
use super::{List, MAX_MATCH};
use regex_automata::nfa::thompson::State;
use regex_automata::util::primitives::StateID;

/// One character of a view and where it came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    pub c: char,
    /// First byte of the original, and the one after the last.
    pub from: usize,
    pub to: usize,
    /// End of the last original character up to `to` that is not ASCII; 0 when there is none.
    pub wide: usize,
}

/// A live state and the view character at which its match began.
#[derive(Clone, Copy, Debug)]
struct Thread {
    state: StateID,
    start: usize,
}

/// Room for stepping, shared by the engines of a scanner.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    /// Per state, the last round that met it.
    seen: Vec<u32>,
    round: u32,
    stack: Vec<StateID>,
    closed: Vec<Thread>,
    next: Vec<Thread>,
    /// Rules that matched at this place.
    hits: Vec<Thread>,
    /// States looked at in all, the measure of work.
    pub n_visits: u64,
}

impl Scratch {
    fn begin_round(&mut self, n_states: usize) {
        self.round = self.round.wrapping_add(1);
        if self.round == 0 || self.seen.len() != n_states {
            self.seen.clear();
            self.seen.resize(n_states, 0);
            self.round = 1;
        }
    }

    /// Whether the state is new in this round.
    fn meet(&mut self, state: StateID) -> bool {
        self.n_visits += 1;
        std::mem::replace(&mut self.seen[state.as_usize()], self.round) != self.round
    }
}

/// The state of matching on one view.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    /// Sorted by start; not closed yet, since look-arounds want the next character.
    threads: Vec<Thread>,
    /// `Both` on the raw view, `Folded` where the folded readings of rules count too.
    reads: Reading,
    /// Characters of the view taken.
    at: usize,
    last: Option<Unit>,
    /// Original start of each of the last [`MAX_MATCH`] characters, by position modulo that.
    recent: Vec<usize>,
    ledgers: Vec<Ledger>,
    /// Patterns whose ledger is not idle.
    busy: Vec<u16>,
}

/// What stands around a place between two characters.
#[derive(Clone, Copy)]
struct Gap {
    before: Option<char>,
    after: Option<char>,
}

impl Engine {
    pub(super) fn new(program: &Program) -> Self {
        Self {
            threads: Vec::new(),
            reads: Reading::Folded,
            at: 0,
            last: None,
            recent: vec![0; MAX_MATCH],
            ledgers: vec![Ledger::default(); program.ids.len()],
            busy: Vec::new(),
        }
    }

    /// Whether no match is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.threads.is_empty() && self.busy.is_empty()
    }

    /// Goes on with the rules that read both views, or with those of the folded view too.
    pub(super) fn turn_to(&mut self, reads: Reading, program: &Program) {
        self.reads = reads;
        self.threads
            .retain(|t| reads == Reading::Folded || program.rule(t.state).reading == reads);
    }

    fn reads_rule_of(&self, program: &Program, state: StateID) -> bool {
        self.reads == Reading::Folded || program.rule(state).reading == Reading::Both
    }

    /// Takes one character; reports `(pattern, range)` for what became certain.
    pub(super) fn step(
        &mut self,
        program: &Program,
        unit: Unit,
        scratch: &mut Scratch,
        report: &mut impl FnMut(u16, Hit),
    ) {
        let mut bytes = [0; 4];
        let bytes = unit.c.encode_utf8(&mut bytes).as_bytes();
        let may_start = !program.starts[usize::from(bytes[0])].is_empty();
        if may_start || !self.threads.is_empty() {
            self.advance(program, Some(unit.c), scratch);
            self.note_hits(program, scratch);
            std::mem::swap(&mut self.threads, &mut scratch.next);
        }
        self.recent[self.at % MAX_MATCH] = unit.from;
        self.at += 1;
        self.last = Some(unit);
        self.settle(program, report);
    }

    /// The text has ended.
    pub(super) fn finish(
        &mut self,
        program: &Program,
        scratch: &mut Scratch,
        report: &mut impl FnMut(u16, Hit),
    ) {
        self.advance(program, None, scratch);
        self.note_hits(program, scratch);
        self.threads.clear();
        self.settle(program, report);
    }

    /// Closes the live states, with those that begin here, over the gap before `after`, and then
    /// steps them by it into `scratch.next`; matches that end in the gap go to `scratch.hits`.
    fn advance(&self, program: &Program, after: Option<char>, scratch: &mut Scratch) {
        let gap = Gap {
            before: self.last.map(|unit| unit.c),
            after,
        };
        scratch.begin_round(program.nfa.states().len());
        scratch.closed.clear();
        scratch.hits.clear();
        for &thread in &self.threads {
            close(program, thread, Some(gap), scratch);
        }
        scratch.next.clear();
        let Some(c) = after else { return };
        let mut bytes = [0; 4];
        let bytes = c.encode_utf8(&mut bytes).as_bytes();
        for &state in &program.starts[usize::from(bytes[0])] {
            if self.reads_rule_of(program, state) {
                close(
                    program,
                    Thread {
                        state,
                        start: self.at,
                    },
                    Some(gap),
                    scratch,
                );
            }
        }
        for (idx, &byte) in bytes.iter().enumerate() {
            if idx > 0 {
                let within = std::mem::take(&mut scratch.next);
                scratch.begin_round(program.nfa.states().len());
                scratch.closed.clear();
                for &thread in &within {
                    close(program, thread, None, scratch);
                }
                scratch.next = within;
                scratch.next.clear();
            }
            take_byte(program, byte, scratch);
        }
    }

    fn note_hits(&mut self, program: &Program, scratch: &mut Scratch) {
        let Some(last) = self.last else { return };
        // Deny first: an allow match excuses what ends where it ends.
        for list in [List::Deny, List::Allow] {
            for hit in &scratch.hits {
                let rule = program.rule(hit.state);
                if rule.list != list {
                    continue;
                }
                let start = self.clip(hit.start);
                let from = self.recent[start % MAX_MATCH];
                let found = Hit {
                    start,
                    end: self.at,
                    from,
                    to: last.to,
                    wide: last.wide,
                };
                let is_ascii = last.wide <= from;
                if rule.reading == Reading::Folded && is_ascii {
                    continue;
                }
                let ledger = &mut self.ledgers[usize::from(rule.pattern)];
                match list {
                    List::Deny => {
                        if ledger.is_idle() {
                            self.busy.push(rule.pattern);
                        }
                        ledger.deny(found);
                    }
                    List::Allow => ledger.allow(hit.start),
                }
            }
        }
        scratch.hits.clear();
    }

    /// The place a match is reported from, when it began at `start`.
    fn clip(&self, start: usize) -> usize {
        start.max(self.at.saturating_sub(MAX_MATCH))
    }

    fn settle(&mut self, program: &Program, report: &mut impl FnMut(u16, Hit)) {
        let mut idx = 0;
        while let Some(&pattern) = self.busy.get(idx) {
            let live = live(program, &self.threads, pattern);
            let ledger = &mut self.ledgers[usize::from(pattern)];
            ledger.settle(self.at, live, &mut |hit| report(pattern, hit));
            if ledger.is_idle() {
                self.busy.swap_remove(idx);
            } else {
                idx += 1;
            }
        }
    }

    /// Earliest original byte that an unreported match may cover, `usize::MAX` for none.
    ///
    /// With `ahead`, the next character is known (it begins at that original byte) but not taken.
    pub(super) fn hold(
        &self,
        program: &Program,
        ahead: Option<(char, usize)>,
        scratch: &mut Scratch,
    ) -> usize {
        let open = self
            .busy
            .iter()
            .map(|&pattern| self.ledgers[usize::from(pattern)].hold());
        let open = open.min().unwrap_or(usize::MAX);
        let Some((c, from)) = ahead else {
            return open.min(self.reach(program, &self.threads, usize::MAX));
        };
        self.advance(program, Some(c), scratch);
        let ended = self.reach(program, &scratch.hits, from);
        let going = self.reach(program, &scratch.next, from);
        scratch.hits.clear();
        open.min(ended).min(going)
    }

    /// Earliest original byte of the deny matches among `threads`; a match that begins at the
    /// next character begins at `ahead`.
    fn reach(&self, program: &Program, threads: &[Thread], ahead: usize) -> usize {
        let deny = threads.iter().filter_map(|thread| {
            let rule = program.rule(thread.state);
            (rule.list == List::Deny).then_some((rule, self.clip(thread.start)))
        });
        deny.map(|(rule, start)| {
            let known = start < self.at;
            let from = if known {
                self.recent[start % MAX_MATCH]
            } else {
                ahead
            };
            self.ledgers[usize::from(rule.pattern)].reported_from(start, from)
        })
        .min()
        .unwrap_or(usize::MAX)
    }
}

fn live(program: &Program, threads: &[Thread], pattern: u16) -> Live {
    let mut live = Live::NONE;
    for thread in threads {
        let rule = program.rule(thread.state);
        if rule.pattern == pattern {
            match rule.list {
                List::Deny => live.deny = live.deny.min(thread.start),
                List::Allow => live.allow = live.allow.min(thread.start),
            }
        }
    }
    live
}

/// Adds the states reached without a byte. Within a character no look-around holds.
fn close(program: &Program, thread: Thread, gap: Option<Gap>, scratch: &mut Scratch) {
    scratch.stack.push(thread.state);
    while let Some(state) = scratch.stack.pop() {
        if !scratch.meet(state) {
            continue;
        }
        match program.nfa.state(state) {
            State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) => {
                scratch.closed.push(Thread {
                    state,
                    start: thread.start,
                });
            }
            State::Union { alternates } => scratch.stack.extend_from_slice(alternates),
            State::BinaryUnion { alt1, alt2 } => scratch.stack.extend([*alt1, *alt2]),
            State::Capture { next, .. } => scratch.stack.push(*next),
            State::Look { look, next } => {
                if gap.is_some_and(|gap| holds(program, *look, gap)) {
                    scratch.stack.push(*next);
                }
            }
            State::Match { .. } => scratch.hits.push(Thread {
                state,
                start: thread.start,
            }),
            State::Fail => {}
        }
    }
}

/// Steps the closed states by a byte; the first thread to reach a state began earliest.
fn take_byte(program: &Program, byte: u8, scratch: &mut Scratch) {
    scratch.begin_round(program.nfa.states().len());
    for idx in 0..scratch.closed.len() {
        let thread = scratch.closed[idx];
        if let Some(state) = step(program.nfa.state(thread.state), byte)
            && scratch.meet(state)
        {
            scratch.next.push(Thread {
                state,
                start: thread.start,
            });
        }
    }
}

/// Whether a look-around holds: all of them look no further than the characters beside the gap.
fn holds(program: &Program, look: regex_automata::util::look::Look, gap: Gap) -> bool {
    let mut around = [0; 8];
    let mut n_bytes = 0;
    let mut at = 0;
    for (is_before, c) in [(true, gap.before), (false, gap.after)] {
        let Some(c) = c else { continue };
        n_bytes += c.encode_utf8(&mut around[n_bytes..]).len();
        if is_before {
            at = n_bytes;
        }
    }
    program
        .nfa
        .look_matcher()
        .matches(look, &around[..n_bytes], at)
}
