//! What an upstream writes, and how it is cut into events.

use crate::stream::{ChannelKey, DeltaIn, Hold};
use portcullis_text::Surface;
use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

/// Something the upstream writes, whatever the events it comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Text of a channel.
    Text {
        /// The channel.
        key: ChannelKey,
        /// Where it stands.
        surface: Surface,
        /// When it may leave.
        hold: Hold,
        /// The text.
        text: String,
    },
    /// The end of a channel that has had text.
    Complete(ChannelKey),
    /// The end of a choice.
    Close(u32),
    /// An event without text.
    Frame,
}

/// How a script comes: lists that are gone through again and again. An empty list means its
/// simplest: whole texts, one delta an event, no gap, no latency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// Characters of each delta.
    pub cuts: Vec<usize>,
    /// Deltas of each event.
    pub per_event: Vec<usize>,
    /// Time before each event.
    pub gaps: Vec<Duration>,
    /// Time from each check to its verdict.
    pub latencies: Vec<Duration>,
    /// Whether the end of a choice comes in the event of its last text.
    pub joins_close: bool,
}

/// An event as it comes.
#[derive(Clone, Debug, Default)]
pub(super) struct Event {
    pub(super) deltas: Vec<Delta>,
    pub(super) closes: Option<u32>,
}

#[derive(Clone, Debug)]
pub(super) struct Delta {
    pub(super) key: ChannelKey,
    pub(super) surface: Surface,
    pub(super) hold: Hold,
    pub(super) text: String,
    pub(super) complete: bool,
    /// Its account, once it has come, and where it stands there.
    pub(super) at: (usize, Range<usize>),
}

impl Delta {
    pub(super) fn as_input(&self) -> DeltaIn<'_> {
        DeltaIn {
            key: self.key,
            surface: self.surface,
            text: &self.text,
            hold: self.hold,
            complete: self.complete,
        }
    }
}

/// Cuts a script into events.
pub(super) fn arrange(script: &[Step], arrival: &Arrival) -> Vec<Event> {
    let mut cutter = Cutter {
        arrival,
        events: Vec::new(),
        filling: Event::default(),
        n_deltas: 0,
    };
    let mut known: HashMap<ChannelKey, (Surface, Hold)> = HashMap::new();
    for step in script {
        match step {
            Step::Text {
                key,
                surface,
                hold,
                text,
            } => {
                known.insert(*key, (*surface, *hold));
                cutter.text(text, |text| Delta {
                    key: *key,
                    surface: *surface,
                    hold: *hold,
                    text,
                    complete: false,
                    at: (0, 0..0),
                });
            }
            Step::Complete(key) => {
                let (surface, hold) = known
                    .get(key)
                    .copied()
                    .unwrap_or((Surface::Completion, Hold::default()));
                let (key, text, at) = (*key, String::new(), (0, 0..0));
                cutter.delta(Delta {
                    key,
                    surface,
                    hold,
                    text,
                    complete: true,
                    at,
                });
            }
            Step::Close(choice) => {
                if !arrival.joins_close {
                    cutter.flush();
                }
                cutter.filling.closes = Some(*choice);
                cutter.flush_always();
            }
            Step::Frame => {
                cutter.flush();
                cutter.flush_always();
            }
        }
    }
    cutter.flush();
    cutter.events
}

struct Cutter<'a> {
    arrival: &'a Arrival,
    events: Vec<Event>,
    filling: Event,
    n_deltas: usize,
}

impl Cutter<'_> {
    fn text(&mut self, text: &str, delta: impl Fn(String) -> Delta) {
        let mut rest = text.chars().peekable();
        while rest.peek().is_some() {
            let n_chars = cycle(&self.arrival.cuts, self.n_deltas)
                .unwrap_or(usize::MAX)
                .max(1);
            let piece: String = rest.by_ref().take(n_chars).collect();
            self.delta(delta(piece));
        }
    }

    fn delta(&mut self, delta: Delta) {
        self.n_deltas += 1;
        self.filling.deltas.push(delta);
        let full = cycle(&self.arrival.per_event, self.events.len())
            .unwrap_or(1)
            .max(1);
        if full <= self.filling.deltas.len() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.filling.deltas.is_empty() {
            self.flush_always();
        }
    }

    fn flush_always(&mut self) {
        self.events.push(std::mem::take(&mut self.filling));
    }
}

pub(super) fn cycle<T: Copy>(list: &[T], idx: usize) -> Option<T> {
    list.get(idx.checked_rem(list.len())?).copied()
}
