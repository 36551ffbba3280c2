//! What can be wrong with a model directory, said so that it can be mended.

use crate::encoder::Precision;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a directory gives no classifier. Each names the file, the thing in it, and the mend.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file that is needed is not there.
    #[error("`{}` is missing: {mend}", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// What to do.
        mend: &'static str,
    },
    /// Weights are there as pickle only, which runs code when it is read.
    #[error(
        "`{}` holds weights as pickle, which can run code when it is read: save them again with \
         `model.save_pretrained(dir, safe_serialization=True)`, which writes `model.safetensors`",
        path.display()
    )]
    Pickle {
        /// The pickle.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A JSON file is not JSON, or not of the shape it must have.
    #[error("`{}` is not valid: copy it again from where the model came from", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A key that `portcullis.json` does not have.
    #[error("unknown key `{key}` in `{}`{}", path.display(), Meant(suggestion))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key as written.
        key: String,
        /// The nearest key there is.
        suggestion: Option<&'static str>,
    },
    /// A value that cannot be right.
    #[error("`{key}` in `{}` is {value}, but must be {needs}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What stands there, as JSON.
        value: String,
        /// What may stand there.
        needs: String,
    },
    /// A value that is right but that nothing here can run.
    #[error("`{key}` in `{}` is {value}, which is not supported: supported is {supported}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What stands there, as JSON.
        value: String,
        /// What is supported.
        supported: String,
    },
    /// A file is not the one that `portcullis.json` promises.
    #[error(
        "`{}` has digest {found}, but `portcullis.json` promises {expected}: fetch the file again, \
         or correct the digest if the change is meant",
        path.display()
    )]
    Digest {
        /// The file.
        path: PathBuf,
        /// As promised.
        expected: String,
        /// As it is.
        found: String,
    },
    /// A safetensors file is cut off or altered.
    #[error("`{}` is not a whole safetensors file: fetch it again", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: safetensors::SafeTensorError,
    },
    /// A tensor the architecture needs is not there.
    #[error(
        "tensor `{name}` of shape {expected:?} is missing in `{}`: the weights are not those of \
         the architecture in `config.json`, or the classifier's head was not saved",
        path.display()
    )]
    MissingTensor {
        /// The tensor.
        name: String,
        /// The shape it must have.
        expected: Vec<usize>,
        /// The weights, or the index of their shards.
        path: PathBuf,
    },
    /// A tensor is of another shape than `config.json` says.
    #[error(
        "tensor `{name}` in `{}` has shape {found:?}, but `config.json` makes it {expected:?}: \
         take both from the same model",
        path.display()
    )]
    TensorShape {
        /// The tensor.
        name: String,
        /// The file.
        path: PathBuf,
        /// By `config.json`.
        expected: Vec<usize>,
        /// As it is.
        found: Vec<usize>,
    },
    /// A tensor does not consist of floats.
    #[error(
        "tensor `{name}` in `{}` has type {dtype}, but F32, F16 or BF16 are needed: save the model \
         unquantized",
        path.display()
    )]
    TensorType {
        /// The tensor.
        name: String,
        /// The file.
        path: PathBuf,
        /// Its type.
        dtype: String,
    },
    /// A weight is infinite or not a number: every score would be.
    #[error(
        "tensor `{name}` in `{}` holds {value} at element {index}: the training diverged or the \
         file was altered, take another checkpoint",
        path.display()
    )]
    NonFinite {
        /// The tensor.
        name: String,
        /// The file.
        path: PathBuf,
        /// The first of them.
        index: usize,
        /// What stands there.
        value: f32,
    },
    /// `tokenizer.json` cannot be used.
    #[error("`{}` is not a usable tokenizer: {mend}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What to do.
        mend: &'static str,
        /// Why.
        #[source]
        source: tokenizers::Error,
    },
    /// The tokenizer knows tokens that the model has no embedding for.
    #[error(
        "`{}` gives token `{token}` the id {id}, but the model embeds {vocab_size} tokens: take \
         the tokenizer of this very model",
        path.display()
    )]
    TokenizerMismatch {
        /// The file.
        path: PathBuf,
        /// The token with the largest id.
        token: String,
        /// That id.
        id: u32,
        /// Rows of the embedding.
        vocab_size: usize,
    },
    /// The precision that was asked for is not to be had.
    #[error("{architecture} cannot run in {precision:?}: {mend}")]
    Precision {
        /// The model's.
        architecture: &'static str,
        /// As asked for.
        precision: Precision,
        /// What to do.
        mend: &'static str,
    },
    /// The fallback could not set the model up.
    #[error("the model could not be set up on candle")]
    Candle {
        /// Why.
        #[source]
        source: candle_core::Error,
    },
}

struct Meant<'a>(&'a Option<&'static str>);

impl fmt::Display for Meant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(meant) => write!(f, ", did you mean `{meant}`?"),
            None => f.write_str(": remove it"),
        }
    }
}
