//! Tokens in, logits out: model directories, tokenization, packed batches, encoders.

pub mod batch;
pub mod encoder;

pub use batch::Batch;
