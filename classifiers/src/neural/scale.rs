//! The scale of an encoder: from the evidence of a label to the share of harmless texts that show
//! less of it.
//!
//! It is fitted from harmless texts alone ([`ModelScale::fit`]), for each surface and for whole texts
//! and windows of a stream apart, and stands in a JSON file beside the model, which `scale` in
//! `portcullis.json` names. A scale belongs to one model, by digest.

use crate::Unit;
use crate::dataset::{Labels, Role};
use crate::scale::fit::{self, Sample, envelope};
use crate::scale::{CURVES, Curve, SCALE_LAYOUT, SurfaceGroup, curve_index};
use portcullis_models::ScaleFile;
use portcullis_text::{Category, Surface};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Fewer harmless texts say too little about rare scores.
pub(super) const MIN_TEXTS: usize = 200;

/// The shape of the file.
const FORMAT: u32 = 2;

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

/// Curves by label, surface, and for whole texts and windows of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelScale {
    /// In the order of the model's labels; of each in that of [`SCALE_LAYOUT`].
    curves: Vec<[Curve; CURVES]>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    model: String,
    n_texts: usize,
    /// For each label the numbers of its curves.
    labels: BTreeMap<String, [Vec<f32>; CURVES]>,
}

/// A harmless text, and the evidence that it gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Harmless {
    /// What kind of text.
    pub role: Role,
    /// Where it comes from: rates are counted for each source of many texts by itself.
    pub source: String,
    /// What is known of it; nothing at all reads as harmless in every way.
    pub labels: Labels,
    /// As a whole, by label.
    pub text: Vec<f32>,
    /// At most in its windows as streams are cut, by label.
    pub windows: Vec<f32>,
}

impl Harmless {
    /// Whether it says how high harmless texts score in a category.
    fn is_reference(&self, category: Option<Category>) -> bool {
        match category.map(|category| self.labels.get(category)) {
            Some(Some(holds)) => !holds,
            Some(None) => self.labels.is_empty(),
            None => true,
        }
    }

    /// Whether such texts stand on surfaces of the group.
    const fn is_of(&self, group: SurfaceGroup) -> bool {
        match (group, self.role) {
            (SurfaceGroup::Prompt, Role::Prompt | Role::Comment)
            | (SurfaceGroup::Response, Role::Response)
            | (SurfaceGroup::Material, Role::Prompt | Role::Response) => true,
            (SurfaceGroup::Prompt, Role::Response)
            | (SurfaceGroup::Response, Role::Prompt)
            | (SurfaceGroup::Response | SurfaceGroup::Material, Role::Comment) => false,
        }
    }

    const fn evidence(&self, unit: Unit) -> &Vec<f32> {
        match unit {
            Unit::Text => &self.text,
            Unit::StreamWindow => &self.windows,
        }
    }
}

impl ModelScale {
    /// Fits the curves of labels that stand for these categories. A surface that fewer than 200
    /// texts are of gets the curves of all of them.
    ///
    /// # Errors
    /// [`ScaleError::TooFew`].
    pub fn fit(categories: &[Option<Category>], harmless: &[Harmless]) -> Result<Self, ScaleError> {
        if harmless.len() < MIN_TEXTS {
            return Err(ScaleError::TooFew {
                n_texts: harmless.len(),
            });
        }
        let of_label = |(label, category): (usize, &Option<Category>)| {
            SCALE_LAYOUT.map(|(group, unit)| {
                let mut texts: Vec<&Harmless> = harmless.iter().collect();
                let narrower: [&dyn Fn(&Harmless) -> bool; 2] =
                    [&|text| text.is_reference(*category), &|text| {
                        text.is_of(group)
                    }];
                for is_fit in narrower {
                    let fit = || texts.iter().copied().filter(|text| is_fit(text));
                    if MIN_TEXTS <= fit().count() {
                        texts = fit().collect();
                    }
                }
                envelope(&samples(&texts, label, unit), 1.0)
            })
        };
        Ok(Self {
            curves: categories.iter().enumerate().map(of_label).collect(),
        })
    }

