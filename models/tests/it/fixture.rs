//! The directories under `models/tests/fixtures`, as they are and altered.

use portcullis_models::{LoadError, LoadOptions, Model, Precision};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// Directories that run on the kernels.
pub(crate) const FAST: [&str; 6] = [
    "bert-single",
    "bert-multi",
    "bert-token",
    "distilbert",
    "roberta",
    "xlm-roberta",
];

/// Directories that run on candle.
pub(crate) const CANDLE: [&str; 4] = [
    "deberta-v2",
    "deberta-v3",
    "modernbert-cls",
    "modernbert-mean",
];

/// All directories.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    FAST.into_iter().chain(CANDLE)
}

/// What Hugging Face computes.
#[derive(Deserialize)]
pub(crate) struct Reference {
    /// Texts, one at a time.
    pub(crate) texts: Vec<Case>,
    /// Random ids of many lengths, one at a time.
    pub(crate) ids: Vec<Case>,
    /// One batch, padded to its longest sequence.
    pub(crate) padded: Vec<Case>,
}

/// A sequence and its logits.
#[derive(Deserialize)]
pub(crate) struct Case {
    #[serde(default)]
    pub(crate) text: String,
    pub(crate) ids: Vec<u32>,
    pub(crate) logits: Vec<f32>,
}

pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

pub(crate) fn reference(name: &str) -> Reference {
    let bytes = fs::read(path(name).join("reference.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

pub(crate) fn in_f32() -> LoadOptions {
    LoadOptions {
        precision: Some(Precision::F32),
        ..LoadOptions::default()
    }
}

pub(crate) fn model(name: &str) -> Arc<Model> {
    Arc::new(Model::load(&path(name), &in_f32()).unwrap())
}

/// A copy of a directory, to be altered.
pub(crate) struct Altered {
    dir: TempDir,
}

/// Tensors of a file by name.
pub(crate) type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

impl Altered {
    pub(crate) fn copy(name: &str) -> Self {
        let dir = TempDir::new().unwrap();
        for entry in fs::read_dir(path(name)).unwrap() {
            let from = entry.unwrap();
            fs::copy(from.path(), dir.path().join(from.file_name())).unwrap();
        }
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn load(&self) -> Result<Arc<Model>, LoadError> {
        Model::load(self.path(), &in_f32()).map(Arc::new)
    }

    /// What loading says, with its causes, and with `DIR` for the directory.
    pub(crate) fn refusal(&self) -> String {
        let error = self.load().unwrap_err();
        let mut told = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            told += &format!(": {cause}");
            source = cause.source();
        }
        told.replace(&self.path().display().to_string(), "DIR")
    }

    pub(crate) fn remove(&self, file: &str) {
        fs::remove_file(self.path().join(file)).unwrap();
    }

    pub(crate) fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.path().join(file)).unwrap()
    }

    pub(crate) fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path().join(file), bytes).unwrap();
    }

    /// Alters a JSON file.
    pub(crate) fn json(&self, file: &str, alter: impl FnOnce(&mut Map<String, Value>)) {
        let mut value = serde_json::from_slice(&self.read(file)).unwrap();
        alter(&mut value);
        self.write(file, serde_json::to_vec(&value).unwrap());
    }

    /// Sets one key of `config.json`; null takes it out.
    pub(crate) fn config(&self, key: &str, value: Value) {
        self.json("config.json", |map| {
            map.insert(key.into(), value);
        });
    }

    /// Alters the tensors of `model.safetensors`.
    pub(crate) fn tensors(&self, alter: impl FnOnce(&mut Tensors)) {
        let bytes = self.read("model.safetensors");
        let read = SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors: Tensors = read
            .iter()
            .map(|(name, view)| {
                let tensor = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
                (name.to_owned(), tensor)
            })
            .collect();
        alter(&mut tensors);
        let views = tensors.iter().map(|(name, (dtype, shape, data))| {
            (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        self.write(
            "model.safetensors",
            safetensors::serialize(views, None).unwrap(),
        );
    }
}
