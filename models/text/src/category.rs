//! The taxonomy: what a text can be about that an operator may want to act on.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A category of the taxonomy.
///
/// Definitions and the mappings to the MLCommons and OpenAI taxonomies stand in `docs/taxonomy.md`.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The text is harmful or asks for harm under any hazard.
    Unsafe,
    /// Enables, incites or glorifies physical violence.
    Violence,
    /// Non-violent crime: theft, fraud, scams, forgery, laundering.
    Crime,
    /// Making, getting or trading drugs, conventional weapons, other regulated goods.
    ControlledGoods,
    /// Malware, intrusion, exploit or code-interpreter abuse.
    Cyber,
    /// Chemical, biological, radiological, nuclear and high-yield explosive weapons.
    Cbrn,
    /// Sexual assault, trafficking, forced prostitution.
    SexualCrime,
    /// Sexual exploitation, grooming or abuse of minors.
    ChildSafety,
    /// Attacks or demeans people for a protected characteristic.
    Hate,
    /// Insults, bullying, threats, defamation of a person.
    Harassment,
    /// Suicide, self-injury, eating disorders: intent, instruction or encouragement.
    SelfHarm,
    /// Explicit sexual content between adults.
    Sexual,
    /// Exposing, inferring or collecting private data of a person.
    Privacy,
    /// Disinformation, election falsehood, impersonation at scale.
    Deception,
    /// Asks for or gives medical advice (a topic, not a fault).
    AdviceMedical,
    /// Asks for or gives tailored legal advice (a topic, not a fault).
    AdviceLegal,
    /// Asks for or gives tailored money, tax or investment advice (a topic, not a fault).
    AdviceFinancial,
    /// Tries to take off the model's safety: persona, fiction, encoding, refusal suppression.
    Jailbreak,
    /// Tries to replace, leak or add to the application's instructions.
    Injection,
}

/// What kind of thing a category names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// The union of all hazards.
    Aggregate,
    /// A harm.
    Hazard,
    /// A subject that wants care, not a fault.
    Topic,
    /// An attack on the model or the application around it.
    Attack,
}

impl Category {
    /// Every category, in declaration order; `ALL[c.index()] == c`.
    pub const ALL: [Self; 19] = [
        Self::Unsafe,
        Self::Violence,
        Self::Crime,
        Self::ControlledGoods,
        Self::Cyber,
        Self::Cbrn,
        Self::SexualCrime,
        Self::ChildSafety,
        Self::Hate,
        Self::Harassment,
        Self::SelfHarm,
        Self::Sexual,
        Self::Privacy,
        Self::Deception,
        Self::AdviceMedical,
        Self::AdviceLegal,
        Self::AdviceFinancial,
        Self::Jailbreak,
        Self::Injection,
    ];

    /// Number of categories; the length of every score vector.
    pub const COUNT: usize = Self::ALL.len();

    /// Position in [`Self::ALL`] and in every score vector.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name used in config, metrics, records and data sets.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unsafe => "unsafe",
            Self::Violence => "violence",
            Self::Crime => "crime",
            Self::ControlledGoods => "controlled_goods",
            Self::Cyber => "cyber",
            Self::Cbrn => "cbrn",
            Self::SexualCrime => "sexual_crime",
            Self::ChildSafety => "child_safety",
            Self::Hate => "hate",
            Self::Harassment => "harassment",
            Self::SelfHarm => "self_harm",
            Self::Sexual => "sexual",
            Self::Privacy => "privacy",
            Self::Deception => "deception",
            Self::AdviceMedical => "advice_medical",
            Self::AdviceLegal => "advice_legal",
            Self::AdviceFinancial => "advice_financial",
            Self::Jailbreak => "jailbreak",
            Self::Injection => "injection",
        }
    }

    /// Which kind of thing this category names.
    #[must_use]
    pub const fn group(self) -> Group {
        match self {
            Self::Unsafe => Group::Aggregate,
            Self::AdviceMedical | Self::AdviceLegal | Self::AdviceFinancial => Group::Topic,
            Self::Jailbreak | Self::Injection => Group::Attack,
            _ => Group::Hazard,
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no category.
#[derive(Debug, thiserror::Error)]
#[error("unknown category `{0}`")]
pub struct UnknownCategory(pub String);

impl FromStr for Category {
    type Err = UnknownCategory;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .into_iter()
            .find(|category| category.name() == name);
        found.ok_or_else(|| UnknownCategory(name.to_owned()))
    }
}

/// A set of categories, as a bit mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CategorySet(u32);

impl CategorySet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// Adds a category.
    pub fn insert(&mut self, category: Category) {
        self.0 |= 1 << category.index();
    }

    /// Whether the category is in the set.
    #[must_use]
    pub const fn contains(self, category: Category) -> bool {
        self.0 & (1 << category.index()) != 0
    }

    /// Whether the set holds nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_back_and_indexes_match() {
        for (idx, category) in Category::ALL.into_iter().enumerate() {
            assert_eq!(category.index(), idx);
            assert_eq!(category.name().parse::<Category>().unwrap(), category);
            let json = serde_json::to_string(&category).unwrap();
            assert_eq!(json, format!("\"{}\"", category.name()));
        }
    }
}
