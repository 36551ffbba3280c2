//! Tokens in, logits out: a Hugging Face directory becomes a running classifier.
//!
//! [`Model::load`] reads `config.json`, `tokenizer.json`, safetensors and an optional
//! `portcullis.json`, and refuses what it could not run faithfully: a [`LoadError`] names the file,
//! the thing in it and the mend. [`Tokenizer::windows`] cuts a text of any length into windows that
//! the model can read and leaves no byte out. A [`Worker`], one per thread, runs windows that a
//! [`Batch`] lays end to end, without padding.
//!
//! ```no_run
//! # use portcullis_models::{Batch, LoadOptions, Model};
//! # use std::{error::Error, path::Path, sync::Arc};
//! # fn main() -> Result<(), Box<dyn Error>> {
//! let model = Arc::new(Model::load(Path::new("prompt-guard"), &LoadOptions::default())?);
//! let mut batch = Batch::default();
//! for window in model.tokenizer().windows("some text", model.info().max_tokens, 64)? {
//!     batch.push(&window.ids);
//! }
//! let logits = model.worker().run(&batch, &|| false)?.to_vec(); // [n_windows, n_labels]
//! # Ok(())
//! # }
//! ```
//!
//! Two things run a model. BERT, DistilBERT, RoBERTa and XLM-RoBERTa run on our kernels
//! ([`encoder`]); DeBERTa and ModernBERT run on candle, in f32 and several times slower.
//! [`Facts::route`] says which and why. Whichever it is, a sequence's logits do not depend on what
//! else is in the batch, and a batch has all its logits or none.
//!
//! This crate knows no categories, thresholds or scores: `labels` and `scale` of
//! `portcullis.json` pass through it as they are.

mod architecture;
pub mod batch;
mod config;
mod directory;
pub mod encoder;
mod error;
mod fallback;
mod fast;
mod kernels;
mod model;
mod tokenizer;
mod worker;

pub use architecture::{Architecture, Kind};
pub use batch::Batch;
pub use directory::{ScaleFile, Sidecar};
pub use encoder::Precision;
pub use error::LoadError;
pub use kernels::{Kernels, KernelsError};
pub use model::{Facts, LoadOptions, Model, Route};
#[cfg(feature = "mimalloc")]
pub use portcullis_kernels::memory;
pub use portcullis_kernels::{Isa, Team, peak};
pub use tokenizer::{TokenizeError, Tokenizer, Window};
pub use worker::{RunError, Worker};