    /// The share of harmless texts on that surface that show less of a label, in `[0, 1]`; NaN for
    /// NaN.
    pub(super) fn score(&self, label: usize, surface: Surface, unit: Unit, evidence: f32) -> f32 {
        self.curves[label][curve_index(SurfaceGroup::of(surface), unit)].score(evidence)
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
        let numbers = |curves: &[Curve; CURVES]| curves.each_ref().map(|it| it.numbers().collect());
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

    /// Reads what the file says and holds it against the model.
    ///
    /// # Errors
    /// [`ScaleError`].
    pub fn read(
        scale: &ScaleFile,
        model_digest: &str,
        labels: &[String],
    ) -> Result<Self, ScaleError> {
        let file: File =
            serde_json::from_slice(&scale.bytes).map_err(|source| ScaleError::Malformed {
                path: scale.path.clone(),
                source,
            })?;
        let unfit = |fault: String| ScaleError::Unfit {
            path: scale.path.clone(),
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
        let of_label = |label: &String| {
            let numbers = file.labels.get(label);
            let numbers = numbers.ok_or_else(|| unfit(format!("it lacks the label `{label}`")))?;
            let mut curves = Vec::with_capacity(CURVES);
            for numbers in numbers {
                let curve = Curve::from_numbers(numbers).filter(|curve| curve.fault().is_none());
                curves.push(
                    curve.ok_or_else(|| unfit(format!("the numbers of `{label}` are no curve")))?,
                );
            }
            curves
                .try_into()
                .map_err(|_| unfit(format!("`{label}` has to have {CURVES} curves")))
        };
        Ok(Self {
            curves: labels.iter().map(of_label).collect::<Result<_, _>>()?,
        })
    }
}

/// The evidence of texts, by source; comments are talk.
fn samples(texts: &[&Harmless], label: usize, unit: Unit) -> Vec<Sample> {
    let mut by_source: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
    let mut talk = Vec::new();
    for text in texts {
        let evidence = text.evidence(unit)[label];
        match text.role {
            Role::Comment => talk.push(evidence),
            Role::Prompt | Role::Response => {
                by_source.entry(&text.source).or_default().push(evidence);
            }
        }
    }
    fit::samples(by_source.into_values(), talk)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harmless(n: usize) -> Vec<Harmless> {
        let one = |idx: usize| {
            let evidence = -5.0 + (idx as f32 / n as f32) * 6.0;
            Harmless {
                role: Role::Prompt,
                source: "made".into(),
                labels: Labels::default(),
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
        let scale = ModelScale::fit(&[Some(Category::Hate), None], &harmless(1000)).unwrap();
        let at = |evidence| scale.score(0, Surface::User, Unit::Text, evidence);
        assert!((at(-2.0) - 0.5).abs() < 0.02, "{}", at(-2.0));
        assert!((at(0.4) - 0.9).abs() < 0.02, "{}", at(0.4));
        assert!(0.999 < at(3.0));
        assert!(scale.score(0, Surface::User, Unit::StreamWindow, 0.4) < at(0.4));
        assert!(at(f32::NAN).is_nan());
    }

    #[test]
    fn a_file_is_the_same_scale_and_belongs_to_one_model() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scale.json");
        let scale = ModelScale::fit(&[Some(Category::Hate), None], &harmless(300)).unwrap();
        scale.save(&path, "sha256:a", &labels(), 300).unwrap();
        let mut file = ScaleFile {
            bytes: std::fs::read(&path).unwrap().into(),
            path,
        };
        let read = |digest, labels: &[String], file: &_| ModelScale::read(file, digest, labels);
        assert_eq!(read("sha256:a", &labels(), &file).unwrap(), scale);
        let other = read("sha256:b", &labels(), &file).unwrap_err();
        assert!(other.to_string().contains("another model"), "{other}");
        let more = [labels(), vec!["new".into()]].concat();
        let lacks = read("sha256:a", &more, &file).unwrap_err();
        assert!(lacks.to_string().contains("`new`"), "{lacks}");
        file.bytes = b"{}".into();
        assert!(matches!(
            read("sha256:a", &labels(), &file),
            Err(ScaleError::Malformed { .. })
        ));
    }

    #[test]
    fn few_texts_are_too_few() {
        let error = ModelScale::fit(&[Some(Category::Hate), None], &harmless(10)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "10 harmless texts are too few to fit a scale; give at least 200"
        );
    }
}
