//! One channel of a choice: its text, its grid, and how far it is screened.

use super::cover::Cover;
use super::{ChannelKey, CheckId, DeltaIn, Hold, StreamConfig};
use crate::tally::merge;
use crate::{Engine, Redaction};
use portcullis_text::pattern::Scanner;
use portcullis_text::segment::Grid;
use portcullis_text::{PartId, PatternId, Surface};
use std::collections::HashSet;
use std::ops::Range;
use std::time::Instant;

/// Tokens of the first global check; each later one comes at twice as many.
const FIRST_GLOBAL: usize = 64;
/// A global check of more tokens than this sees a sample.
const GLOBAL_TOKENS: usize = 256;
/// Tokens of a sample's head, and of its end.
const SAMPLE_EDGE: usize = 64;
/// Tokens of each run sampled between head and end.
const SAMPLE_RUN: usize = 8;
/// Bytes before a window from which on disguises are read: codes that stand apart are read together.
const BACK_BYTES: usize = 256;
/// The same within a run of ASCII without a space, which may be codes of codes.
const RUN_BYTES: usize = 1024;
/// A long run is read from a multiple of this after its beginning: codes of 2, 3, 4, 6, 7, 8, 12 and
/// 24 characters are cut between two of them.
const RUN_STEP: usize = 168;

/// The state of one channel. Positions are bytes of its own text unless said otherwise.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) key: ChannelKey,
    pub(crate) surface: Surface,
    pub(crate) part: PartId,
    pub(crate) hold: Hold,
    pub(crate) text: String,
    pub(crate) watch: Scanner,
    /// Nothing more will come.
    pub(crate) complete: bool,
    /// Entries of the ledger that are about this channel and not yet applied.
    pub(crate) n_pending: usize,
    /// Covered by passing windows of the grid and the end, or let pass by the rule `open`.
    pub(crate) sure: Cover,
    /// The same, and what provisional checks passed.
    pub(crate) soft: Cover,
    /// What any passing check really saw.
    pub(crate) seen: Cover,
    /// A provisional check disliked the text up to here: only `sure` releases it.
    pub(crate) suspect_until: usize,
    pub(crate) tail: Option<CheckId>,
    pub(crate) last_check: Option<Instant>,
    pub(crate) redactions: Vec<Redaction>,
    /// Matches in disguise that were entered, by pattern and end: windows overlap.
    pub(crate) disguises: HashSet<(PatternId, usize)>,
    /// Where the run of ASCII without a space begins that the text ends in.
    run_from: usize,
    /// Where such runs of more than [`RUN_BYTES`] begin.
    long_runs: Vec<usize>,
    /// Where runs of this channel's bytes begin: in the channel, and in the stream.
    runs: Vec<(usize, u64)>,
    grid: Grid,
    /// Tokens at which the next grid check is due.
    next_grid: usize,
    next_global: usize,
    last_global: usize,
    /// The end of the furthest check submitted.
    checked_to: usize,
    /// Complete tokens when the last check was submitted.
    tokens_at_check: usize,
    n_tails: usize,
}

/// A stretch of text to be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) range: Range<usize>,
    /// What is scored, where it is not exactly the range.
    pub(crate) sample: Option<String>,
}

impl Channel {
    pub(crate) fn new(
        engine: &Engine,
        config: &StreamConfig,
        delta: &DeltaIn<'_>,
        idx: u32,
    ) -> Self {
        Self {
            key: delta.key,
            surface: delta.surface,
            part: PartId(config.first_part.0.saturating_add(idx)),
            hold: delta.hold,
            text: String::new(),
            watch: engine.patterns.on(delta.surface).scanner(),
            complete: false,
            n_pending: 0,
            sure: Cover::default(),
            soft: Cover::default(),
            seen: Cover::default(),
            suspect_until: 0,
            tail: None,
            last_check: None,
            redactions: Vec::new(),
            disguises: HashSet::new(),
            run_from: 0,
            long_runs: Vec::new(),
            runs: Vec::new(),
            grid: Grid::new(),
            next_grid: config.stride,
            next_global: FIRST_GLOBAL,
            last_global: 0,
            checked_to: 0,
            tokens_at_check: 0,
            n_tails: 0,
        }
    }

