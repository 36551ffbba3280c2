//! Scores the rows of one set, and keeps the scores only.

use super::EvalError;
use crate::classifier::{Class, Classifier, Failure, Job, Pending, Segment, Shed, Unit, Verdict};
use crate::dataset::{self, Labels, Row};
use portcullis_config::Action;
use portcullis_policy::{Engine, Evidence};
use portcullis_text::{Category, PartId, Scores, Surface, Window};
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Rows given to the classifier at once.
const ROWS_PER_JOB: usize = 64;
/// How long one job may take: long enough for a large model on one core.
const JOB_TIME: Duration = Duration::from_secs(300);

/// A set with its scores.
#[derive(Debug)]
pub(super) struct ScoredSet {
    pub(super) name: String,
    pub(super) rows: Vec<ScoredRow>,
}

/// What is kept of a row.
#[derive(Debug)]
pub(super) struct ScoredRow {
    pub(super) labels: Labels,
    pub(super) surface: Surface,
    /// The largest of all its windows.
    pub(super) scores: Scores,
    /// Whether the policy blocks or redirects it.
    pub(super) is_stopped: bool,
}

impl ScoredSet {
    /// Every row's score for a category, labelled or not.
    pub(super) fn scores(&self, category: Category) -> Vec<f32> {
        self.rows.iter().map(|row| row.scores[category]).collect()
    }
}

/// Scores a whole set; `advance` is told how many rows more are done.
pub(super) fn score_set(
    name: String,
    path: &Path,
    classifier: &dyn Classifier,
    engine: &Engine,
    advance: &mut dyn FnMut(u64),
) -> Result<ScoredSet, EvalError> {
    let mut unread = dataset::read(path)?;
    let mut rows = Vec::new();
    loop {
        let batch = unread
            .by_ref()
            .take(ROWS_PER_JOB)
            .collect::<Result<Vec<Row>, _>>()?;
        if batch.is_empty() {
            return Ok(ScoredSet { name, rows });
        }
        let windows = score_batch(&batch, classifier).map_err(|failure| EvalError::Classifier {
            set: name.clone(),
            first_row: rows.len() + 1,
            last_row: rows.len() + batch.len(),
            failure,
        })?;
        let judged = batch.iter().zip(0..).zip(&windows);
        rows.extend(judged.map(|((row, row_idx), windows)| judge(row, row_idx, windows, engine)));
        advance(batch.len() as u64);
    }
}

/// The windows of each row: those with a context in jobs of their own, all others in one.
fn score_batch(batch: &[Row], classifier: &dyn Classifier) -> Result<Vec<Vec<Window>>, Failure> {
    let deadline = Instant::now() + JOB_TIME;
    let (beside, alone): (Vec<_>, Vec<_>) =
        (0..).zip(batch).partition(|(_, row)| row.context.is_some());
    let orders = beside.chunks(1).chain([&alone[..]]);
    let orders = orders.filter(|rows| !rows.is_empty());
    let jobs = orders.map(|rows| job(rows, deadline));
    let pending: Result<Vec<Pending>, Shed> = jobs.map(|job| classifier.submit(job)).collect();

    let mut by_row = vec![Vec::new(); batch.len()];
    for pending in pending? {
        for window in wait(pending, deadline)?.windows {
            by_row
                .get_mut(window.span.part.0 as usize)
                .ok_or(Failure::Died)?
                .push(window);
        }
    }
    let left_out =
        |(row, windows): (&Row, &Vec<Window>)| windows.is_empty() && !row.text.is_empty();
    if batch.iter().zip(&by_row).any(left_out) {
        return Err(Failure::Died);
    }
    Ok(by_row)
}

/// Rows of one context, by their numbers.
fn job(rows: &[(u32, &Row)], deadline: Instant) -> Job {
    let segments = rows.iter().map(|(row_idx, row)| Segment {
        part: PartId(*row_idx),
        surface: row.role.surface(),
        start: 0,
        content: row.text.clone(),
    });
    Job {
        segments: segments.collect(),
        context: rows.first().and_then(|(_, row)| row.context.clone()),
        unit: Unit::Text,
        tenant: 0,
        salt: None,
        deadline,
        class: Class::Bulk,
    }
}

fn judge(row: &Row, row_idx: u32, windows: &[Window], engine: &Engine) -> ScoredRow {
    let surface = row.role.surface();
    let matches = engine.find_patterns(PartId(row_idx), surface, row.text.expose());
    let decision = engine.decide(&Evidence {
        windows,
        matches: &matches,
    });
    let scores = windows
        .iter()
        .fold(Scores::ZERO, |scores, window| scores.max(&window.scores));
    ScoredRow {
        labels: row.labels,
        surface,
        scores,
        // The verdict and not what is enforced: a policy in observe mode is measured just the same.
        is_stopped: Action::Redirect <= decision.action,
    }
}

/// Waits on this thread, so that evaluation needs no runtime.
fn wait(pending: Pending, deadline: Instant) -> Result<Verdict, Failure> {
    let mut pending = pin!(pending);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(verdict) = pending.as_mut().poll(&mut context) {
            return verdict;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::TimedOut);
        }
        std::thread::park_timeout(left);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
