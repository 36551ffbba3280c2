//! One tier's share of a screening: what the cache knows, what is submitted, what comes back.

use super::ScreenRequest;
use crate::cache::{Asked, CachedWindow, Key, VerdictCache};
use crate::classifier::{Classifier, Deadline, Failure, Identity, Job, Pending, Segment, Verdict};
use portcullis_text::{CategorySet, Detector, PartId, Window};
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

/// Shorter texts the linear tier scores anew: storing them takes about as long.
const MIN_CACHED_BYTES: usize = 64;

/// A tier that was asked.
pub(super) struct Ask<'a> {
    identity: &'a Identity,
    counts_lower: CategorySet,
    /// Windows found in the cache, with their segment's index.
    found: Vec<(usize, Window)>,
    /// What was submitted, in job order.
    missing: Vec<Missing>,
    /// `None` when nothing had to be submitted.
    pending: Option<Result<Pending, Failure>>,
    submitted_at: Option<Instant>,
    pub(super) n_hits: usize,
    pub(super) n_misses: usize,
}

/// A segment that the tier has to score.
struct Missing {
    segment_idx: usize,
    /// Where its verdict will be stored.
    key: Option<Key>,
}

/// What a tier answered.
pub(super) struct Answer {
    /// Windows with their segment's index; those scored now, then those found in the cache.
    pub(super) windows: Vec<(usize, Window)>,
    /// Why segments were left unscored, and which, in ascending order.
    pub(super) failed: Option<(Failure, Vec<usize>)>,
}

impl<'a> Ask<'a> {
    /// Looks the segments up and submits what is not found, in one job.
    pub(super) fn new(
        tier: &'a dyn Classifier,
        request: &ScreenRequest,
        cache: Option<&VerdictCache>,
        context: Option<[u8; 32]>,
    ) -> Self {
        let identity = tier.identity();
        let (found, missing) = (Vec::new(), Vec::new());
        let context = context.filter(|_| tier.reads_context());
        let mut ask = Self {
            identity,
            counts_lower: tier.counts_lower(),
            found,
            missing,
            pending: None,
            submitted_at: None,
            n_hits: 0,
            n_misses: 0,
        };
        for (segment_idx, segment) in request.segments.iter().enumerate() {
            if !segment.content.is_empty() {
                ask.look_up(
                    segment_idx,
                    segment,
                    request,
                    cache.map(|cache| (cache, context)),
                );
            }
        }
        if !ask.missing.is_empty() {
            ask.submitted_at = Some(Instant::now());
            ask.pending = Some(submit(tier, ask.job(request)));
        }
        ask
    }

    pub(super) const fn detector(&self) -> Detector {
        self.identity.detector
    }

    /// When it was submitted; `None` when nothing had to be.
    pub(super) const fn submitted_at(&self) -> Option<Instant> {
        self.submitted_at
    }

    pub(super) const fn counts_lower(&self) -> CategorySet {
        self.counts_lower
    }

    fn look_up(
        &mut self,
        segment_idx: usize,
        segment: &Segment,
        request: &ScreenRequest,
        cache: Option<(&VerdictCache, Option<[u8; 32]>)>,
    ) {
        let is_cheap = self.detector() == Detector::Linear;
        let Some((cache, context)) =
            cache.filter(|_| !is_cheap || MIN_CACHED_BYTES <= segment.content.len())
        else {
            return self.missing.push(Missing {
                segment_idx,
                key: None,
            });
        };
        let asked = Asked {
            classifier: self.identity,
            surface: segment.surface,
            unit: request.unit,
            context,
            text: &segment.content,
        };
        let key = VerdictCache::key(&request.salt, &asked);
        let Some(windows) = cache.get(&key) else {
            self.n_misses += 1;
            return self.missing.push(Missing {
                segment_idx,
                key: Some(key),
            });
        };
        self.n_hits += 1;
        let detector = self.detector();
        let placed = windows.iter().map(|cached| {
            let (range, view) = (cached.range.clone(), cached.view);
            let window = Window {
                vectors: cached.vectors,
                ..segment.window(range, view, detector, cached.scores)
            };
            (segment_idx, window)
        });
        self.found.extend(placed);
    }