    /// Appends text that begins at `at` in the stream.
    pub(crate) fn append(&mut self, text: &str, at: u64) -> Range<usize> {
        let start = self.text.len();
        let goes_on = self
            .runs
            .last()
            .is_some_and(|run| run.1 + (start - run.0) as u64 == at);
        if !goes_on {
            self.runs.push((start, at));
        }
        self.text.push_str(text);
        self.grid.push(text);
        self.note_runs(start);
        start..self.text.len()
    }

    /// The last token ends here, since nothing more will come.
    pub(crate) fn finish(&mut self) {
        self.complete = true;
        self.grid.finish();
    }

    fn note_runs(&mut self, start: usize) {
        for (at, byte) in (start..).zip(self.text[start..].bytes()) {
            if !byte.is_ascii_graphic() {
                self.run_from = at + 1;
            } else if at == self.run_from + RUN_BYTES {
                self.long_runs.push(self.run_from);
            }
        }
    }

    /// From where on disguises are read in a window that begins at `byte`: a window that begins
    /// within an encoding holds too little of it to be read.
    pub(crate) fn read_from(&self, byte: usize) -> usize {
        let most = byte.saturating_sub(RUN_BYTES);
        let before = &self.text.as_bytes()[most..byte];
        let run = before.iter().rev().take_while(|b| b.is_ascii_graphic());
        let run = byte - run.count();
        let is_long = run == most && 0 < most;
        let start = if is_long {
            let known = self.long_runs.partition_point(|from| *from <= most);
            let from = known.checked_sub(1).map_or(most, |idx| self.long_runs[idx]);
            most - (most - from) % RUN_STEP
        } else {
            run.min(byte.saturating_sub(BACK_BYTES))
        };
        self.text.floor_char_boundary(start)
    }

    /// Where a byte of the channel stands in the stream.
    pub(crate) fn position(&self, byte: usize) -> u64 {
        let run = self
            .runs
            .partition_point(|run| run.0 <= byte)
            .saturating_sub(1);
        self.runs
            .get(run)
            .map_or(0, |(start, at)| at + byte.saturating_sub(*start) as u64)
    }

    /// The next window of the grid, once all of its tokens are there.
    pub(crate) fn cut_grid(&mut self, config: &StreamConfig) -> Option<Stretch> {
        if self.grid.tokens() < self.next_grid {
            return None;
        }
        let first = self
            .next_grid
            .saturating_sub(config.stride + config.overlap);
        let range = self.edge(first)..self.edge(self.next_grid);
        self.next_grid += config.stride;
        self.n_tails = 0;
        Some(self.stretch(range))
    }

    /// The next view of the whole, when the grid has just reached a doubling.
    pub(crate) fn cut_global(&mut self, config: &StreamConfig) -> Option<Stretch> {
        let n_tokens = self.next_grid - config.stride;
        if n_tokens < self.next_global {
            return None;
        }
        self.next_global *= 2;
        Some(self.whole(n_tokens, self.edge(n_tokens)))
    }

    /// What stands behind the last grid point, with its overlap.
    pub(crate) fn cut_rest(&mut self, config: &StreamConfig) -> Option<Stretch> {
        self.cut_behind_grid(config.stride, config.overlap)
    }

    /// The same while text still comes, for a provisional check; counted against its budget. It
    /// decides nothing, so a sixth of the overlap will do.
    pub(crate) fn cut_tail(&mut self, config: &StreamConfig) -> Option<Stretch> {
        self.n_tails += 1;
        self.cut_behind_grid(config.stride, config.overlap / 6)
    }

    fn cut_behind_grid(&mut self, stride: usize, overlap: usize) -> Option<Stretch> {
        let n_tokens = self.next_grid - stride;
        if self.edge(n_tokens) == self.text.len() {
            return None;
        }
        let start = self.edge(n_tokens.saturating_sub(overlap));
        Some(self.stretch(start..self.text.len()))
    }

    /// The whole text at its end, unless one check has seen all of it already.
    pub(crate) fn cut_last_global(&mut self, config: &StreamConfig) -> Option<Stretch> {
        let n_tokens = self.grid.tokens();
        let seen_whole = n_tokens <= config.overlap + config.stride || n_tokens == self.last_global;
        (!seen_whole).then(|| self.whole(n_tokens, self.text.len()))
    }

