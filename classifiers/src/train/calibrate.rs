//! Fits the score scale: how often harmless texts reach a logit.
//!
//! Reference texts are harmless ones whose label is known, scored by models that did not see them.
//! Each source of prompts (or of answers) gives its own exceedances with an exponential tail, and
//! the curve takes the mean over the *worst eighth* of the sources: a rate that holds there also
//! holds for a mixture nobody foresaw. A category that finds hardly more harm than harmless texts
//! up there gets a ceiling below the usual block thresholds: a tier that cannot tell stays quiet.

use super::corpus::{Corpus, Example};
use super::holdout::{HARM, HeldOut};
use crate::Unit;
use crate::dataset::Role;
use crate::scale::fit::{self, Sample, envelope};
use crate::scale::{CategoryScale, Curve, Logistic, SCALE_LAYOUT, Scale, SurfaceGroup};
use portcullis_text::Category;

/// A category with positives from fewer sources may have learned the source rather than the harm:
/// its curve expects harmless texts this many times as often as counted.
const NARROW_CAUTION: f32 = 4.0;
const NARROW_SOURCES: usize = 4;
/// Positives that make a source count.
const MIN_SOURCE_POSITIVES: usize = 20;
/// Dialogues scraped from social media, kept as responses.
const TALK_SOURCES: [&str; 1] = ["diasafety"];
/// E-mails, tables and code that stand for what tools and retrieval bring along.
const MATERIAL_SOURCES: [&str; 1] = ["bipia_train"];
/// Ceiling of a category that cannot tell, below the block thresholds of the shipped policies.
const QUIET: f32 = 0.998;
/// Least precision among held-out texts at [`QUIET`] and above.
const MIN_PRECISION: f32 = 0.5;
/// Fewest positives that a probability is fitted on.
const MIN_POSITIVES: usize = 50;

/// Everything known about held-out rows, in corpus order.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) corpus: &'a Corpus,
    pub(crate) held_out: &'a [HeldOut],
}

impl Evidence<'_> {
    /// Fits all curves and probabilities.
    pub(crate) fn scale(&self) -> Scale {
        Scale::new(Category::ALL.map(|category| self.category(category)))
    }

    fn category(&self, category: Category) -> CategoryScale {
        let curves = SCALE_LAYOUT.map(|(group, unit)| self.curve(category, group, unit));
        CategoryScale {
            curves,
            probability: self.probability(category),
        }
    }

    fn curve(&self, category: Category, group: SurfaceGroup, unit: Unit) -> Curve {
        let samples = self.samples(category, group, unit);
        let caution = if self.is_narrow(category) {
            NARROW_CAUTION
        } else {
            1.0
        };
        let mut curve = envelope(&samples, caution);
        if self.precision(category, group, &curve) < MIN_PRECISION {
            curve.ceiling = QUIET;
        }
        curve
    }

    /// Whether the positives of the category come from few sources.
    fn is_narrow(&self, category: Category) -> bool {
        let mut positives = vec![0; self.corpus.sources.len()];
        for example in &self.corpus.examples {
            positives[example.source as usize] +=
                (example.positive >> category.index() & 1) as usize;
        }
        positives
            .iter()
            .filter(|n| MIN_SOURCE_POSITIVES <= **n)
            .count()
            < NARROW_SOURCES
    }

    /// The reference logits, by source; talk and small sources pooled.
    fn samples(&self, category: Category, group: SurfaceGroup, unit: Unit) -> Vec<Sample> {
        let mut by_source = vec![Vec::new(); self.corpus.sources.len()];
        let mut talk = Vec::new();
        for (example, held_out) in self.rows().filter(|(row, _)| is_reference(row, category)) {
            let logit = logit(held_out, category, unit);
            let place = match (group, self.kind(example)) {
                (SurfaceGroup::Prompt, Kind::Comment) | (SurfaceGroup::Response, Kind::Talk) => {
                    &mut talk
                }
                (SurfaceGroup::Response, Kind::Prompt) if unit == Unit::StreamWindow => continue,
                (SurfaceGroup::Material, Kind::Material)
                | (SurfaceGroup::Response | SurfaceGroup::Material, Kind::Answer)
                | (_, Kind::Prompt) => &mut by_source[example.source as usize],
                _ => continue,
            };
            place.push(logit);
        }
        fit::samples(by_source, talk)
    }

    fn kind(&self, example: &Example) -> Kind {
        let source = self.corpus.sources[example.source as usize].as_str();
        match example.role {
            Role::Comment => Kind::Comment,
            _ if MATERIAL_SOURCES.contains(&source) => Kind::Material,
            Role::Response if TALK_SOURCES.contains(&source) => Kind::Talk,
            Role::Response => Kind::Answer,
            Role::Prompt => Kind::Prompt,
        }
    }

    /// Share of positives among held-out texts of the group that reach [`QUIET`]; harmless texts of
    /// all roles count.
    fn precision(&self, category: Category, group: SurfaceGroup, curve: &Curve) -> f32 {
        let (mut right, mut wrong) = (0.0_f32, 0.0_f32);
        for (example, held_out) in self.rows() {
            let belongs = match group {
                SurfaceGroup::Prompt => example.role != Role::Response,
                SurfaceGroup::Response => example.role == Role::Response,
                SurfaceGroup::Material => true,
            };
            if !belongs || curve.score(logit(held_out, category, Unit::Text)) < QUIET {
                continue;
            }
            if example.positive >> category.index() & 1 == 1 {
                right += 1.0;
            } else if is_reference(example, category) {
                wrong += 1.0;
            }
        }
        right / (right + wrong).max(1.0)
    }

    fn probability(&self, category: Category) -> Option<Logistic> {
        let lane = category.index();
        let known = self
            .rows()
            .filter(|(example, _)| example.known >> lane & 1 == 1);
        let points: Vec<(f32, bool)> = known
            .map(|(example, held_out)| (held_out.text[lane], example.positive >> lane & 1 == 1))
            .collect();
        let n_positives = points.iter().filter(|(_, holds)| *holds).count();
        (MIN_POSITIVES <= n_positives)
            .then(|| logistic(&points))
            .flatten()
    }

    fn rows(&self) -> impl Iterator<Item = (&Example, &HeldOut)> {
        self.corpus.examples.iter().zip(self.held_out)
    }
}

