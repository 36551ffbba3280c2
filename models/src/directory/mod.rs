//! A model directory as read: every byte that is used later is a byte that was digested here.

mod files;
mod sidecar;
mod tensors;

pub(crate) use files::Files;
pub use sidecar::{ScaleFile, Sidecar};
pub(crate) use tensors::{Scope, Tensors};

use crate::LoadError;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// A file and what is in it.
pub(crate) struct Read {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Cow<'static, [u8]>,
}

/// Everything a classifier is made of, read and checked against the digests promised.
pub(crate) struct Directory {
    /// `config.json`.
    pub(crate) config: Read,
    /// `tokenizer.json`.
    pub(crate) tokenizer: Read,
    /// `portcullis.json`, or its defaults.
    pub(crate) sidecar: Sidecar,
    /// Tensors of all shards.
    pub(crate) tensors: Tensors,
    /// `sha256:…` over names and digests of weights, config and tokenizer.
    pub(crate) digest: String,
}

impl Directory {
    /// Reads all files once.
    ///
    /// # Errors
    /// What is missing, unreadable, pickled, altered or cut off.
    pub(crate) fn read(of: Files<'_>) -> Result<Self, LoadError> {
        let config = Read::needed(of, "config.json", CONFIG_MEND)?;
        let tokenizer = Read::needed(of, "tokenizer.json", TOKENIZER_MEND)?;
        let sidecar = Sidecar::read(of)?;
        let weights = weights_of(of)?;
        let shards = shards(of, &weights)?;

        let files = || [&config, &tokenizer].into_iter().chain(&shards);
        let digests: Vec<(&Path, String)> = files()
            .map(|file| (file.path.as_path(), sha256(&file.bytes)))
            .collect();
        check_digests(of, &sidecar, &digests)?;

        Ok(Self {
            digest: combined(&digests),
            tensors: Tensors::of(of.path(weights), shards)?,
            config,
            tokenizer,
            sidecar,
        })
    }
}

const CONFIG_MEND: &str =
    "a model directory is what Hugging Face's `save_pretrained` writes; give its path";
const TOKENIZER_MEND: &str = "save the model's fast tokenizer with `AutoTokenizer.from_pretrained(\
                              …).save_pretrained(dir)`";
const WEIGHTS_MEND: &str = "put `model.safetensors`, or shards with \
                            `model.safetensors.index.json`, beside `config.json`";
const SHARD_MEND: &str = "the index names it: fetch all shards";
const DIGEST_MEND: &str = "`digests` in `portcullis.json` names it: fetch it or drop the entry";

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

impl Read {
    fn new(of: Files<'_>, name: &str) -> Result<Self, LoadError> {
        let path = of.path(name);
        match of.read(name) {
            Ok(bytes) => Ok(Self { path, bytes }),
            Err(source) => Err(LoadError::Read { path, source }),
        }
    }

    fn needed(of: Files<'_>, name: &str, mend: &'static str) -> Result<Self, LoadError> {
        match Self::new(of, name) {
            Err(LoadError::Read { path, source }) if source.kind() == io::ErrorKind::NotFound => {
                Err(LoadError::Missing { path, mend })
            }
            other => other,
        }
    }

    /// The file as a JSON object.
    pub(crate) fn json(&self) -> Result<Map<String, Value>, LoadError> {
        serde_json::from_slice(&self.bytes).map_err(|source| LoadError::Json {
            path: self.path.clone(),
            source,
        })
    }
}

/// Name of the file that holds the weights or names their shards.
fn weights_of(of: Files<'_>) -> Result<String, LoadError> {
    for name in [SINGLE, INDEX] {
        if of.has(name) {
            return Ok(name.to_owned());
        }
    }
    let mut names = of.names().map_err(|source| LoadError::Read {
        path: of.root(),
        source,
    })?;
    let is_pickle = |name: &&String| {
        [".bin", ".pt", ".pth"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    let pickle = names.iter().find(is_pickle).cloned();
    names.retain(|name| name.ends_with(".safetensors"));
    match (names.pop(), pickle) {
        (Some(only), _) if names.is_empty() => Ok(only),
        (None, Some(pickle)) => Err(LoadError::Pickle {
            path: of.path(pickle),
        }),
        _ => Err(LoadError::Missing {
            path: of.path(SINGLE),
            mend: WEIGHTS_MEND,
        }),
    }
}

fn shards(of: Files<'_>, weights: &str) -> Result<Vec<Read>, LoadError> {
    let first = Read::new(of, weights)?;
    if weights != INDEX {
        return Ok(vec![first]);
    }
    let map = first.json()?.remove("weight_map").unwrap_or_default();
    let wrong = || LoadError::Value {
        path: first.path.clone(),
        key: "weight_map".into(),
        value: map.to_string(),
        needs: "a map from tensors to names of safetensors files in the same directory".into(),
    };
    let entries = map.as_object().filter(|entries| !entries.is_empty());
    let files: Option<BTreeSet<&str>> = entries
        .ok_or_else(wrong)?
        .values()
        .map(|file| file.as_str().filter(|name| is_plain(name)))
        .collect();
    let read = |name| Read::needed(of, name, SHARD_MEND);
    files.ok_or_else(wrong)?.into_iter().map(read).collect()
}

/// Whether a name stays within its directory.
fn is_plain(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|file| file == name)
}

fn check_digests(
    of: Files<'_>,
    sidecar: &Sidecar,
    known: &[(&Path, String)],
) -> Result<(), LoadError> {
    for (name, expected) in &sidecar.digests {
        let path = of.path(name);
        let scale = sidecar.scale.as_ref().filter(|scale| scale.path == path);
        let found = match (known.iter().find(|(file, _)| *file == path), scale) {
            (Some((_, digest)), _) => digest.clone(),
            (None, Some(scale)) => sha256(&scale.bytes),
            (None, None) => sha256(&Read::needed(of, name, DIGEST_MEND)?.bytes),
        };
        if found != *expected {
            return Err(LoadError::Digest {
                path,
                expected: expected.clone(),
                found,
            });
        }
    }
    Ok(())
}

fn combined(digests: &[(&Path, String)]) -> String {
    let mut lines: Vec<String> = digests
        .iter()
        .map(|(path, digest)| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("{name} {digest}\n")
        })
        .collect();
    lines.sort_unstable();
    sha256(lines.concat().as_bytes())
}

fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}
