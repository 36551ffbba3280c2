//! An answer judged in the context of its prompt.
//!
//! Among a model's outputs may be two digests of a text, as a prompt and as an answer
//! (`as_prompt_0` …, `as_answer_0` …). The prompt is run once; then what it adds to a category of
//! its answer is the sum of the products of both digests' entries, weighted for that category. So a
//! window of an answer costs nothing more for having a context.

use portcullis_models::Facts;

/// Longest window of a prompt that its answer is judged beside, special tokens included.
pub(super) const MAX_TOKENS: usize = 66;

/// `context` in a model's `portcullis.json` does not fit its labels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`context` in portcullis.json: {fault}")]
pub struct ContextError {
    fault: String,
}

/// The weights of the products.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Joining {
    /// Where the digests stand among the outputs.
    as_answer: Vec<usize>,
    as_prompt: Vec<usize>,
    /// By label, for the labels that stand before the digests.
    weights: Vec<Vec<f32>>,
}

impl Joining {
    /// What a model's `portcullis.json` says; `None` where it says nothing.
    pub(super) fn of(facts: &Facts, weights: &[Vec<f32>]) -> Result<Option<Self>, ContextError> {
        if weights.is_empty() {
            return Ok(None);
        }
        let digest = |name: &str| {
            let numbered = |number| {
                facts
                    .labels
                    .iter()
                    .position(|label| *label == format!("{name}_{number}"))
            };
            (0..).map_while(numbered).collect::<Vec<usize>>()
        };
        let (as_answer, as_prompt) = (digest("as_answer"), digest("as_prompt"));
        let n_entries = as_answer.len();
        let n_before = as_answer
            .iter()
            .chain(&as_prompt)
            .copied()
            .min()
            .unwrap_or(0);
        let fault = if n_entries == 0 || as_prompt.len() != n_entries {
            format!(
                "the model has {n_entries} labels `as_answer_…` and {} `as_prompt_…`, which have \
                 to be as many",
                as_prompt.len()
            )
        } else if weights.len() != n_before || weights.iter().any(|row| row.len() != n_entries) {
            format!("`weights` has to be {n_before} lists of {n_entries} numbers")
        } else {
            return Ok(Some(Self {
                as_answer,
                as_prompt,
                weights: weights.to_vec(),
            }));
        };
        Err(ContextError { fault })
    }

    /// Adds to an answer's outputs what the prompt's say about it.
    pub(super) fn join(&self, answer: &mut [f32], prompt: &[f32]) {
        let entries = self.as_answer.iter().zip(&self.as_prompt);
        let products: Vec<f32> = entries
            .map(|(own, other)| answer[*own] * prompt[*other])
            .collect();
        for (output, weights) in answer.iter_mut().zip(&self.weights) {
            *output += weights
                .iter()
                .zip(&products)
                .map(|(weight, product)| weight * product)
                .sum::<f32>();
        }
    }
}
