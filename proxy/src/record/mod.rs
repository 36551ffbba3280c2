//! The decision record: exactly one for each exchange, opened before anything can fail.
//!
//! Metrics, the JSON Lines sink and `/v1/guard/decisions` all read this record and nothing else
//! counts. It never holds text. Start with [`Event`], the record while it is being made.

mod decisions;
mod metrics;
mod receipt;
mod sink;

pub(crate) use metrics::EngineMetrics;
pub use metrics::Metrics;
pub use receipt::{Coverage, PartReceipt, Receipt};
pub use sink::Sink;

use crate::load::Permit;
use decisions::Decisions;
use portcullis_config::{Action, Mode};
use portcullis_policy::RowHit;
use portcullis_text::{Category, Scores, Surface};
use serde::{Serialize, Serializer};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Version of the record's shape; raised when a field changes its meaning.
pub const VERSION: u32 = 1;

/// Window scores kept per record; further windows only raise the maximum.
const MAX_WINDOWS: usize = 512;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The last byte of the response was handed over.
    Completed,
    /// An error response was handed over, or a stream ended in an error.
    Failed,
    /// The client left first.
    #[default]
    Aborted,
}

/// Scores of one window.
#[derive(Clone, Debug, Serialize)]
pub struct WindowScores {
    /// Where it stands.
    pub surface: Surface,
    /// Number of its part.
    pub part: u32,
    /// Bytes of the part.
    pub start: usize,
    /// Bytes of the part.
    pub end: usize,
    /// All scores, in category order.
    #[serde(serialize_with = "short_scores")]
    pub scores: Scores,
}

/// Seven digits after the point are what a threshold can tell apart.
fn short_scores<S: Serializer>(scores: &Scores, serializer: S) -> Result<S::Ok, S::Error> {
    let rounded = scores
        .as_array()
        .iter()
        .map(|score| (f64::from(*score) * 1e7).round() / 1e7);
    serializer.collect_seq(rounded)
}

/// A row that was reached.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The category, or the pattern's number.
    pub label: portcullis_text::Label,
    /// Where the text stands.
    pub surface: Surface,
    /// What the row says.
    pub action: Action,
    /// The score that reached it.
    pub score: f32,
    /// The threshold it reached.
    pub threshold: f32,
    /// Who saw it.
    pub detector: portcullis_text::Detector,
    /// The reading it was seen in; `conversation` for the person's turns taken together.
    pub view: portcullis_text::View,
    /// By which ways the text tries to get round a guard.
    pub vectors: portcullis_text::Vectors,
}

impl From<&RowHit> for Row {
    fn from(hit: &RowHit) -> Self {
        Self {
            label: hit.label,
            surface: hit.surface,
            action: hit.action,
            score: hit.score,
            threshold: hit.threshold,
            detector: hit.detector,
            view: hit.view,
            vectors: hit.vectors,
        }
    }
}

/// Where the time went, in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Timings {
    /// From the request's head to the end of the response.
    pub total_us: u64,
    /// Parsing the request.
    pub parse_us: u64,
    /// Screening the prompt.
    pub screen_prompt_us: u64,
    /// Waiting for the upstream (head, and body when it is not a stream).
    pub upstream_us: u64,
    /// Screening the completion.
    pub screen_completion_us: u64,
    /// Streams: from the upstream's first text to the first byte we let go.
    pub ttft_added_us: u64,
    /// Streams: the longest time that text was held.
    pub hold_max_us: u64,
}

