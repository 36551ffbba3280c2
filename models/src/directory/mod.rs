//! A model directory as read: every byte that is used later is a byte that was digested here.

mod sidecar;
mod tensors;

pub use sidecar::Sidecar;
pub(crate) use tensors::{Scope, Tensors};

use crate::LoadError;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file and what is in it.
pub(crate) struct Read {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
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
    pub(crate) fn read(dir: &Path) -> Result<Self, LoadError> {
        let config = Read::needed(dir, "config.json", CONFIG_MEND)?;
        let tokenizer = Read::needed(dir, "tokenizer.json", TOKENIZER_MEND)?;
        let sidecar = Sidecar::read(dir)?;
        let origin = weights_of(dir)?;
        let shards = shards(dir, &origin)?;

        let files = || [&config, &tokenizer].into_iter().chain(&shards);
        let digests: Vec<(&Path, String)> = files()
            .map(|file| (file.path.as_path(), sha256(&file.bytes)))
            .collect();
        check_digests(dir, &sidecar, &digests)?;

        Ok(Self {
            digest: combined(&digests),
            tensors: Tensors::of(origin, shards)?,
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
    fn new(path: PathBuf) -> Result<Self, LoadError> {
        match fs::read(&path) {
            Ok(bytes) => Ok(Self { path, bytes }),
            Err(source) => Err(LoadError::Read { path, source }),
        }
    }

    fn needed(dir: &Path, name: &str, mend: &'static str) -> Result<Self, LoadError> {
        let path = dir.join(name);
        match Self::new(path) {
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

/// The file that holds the weights or names their shards.
fn weights_of(dir: &Path) -> Result<PathBuf, LoadError> {
    for name in [SINGLE, INDEX] {
        if dir.join(name).exists() {
            return Ok(dir.join(name));
        }
    }
    let mut names = names(dir)?;
    let with = |end: &str| names.iter().filter(|name| name.ends_with(end)).count();
    let pickles = with(".bin") + with(".pt") + with(".pth");
    names.retain(|name| name.ends_with(".safetensors"));
    match names.pop() {
        Some(only) if names.is_empty() => Ok(dir.join(only)),
        None if 0 < pickles => Err(LoadError::Pickle { path: pickle(dir)? }),
        _ => Err(LoadError::Missing {
            path: dir.join(SINGLE),
            mend: WEIGHTS_MEND,
        }),
    }
}

fn pickle(dir: &Path) -> Result<PathBuf, LoadError> {
    let is_pickle = |name: &String| {
        [".bin", ".pt", ".pth"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    let name = names(dir)?.into_iter().find(is_pickle);
    Ok(dir.join(name.unwrap_or_default()))
}

/// Names of the files in it, sorted.
fn names(dir: &Path) -> Result<Vec<String>, LoadError> {
    let unread = |source| LoadError::Read {
        path: dir.to_path_buf(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(unread)? {
        names.extend(entry.map_err(unread)?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

fn shards(dir: &Path, origin: &Path) -> Result<Vec<Read>, LoadError> {
    if !origin.ends_with(INDEX) {
        return Ok(vec![Read::new(origin.to_path_buf())?]);
    }
    let index = Read::new(origin.to_path_buf())?;
    let map = index.json()?.remove("weight_map").unwrap_or_default();
    let wrong = || LoadError::Value {
        path: index.path.clone(),
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
    let read = |name| Read::needed(dir, name, SHARD_MEND);
    files.ok_or_else(wrong)?.into_iter().map(read).collect()
}

/// Whether a name stays within its directory.
fn is_plain(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|file| file == name)
}

fn check_digests(
    dir: &Path,
    sidecar: &Sidecar,
    known: &[(&Path, String)],
) -> Result<(), LoadError> {
    for (name, expected) in &sidecar.digests {
        let path = dir.join(name);
        let found = match known.iter().find(|(file, _)| *file == path) {
            Some((_, digest)) => digest.clone(),
            None => sha256(&Read::needed(dir, name, DIGEST_MEND)?.bytes),
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
