//! The operator's patterns, compiled once for each way a text can go.

use crate::Match;
use crate::engine::Says;
use portcullis_config::{Action, Direction, Policy};
use portcullis_text::pattern::{PatternError, PatternMatch, PatternSet, PatternSpec};
use portcullis_text::{PartId, PatternId, Span, Surface};

/// A pattern without its automaton: what is done about a match.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) then: Action,
    pub(crate) directions: Vec<Direction>,
    pub(crate) replacement: String,
    pub(crate) says: Says,
}

impl Rule {
    /// What is done about a match on a surface; a disclaimer goes with an answer or not at all.
    pub(crate) fn action(&self, surface: Surface) -> Action {
        match self.then {
            Action::Disclaim if surface != Surface::Completion => Action::Annotate,
            then => then,
        }
    }

    /// Tool calls go both ways: in a history towards the model, in an answer from it.
    pub(crate) fn looks_at(&self, surface: Surface) -> bool {
        self.directions.iter().any(|direction| match direction {
            Direction::Prompt => surface.is_prompt(),
            Direction::Completion => !surface.is_prompt() || surface == Surface::ToolCall,
        })
    }
}

/// The patterns of a policy, with an automaton for each way a text can go.
#[derive(Debug)]
pub(crate) struct Patterns {
    rules: Vec<Rule>,
    /// Towards the model.
    prompt: PatternSet,
    /// From the model.
    completion: PatternSet,
    /// Tool calls: in a history towards the model, in an answer from it.
    both: PatternSet,
}

impl Patterns {
    pub(crate) fn compile(policy: &Policy) -> Result<Self, PatternError> {
        let rules: Vec<Rule> = policy.patterns.iter().map(rule).collect();
        let compile = |surface: Surface| {
            let all = (0..).map(PatternId).zip(policy.patterns.iter().zip(&rules));
            let looking = all.filter(|(_, (_, rule))| rule.looks_at(surface));
            let specs: Vec<PatternSpec<'_>> = looking
                .map(|(id, (pattern, _))| PatternSpec {
                    id,
                    deny: &pattern.deny,
                    allow: &pattern.allow,
                })
                .collect();
            PatternSet::compile(&specs)
        };
        Ok(Self {
            prompt: compile(Surface::User)?,
            completion: compile(Surface::Completion)?,
            both: compile(Surface::ToolCall)?,
            rules,
        })
    }

    pub(crate) fn rule(&self, id: PatternId) -> Option<&Rule> {
        self.rules.get(usize::from(id.0))
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = (PatternId, &Rule)> {
        (0..).map(PatternId).zip(&self.rules)
    }

    /// The automaton for a surface.
    pub(crate) const fn on(&self, surface: Surface) -> &PatternSet {
        match surface {
            Surface::ToolCall => &self.both,
            surface if surface.is_prompt() => &self.prompt,
            _ => &self.completion,
        }
    }
}

/// Puts a match where its text stands.
pub(crate) fn located(found: PatternMatch, part: PartId, surface: Surface) -> Match {
    let span = Span {
        part,
        range: found.range,
    };
    Match {
        id: found.id,
        surface,
        span,
        view: found.view,
        replaceable: true,
    }
}

fn rule(pattern: &portcullis_config::Pattern) -> Rule {
    Rule {
        name: pattern.id.clone(),
        then: pattern.then,
        directions: pattern.directions.clone(),
        replacement: pattern.replacement.clone(),
        says: Says {
            cite: pattern.cite.clone(),
            redirect_text: pattern.redirect_text.clone(),
            disclaimer: pattern.disclaimer.clone(),
        },
    }
}
