//! What leaves: whole events, in order, once everything in them is screened.

use super::{EventEdit, Machine, Output, State};
use portcullis_config::StreamMode;
use portcullis_text::Content;
use smallvec::SmallVec;
use std::ops::Range;
use std::time::Instant;

/// An event that has not left.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) arrived: Instant,
    /// Channels that must be done before it leaves: those it completes.
    pub(super) waits_for: Vec<usize>,
    closes: SmallVec<[u32; 1]>,
    pieces: SmallVec<[Piece; 1]>,
}

/// The text of one delta.
#[derive(Debug)]
struct Piece {
    channel: usize,
    delta_idx: usize,
    range: Range<usize>,
}

impl Held {
    pub(super) fn new(arrived: Instant, closes: &[u32]) -> Self {
        Self {
            arrived,
            waits_for: Vec::new(),
            closes: SmallVec::from_slice(closes),
            pieces: SmallVec::new(),
        }
    }

    pub(super) fn add(&mut self, channel: usize, delta_idx: usize, range: Range<usize>) {
        self.pieces.push(Piece {
            channel,
            delta_idx,
            range,
        });
    }

    /// Neither text nor the end of one.
    fn is_framing(&self) -> bool {
        self.pieces.is_empty() && self.waits_for.is_empty()
    }
}

impl Machine {
    /// Releases what may leave, and finishes the stream when that was all.
    pub(super) fn release(&mut self, now: Instant) {
        if self.state == State::Over || (self.state == State::Doomed && self.enforces()) {
            return;
        }
        let n_ready = self.n_ready();
        self.release_first(now, n_ready);
        if self.everything_is_answered() && self.held.is_empty() {
            self.stop(Output::Finished);
        }
    }

    /// How many of the held events may leave.
    fn n_ready(&self) -> usize {
        if !self.enforces() {
            return self.held.len();
        }
        if self.config.mode == StreamMode::Buffer && !self.everything_is_answered() {
            return 0;
        }
        let screened = self
            .held
            .iter()
            .take_while(|held| self.is_screened(held))
            .count();
        let all_sure = || self.channels.iter().all(super::Channel::is_sure);
        if screened < self.held.len() || (self.ledger.is_empty() && all_sure()) {
            return screened;
        }
        // Events without text may be the last ones of the stream, and the last check precedes the
        // last event: they go before a later event, or when nothing provisional is left.
        let framing = self.held.iter().rev().take_while(|held| held.is_framing());
        screened - framing.count()
    }

    fn is_screened(&self, held: &Held) -> bool {
        let done = held
            .waits_for
            .iter()
            .all(|idx| self.channels[*idx].is_done());
        let within = |piece: &Piece| piece.range.end <= self.channels[piece.channel].limit();
        done && held.pieces.iter().all(within)
    }

    /// Releases the first `n` events, and with the last of them the disclaimers that are left.
    fn release_first(&mut self, now: Instant, n: usize) {
        let everything = self.everything_is_answered() && n == self.held.len();
        let framing = self
            .held
            .iter()
            .rev()
            .take_while(|held| held.is_framing())
            .count();
        let n_text = if everything { n - framing } else { n };
        self.release_and_disclaim(now, n_text);
        if everything {
            let choices: Vec<u32> = self.disclaimers.keys().copied().collect();
            choices
                .into_iter()
                .for_each(|choice| self.give_disclaimer(choice));
        }
        self.release_batch(now, n - n_text);
    }

    /// Releases the first `n` events; a disclaimer goes before the event that ends its choice.
    fn release_and_disclaim(&mut self, now: Instant, n: usize) {
        let mut n_left = n;
        while 0 < n_left {
            let due = |held: &Held| {
                let mut closes = held.closes.iter().copied();
                closes.find(|choice| self.disclaimers.contains_key(choice))
            };
            let n_before = self
                .held
                .iter()
                .take(n_left)
                .take_while(|held| due(held).is_none());
            let n_before = n_before.count();
            let choice = self.held.get(n_before).and_then(due);
            self.release_batch(now, n_before);
            n_left -= n_before;
            if let Some(choice) = choice.filter(|_| 0 < n_left) {
                self.give_disclaimer(choice);
            }
        }
    }

    fn give_disclaimer(&mut self, choice: u32) {
        if let Some(texts) = self.disclaimers.remove(&choice) {
            self.outputs.push_back(Output::Disclaim { choice, texts });
        }
    }

    fn release_batch(&mut self, now: Instant, n: usize) {
        let Some(arrived) = self.held_since().filter(|_| 0 < n) else {
            return;
        };
        let first = self.first_held;
        let batch: Vec<Held> = self.held.drain(..n).collect();
        let mut edits = Vec::new();
        for (event, held) in (first..).zip(&batch) {
            for piece in &held.pieces {
                self.count_released(piece);
                edits.extend(self.edit(event, piece));
                self.channels[piece.channel].forget_redactions(piece.range.end);
            }
        }
        self.first_held += n as u64;
        let held = now.saturating_duration_since(arrived);
        self.outputs.push_back(Output::Release {
            events: first..self.first_held,
            edits,
            held,
        });
    }

    fn edit(&self, event: u64, piece: &Piece) -> Option<EventEdit> {
        let channel = &self.channels[piece.channel];
        if channel.redactions.is_empty() || !self.enforces() {
            return None;
        }
        let text = channel.redacted(&piece.range)?;
        Some(EventEdit {
            event,
            delta: piece.delta_idx,
            text: Content::from(text),
        })
    }

    fn count_released(&mut self, piece: &Piece) {
        let unseen = self.channels[piece.channel].seen.missing(&piece.range) as u64;
        self.stats.bytes_released += piece.range.len() as u64;
        if self.enforces() {
            self.stats.bytes_unscreened += unseen;
        } else {
            self.stats.bytes_observed += unseen;
        }
    }

    fn everything_is_answered(&self) -> bool {
        self.state == State::Ended && self.ledger.is_empty()
    }
}
