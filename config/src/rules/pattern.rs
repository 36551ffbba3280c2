//! The operator's patterns.

use super::{Checker, is_name};
use crate::document::{Node, Step};
use crate::{Action, Pattern, Policy, Problem};
use portcullis_text::PatternId;
use portcullis_text::pattern::{List, PatternError, PatternSet, PatternSpec};

pub(super) fn check_patterns(policy: &Policy, root: &Node, problems: &mut Vec<Problem>) {
    for (idx, pattern) in policy.patterns.iter().enumerate() {
        let Some(node) = root.at(&[Step::Key("patterns"), Step::Item(idx)]) else {
            continue;
        };
        if node.is_damaged {
            continue;
        }
        let mut checker = Checker { node, problems };
        checker.id(
            pattern,
            policy.patterns.get(..idx).unwrap_or_default(),
            root,
        );
        checker.action(pattern);
        checker.lists(pattern);
        checker.regexes(pattern);
    }
    all_together(policy, root, problems);
}

impl Checker<'_> {
    fn id(&mut self, pattern: &Pattern, before: &[Pattern], root: &Node) {
        let span = self.span("id");
        if !is_name(&pattern.id) {
            let message = format!("`{}` cannot be the id of a pattern", pattern.id);
            let problem = Problem::new(&span, message);
            self.problems
                .push(problem.help("use 1 to 64 letters, digits, `.`, `_` or `-`"));
        }
        let Some(first) = before.iter().position(|other| other.id == pattern.id) else {
            return;
        };
        let path = [Step::Key("patterns"), Step::Item(first), Step::Key("id")];
        let mut problem = Problem::new(&span, format!("two patterns have the id `{}`", pattern.id));
        if let Some(first) = root.at(&path) {
            problem = problem.also(&first.span, "the first");
        }
        self.problems.push(
            problem
                .label("the second")
                .help("give each pattern its own id"),
        );
    }

    fn action(&mut self, pattern: &Pattern) {
        self.refuse_blank(&["cite", "redirect_text", "disclaimer"]);
        let (problem, help) = match pattern.then {
            Action::Allow => (
                "`then: allow` does nothing: what no pattern denies is allowed",
                "list exceptions under `allow`, or name another action",
            ),
            Action::Redirect if pattern.redirect_text.is_none() => (
                "`redirect` without a `redirect_text`",
                "add `redirect_text: …` to this pattern",
            ),
            Action::Disclaim if pattern.disclaimer.is_none() => (
                "`disclaim` without a `disclaimer`",
                "add `disclaimer: …` to this pattern",
            ),
            _ => return,
        };
        self.problems
            .push(Problem::new(&self.span("then"), problem).help(help));
    }

    fn lists(&mut self, pattern: &Pattern) {
        if pattern.deny.is_empty() {
            let problem = Problem::new(&self.span("deny"), "`deny` is empty: nothing would match");
            self.problems
                .push(problem.help("list at least one regular expression"));
        }
        if pattern.directions.is_empty() {
            let problem = Problem::new(&self.span("directions"), "`directions` is empty");
            self.problems
                .push(problem.help("leave it out for both, or name `prompt` or `completion`"));
        }
    }

    /// Each regex by itself, so that every one that is wrong is reported.
    fn regexes(&mut self, pattern: &Pattern) {
        for (list, regexes) in [(List::Deny, &pattern.deny), (List::Allow, &pattern.allow)] {
            for (idx, regex) in regexes.iter().enumerate() {
                let one = std::slice::from_ref(regex);
                let (deny, allow) = match list {
                    List::Deny => (one, [].as_slice()),
                    List::Allow => ([].as_slice(), one),
                };
                let spec = PatternSpec {
                    id: PatternId(0),
                    deny,
                    allow,
                };
                if let Err(error) = PatternSet::compile(&[spec]) {
                    self.problems.push(self.regex_problem(list, idx, &error));
                }
            }
        }
    }

    fn regex_problem(&self, list: List, idx: usize, error: &PatternError) -> Problem {
        let key = list.to_string();
        let regex = self.node.at(&[Step::Key(&key), Step::Item(idx)]);
        let span = regex.map_or_else(
            || self.span(&key),
            |regex| {
                error
                    .offset
                    .map_or_else(|| regex.span.clone(), |at| regex.span_in_text(at))
            },
        );
        let message = format!("the regular expression cannot be used: {}", error.message);
        Problem::new(&span, message).label("here")
    }
}

/// Limits that only all patterns together can pass.
fn all_together(policy: &Policy, root: &Node, problems: &mut Vec<Problem>) {
    let Some(patterns) = root
        .entry("patterns")
        .filter(|entry| !entry.value.is_damaged)
    else {
        return;
    };
    if usize::from(u16::MAX) < policy.patterns.len() {
        problems.push(Problem::new(&patterns.key_span, "more than 65535 patterns"));
        return;
    }
    if !problems.is_empty() {
        return;
    }
    let ids = (0..=u16::MAX).map(PatternId);
    let specs: Vec<_> = ids
        .zip(&policy.patterns)
        .map(|(id, pattern)| PatternSpec {
            id,
            deny: &pattern.deny,
            allow: &pattern.allow,
        })
        .collect();
    if let Err(error) = PatternSet::compile(&specs) {
        let message = format!("the patterns together cannot be used: {}", error.message);
        problems.push(Problem::new(&patterns.key_span, message));
    }
}
