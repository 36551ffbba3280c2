//! What a model's labels mean: categories of the taxonomy, and evidence from logits.

use portcullis_models::{Facts, Kind, Sidecar};
use portcullis_text::{Category, Vector};

/// No label of a model says anything about the taxonomy, or one is mapped to what is none of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The map names no category.
    #[error(
        "`labels` in portcullis.json maps `{label}` to `{category}`, which is no category{}",
        suggestion(nearest)
    )]
    Unknown {
        /// The model's label.
        label: String,
        /// What it is mapped to.
        category: String,
        /// The nearest category.
        nearest: Option<&'static str>,
    },
    /// Nothing is mapped and no label is itself the name of a category.
    #[error(
        "none of the model's labels ({labels}) is a category; map them in portcullis.json: \
         {{\"labels\": {{\"{first}\": \"unsafe\"}}}}"
    )]
    NoneMapped {
        /// All of them.
        labels: String,
        /// The first.
        first: String,
    },
}

fn suggestion(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

/// The category of each label; `None` for one that says nothing (`safe`, `LABEL_0`).
pub(super) fn categories(
    facts: &Facts,
    sidecar: &Sidecar,
) -> Result<Vec<Option<Category>>, LabelError> {
    let category_of = |label: &String| match sidecar.labels.get(label) {
        Some(mapped) => mapped.parse().map(Some).map_err(|_| LabelError::Unknown {
            label: label.clone(),
            category: mapped.clone(),
            nearest: nearest(mapped),
        }),
        None => Ok(label.to_lowercase().parse().ok()),
    };
    let categories: Vec<Option<Category>> = facts
        .labels
        .iter()
        .map(category_of)
        .collect::<Result<_, _>>()?;
    if categories.iter().all(Option::is_none) {
        return Err(LabelError::NoneMapped {
            labels: facts.labels.join(", "),
            first: facts.labels.first().cloned().unwrap_or_default(),
        });
    }
    Ok(categories)
}

/// The way round a guard that each label says: `vector_` and its name.
pub(super) fn vectors(facts: &Facts) -> Vec<Option<Vector>> {
    let vector_of = |label: &String| Vector::of_name(label.to_lowercase().strip_prefix("vector_")?);
    facts.labels.iter().map(vector_of).collect()
}

fn nearest(name: &str) -> Option<&'static str> {
    let distance = |category: &Category| strsim::damerau_levenshtein(name, category.name());
    let best = Category::ALL.into_iter().min_by_key(distance)?;
    (distance(&best) <= 3).then_some(best.name())
}

/// The evidence for each label, one number that rises with it: the logit where labels are
/// independent, the logarithm of the odds against all others where one of them holds.
pub(super) fn evidence(kind: Kind, logits: &[f32], into: &mut Vec<f32>) {
    into.clear();
    match kind {
        Kind::MultiLabel => into.extend_from_slice(logits),
        Kind::SingleLabel | Kind::Token => {
            into.extend((0..logits.len()).map(|own| log_odds(logits, own)));
        }
    }
}

fn log_odds(logits: &[f32], own: usize) -> f32 {
    let others = || {
        let all = logits.iter().enumerate();
        all.filter(move |(idx, _)| *idx != own)
            .map(|(_, logit)| *logit)
    };
    let largest = others().fold(f32::NEG_INFINITY, f32::max);
    if largest == f32::NEG_INFINITY {
        // A single label has nothing to stand against.
        return logits[own];
    }
    let sum: f32 = others().map(|logit| (logit - largest).exp()).sum();
    logits[own] - largest - sum.ln()
}

/// What `/predict` shows of logits: shares that add up to 1 where one label holds, else a
/// probability for each.
pub(super) fn shares(kind: Kind, logits: &[f32]) -> Vec<f32> {
    match kind {
        Kind::MultiLabel => logits
            .iter()
            .map(|logit| 1.0 / (1.0 + (-logit).exp()))
            .collect(),
        Kind::SingleLabel | Kind::Token => {
            let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let raised: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
            let sum: f32 = raised.iter().sum();
            raised.into_iter().map(|share| share / sum).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_evidence_of_one_label_among_several_is_the_logarithm_of_its_odds() {
        let logits = [1.0_f32, -2.0, 0.5];
        let mut found = Vec::new();
        evidence(Kind::SingleLabel, &logits, &mut found);
        for (evidence, share) in found.iter().zip(shares(Kind::SingleLabel, &logits)) {
            assert!((evidence - (share / (1.0 - share)).ln()).abs() < 1e-5);
        }
        evidence(Kind::MultiLabel, &logits, &mut found);
        assert_eq!(found, logits);
    }

    #[test]
    fn large_logits_stay_finite_and_one_alone_is_itself() {
        let mut found = Vec::new();
        evidence(Kind::SingleLabel, &[300.0, -300.0], &mut found);
        assert_eq!(found, [600.0, -600.0]);
        evidence(Kind::SingleLabel, &[4.0], &mut found);
        assert_eq!(found, [4.0]);
        assert_eq!(shares(Kind::SingleLabel, &[300.0, -300.0]), [1.0, 0.0]);
    }
}
