//! The tiers of classifiers as one: what the proxy asks.
//!
//! [`Cascade::screen`] looks every text up in the verdict cache, gives what is left to each tier,
//! waits no longer than the deadline, and says for each text who screened it and what failed.
//! A failed classifier is never read as safe: the policy's `on_failure` decides, and every failure
//! is reported whatever it decided.

mod ask;
mod screening;

pub use screening::{Closed, ScreenRequest, Screening, SegmentCoverage};

use crate::cache::VerdictCache;
use crate::classifier::{Classifier, Failure, Identity, Segment, Unit};
use ask::Ask;
use portcullis_config::{FailureRule, OnFailure};
use portcullis_text::{Content, Detector, PartId, Scores, Surface, Window};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a cold model may take to answer its first sentence.
const WARM_UP: Duration = Duration::from_secs(30);

/// Classifiers from the cheapest to the best, and the cache before them.
///
/// There is at least one tier. All tiers are asked at once; a failed one falls back on those below
/// it where the policy says so.
#[derive(Clone, Debug)]
pub struct Cascade {
    tiers: Vec<Arc<dyn Classifier>>,
    cache: Option<Arc<VerdictCache>>,
}

impl Cascade {
    /// A cascade of one tier, without a cache.
    #[must_use]
    pub fn new(lowest: Arc<dyn Classifier>) -> Self {
        Self {
            tiers: vec![lowest],
            cache: None,
        }
    }

    /// Puts a tier above those there are.
    #[must_use]
    pub fn with_tier(mut self, higher: Arc<dyn Classifier>) -> Self {
        self.tiers.push(higher);
        self
    }

    /// Puts a cache before all tiers.
    #[must_use]
    pub fn with_cache(mut self, cache: Arc<VerdictCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// What the tiers are, lowest first.
    #[must_use]
    pub fn identities(&self) -> Vec<&Identity> {
        self.tiers.iter().map(|tier| tier.identity()).collect()
    }

    /// Whether every tier answers while it is asked, in microseconds for a short text.
    #[must_use]
    pub fn is_immediate(&self) -> bool {
        let mut tiers = self.tiers.iter();
        tiers.all(|tier| tier.identity().detector == Detector::Linear)
    }

    /// Scores the texts of a request with every tier.
    ///
    /// An empty text needs no scoring and counts as screened. Dropping the future cancels what is
    /// under way. A tier that answers at once is never put on a timer, and is not late; waiting for
    /// any other needs a tokio runtime with time.
    ///
    /// # Errors
    /// [`Closed`] when a classifier failed and its rule is `closed`, or `lower_tier` where no lower
    /// tier was asked for the text.
    pub async fn screen(&self, request: ScreenRequest) -> Result<Screening, Closed> {
        let is_kept = request.use_cache && request.unit == Unit::Text;
        let cache = self.cache.as_deref().filter(|_| is_kept);
        let reads_context = self.tiers.iter().any(|tier| tier.reads_context());
        let context = request.context.as_ref().filter(|_| reads_context);
        let context_digest = cache
            .zip(context)
            .map(|(_, context)| VerdictCache::context_digest(&request.salt, context));

        // Every tier has its job before the first is waited for, so that their times do not add up.
        let tiers = self.tiers.iter();
        let asks: Vec<Ask<'_>> = tiers
            .map(|tier| Ask::new(&**tier, &request, cache, context_digest))
            .collect();
        let started = asks.iter().find_map(Ask::submitted_at);

        let mut board = Board::new(&request.segments);
        for ask in asks {
            board.take(ask, &request, cache).await?;
        }
        let mut screening = board.into_screening();
        screening.infer = started.map(|started| started.elapsed());
        Ok(screening)
    }

    /// Has every tier score one harmless sentence, for `/readyz`.
    ///
    /// # Errors
    /// [`Closed`] naming the first tier that cannot answer, whatever its failure rule.
    pub async fn warm(&self) -> Result<(), Closed> {
        for tier in &self.tiers {
            let alone = Self::new(Arc::clone(tier));
            alone.screen(warm_up()).await?;
        }
        Ok(())
    }
}

fn warm_up() -> ScreenRequest {
    let segment = Segment {
        part: PartId(0),
        surface: Surface::User,
        start: 0,
        content: Content::from("how do I bake bread"),
    };
    ScreenRequest::offline(vec![segment], None, Instant::now() + WARM_UP)
}

/// Gathers the answers of the tiers, lowest first.
struct Board {
    /// Windows with the index of their segment.
    windows: Vec<(usize, Window)>,
    screening: Screening,
}

impl Board {
    fn new(segments: &[Segment]) -> Self {
        let coverage = segments
            .iter()
            .map(|segment| SegmentCoverage {
                part: segment.part,
                detectors: vec![],
                gap: None,
            })
            .collect();
        Self {
            windows: vec![],
            screening: Screening {
                coverage,
                ..Screening::default()
            },
        }
    }

