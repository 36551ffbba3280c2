//! `portcullis.json`: what a Hugging Face directory does not say about itself.

use super::{Files, Read, is_plain};
use crate::LoadError;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What stands in `portcullis.json`. Every key is optional; unknown keys are errors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sidecar {
    /// `labels`: from labels of the model to the categories its user knows. Opaque here.
    pub labels: BTreeMap<String, String>,
    /// `languages`: those the model was made for, as tags.
    pub languages: Vec<String>,
    /// `digests`: from file names to `sha256:` and 64 hexadecimal digits.
    pub digests: BTreeMap<String, String>,
    /// `scale`: the file of the score scale. Opaque here.
    pub scale: Option<ScaleFile>,
    /// `max_tokens`: longest sequence to run, special tokens included, where it is to be shorter
    /// than the model's own.
    pub max_tokens: Option<usize>,
    /// `context`: for each label the weights of the products of two digests, by which a text's
    /// context counts. Opaque here.
    pub context: Vec<Vec<f32>>,
    /// `linear`: for labels of the model, how much of what the linear tier says of the same category
    /// is added to the logit. Opaque here.
    pub linear: BTreeMap<String, f32>,
    /// `linear_non_english`: the same for what the model takes for another language than English.
    /// Opaque here.
    pub linear_non_english: BTreeMap<String, f32>,
    /// `long_text`: how much more evidence a text needs for each natural logarithm of its windows.
    /// Opaque here.
    pub long_text: f32,
    /// The file itself.
    path: PathBuf,
}

/// The file of a score scale.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleFile {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub bytes: Cow<'static, [u8]>,
}

const NAME: &str = "portcullis.json";
const KEYS: [&str; 9] = [
    "labels",
    "languages",
    "digests",
    "scale",
    "max_tokens",
    "context",
    "linear",
    "linear_non_english",
    "long_text",
];
const SCALE_MEND: &str = "`scale` in `portcullis.json` names it";
const UNLIKE: usize = 3;

impl Sidecar {
    pub(super) fn read(of: Files<'_>) -> Result<Self, LoadError> {
        if !of.has(NAME) {
            return Ok(Self::default());
        }
        let file = Read::new(of, NAME)?;
        let mut sidecar = Self {
            path: file.path.clone(),
            ..Self::default()
        };
        for (key, value) in file.json()? {
            if key == "scale" {
                let name = file_name(&file.path, key, value)?;
                let Read { path, bytes } = Read::needed(of, &name, SCALE_MEND)?;
                sidecar.scale = Some(ScaleFile { path, bytes });
            } else {
                sidecar.set(&file.path, key, value)?;
            }
        }
        Ok(sidecar)
    }

    /// Holds `labels` against those of the model.
    pub(crate) fn check_labels(&self, labels: &[String]) -> Result<(), LoadError> {
        let named = self.labels.keys().map(|label| ("labels", label));
        let named = named.chain(self.linear.keys().map(|label| ("linear", label)));
        let elsewhere = self.linear_non_english.keys();
        let mut named = named.chain(elsewhere.map(|label| ("linear_non_english", label)));
        match named.find(|(_, label)| !labels.contains(label)) {
            None => Ok(()),
            Some((key, label)) => Err(LoadError::Value {
                path: self.path.clone(),
                key: key.into(),
                value: format!("a map with `{label}`"),
                needs: format!(
                    "a map from labels of the model, which are {}",
                    labels.join(", ")
                ),
            }),
        }
    }

    /// The longest sequence to run, given what the model can take.
    pub(crate) fn max_tokens(&self, n_special: usize, usable: usize) -> Result<usize, LoadError> {
        match self.max_tokens {
            None => Ok(usable),
            Some(max_tokens) if n_special < max_tokens && max_tokens <= usable => Ok(max_tokens),
            Some(max_tokens) => Err(LoadError::Value {
                path: self.path.clone(),
                key: "max_tokens".into(),
                value: max_tokens.to_string(),
                needs: format!("from {} to {usable} for this model", n_special + 1),
            }),
        }
    }

    fn set(&mut self, path: &Path, key: String, value: Value) -> Result<(), LoadError> {
        let known = KEYS.into_iter().find(|known| *known == key);
        match known {
            Some("labels") => self.labels = read(path, key, value, "a map of strings")?,
            Some("languages") => self.languages = read(path, key, value, "a list of strings")?,
            Some("digests") => self.digests = digests(path, key, value)?,
            Some("max_tokens") => self.max_tokens = Some(read(path, key, value, "a whole number")?),
            Some("context") => {
                self.context = read(path, key, value, "a list of lists of numbers")?;
            }
            Some("linear") => self.linear = shares(path, key, value)?,
            Some("linear_non_english") => self.linear_non_english = shares(path, key, value)?,
            Some("long_text") => self.long_text = share(path, key, value)?,
            _ => {
                return Err(LoadError::UnknownKey {
                    path: path.to_path_buf(),
                    suggestion: nearest(&key),
                    key,
                });
            }
        }
        Ok(())
    }
}

fn read<T: DeserializeOwned>(
    path: &Path,
    key: String,
    value: Value,
    needs: &str,
) -> Result<T, LoadError> {
    let text = value.to_string();
    serde_json::from_value(value).map_err(|_| wrong(path, key, text, needs))
}

fn shares(path: &Path, key: String, value: Value) -> Result<BTreeMap<String, f32>, LoadError> {
    const NEEDS: &str = "a map of numbers that are not negative";
    let text = value.to_string();
    let shares: BTreeMap<String, f32> = read(path, key.clone(), value, NEEDS)?;
    if shares
        .values()
        .all(|share| share.is_finite() && 0.0 <= *share)
    {
        return Ok(shares);
    }
    Err(wrong(path, key, text, NEEDS))
}

fn share(path: &Path, key: String, value: Value) -> Result<f32, LoadError> {
    const NEEDS: &str = "a number that is not negative";
    let text = value.to_string();
    let share: f32 = read(path, key.clone(), value, NEEDS)?;
    if share.is_finite() && 0.0 <= share {
        return Ok(share);
    }
    Err(wrong(path, key, text, NEEDS))
}

fn wrong(path: &Path, key: String, value: String, needs: &str) -> LoadError {
    LoadError::Value {
        path: path.to_path_buf(),
        key,
        value,
        needs: needs.into(),
    }
}

fn digests(path: &Path, key: String, value: Value) -> Result<BTreeMap<String, String>, LoadError> {
    const NEEDS: &str = "a map from names of files in the same directory to `sha256:` and 64 \
                         lower-case hexadecimal digits";
    let text = value.to_string();
    let digests: BTreeMap<String, String> = read(path, key.clone(), value, NEEDS)?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_valid = |(name, digest): (&String, &String)| {
        let hex = digest.strip_prefix("sha256:");
        is_plain(name) && hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(is_hex))
    };
    if digests.iter().all(is_valid) {
        return Ok(digests);
    }
    Err(wrong(path, key, text, NEEDS))
}

fn file_name(path: &Path, key: String, value: Value) -> Result<String, LoadError> {
    const NEEDS: &str = "the name of a file in the same directory";
    let text = value.to_string();
    let name: String = read(path, key.clone(), value, NEEDS)?;
    if is_plain(&name) {
        return Ok(name);
    }
    Err(wrong(path, key, text, NEEDS))
}

fn nearest(key: &str) -> Option<&'static str> {
    KEYS.into_iter()
        .map(|known| (strsim::damerau_levenshtein(key, known), known))
        .min()
        .filter(|(distance, _)| *distance <= UNLIKE)
        .map(|(_, known)| known)
}
