//! The linear model behind the [`Classifier`] boundary.
//!
//! Short jobs take microseconds and are answered inside `submit`; long ones go to one thread behind
//! a bounded queue, so that a megabyte of text does not hold up the caller's other work.

use super::features::Features;
use super::model::{LinearModel, larger};
use super::window::{Piece, Views};
use crate::classifier::Promise;
use crate::worker::Worker;
use crate::{Classifier, Deadline, Failure, Identity, Job, Pending, Segment, Shed, Verdict};
use portcullis_text::{Category, Detector, Scores, View, Window};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

/// Jobs up to this many bytes are scored in the caller's thread: at most about 2 ms.
const INLINE_BYTES: usize = 16 * 1024;
/// Long jobs that may wait; one more is shed.
const QUEUE_JOBS: usize = 64;

/// The linear model as a [`Classifier`].
///
/// A full queue sheds with [`Shed::QueueFull`], a deadline in the past with [`Shed::Late`]; a panic
/// is [`Failure::Died`] and a logit that is not a number [`Failure::NonFinite`], never "safe".
#[derive(Debug)]
pub struct LinearClassifier {
    model: Arc<LinearModel>,
    identity: Identity,
    worker: Worker<(Job, Promise)>,
}

impl LinearClassifier {
    /// Stands a model behind the boundary and starts the thread for long jobs.
    #[must_use]
    pub fn new(model: impl Into<Arc<LinearModel>>) -> Self {
        let model = model.into();
        let identity = Identity {
            detector: Detector::Linear,
            model: "linear".to_owned(),
            digest: model.digest().to_owned(),
        };
        let scorer = Arc::clone(&model);
        let worker = Worker::start(
            "portcullis-linear",
            QUEUE_JOBS,
            move |(job, promise): (Job, Promise)| {
                let result = guarded(|| answer(&scorer, &job, || promise.is_cancelled()));
                promise.keep(result);
            },
        );
        Self {
            model,
            identity,
            worker,
        }
    }

    /// The model behind it.
    #[must_use]
    pub fn model(&self) -> &LinearModel {
        &self.model
    }
}

impl Classifier for LinearClassifier {
    fn submit(&self, job: Job) -> Result<Pending, Shed> {
        if is_late(job.deadline) {
            return Err(Shed::Late);
        }
        let n_bytes: usize = job
            .segments
            .iter()
            .map(|segment| segment.content.len())
            .sum();
        if n_bytes <= INLINE_BYTES {
            return Ok(Pending::ready(guarded(|| {
                answer(&self.model, &job, || false)
            })));
        }
        let (promise, pending) = Pending::promise();
        self.worker
            .offer((job, promise))
            .map_err(|_| Shed::QueueFull)?;
        Ok(pending)
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }
}

fn is_late(deadline: Deadline) -> bool {
    deadline <= Instant::now()
}

/// Turns a panic into a failure.
fn guarded(score: impl FnOnce() -> Result<Verdict, Failure>) -> Result<Verdict, Failure> {
    catch_unwind(AssertUnwindSafe(score)).unwrap_or(Err(Failure::Died))
}

/// Scores every window of every segment; stops between windows when nobody waits any more.
fn answer(
    model: &LinearModel,
    job: &Job,
    is_cancelled: impl Fn() -> bool,
) -> Result<Verdict, Failure> {
    let mut features = Features::default();
    let mut windows = Vec::with_capacity(job.segments.len());
    for segment in &job.segments {
        let first = windows.len();
        let views = Views::of(segment.content.expose());
        for piece in views.pieces() {
            if is_cancelled() || is_late(job.deadline) {
                return Err(Failure::TimedOut);
            }
            let scores = score(model, &mut features, &piece, (segment, job))?;
            let origin = piece.origin.clone();
            windows.push(segment.window(origin, piece.view, Detector::Linear, scores));
        }
        merge_views(&mut windows, first);
    }
    Ok(Verdict { windows })
}

fn score(
    model: &LinearModel,
    features: &mut Features,
    piece: &Piece<'_>,
    (segment, job): (&Segment, &Job),
) -> Result<Scores, Failure> {
    let logits = model.piece_logits(features, piece);
    if logits.iter().any(|logit| !logit.is_finite()) {
        return Err(Failure::NonFinite);
    }
    Scores::new(model.scores(&logits, segment.surface, job.unit)).ok_or(Failure::NonFinite)
}

/// One window for both views of a text that fits one window each; longer texts keep theirs apart,
/// since their cuts need not fall together.
fn merge_views(windows: &mut Vec<Window>, first: usize) {
    let [raw, folded] = &windows[first..] else {
        return;
    };
    if raw.view != View::Raw || folded.view != View::Folded {
        return;
    }
    let mut merged = if highest(&raw.scores) < highest(&folded.scores) {
        folded
    } else {
        raw
    }
    .clone();
    merged.span.range.start = raw.span.range.start.min(folded.span.range.start);
    merged.span.range.end = raw.span.range.end.max(folded.span.range.end);
    merged.scores = raw.scores.max(&folded.scores);
    windows.truncate(first);
    windows.push(merged);
}

fn highest(scores: &Scores) -> f32 {
    Category::ALL
        .into_iter()
        .map(|category| scores[category])
        .fold(0.0, larger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Unit};
    use portcullis_text::{Content, PartId, Surface};
    use std::cell::Cell;
    use std::time::Duration;

    fn long_job() -> Job {
        let segment = Segment {
            part: PartId(0),
            surface: Surface::User,
            start: 0,
            content: Content::from("bread and butter ".repeat(1000)),
        };
        Job {
            segments: vec![segment],
            context: None,
            unit: Unit::Text,
            tenant: 0,
            salt: None,
            deadline: Instant::now() + Duration::from_secs(60),
            class: Class::Bulk,
        }
    }

    #[test]
    fn a_panic_is_a_failure() {
        assert_eq!(guarded(|| panic!("a bug")), Err(Failure::Died));
    }

    #[test]
    fn work_nobody_waits_for_stops_at_its_next_window() {
        let model = LinearModel::embedded().unwrap();
        let asked = Cell::new(0);
        let result = answer(&model, &long_job(), || {
            asked.set(asked.get() + 1);
            3 <= asked.get()
        });
        assert_eq!(result, Err(Failure::TimedOut));
        assert_eq!(asked.get(), 3, "two windows were scored, the third was not");
    }

    #[tokio::test]
    async fn a_long_job_is_answered_by_the_worker() {
        let classifier = LinearClassifier::new(LinearModel::embedded().unwrap());
        let job = long_job();
        assert!(INLINE_BYTES < job.segments[0].content.len());
        let verdict = classifier.submit(job).unwrap().await.unwrap();
        assert!(20 <= verdict.windows.len());
    }
}
