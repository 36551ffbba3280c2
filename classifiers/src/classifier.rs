//! The boundary every classifier stands behind: a job in, a pending verdict out.
//!
//! It is asynchronous so that a batching engine can stand behind it without a change above.
//! Dropping a [`Pending`] cancels its job: queued work is dropped, running work stops at its next
//! window.

use crate::cache::Salt;
use portcullis_text::{
    CategorySet, Content, Detector, PartId, Scores, Span, Surface, Vectors, View, Window,
};
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::oneshot;

/// When the answer is no longer of use.
pub type Deadline = Instant;

/// A text to score.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its part.
    pub part: PartId,
    /// Where it stands.
    pub surface: Surface,
    /// Where it begins in its part, in bytes; 0 but for windows of a stream.
    pub start: usize,
    /// The text.
    pub content: Content,
}

impl Segment {
    /// What a detector saw in some bytes of the text.
    pub(crate) fn window(
        &self,
        bytes: Range<usize>,
        view: View,
        detector: Detector,
        scores: Scores,
    ) -> Window {
        Window {
            span: Span {
                part: self.part,
                range: self.start + bytes.start..self.start + bytes.end,
            },
            surface: self.surface,
            view,
            detector,
            scores,
            vectors: Vectors::NONE,
        }
    }
}

/// What a segment is, which decides the scale its scores stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A whole text: long ones are cut into overlapping windows by the classifier.
    Text,
    /// One window of a stream: the scale makes the rate hold for the whole exchange.
    StreamWindow,
}

/// Scheduling class, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A window of a running stream.
    Stream,
    /// A prompt somebody waits for.
    Prompt,
    /// Files and evaluations.
    Bulk,
}

/// Work for a classifier.
#[derive(Clone, Debug)]
pub struct Job {
    /// The texts, each scored by itself.
    pub segments: Vec<Segment>,
    /// The prompt a completion answers, for classifiers that use it.
    pub context: Option<Content>,
    /// Whole texts or windows of a stream.
    pub unit: Unit,
    /// Whose work it is, for fairness; a keyed hash.
    pub tenant: u64,
    /// Under which a classifier may keep what it finds for later, of a stream's windows only what it
    /// finds in their context; nothing is kept without it.
    pub salt: Option<Salt>,
    /// When the answer is no longer of use.
    pub deadline: Deadline,
    /// How urgent it is.
    pub class: Class,
}

/// The scores of a job: at least one window for each segment, in segment order.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Scored windows; spans are in bytes of the part.
    pub windows: Vec<Window>,
}

/// Why a job was not taken. An ordinary value: the caller's policy decides what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Shed {
    /// No room.
    #[error("the classifier's queue is full")]
    QueueFull,
    /// It would come too late.
    #[error("the deadline cannot be met")]
    Late,
}

impl Shed {
    /// The metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Late => "late",
        }
    }
}

/// Why a taken job has no verdict. Never to be read as safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Failure {
    /// Refused at the door.
    #[error(transparent)]
    Shed(#[from] Shed),
    /// No answer in time.
    #[error("the classifier did not answer in time")]
    TimedOut,
    /// The worker died.
    #[error("the classifier died on this text")]
    Died,
    /// Scores that are not numbers.
    #[error("the classifier gave scores that are not numbers")]
    NonFinite,
}

impl Failure {
    /// The metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shed(shed) => shed.name(),
            Self::TimedOut => "timed_out",
            Self::Died => "died",
            Self::NonFinite => "non_finite",
        }
    }
}

/// What a classifier is: enough to replay its verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which tier.
    pub detector: Detector,
    /// The model's name, a metric label from a closed set.
    pub model: String,
    /// Digest of its weights and scale, hexadecimal.
    pub digest: String,
}

/// Scores texts.
pub trait Classifier: Send + Sync + std::fmt::Debug {
    /// Takes a job; never blocks and never waits.
    ///
    /// # Errors
    /// [`Shed`] when the job is refused at the door.
    fn submit(&self, job: Job) -> Result<Pending, Shed>;

    /// What it is.
    fn identity(&self) -> &Identity;

    /// The categories of which its scores count what the tiers below say; their own for these then
    /// fall away where it answers.
    fn counts_lower(&self) -> CategorySet {
        CategorySet::EMPTY
    }

    /// Whether what it says of an answer depends on the job's context.
    fn reads_context(&self) -> bool {
        false
    }
}

/// A verdict to come. Dropping it cancels the work.
pub struct Pending(State);

enum State {
    Ready(Option<Result<Verdict, Failure>>),
    Waiting {
        verdict: oneshot::Receiver<Result<Verdict, Failure>>,
        cancelled: Arc<AtomicBool>,
    },
    Later(Pin<Box<dyn Future<Output = Result<Verdict, Failure>> + Send>>),
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.0 {
            State::Ready(_) => "ready",
            State::Waiting { .. } | State::Later(_) => "waiting",
        };
        write!(f, "Pending({state})")
    }
}

/// The worker's end of a [`Pending`].
#[derive(Debug)]
pub struct Promise {
    verdict: oneshot::Sender<Result<Verdict, Failure>>,
    cancelled: Arc<AtomicBool>,
}

impl Pending {
    /// An answer that is already there.
    #[must_use]
    pub const fn ready(result: Result<Verdict, Failure>) -> Self {
        Self(State::Ready(Some(result)))
    }

    /// An answer that a future gives; dropping that must cancel its work.
    #[must_use]
    pub fn later(verdict: impl Future<Output = Result<Verdict, Failure>> + Send + 'static) -> Self {
        Self(State::Later(Box::pin(verdict)))
    }

    /// An answer to come, and the end that gives it. A dropped promise reads as [`Failure::Died`].
    #[must_use]
    pub fn promise() -> (Promise, Self) {
        let (sender, verdict) = oneshot::channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let promise = Promise {
            verdict: sender,
            cancelled: Arc::clone(&cancelled),
        };
        (promise, Self(State::Waiting { verdict, cancelled }))
    }
}

impl Promise {
    /// Whether nobody waits any more; asked between windows.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Gives the answer; lost without harm when nobody waits.
    pub fn keep(self, result: Result<Verdict, Failure>) {
        drop(self.verdict.send(result));
    }
}

impl Future for Pending {
    type Output = Result<Verdict, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(result) => Poll::Ready(result.take().unwrap_or(Err(Failure::Died))),
            State::Waiting { verdict, .. } => Pin::new(verdict)
                .poll(context)
                .map(|kept| kept.unwrap_or(Err(Failure::Died))),
            State::Later(verdict) => verdict.as_mut().poll(context),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let State::Waiting { cancelled, .. } = &self.0 {
            cancelled.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_a_pending_cancels_its_job() {
        let (promise, pending) = Pending::promise();
        assert!(!promise.is_cancelled());
        drop(pending);
        assert!(promise.is_cancelled());
    }

    #[tokio::test]
    async fn a_promise_that_is_dropped_is_a_failure_and_never_safe() {
        let (promise, pending) = Pending::promise();
        drop(promise);
        assert_eq!(pending.await, Err(Failure::Died));
    }
}
