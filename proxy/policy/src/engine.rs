//! A compiled policy: decides about evidence, in any order and any amount.

use crate::patterns::{Patterns, Rule, located};
use crate::rows::Rows;
use crate::{Decision, Evidence, Explanation, Match, RefusalText, Tally};
use portcullis_config::{Action, Mode, OnFailure, Policy, Thresholds, default_disclaimer};
use portcullis_text::pattern::{PatternError, PatternMatch};
use portcullis_text::{Category, Label, PartId, PatternId, Surface, Window};
use std::collections::{BTreeMap, BTreeSet};

/// A compiled policy. Cheap to share behind an `Arc`; compiling is the expensive part.
#[derive(Debug)]
pub struct Engine {
    name: String,
    digest: String,
    mode: Mode,
    on_failure: OnFailure,
    pub(crate) rows: Rows,
    pub(crate) patterns: Patterns,
    says: BTreeMap<Category, Says>,
}

/// What the policy says to the person when a row decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Says {
    pub(crate) cite: Option<String>,
    pub(crate) redirect_text: Option<String>,
    pub(crate) disclaimer: Option<String>,
}

/// Why a policy cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A row or pattern redirects, and the policy does not say to what.
    #[error("`{row}` redirects but has no `redirect_text`")]
    RedirectWithoutText {
        /// The category or the id of the pattern.
        row: String,
    },
    /// A category stands both under `categories` and under `attacks`.
    #[error("category `{0}` stands both under `categories` and under `attacks`")]
    CategoryTwice(Category),
    /// A regex of a pattern cannot be used.
    #[error("pattern `{name}` cannot be used")]
    Pattern {
        /// The id of the pattern.
        name: String,
        /// Which regex, and why.
        #[source]
        source: PatternError,
    },
    /// More patterns than can be numbered.
    #[error("{0} patterns are more than {max}", max = u16::MAX)]
    TooManyPatterns(usize),
    /// The policy cannot be written down, so it has no digest.
    #[error("the policy cannot be serialised")]
    Serialise(#[source] serde_json::Error),
}

impl Engine {
    /// Compiles a policy.
    ///
    /// # Errors
    /// [`CompileError`] names the row or pattern that cannot be used, and why.
    pub fn compile(policy: &Policy) -> Result<Self, CompileError> {
        if usize::from(u16::MAX) < policy.patterns.len() {
            return Err(CompileError::TooManyPatterns(policy.patterns.len()));
        }
        let engine = Self {
            name: policy.name.clone(),
            digest: digest(policy)?,
            mode: policy.mode,
            on_failure: policy.on_failure,
            rows: Rows::compile(policy),
            patterns: compile_patterns(policy)?,
            says: says(policy)?,
        };
        engine.check_redirects()?;
        Ok(engine)
    }

    /// The policy's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Hash of everything in the policy that can change a decision, 64 hexadecimal digits.
    ///
    /// Independent of the order of keys and of the layout of the file; `tests` do not count.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The first 8 digits of [`Self::digest`], as in `x-portcullis-policy: name@digest8`.
    #[must_use]
    pub fn digest8(&self) -> &str {
        &self.digest[..8]
    }

    /// Whether decisions are acted on.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What happens when a classifier cannot answer.
    #[must_use]
    pub const fn on_failure(&self) -> OnFailure {
        self.on_failure
    }

    /// Where the policy's patterns match in a whole text, as written and with its disguises taken
    /// off. Linear in its length.
    #[must_use]
    pub fn find_patterns(&self, part: PartId, surface: Surface, text: &str) -> Vec<Match> {
        let found = self.patterns.on(surface).find_disguised(text);
        found
            .into_iter()
            .map(|found| located(found, part, surface))
            .collect()
    }

    /// Where the policy's patterns match over places where texts were put side by side; only what
    /// begins and ends with a word counts. Linear in its length.
    #[must_use]
    pub fn find_across(&self, surface: Surface, text: &str) -> Vec<PatternMatch> {
        self.patterns.on(surface).find_across(text)
    }

    /// What is done about a match.
    pub(crate) fn action_of(&self, found: &Match) -> Action {
        let rule = self.patterns.rule(found.id);
        match rule.map_or(Action::Allow, |rule| rule.action(found.surface)) {
            Action::Redact if !found.replaceable => Action::Block,
            action => action,
        }
    }

    /// Decides about all the evidence at once.
    #[must_use]
    pub fn decide(&self, evidence: &Evidence<'_>) -> Decision {
        let mut tally = Tally::default();
        for window in evidence.windows {
            tally.add_window(self, window);
        }
        for found in evidence.matches {
            tally.add_match(self, found);
        }
        tally.conclude(self)
    }

    /// Every row that was considered for this evidence, reached or not, and which one decided.
    #[must_use]
    pub fn explain(&self, evidence: &Evidence<'_>) -> Explanation {
        Explanation::of(self, evidence)
    }

    /// The strongest action that one window earns by itself. Allocates nothing.
    #[must_use]
    pub fn earned(&self, window: &Window) -> Action {
        let reached = self.rows.reached(window.surface, &window.scores);
        let earned = reached
            .filter_map(|(category, score)| self.rows.earned(category, window.surface, score));
        earned.map(|(action, _)| action).max().unwrap_or_default()
    }

    /// The thresholds that really hold for a category on a surface; `None` without any row.
    ///
    /// On `system` only `annotate` is left, and `disclaim` only on `completion`.
    #[must_use]
    pub fn thresholds(&self, category: Category, surface: Surface) -> Option<Thresholds> {
        self.rows.on(category, surface).copied()
    }