fn logit(held_out: &HeldOut, category: Category, unit: Unit) -> f32 {
    match unit {
        Unit::Text => held_out.text[category.index()],
        Unit::StreamWindow => held_out.stream[category.index()],
    }
}

/// Harmless, and known not to be of the category.
fn is_reference(example: &Example, category: Category) -> bool {
    let bit = 1 << category.index();
    example.positive & (HARM | bit) == 0 && example.known & bit != 0
}

/// What a reference text is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Prompt,
    Answer,
    Material,
    Comment,
    Talk,
}

/// One-dimensional logistic regression by Newton's method (Platt scaling).
fn logistic(points: &[(f32, bool)]) -> Option<Logistic> {
    let (mut slope, mut offset) = (1.0_f64, 0.0_f64);
    for _ in 0..50 {
        let (mut g, mut h) = ([0.0; 2], [1e-9, 0.0, 1e-9]);
        for &(logit, holds) in points {
            let x = f64::from(logit);
            let p = 1.0 / (1.0 + (-(slope * x + offset)).exp());
            let error = p - f64::from(u8::from(holds));
            let weight = p * (1.0 - p);
            g = [g[0] + error * x, g[1] + error];
            h = [h[0] + weight * x * x, h[1] + weight * x, h[2] + weight];
        }
        let determinant = h[0] * h[2] - h[1] * h[1];
        let step = [
            (h[2] * g[0] - h[1] * g[1]) / determinant,
            (h[0] * g[1] - h[1] * g[0]) / determinant,
        ];
        slope -= step[0].clamp(-1.0, 1.0);
        offset -= step[1].clamp(-1.0, 1.0);
    }
    let fitted = Logistic {
        slope: slope as f32,
        offset: offset as f32,
    };
    (slope.is_finite() && offset.is_finite() && 0.0 < slope).then_some(fitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_the_share_of_positives_at_a_logit() {
        let mut points = Vec::new();
        for k in 0..81 * 200 {
            let logit = (k % 81) as f32 / 10.0 - 4.0;
            let holds = 1.0 / (1.0 + (-(2.0 * logit - 1.0)).exp());
            points.push((logit, ((k / 81) as f32 + 0.5) / 200.0 < holds));
        }
        let fitted = logistic(&points).unwrap();
        assert!(
            (fitted.slope - 2.0).abs() < 0.1 && (fitted.offset + 1.0).abs() < 0.1,
            "{fitted:?}"
        );
    }
}
