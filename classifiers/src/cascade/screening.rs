//! What the proxy gives to a screening, and what it gets.

use crate::cache::Salt;
use crate::classifier::{Class, Deadline, Failure, Segment, Unit};
use portcullis_config::{FailureRule, OnFailure};
use portcullis_text::{Content, Detector, PartId, Window};
use std::time::Duration;

/// Texts to screen.
#[derive(Clone, Debug)]
pub struct ScreenRequest {
    /// The texts, each scored by itself.
    pub segments: Vec<Segment>,
    /// The prompt a completion answers.
    pub context: Option<Content>,
    /// Whole texts or windows of a stream.
    pub unit: Unit,
    /// Whose work it is; a keyed hash.
    pub tenant: u64,
    /// Under which salt verdicts are cached.
    pub salt: Salt,
    /// When the answer is no longer of use.
    pub deadline: Deadline,
    /// How urgent it is.
    pub class: Class,
    /// What a failure means.
    pub on_failure: OnFailure,
    /// Whether what is known is asked for and what is found remembered. Windows of a stream never
    /// come again, so of these only the prompt is.
    pub use_cache: bool,
}

impl ScreenRequest {
    /// Texts to judge outside of any exchange: nothing is cached and any failure is an answer.
    #[must_use]
    pub fn offline(segments: Vec<Segment>, context: Option<Content>, deadline: Deadline) -> Self {
        Self {
            segments,
            context,
            unit: Unit::Text,
            tenant: 0,
            salt: Salt::UNCACHED,
            deadline,
            class: Class::Bulk,
            on_failure: OnFailure {
                encoder: FailureRule::Closed,
                linear: FailureRule::Closed,
            },
            use_cache: false,
        }
    }
}

/// What came out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Screening {
    /// Scored windows: by segment in request order, then by tier from the lowest, then by place.
    pub windows: Vec<Window>,
    /// For each segment, in request order, who screened it.
    pub coverage: Vec<SegmentCoverage>,
    /// Every failure, whatever was done about it.
    pub failures: Vec<(Detector, Failure)>,
    /// Segments found in the cache, counted once per tier.
    pub cache_hits: usize,
    /// Segments looked for and not found, counted once per tier.
    pub cache_misses: usize,
    /// From submitting to the last answer; `None` when no classifier was asked.
    pub infer: Option<Duration>,
}

/// Who screened one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentCoverage {
    /// The segment's part.
    pub part: PartId,
    /// Who screened all of it.
    pub detectors: Vec<Detector>,
    /// Why a detector whose rule is `open` did not.
    pub gap: Option<Failure>,
}

/// A classifier failed and nothing may stand in for it: the exchange fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {} tier gave no verdict", detector.name())]
pub struct Closed {
    /// Who failed.
    pub detector: Detector,
    /// How.
    #[source]
    pub failure: Failure,
    /// Every failure of this screening, this one included.
    pub failures: Vec<(Detector, Failure)>,
}