/// The decision record. No field holds text that people or models wrote.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Record {
    /// [`VERSION`].
    pub version: u32,
    /// The decision's id, as in `x-portcullis-decision`.
    pub id: String,
    /// The request's id, as in `x-request-id`.
    pub request_id: String,
    /// Milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Keyed hash of the presented credential.
    pub tenant: Arc<str>,
    /// Random pseudonym of the person, when the request names one.
    pub subject: Option<String>,
    /// The endpoint.
    pub route: &'static str,
    /// The dialect.
    pub dialect: &'static str,
    /// Digest of the model's name, when one was named; names are the client's text.
    pub model: Option<String>,
    /// Whether the answer is a stream.
    pub stream: bool,
    /// What the policy concluded.
    pub action: Action,
    /// What was done; differs from `action` in observe mode.
    pub enforced: Action,
    /// Enforce or observe.
    pub mode: Mode,
    /// The command that was answered, if one was.
    pub command: Option<&'static str>,
    /// Labels that were put on.
    pub labels: SmallVec<[&'static str; 2]>,
    /// Rows that were reached, strongest first.
    pub rows: Vec<Row>,
    /// Scores by window; at most 512 windows.
    pub windows: SmallVec<[WindowScores; 2]>,
    /// The largest score per category over all windows, by surface.
    pub scores: SmallVec<[(Surface, Peak); 2]>,
    /// What the person's turns say together, where two or more say anything.
    pub conversation: Option<ConversationScores>,
    /// Name and digest of the policy.
    pub policy: Arc<str>,
    /// Digests of the classifiers.
    pub classifiers: Arc<[String]>,
    /// Name and version of the canonicaliser.
    pub canonicaliser: &'static str,
    /// What was screened, and what not.
    pub receipt: Receipt,
    /// Cache look-ups that hit and missed.
    pub cache: (usize, usize),
    /// Classifier failures.
    pub failures: Vec<(&'static str, &'static str)>,
    /// Bytes of stream text that left before they were screened; 0 unless the policy is open or only observes.
    pub unscreened_bytes: u64,
    /// How long windows took in classifiers, and how often they were asked.
    pub infer_us: u64,
    /// Status of the response.
    pub status: u16,
    /// Why it failed, if it did.
    pub error: Option<&'static str>,
    /// Whether the upstream was at fault.
    pub upstream_fault: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// Where the time went.
    pub timings: Timings,
}

/// The largest score per category.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Peak(#[serde(serialize_with = "short_scores")] pub Scores);

/// Scores of the person's turns taken together.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ConversationScores {
    /// Turns that were looked at, the latest.
    pub turns: usize,
    /// All scores, in category order; 0 where fewer than two turns are rare.
    pub scores: Peak,
}

impl Record {
    /// Takes in what a classifier said.
    pub fn note_windows(&mut self, windows: &[portcullis_text::Window]) {
        for window in windows {
            self.raise(window.surface, &window.scores);
            if self.windows.len() < MAX_WINDOWS {
                self.windows.push(WindowScores {
                    surface: window.surface,
                    part: window.span.part.0,
                    start: window.span.range.start,
                    end: window.span.range.end,
                    scores: window.scores,
                });
            }
        }
    }

    /// Forgets what was screened: what is forwarded will be screened anew.
    pub(crate) fn forget_screening(&mut self) {
        self.windows.clear();
        self.scores.clear();
        self.conversation = None;
        self.receipt = Receipt::default();
    }

    fn raise(&mut self, surface: Surface, scores: &Scores) {
        match self.scores.iter_mut().find(|(known, _)| *known == surface) {
            Some((_, peak)) => peak.0 = peak.0.max(scores),
            None => self.scores.push((surface, Peak(*scores))),
        }
    }

    /// Takes in rows and what they came to; the strongest of several decisions stands.
    pub fn note_decision(&mut self, action: Action, enforced: Action, rows: &[RowHit]) {
        self.action = self.action.max(action);
        self.enforced = self.enforced.max(enforced);
        self.rows.extend(rows.iter().map(Row::from));
    }

    /// The category of the row that decided, for people.
    #[must_use]
    pub fn deciding(&self) -> Option<&'static str> {
        let strongest = self.rows.iter().max_by_key(|row| row.action)?;
        Some(strongest.label.metric())
    }

    /// The largest score of a category on any surface.
    #[must_use]
    pub fn peak(&self, category: Category) -> f32 {
        self.scores
            .iter()
            .map(|(_, peak)| peak.0[category])
            .fold(0.0, f32::max)
    }
}

