//! `config.json`, read key by key: what is missing, wrong or unsupported is named.

use crate::LoadError;
use crate::directory::Read;
use crate::encoder::Activation;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// The settings of a model.
pub(crate) struct Config {
    path: PathBuf,
    values: Map<String, Value>,
}

impl Config {
    pub(crate) fn parse(file: &Read) -> Result<Self, LoadError> {
        Ok(Self {
            path: file.path.clone(),
            values: file.json()?,
        })
    }

    /// The value, unless it is absent or null.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    /// A positive whole number.
    pub(crate) fn size(&self, key: &str) -> Result<usize, LoadError> {
        match self.whole(key)? {
            Some(size) if 0 < size => Ok(size),
            _ => Err(self.wrong(key, "a positive whole number")),
        }
    }

    /// A whole number, or `default` where there is none.
    pub(crate) fn size_or(&self, key: &str, default: usize) -> Result<usize, LoadError> {
        Ok(self.whole(key)?.unwrap_or(default))
    }

    fn whole(&self, key: &str) -> Result<Option<usize>, LoadError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        // Sizes past 32 bits are of no model, and sums and products of them could overflow.
        let size = value.as_u64().and_then(|size| u32::try_from(size).ok());
        match size {
            Some(size) => Ok(Some(size as usize)),
            None => Err(self.wrong(key, "a whole number")),
        }
    }

    /// A whole number that may be negative, or `default` where there is none.
    pub(crate) fn integer_or(&self, key: &str, default: i64) -> Result<i64, LoadError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value
                .as_i64()
                .filter(|value| i32::try_from(*value).is_ok())
                .ok_or_else(|| self.wrong(key, "a whole number")),
        }
    }

    /// A positive number, or `default` where there is none.
    pub(crate) fn positive_or(&self, key: &str, default: f64) -> Result<f64, LoadError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .filter(|value| 0.0 < *value)
                .ok_or_else(|| self.wrong(key, "a positive number")),
        }
    }

    /// A switch, or `default` where there is none.
    pub(crate) fn switch_or(&self, key: &str, default: bool) -> Result<bool, LoadError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.wrong(key, "true or false")),
        }
    }

    /// A word, or `default` where there is none.
    pub(crate) fn word_or<'a>(&'a self, key: &str, default: &'a str) -> Result<&'a str, LoadError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_str().ok_or_else(|| self.wrong(key, "a string")),
        }
    }

    /// A word that must be one of `supported`, the first of which is the default.
    pub(crate) fn one_of<'a>(
        &'a self,
        key: &str,
        supported: &[&'a str],
    ) -> Result<&'a str, LoadError> {
        let word = self.word_or(key, supported.first().copied().unwrap_or_default())?;
        if supported.contains(&word) {
            return Ok(word);
        }
        let quoted: Vec<String> = supported.iter().map(|word| format!("`{word}`")).collect();
        Err(self.unsupported(key, &quoted.join(", ")))
    }

    /// A switch that must be off.
    pub(crate) fn off(&self, key: &str) -> Result<(), LoadError> {
        if self.switch_or(key, false)? {
            return Err(self.unsupported(key, "false"));
        }
        Ok(())
    }

    /// The function between the two feed-forward projections, or another by its key.
    pub(crate) fn activation(&self, key: &str) -> Result<Activation, LoadError> {
        let word = self.one_of(
            key,
            &[
                "gelu",
                "gelu_python",
                "gelu_new",
                "gelu_fast",
                "gelu_pytorch_tanh",
                "relu",
                "tanh",
            ],
        )?;
        Ok(match word {
            "gelu" | "gelu_python" => Activation::Gelu,
            "relu" => Activation::Relu,
            "tanh" => Activation::Tanh,
            _ => Activation::GeluTanh,
        })
    }

    /// Two sizes of which the second must divide the first.
    pub(crate) fn heads(&self, hidden: &str, heads: &str) -> Result<(usize, usize), LoadError> {
        let (width, n_heads) = (self.size(hidden)?, self.size(heads)?);
        if width.is_multiple_of(n_heads) {
            return Ok((width, n_heads));
        }
        Err(self.wrong(heads, &format!("a divisor of `{hidden}`, which is {width}")))
    }

    /// Names of the labels, in order of the logits.
    pub(crate) fn labels(&self) -> Result<Vec<String>, LoadError> {
        const NEEDS: &str = "a map from \"0\", \"1\" and so on to names, all different";
        let Some(map) = self.get("id2label") else {
            // Hugging Face leaves the key out where the labels have their default names.
            let n_labels = self.size_or("num_labels", 2)?;
            return Ok((0..n_labels)
                .map(|index| format!("LABEL_{index}"))
                .collect());
        };
        let map = map.as_object().filter(|map| !map.is_empty());
        let map = map.ok_or_else(|| self.wrong("id2label", NEEDS))?;
        let name = |index: usize| map.get(&index.to_string())?.as_str().map(str::to_owned);
        let labels: Option<Vec<String>> = (0..map.len()).map(name).collect();
        let labels = labels.ok_or_else(|| self.wrong("id2label", NEEDS))?;
        let twice = |(index, label)| labels[..index].contains(label);
        if labels.iter().enumerate().any(twice) {
            return Err(self.wrong("id2label", NEEDS));
        }
        Ok(labels)
    }

    /// A value that cannot be right.
    pub(crate) fn wrong(&self, key: &str, needs: &str) -> LoadError {
        LoadError::Value {
            path: self.path.clone(),
            key: key.into(),
            value: self.shown(key),
            needs: needs.into(),
        }
    }

    /// A value that may be right, but not here.
    pub(crate) fn unsupported(&self, key: &str, supported: &str) -> LoadError {
        LoadError::Unsupported {
            path: self.path.clone(),
            key: key.into(),
            value: self.shown(key),
            supported: supported.into(),
        }
    }

    fn shown(&self, key: &str) -> String {
        self.get(key)
            .map_or_else(|| "absent".into(), Value::to_string)
    }
}
