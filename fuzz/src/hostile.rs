//! The same machine in the hands of a host that errs: verdicts twice, late, of nobody, in any
//! order; ticks at any time, even backwards; events after the end.

use crate::cuts::Script;
use crate::machine::{by_words, engine_for};
use portcullis_config::FailureRule;
use portcullis_policy::stream::{
    ChannelKey, Check, CheckId, CheckKind, DeltaIn, EventIn, Hold, Machine, Output, StreamConfig,
};
use portcullis_text::{Detector, Span, Surface, Vectors, View, Window};
use std::time::{Duration, Instant};

const TEXTS: [&str; 10] = [
    "ok ",
    "wor",
    "se ",
    "bad ",
    "forbidden ",
    "fruit ",
    "salad ",
    "project nightfall ",
    "",
    "日本語, ",
];

const KEYS: [ChannelKey; 3] = [
    ChannelKey {
        choice: 0,
        channel: 0,
    },
    ChannelKey {
        choice: 0,
        channel: 2,
    },
    ChannelKey {
        choice: 1,
        channel: 0,
    },
];

/// Runs the oracle.
///
/// # Panics
/// When a promise is broken.
pub fn check(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let start = Instant::now();
    let mut host = Host {
        machine: Machine::new(engine_for(script.below(8) == 7), StreamConfig::default()),
        now: start,
        waiting: Vec::new(),
        n_events: 0,
        n_left: 0,
        ended: false,
        is_over: false,
    };
    while !script.is_over() {
        match script.below(6) {
            0 | 1 => host.event(&mut script),
            2 | 3 => host.answer(&mut script),
            4 => host.now = start + Duration::from_millis(u64::from(script.byte())),
            _ => match script.below(8) {
                0 => host.end(),
                1 => host
                    .machine
                    .verdict(host.now, CheckId(u64::from(script.byte())), Ok(&[])),
                _ => host.machine.tick(host.now),
            },
        }
        host.read_outputs();
    }
    host.end();
    host.read_outputs();
    while let Some(check) = host.waiting.pop() {
        host.give(&check);
        host.read_outputs();
    }
    assert!(
        host.is_over,
        "all is answered and ended, and the stream is not over"
    );
    assert_eq!(
        host.machine.next_wake(),
        None,
        "it wants to be woken after the end"
    );
    let _ = (
        host.machine.decision(),
        host.machine.stats(),
        host.machine.held_since(),
    );
}

struct Host {
    machine: Machine,
    now: Instant,
    waiting: Vec<Check>,
    n_events: u64,
    n_left: u64,
    ended: bool,
    is_over: bool,
}

impl Host {
    fn event(&mut self, script: &mut Script<'_>) {
        let mut deltas = Vec::new();
        for _ in 0..script.below(3) {
            let key = script.pick(&KEYS);
            let is_tool = key.channel == 2;
            deltas.push(DeltaIn {
                key,
                surface: if is_tool {
                    Surface::ToolCall
                } else {
                    Surface::Completion
                },
                text: script.pick(&TEXTS),
                hold: if is_tool {
                    Hold::UntilComplete
                } else {
                    Hold::UntilScreened
                },
                complete: script.below(8) == 0,
            });
        }
        let closes = [script.below(3) as u32];
        let closes = if script.below(8) == 0 {
            &closes[..]
        } else {
            &[]
        };
        self.machine.event(
            self.now,
            &EventIn {
                deltas: &deltas,
                closes,
            },
        );
        if !self.ended && !self.is_over {
            self.n_events += 1;
        }
    }

    fn end(&mut self) {
        self.machine.end(self.now);
        self.ended = true;
    }

    /// Answers any of the checks, sometimes once more, sometimes with a failure or nothing.
    fn answer(&mut self, script: &mut Script<'_>) {
        if self.waiting.is_empty() {
            return;
        }
        let check = self.waiting.swap_remove(script.below(self.waiting.len()));
        match script.below(16) {
            0 => self.machine.verdict(self.now, check.id, Ok(&[])),
            1 => self
                .machine
                .verdict(self.now, check.id, Err(FailureRule::LowerTier)),
            2 => self
                .machine
                .verdict(self.now, check.id, Err(FailureRule::Open)),
            3 => {
                self.give(&check);
                self.give(&check);
            }
            _ => self.give(&check),
        }
    }

    fn give(&mut self, check: &Check) {
        let windows = by_words(check.text.expose()).map(|scores| {
            [Window {
                span: Span {
                    part: check.part,
                    range: check.range.clone(),
                },
                surface: check.surface,
                view: View::Raw,
                detector: Detector::Linear,
                scores,
                vectors: Vectors::NONE,
            }]
        });
        let result = windows
            .as_ref()
            .map(|windows| &windows[..])
            .map_err(|rule| *rule);
        self.machine.verdict(self.now, check.id, result);
    }

    fn read_outputs(&mut self) {
        while let Some(output) = self.machine.poll() {
            assert!(!self.is_over, "an output after the last: {output:?}");
            match output {
                Output::Check(check) => {
                    let is_whole = check.text.len() == check.range.len();
                    assert!(is_whole || check.kind == CheckKind::Global);
                    self.waiting.push(check);
                }
                Output::Release { events, .. } => {
                    assert_eq!(events.start, self.n_left, "events leave out of order");
                    assert!(events.start < events.end && events.end <= self.n_events);
                    self.n_left = events.end;
                }
                Output::Disclaim { texts, .. } => assert!(!texts.is_empty()),
                Output::Finished => {
                    assert_eq!(self.n_left, self.n_events, "an event stayed behind");
                    self.is_over = true;
                }
                Output::Block(_) | Output::Redirect(_) | Output::Fault(_) => self.is_over = true,
            }
        }
    }
}
