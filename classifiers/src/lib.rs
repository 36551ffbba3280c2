//! Text in, scores out: the classifiers, the scale their scores stand on, and how they are measured.
//!
//! Nothing here knows HTTP or a provider. Start with [`classifier`], the boundary that every
//! classifier stands behind.

pub mod batching;
pub mod cache;
pub mod cascade;
pub mod classifier;
pub mod dataset;
pub mod eval;
pub mod linear;
pub mod neural;
pub mod scale;
pub mod train;
mod worker;

pub use cache::{RefusedTurns, Salt, Salts, VerdictCache};
pub use cascade::{Cascade, Closed, ScreenRequest, Screening, SegmentCoverage};
pub use classifier::{
    Class, Classifier, Deadline, Failure, Identity, Job, Pending, Segment, Shed, Unit, Verdict,
};
