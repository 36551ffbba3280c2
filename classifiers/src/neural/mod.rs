//! Encoders behind the [`Classifier`](crate::Classifier) boundary, on the batching engine.
//!
//! A job's texts are read in all their views, cut into windows of tokens off the threads that own
//! a model, looked up among windows scored before, and what is left goes to the
//! [`Engine`](crate::batching::Engine). Logits become scores by the model's own scale
//! ([`ModelScale`]), which `portcullis model scale` fits from harmless texts.
//!
//! Start with [`NeuralClassifier`], behind which `core` does the work; `labels` says how a model's labels become categories, `read`
//! how a text becomes windows, `context` how an answer is judged beside its prompt, `known` what is
//! kept between jobs.

mod classifier;
mod context;
mod core;
mod known;
mod labels;
mod read;
mod runner;
mod scale;

pub use classifier::{NeuralClassifier, NeuralConfig, NeuralError, Prediction};
pub use context::ContextError;
pub use labels::LabelError;
pub use scale::{Harmless, ModelScale, ScaleError};

#[cfg(test)]
mod tests;
