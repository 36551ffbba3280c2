//! What goes into the machine and what comes out of it.

use crate::Decision;
use portcullis_config::StreamMode;
use portcullis_text::{Content, PartId, Scores, Surface};
use std::ops::Range;
use std::time::Duration;

/// How streams are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// How text is held.
    pub mode: StreamMode,
    /// How long a channel waits between two checks of a tail short of a grid point, unless half the
    /// way to that point has come; 100 ms.
    pub pace: Duration,
    /// New tokens for each grid check; 8.
    pub stride: usize,
    /// Tokens before the new ones that a grid check sees again; 24.
    pub overlap: usize,
    /// The part number of the first channel; later channels count on from it.
    pub first_part: PartId,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            mode: StreamMode::Balanced,
            pace: Duration::from_millis(100),
            stride: 8,
            overlap: 24,
            first_part: PartId(0),
        }
    }
}

/// Which text of an answer: one choice has several (its content, its reasoning, each tool call).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelKey {
    /// The choice (`index` in OpenAI's dialect, 0 in Anthropic's).
    pub choice: u32,
    /// The channel within the choice; the host's own numbering.
    pub channel: u32,
}

/// When text of a channel may leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// As soon as it is screened.
    #[default]
    UntilScreened,
    /// Not before the channel is complete, since a client may act on it: tool-call arguments.
    UntilComplete,
}

/// A piece of text in an event.
#[derive(Clone, Copy, Debug)]
pub struct DeltaIn<'a> {
    /// The channel it belongs to.
    pub key: ChannelKey,
    /// Where the channel stands; that of its first delta counts.
    pub surface: Surface,
    /// The text; may be empty.
    pub text: &'a str,
    /// When it may leave; that of the channel's first delta counts.
    pub hold: Hold,
    /// Whether this ends the channel. Text that comes for its key later begins a new channel.
    pub complete: bool,
}

/// One event of the upstream, in order of arrival.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventIn<'a> {
    /// The text in it, in order; none for events that only frame.
    pub deltas: &'a [DeltaIn<'a>],
    /// The choices that this event ends, with their finish reasons. It completes their channels.
    pub closes: &'a [u32],
}

/// Number of a check, in order of submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckId(pub u64);

/// What a check is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CheckKind {
    /// A window of the fixed token grid.
    Grid,
    /// A view of the whole text so far, at doubling lengths and at the end.
    Global,
    /// A tail short of a grid point: may release or hold, never block.
    Tail,
    /// The last tail of a channel.
    End,
}

/// Text to be scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// To be given back with the verdict.
    pub id: CheckId,
    /// The channel.
    pub key: ChannelKey,
    /// The channel's part number.
    pub part: PartId,
    /// Where the channel stands.
    pub surface: Surface,
    /// What it is for.
    pub kind: CheckKind,
    /// The text. For a global check of a long channel a sample of `range`, else exactly `range`.
    pub text: Content,
    /// Bytes of the channel's text.
    pub range: Range<usize>,
}

/// The new text of a delta: redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventEdit {
    /// The event's number.
    pub event: u64,
    /// Index of the delta among those given with the event.
    pub delta: usize,
    /// What stands there now; may be empty.
    pub text: Content,
}

/// The end of a stream that the policy stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// Why. Its terminal is the refusal or the text to answer with.
    pub decision: Box<Decision>,
    /// Whether any text has left already; then a redirect's text follows it instead of replacing it.
    pub text_released: bool,
}

/// What the host has to do, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Have a text scored and bring the verdict.
    Check(Check),
    /// Send whole events on, as they came but for the edits.
    Release {
        /// Numbers of the events; each range begins where the one before it ended.
        events: Range<u64>,
        /// New texts of single deltas.
        edits: Vec<EventEdit>,
        /// How long the first of them was held.
        held: Duration,
    },
    /// Append these texts to a choice, before the event that ends it goes out.
    ///
    /// Where the event that ends the choice carries text of its own, the disclaimer goes after
    /// that text. Where no event ended it, this comes behind the last text of the stream.
    Disclaim {
        /// The choice.
        choice: u32,
        /// What to append, each once.
        texts: Vec<String>,
    },
    /// Refuse; nothing more leaves. Cancel the upstream.
    Block(Stop),
    /// Answer with the policy's text; nothing more leaves. Cancel the upstream.
    Redirect(Stop),
    /// A classifier could not answer and its rule is `closed`. Nothing more leaves.
    Fault(CheckId),
    /// Everything has left and every check is answered.
    Finished,
}

/// What the record says about a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Checks submitted, by kind: grid, global, tail, end.
    pub n_checks: [u64; 4],
    /// Bytes of text submitted to checks, overlaps counted again.
    pub bytes_checked: u64,
    /// Bytes of text that came.
    pub bytes_in: u64,
    /// Bytes of text that left.
    pub bytes_released: u64,
    /// Bytes that left without a passing check although the policy enforces: its rule was `open`.
    pub bytes_unscreened: u64,
    /// Bytes that left before their check in observe mode.
    pub bytes_observed: u64,
    /// Checks that failed and were let pass by the rule `open`.
    pub n_failed_open: u64,
    /// Windows that decide, with their verdict.
    pub n_windows: u64,
    /// The largest scores by surface, over the windows that decide; provisional ones do not count.
    pub max_scores: [Option<Scores>; Surface::COUNT],
}

impl CheckKind {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grid => "grid",
            Self::Global => "global",
            Self::Tail => "tail",
            Self::End => "end",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}
