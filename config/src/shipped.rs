//! The policies that come with the gate, and the words that come with the topics.

use crate::{CategoryRules, Mode, OnFailure, Policy, Threshold, Thresholds};
use portcullis_text::Category;
use std::collections::BTreeMap;

/// Names of the shipped policies; the first is the default.
pub const SHIPPED: [&str; 3] = ["balanced", "strict", "observe"];

/// The text of a shipped policy.
#[must_use]
pub fn shipped(name: &str) -> Option<&'static str> {
    match name {
        "balanced" => Some(include_str!("../policies/balanced.yaml")),
        "strict" => Some(include_str!("../policies/strict.yaml")),
        "observe" => Some(include_str!("../policies/observe.yaml")),
        _ => None,
    }
}

/// The default policy.
pub(crate) fn balanced() -> Policy {
    let text = shipped(SHIPPED[0]).unwrap_or_default();
    crate::parse_policy(text, SHIPPED[0]).unwrap_or_else(|_| closed())
}

/// Stands in for an embedded policy that cannot be read, which the tests of this crate exclude:
/// it refuses everything, because the gate must not open by accident.
fn closed() -> Policy {
    let always = Thresholds {
        block: Threshold::new(0.0).ok(),
        ..Thresholds::default()
    };
    let rules = CategoryRules {
        prompt: Some(always),
        completion: Some(always),
        cite: Some("the embedded policy is damaged".to_owned()),
        ..CategoryRules::default()
    };
    Policy {
        name: "closed".to_owned(),
        mode: Mode::Enforce,
        categories: BTreeMap::from([(Category::Unsafe, rules)]),
        attacks: BTreeMap::new(),
        patterns: Vec::new(),
        on_failure: OnFailure::default(),
        tests: Vec::new(),
    }
}

/// What is appended on `disclaim` where the policy has no words of its own (English).
#[must_use]
pub const fn default_disclaimer(category: Category) -> &'static str {
    match category {
        Category::AdviceMedical => {
            "This is general information from an AI system, not medical advice. \
             For questions about your health, ask a doctor or a pharmacist."
        }
        Category::AdviceLegal => {
            "This is general information from an AI system, not legal advice. \
             For your own case, ask a lawyer."
        }
        Category::AdviceFinancial => {
            "This is general information from an AI system, not financial advice. \
             Before you decide about money, ask a qualified adviser."
        }
        _ => "This answer was written by an AI system and may be wrong. Check what matters.",
    }
}