    /// The job carries its own part numbers, so that each window is known to belong to one segment
    /// even when several segments lie in the same part.
    fn job(&self, request: &ScreenRequest) -> Job {
        let segments = self.missing.iter().zip(0..).map(|(missing, job_idx)| {
            let segment = request.segments[missing.segment_idx].clone();
            Segment {
                part: PartId(job_idx),
                ..segment
            }
        });
        Job {
            segments: segments.collect(),
            context: request.context.clone(),
            unit: request.unit,
            tenant: request.tenant,
            salt: request.use_cache.then_some(request.salt),
            deadline: request.deadline,
            class: request.class,
        }
    }

    /// Waits for the verdict, checks it and stores it.
    pub(super) async fn answer(
        self,
        request: &ScreenRequest,
        cache: Option<&VerdictCache>,
    ) -> Answer {
        let verdict = match self.pending {
            None => {
                return Answer {
                    windows: self.found,
                    failed: None,
                };
            }
            Some(Err(failure)) => Err(failure),
            Some(Ok(pending)) => wait(pending, request.deadline).await,
        };
        let scored = verdict
            .and_then(|verdict| assign(verdict, &self.missing, self.identity.detector, request));
        match scored {
            Ok(mut scored) => {
                if let Some(cache) = cache {
                    store(cache, &self.missing, &scored, request);
                }
                scored.extend(self.found);
                Answer {
                    windows: scored,
                    failed: None,
                }
            }
            Err(failure) => {
                let unscored = self
                    .missing
                    .iter()
                    .map(|missing| missing.segment_idx)
                    .collect();
                Answer {
                    windows: self.found,
                    failed: Some((failure, unscored)),
                }
            }
        }
    }
}

/// A tier may score on this very thread: a panic there is its failure and not the caller's.
fn submit(tier: &dyn Classifier, job: Job) -> Result<Pending, Failure> {
    match catch_unwind(AssertUnwindSafe(|| tier.submit(job))) {
        Ok(submitted) => submitted.map_err(Failure::Shed),
        Err(_panic) => Err(Failure::Died),
    }
}

async fn wait(mut pending: Pending, deadline: Deadline) -> Result<Verdict, Failure> {
    // A verdict that is there already is taken without the cost of a timer.
    let at_once = poll_fn(|context| Poll::Ready(Pin::new(&mut pending).poll(context))).await;
    if let Poll::Ready(verdict) = at_once {
        return verdict;
    }
    let verdict = tokio::time::timeout_at(deadline.into(), pending).await;
    verdict.unwrap_or(Err(Failure::TimedOut))
}

/// Gives each window back its segment and its part's own number; in segment order.
///
/// A verdict that leaves a segment out, or speaks of bytes that were not submitted, is no verdict.
fn assign(
    verdict: Verdict,
    missing: &[Missing],
    detector: Detector,
    request: &ScreenRequest,
) -> Result<Vec<(usize, Window)>, Failure> {
    let mut is_scored = vec![false; missing.len()];
    let mut windows = Vec::with_capacity(verdict.windows.len());
    for mut window in verdict.windows {
        let job_idx = window.span.part.0 as usize;
        let segment_idx = missing.get(job_idx).ok_or(Failure::Died)?.segment_idx;
        let segment = &request.segments[segment_idx];
        let Range { start, end } = window.span.range;
        if start < segment.start || end < start || segment.start + segment.content.len() < end {
            return Err(Failure::Died);
        }
        is_scored[job_idx] = true;
        window.span.part = segment.part;
        window.surface = segment.surface;
        window.detector = detector;
        windows.push((segment_idx, window));
    }
    if is_scored.contains(&false) {
        return Err(Failure::Died);
    }
    windows.sort_by_key(|(segment_idx, _)| *segment_idx);
    Ok(windows)
}

/// Stores each segment's windows; both lists are in segment order.
fn store(
    cache: &VerdictCache,
    missing: &[Missing],
    windows: &[(usize, Window)],
    request: &ScreenRequest,
) {
    let by_segment = windows.chunk_by(|(one, _), (next, _)| one == next);
    for (Missing { segment_idx, key }, own) in missing.iter().zip(by_segment) {
        let Some(key) = key else { continue };
        let start = request.segments[*segment_idx].start;
        let cached = own.iter().map(|(_, window)| CachedWindow {
            range: window.span.range.start - start..window.span.range.end - start,
            view: window.view,
            scores: window.scores,
            vectors: window.vectors,
        });
        cache.insert(*key, cached.collect());
    }
}