    /// Waits for a tier and enters its answer.
    async fn take(
        &mut self,
        ask: Ask<'_>,
        request: &ScreenRequest,
        cache: Option<&VerdictCache>,
    ) -> Result<(), Closed> {
        let detector = ask.detector();
        self.screening.cache_hits += ask.n_hits;
        self.screening.cache_misses += ask.n_misses;
        let counts_lower = ask.counts_lower();
        let answer = ask.answer(request, cache).await;

        if !counts_lower.is_empty() {
            // What the tiers below said of these texts is in the answer.
            let answered = |segment_idx| answer.windows.iter().any(|(own, _)| *own == segment_idx);
            self.windows.retain_mut(|(segment_idx, window)| {
                if answered(*segment_idx) {
                    window.scores = window.scores.without(counts_lower);
                }
                window.scores != Scores::ZERO
            });
        }
        if self.windows.is_empty() {
            self.windows = answer.windows;
        } else {
            self.windows.extend(answer.windows);
        }
        for (segment_idx, coverage) in self.screening.coverage.iter_mut().enumerate() {
            let failed = answer.failed.as_ref();
            if failed.is_none_or(|(_, unscored)| unscored.binary_search(&segment_idx).is_err()) {
                coverage.detectors.push(detector);
            }
        }
        match answer.failed {
            Some((failure, unscored)) => self.fail(
                detector,
                failure,
                rule_of(request.on_failure, detector),
                &unscored,
            ),
            None => Ok(()),
        }
    }

    fn fail(
        &mut self,
        detector: Detector,
        failure: Failure,
        rule: FailureRule,
        unscored: &[usize],
    ) -> Result<(), Closed> {
        self.screening.failures.push((detector, failure));
        for &segment_idx in unscored {
            let coverage = &mut self.screening.coverage[segment_idx];
            // A lower tier that failed too has left a gap: its own rule said that this may be.
            let has_lower = !coverage.detectors.is_empty() || coverage.gap.is_some();
            match rule {
                FailureRule::Open => coverage.gap = Some(coverage.gap.unwrap_or(failure)),
                FailureRule::LowerTier if has_lower => {}
                FailureRule::LowerTier | FailureRule::Closed => {
                    let failures = std::mem::take(&mut self.screening.failures);
                    return Err(Closed {
                        detector,
                        failure,
                        failures,
                    });
                }
            }
        }
        Ok(())
    }

    fn into_screening(mut self) -> Screening {
        // Stable, so that within a segment the tiers stay in order, and each one's windows too.
        self.windows.sort_by_key(|(segment_idx, _)| *segment_idx);
        self.screening.windows = self.windows.into_iter().map(|(_, window)| window).collect();
        self.screening
    }
}

const fn rule_of(rules: OnFailure, detector: Detector) -> FailureRule {
    match detector {
        Detector::Encoder => rules.encoder,
        Detector::Linear => rules.linear,
        // Patterns are no tier: one that fails has no rule and may not be passed over.
        Detector::Pattern => FailureRule::Closed,
    }
}

#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;
