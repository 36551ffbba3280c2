//! The scale of a model that was not trained here: from the evidence of a label to the share of
//! harmless texts that show less of it.
//!
//! It is fitted from harmless texts alone ([`ModelScale::fit`]) and stands in a JSON file beside
//! the model, which `scale` in `portcullis.json` names. A scale belongs to one model, by digest.

use crate::Unit;
use crate::scale::Curve;
use crate::train::curve_of;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Fewer harmless texts say too little about rare scores.
pub(super) const MIN_TEXTS: usize = 200;

/// The shape of the file.
const FORMAT: u32 = 1;

/// Why there is no scale.
#[derive(Debug, thiserror::Error)]
pub enum ScaleError {
    /// Too few texts.
    #[error("{n_texts} harmless texts are too few to fit a scale; give at least {MIN_TEXTS}")]
    TooFew {
        /// Those given.
        n_texts: usize,
    },
    /// The file cannot be read or written.
    #[error("{path}: the scale cannot be read or written")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no scale.
    #[error("{path}: this is no scale that `portcullis model scale` wrote")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The numbers are no curves, or for another model.
    #[error("{path}: {fault}; run `portcullis model scale` again")]
    Unfit {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
}

/// Curves by label, for whole texts and for windows of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelScale {
    /// In the order of the model's labels.
    curves: Vec<[Curve; 2]>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    model: String,
    n_texts: usize,
    /// For each label the numbers of its two curves.
    labels: BTreeMap<String, [Vec<f32>; 2]>,
}

/// The evidence that one harmless text gave, by label: as a whole, and at most in its windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Harmless {
    /// By label.
    pub text: Vec<f32>,
    /// By label.
    pub windows: Vec<f32>,
}

impl ModelScale {
    /// Fits curves for so many labels.
    ///
    /// # Errors
    /// [`ScaleError::TooFew`].
    pub fn fit(n_labels: usize, harmless: &[Harmless]) -> Result<Self, ScaleError> {
        if harmless.len() < MIN_TEXTS {
            return Err(ScaleError::TooFew {
                n_texts: harmless.len(),
            });
        }
        let curves = (0..n_labels).map(|label| {
            let texts = harmless.iter().map(|text| text.text[label]);
            let windows = harmless.iter().map(|text| text.windows[label]);
            [curve_of(texts.collect()), curve_of(windows.collect())]
        });
        Ok(Self {
            curves: curves.collect(),
        })
    }

    /// The share of harmless texts that show less of a label, in `[0, 1]`; NaN for NaN.
    pub(super) fn score(&self, label: usize, unit: Unit, evidence: f32) -> f32 {
        self.curves[label][unit as usize].score(evidence)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`ScaleError::File`].
    pub fn save(
        &self,
        path: &Path,
        model_digest: &str,
        labels: &[String],
        n_texts: usize,
    ) -> Result<(), ScaleError> {
        let numbers = |curves: &[Curve; 2]| [0, 1].map(|idx| curves[idx].numbers().collect());
        let by_label = labels.iter().cloned().zip(self.curves.iter().map(numbers));
        let file = File {
            format: FORMAT,
            model: model_digest.to_owned(),
            n_texts,
            labels: by_label.collect(),
        };
        let unreadable = |source| ScaleError::File {
            path: path.to_owned(),
            source,
        };
        let text = serde_json::to_string_pretty(&file).map_err(|error| unreadable(error.into()))?;
        std::fs::write(path, text + "\n").map_err(unreadable)
    }

    /// Reads the file and holds it against the model.
    ///
    /// # Errors
    /// [`ScaleError`].
    pub fn load(path: &Path, model_digest: &str, labels: &[String]) -> Result<Self, ScaleError> {
        let bytes = std::fs::read(path).map_err(|source| ScaleError::File {
            path: path.to_owned(),
            source,
        })?;
        let file: File =
            serde_json::from_slice(&bytes).map_err(|source| ScaleError::Malformed {
                path: path.to_owned(),
                source,
            })?;
        let unfit = |fault: String| ScaleError::Unfit {
            path: path.to_owned(),
            fault,
        };
        if file.format != FORMAT {
            return Err(unfit(format!(
                "its format is {}, not {FORMAT}",
                file.format
            )));
        }
        if file.model != model_digest {
            return Err(unfit("it was fitted for another model".to_owned()));
        }
        let curve = |numbers: &Vec<f32>| {
            let curve = Curve::from_numbers(numbers);
            curve.filter(|curve| curve.fault().is_none())
        };
        let of_label = |label: &String| {
            let numbers = file.labels.get(label);
            let numbers = numbers.ok_or_else(|| unfit(format!("it lacks the label `{label}`")))?;
            let [texts, windows] = numbers;
            let curves = curve(texts).zip(curve(windows));
            let (texts, windows) =
                curves.ok_or_else(|| unfit(format!("the numbers of `{label}` are no curve")))?;
            Ok([texts, windows])
        };
        Ok(Self {
            curves: labels.iter().map(of_label).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harmless(n: usize) -> Vec<Harmless> {
        let one = |idx: usize| {
            let evidence = -5.0 + (idx as f32 / n as f32) * 6.0;
            Harmless {
                text: vec![evidence, -evidence],
                windows: vec![evidence + 1.0, 1.0 - evidence],
            }
        };
        (0..n).map(one).collect()
    }

    fn labels() -> Vec<String> {
        vec!["hate".into(), "safe".into()]
    }

    #[test]
    fn a_score_is_the_share_of_harmless_texts_below() {
        let scale = ModelScale::fit(2, &harmless(1000)).unwrap();
        let at = |evidence| scale.score(0, Unit::Text, evidence);
        assert!((at(-2.0) - 0.5).abs() < 0.02, "{}", at(-2.0));
        assert!((at(0.4) - 0.9).abs() < 0.02, "{}", at(0.4));
        assert!(0.999 < at(3.0));
        assert!(scale.score(0, Unit::StreamWindow, 0.4) < at(0.4));
        assert!(at(f32::NAN).is_nan());
    }

    #[test]
    fn a_file_is_the_same_scale_and_belongs_to_one_model() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scale.json");
        let scale = ModelScale::fit(2, &harmless(300)).unwrap();
        scale.save(&path, "sha256:a", &labels(), 300).unwrap();
        assert_eq!(
            ModelScale::load(&path, "sha256:a", &labels()).unwrap(),
            scale
        );
        let other = ModelScale::load(&path, "sha256:b", &labels()).unwrap_err();
        assert!(other.to_string().contains("another model"), "{other}");
        let more = [labels(), vec!["new".into()]].concat();
        let lacks = ModelScale::load(&path, "sha256:a", &more).unwrap_err();
        assert!(lacks.to_string().contains("`new`"), "{lacks}");
        std::fs::write(&path, "{}").unwrap();
        assert!(matches!(
            ModelScale::load(&path, "sha256:a", &labels()),
            Err(ScaleError::Malformed { .. })
        ));
    }

    #[test]
    fn few_texts_are_too_few() {
        let error = ModelScale::fit(2, &harmless(10)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "10 harmless texts are too few to fit a scale; give at least 200"
        );
    }
}
