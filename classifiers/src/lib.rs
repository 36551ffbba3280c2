//! Text in, scores out: the classifiers, the scale their scores stand on, and how they are measured.
//!
//! Nothing here knows HTTP or a provider. Start with [`classifier`], the boundary that every
//! classifier stands behind.

pub mod classifier;

pub use classifier::{
    Class, Classifier, Deadline, Failure, Identity, Job, Pending, Segment, Shed, Unit, Verdict,
};
