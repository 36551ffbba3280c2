//! Scores the rows of one set, and keeps the scores only.

use super::EvalError;
use crate::cascade::{Cascade, ScreenRequest};
use crate::classifier::{Failure, Segment};
use crate::dataset::{self, Labels, Row};
use portcullis_config::Action;
use portcullis_policy::{Engine, Evidence};
use portcullis_text::{Category, PartId, Scores, Surface, Window};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

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
    screener: &Screener<'_>,
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
        let windows = score_batch(&batch, screener).map_err(|failure| EvalError::Classifier {
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

/// The windows of each row: those with a context are screened by themselves, all others together.
fn score_batch(batch: &[Row], screener: &Screener<'_>) -> Result<Vec<Vec<Window>>, Failure> {
    let deadline = Instant::now() + JOB_TIME;
    let (beside, alone): (Vec<_>, Vec<_>) =
        (0..).zip(batch).partition(|(_, row)| row.context.is_some());
    let orders = beside.chunks(1).chain([&alone[..]]);
    let orders = orders.filter(|rows| !rows.is_empty());

    let mut by_row = vec![Vec::new(); batch.len()];
    for rows in orders {
        for window in screener.screen(request(rows, deadline))? {
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
fn request(rows: &[(u32, &Row)], deadline: Instant) -> ScreenRequest {
    let segments = rows.iter().map(|(row_idx, row)| Segment {
        part: PartId(*row_idx),
        surface: row.role.surface(),
        start: 0,
        content: row.text.clone(),
    });
    let context = rows.first().and_then(|(_, row)| row.context.clone());
    ScreenRequest::offline(segments.collect(), context, deadline)
}

/// The cascade, on a runtime of its own.
pub(super) struct Screener<'c> {
    cascade: &'c Cascade,
    runtime: Runtime,
}

impl<'c> Screener<'c> {
    pub(super) fn new(cascade: &'c Cascade) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        Ok(Self { cascade, runtime })
    }

    fn screen(&self, request: ScreenRequest) -> Result<Vec<Window>, Failure> {
        let screening = self.runtime.block_on(self.cascade.screen(request));
        Ok(screening.map_err(|closed| closed.failure)?.windows)
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