/// Who keeps records: metrics, the sink, and the decisions that can be asked for.
#[derive(Debug)]
pub struct Recorder {
    /// The metrics that `/metrics` shows.
    pub metrics: Metrics,
    sink: Sink,
    decisions: Decisions,
    policy: Arc<str>,
    mode: Mode,
    classifiers: Arc<[String]>,
}

impl Recorder {
    /// Keeps records for a policy (`name@digest8`) and classifiers (their digests).
    #[must_use]
    pub fn new(
        metrics: Metrics,
        sink: Sink,
        policy: String,
        mode: Mode,
        classifiers: Vec<String>,
    ) -> Self {
        sink.count_lost_in(metrics.records_lost());
        Self {
            metrics,
            sink,
            decisions: Decisions::default(),
            policy: policy.into(),
            mode,
            classifiers: classifiers.into(),
        }
    }

    /// Opens the record of an exchange. It is written when the event is dropped, whatever happens.
    #[must_use]
    pub fn open(self: &Arc<Self>, request_id: Option<String>) -> Event {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        // Ids sort by time and tell nothing else.
        let number = uuid::Uuid::now_v7().simple();
        let mut digits = [0; uuid::fmt::Simple::LENGTH];
        let number = &*number.encode_lower(&mut digits);
        let mut record = Arc::<Record>::default();
        // Filled where it stands: it is too large to be moved about.
        let made = Arc::make_mut(&mut record);
        made.version = VERSION;
        made.id = ["dec_", number].concat();
        made.request_id = request_id.unwrap_or_else(|| ["req_", number].concat());
        made.time_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        made.route = "unknown";
        made.dialect = "none";
        made.mode = self.mode;
        made.policy = Arc::clone(&self.policy);
        made.classifiers = Arc::clone(&self.classifiers);
        made.canonicaliser = portcullis_text::canonical::VERSION;
        Event {
            record,
            recorder: Arc::clone(self),
            opened: Instant::now(),
            permit: None,
        }
    }

    /// The final record of a decision, for the tenant it belongs to.
    #[must_use]
    pub fn decision(&self, id: &str, tenant: &str) -> Option<Arc<Record>> {
        self.decisions
            .find(id)
            .filter(|record| *record.tenant == *tenant)
    }

    /// The record of a decision, once its exchange has ended; `None` when it does not end within
    /// five seconds.
    pub(crate) async fn ended(&self, id: &str) -> Option<Arc<Record>> {
        for _ in 0..500 {
            if let Some(record) = self.decisions.find(id) {
                return Some(record);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }

    /// Waits until everything that was written has reached the sink.
    pub fn flush(&self) {
        self.sink.flush();
    }

    fn write(&self, record: &Arc<Record>, now: Instant) {
        self.metrics.observe(record);
        if record.route != "unknown" {
            self.decisions.keep(Arc::clone(record), now);
        }
        if !self.sink.write(record) {
            self.metrics.record_lost();
        }
    }
}

/// A record being made. Dropped unfinished, it is written as aborted.
#[derive(Debug)]
pub struct Event {
    /// Shared with nobody while it is made.
    record: Arc<Record>,
    recorder: Arc<Recorder>,
    opened: Instant,
    /// The room that the exchange takes up, given back when it has ended.
    pub(crate) permit: Option<Permit>,
}

impl Event {
    /// When the exchange began.
    #[must_use]
    pub const fn opened(&self) -> Instant {
        self.opened
    }

    /// Marks how it ended; the record is written when the event is dropped.
    pub fn finish(&mut self, outcome: Outcome) {
        Arc::make_mut(&mut self.record).outcome = outcome;
    }
}

impl std::ops::Deref for Event {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

impl std::ops::DerefMut for Event {
    fn deref_mut(&mut self) -> &mut Record {
        Arc::make_mut(&mut self.record)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let now = Instant::now();
        let total = now.saturating_duration_since(self.opened);
        self.timings.total_us = micros(total);
        self.recorder.write(&self.record, now);
    }
}

/// Whole microseconds.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