    /// A check was submitted.
    pub(crate) fn note_check(&mut self, now: Instant) {
        self.last_check = Some(now);
        self.tokens_at_check = self.grid.tokens();
    }

    /// Whether the last check was long enough ago: the pace, or half the way to the next grid point.
    /// Of a stream that is faster than the pace, each grid point has so one provisional check.
    pub(crate) fn is_tail_due(&self, now: Instant, config: &StreamConfig) -> bool {
        let is_half_way = config.stride <= 2 * (self.grid.tokens() - self.tokens_at_check);
        self.last_check
            .is_none_or(|last| is_half_way || last + config.pace <= now)
    }

    /// Whether there is text that a provisional check could release.
    pub(crate) fn wants_tail(&self, config: &StreamConfig) -> bool {
        self.hold == Hold::UntilScreened
            && !self.complete
            && self.tail.is_none()
            && self.n_tails < config.stride
            && self.checked_to < self.text.len()
            && !self.is_suspect()
    }

    /// All of its text is screened for good and every verdict about it is in.
    pub(crate) fn is_done(&self) -> bool {
        self.complete && self.n_pending == 0 && self.is_sure()
    }

    /// All text that has come is screened for good.
    pub(crate) fn is_sure(&self) -> bool {
        self.sure.frontier() == self.text.len()
    }

    /// How far text may leave.
    pub(crate) fn limit(&self) -> usize {
        if self.hold == Hold::UntilComplete && !self.is_done() {
            return 0;
        }
        let cover = if self.is_suspect() {
            &self.sure
        } else {
            &self.soft
        };
        let screened = cover.frontier();
        self.watch
            .hold_from()
            .map_or(screened, |held| screened.min(held))
    }

    /// The text of a range after redaction; `None` when nothing in it is redacted.
    pub(crate) fn redacted(&self, range: &Range<usize>) -> Option<String> {
        let groups = merge(self.redactions.clone());
        let touching = groups.iter().filter(|group| {
            group.span.range.start < range.end && range.start < group.span.range.end
        });
        let mut text = String::new();
        let mut at = range.start;
        let mut any = false;
        for group in touching {
            let Range { start, end } = group.span.range;
            if range.start <= start {
                text.push_str(&self.text[at..start]);
                text.push_str(&group.replacement);
            }
            at = end.min(range.end);
            any = true;
        }
        text.push_str(&self.text[at..range.end]);
        any.then_some(text)
    }

    /// Text up to here has left. What ended before it can overlap nothing that is still to come.
    pub(crate) fn forget_redactions(&mut self, released_to: usize) {
        self.redactions
            .retain(|redaction| released_to < redaction.span.range.end);
    }

    /// A provisional check disliked text that nothing else has decided about yet.
    fn is_suspect(&self) -> bool {
        self.sure.frontier() < self.suspect_until
    }

    /// Where the text of the first `n_tokens` tokens ends. What stands before a token belongs to it,
    /// so no byte falls between two windows.
    fn edge(&self, n_tokens: usize) -> usize {
        self.grid.start_of(n_tokens)
    }

    fn stretch(&mut self, range: Range<usize>) -> Stretch {
        self.checked_to = self.checked_to.max(range.end);
        Stretch {
            range,
            sample: None,
        }
    }

    fn whole(&mut self, n_tokens: usize, end: usize) -> Stretch {
        self.last_global = n_tokens;
        let sample = (GLOBAL_TOKENS < n_tokens).then(|| self.sample(n_tokens, end));
        Stretch {
            range: 0..end,
            sample,
        }
    }

    /// Head, evenly spaced runs, and end of a long text: at most [`GLOBAL_TOKENS`] tokens.
    fn sample(&self, n_tokens: usize, end: usize) -> String {
        let between = n_tokens - 2 * SAMPLE_EDGE;
        let n_runs = (GLOBAL_TOKENS - 2 * SAMPLE_EDGE) / SAMPLE_RUN;
        let mut sample = self.text[..self.edge(SAMPLE_EDGE)].to_owned();
        for run in 0..n_runs {
            let first = SAMPLE_EDGE + run * between / n_runs;
            sample.push(' ');
            sample.push_str(&self.text[self.edge(first)..self.edge(first + SAMPLE_RUN)]);
        }
        sample.push(' ');
        sample.push_str(&self.text[self.edge(n_tokens - SAMPLE_EDGE)..end]);
        sample
    }
}
