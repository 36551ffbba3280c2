//! The first tier: a hashed character and word n-gram model, one linear score per category.
//!
//! It needs no download and answers in microseconds. A text becomes its canonical views, each view
//! overlapping windows (`window`), each window the ids of its n-grams (`features`), and the ids
//! pick int8 weights from one table (`table`); the largest logit per category stands. The
//! `train` module makes the weights, `format` reads and checks them.
//! Start with [`LinearModel`]; [`LinearClassifier`] stands it behind the classifier boundary.

mod classifier;
pub(crate) mod features;
pub(crate) mod format;
pub(crate) mod model;
pub(crate) mod table;
pub(crate) mod window;

pub use classifier::LinearClassifier;
pub use format::{LoadError, MANIFEST_FILE, WEIGHTS_FILE};
pub use model::LinearModel;

#[cfg(test)]
mod tests;