    /// The name of a pattern, as in the policy.
    #[must_use]
    pub fn pattern_name(&self, id: PatternId) -> Option<&str> {
        self.patterns.rule(id).map(|rule| rule.name.as_str())
    }

    /// Every text this policy can refuse or redirect with, to recognise our own refusals in a
    /// history that a client sends back. Sorted, each once.
    #[must_use]
    pub fn refusal_texts(&self) -> Vec<String> {
        let mut texts = BTreeSet::from([refusal_sentence(None)]);
        for (row, actions) in self.actions_by_row() {
            if actions.contains(&Action::Block) {
                texts.insert(refusal_sentence(row.says.cite.as_deref()));
            }
            if actions.contains(&Action::Redirect) {
                texts.extend(row.says.redirect_text.clone());
            }
        }
        texts.into_iter().collect()
    }

    /// Every disclaimer this policy can append. Sorted, each once.
    #[must_use]
    pub fn inserted_texts(&self) -> Vec<String> {
        let rows = self.actions_by_row().into_iter();
        let disclaiming = rows.filter(|(_, actions)| actions.contains(&Action::Disclaim));
        let texts: BTreeSet<_> = disclaiming
            .map(|(row, _)| self.disclaimer(row.label))
            .collect();
        texts.into_iter().collect()
    }

    /// The refusal when the row of this label blocks.
    pub(crate) fn refusal(&self, label: Label) -> RefusalText {
        let cite = self.says(label).and_then(|says| says.cite.clone());
        RefusalText {
            text: refusal_sentence(cite.as_deref()),
            label,
            cite,
        }
    }

    /// The text when the row of this label redirects; compiling made sure that there is one.
    pub(crate) fn redirect_text(&self, label: Label) -> String {
        let text = self.says(label).and_then(|says| says.redirect_text.clone());
        text.unwrap_or_else(|| refusal_sentence(None))
    }

    /// The text when the row of this label disclaims.
    pub(crate) fn disclaimer(&self, label: Label) -> String {
        let text = self.says(label).and_then(|says| says.disclaimer.clone());
        let about = match label {
            Label::Category(category) => category,
            Label::Pattern(_) => Category::Unsafe,
        };
        text.unwrap_or_else(|| default_disclaimer(about).to_owned())
    }

    fn says(&self, label: Label) -> Option<&Says> {
        match label {
            Label::Category(category) => self.says.get(&category),
            Label::Pattern(id) => self.patterns.rule(id).map(|rule: &Rule| &rule.says),
        }
    }

    fn check_redirects(&self) -> Result<(), CompileError> {
        for (row, actions) in self.actions_by_row() {
            if actions.contains(&Action::Redirect) && row.says.redirect_text.is_none() {
                let row = match row.label {
                    Label::Category(category) => category.name().to_owned(),
                    Label::Pattern(id) => self.pattern_name(id).unwrap_or_default().to_owned(),
                };
                return Err(CompileError::RedirectWithoutText { row });
            }
        }
        Ok(())
    }

    /// Each category and pattern with every action that it can take on some surface.
    fn actions_by_row(&self) -> Vec<(RowTexts<'_>, BTreeSet<Action>)> {
        let categories = self.says.iter().map(|(category, says)| {
            let rows = Surface::ALL
                .into_iter()
                .filter_map(|on| self.rows.on(*category, on));
            let actions = rows
                .flat_map(crate::rows::cuts)
                .map(|(action, _)| action)
                .collect();
            (
                RowTexts {
                    label: Label::Category(*category),
                    says,
                },
                actions,
            )
        });
        let patterns = self.patterns.rules().map(|(id, rule)| {
            let surfaces = Surface::ALL
                .into_iter()
                .filter(|surface| rule.looks_at(*surface));
            let actions = surfaces.map(|surface| rule.action(surface)).collect();
            (
                RowTexts {
                    label: Label::Pattern(id),
                    says: &rule.says,
                },
                actions,
            )
        });
        categories.chain(patterns).collect()
    }
}

struct RowTexts<'a> {
    label: Label,
    says: &'a Says,
}

/// The sentence of a refusal. Short and stable: it is recognised in later histories.
fn refusal_sentence(cite: Option<&str>) -> String {
    match cite {
        Some(cite) => format!("I can't help with that. ({cite})"),
        None => "I can't help with that.".to_owned(),
    }
}

fn compile_patterns(policy: &Policy) -> Result<Patterns, CompileError> {
    Patterns::compile(policy).map_err(|source| {
        let pattern = policy.patterns.get(usize::from(source.id.0));
        let name = pattern.map_or_else(String::new, |pattern| pattern.id.clone());
        CompileError::Pattern { name, source }
    })
}

fn says(policy: &Policy) -> Result<BTreeMap<Category, Says>, CompileError> {
    let mut all = BTreeMap::new();
    for (category, rules) in policy.categories.iter().chain(&policy.attacks) {
        let says = Says {
            cite: rules.cite.clone(),
            redirect_text: rules.redirect_text.clone(),
            disclaimer: rules.disclaimer.clone(),
        };
        if all.insert(*category, says).is_some() {
            return Err(CompileError::CategoryTwice(*category));
        }
    }
    Ok(all)
}

/// Maps are ordered by key in memory and structs by field, so the JSON is canonical.
fn digest(policy: &Policy) -> Result<String, CompileError> {
    let behaviour = Policy {
        tests: Vec::new(),
        ..policy.clone()
    };
    let canonical = serde_json::to_vec(&behaviour).map_err(CompileError::Serialise)?;
    Ok(blake3::hash(&canonical).to_hex().to_string())
}
