//! A whole policy.

use super::row::check_row;
use super::{Checker, is_name, pattern};
use crate::document::{Entry, Node};
use crate::{CategoryRules, FailureRule, Policy, Problem};
use portcullis_text::{Category, Group};
use std::collections::BTreeMap;

/// Reports what is wrong with a policy; `root` is the tree it was read from.
pub(crate) fn check_policy(policy: &Policy, root: &Node, problems: &mut Vec<Problem>) {
    let mut checker = Checker {
        node: root,
        problems,
    };
    checker.name(policy);
    checker.rows("categories", &policy.categories);
    checker.rows("attacks", &policy.attacks);
    checker.linear_failure(policy);
    pattern::check_patterns(policy, root, problems);
}

impl Checker<'_> {
    fn name(&mut self, policy: &Policy) {
        if !is_name(&policy.name) {
            let message = format!("`{}` cannot be the name of a policy", policy.name);
            let problem = Problem::new(&self.span("name"), message);
            self.problems.push(
                problem.help(
                    "it stands in a response header: 1 to 64 letters, digits, `.`, `_` or `-`",
                ),
            );
        }
    }

    fn rows(&mut self, section: &str, rows: &BTreeMap<Category, CategoryRules>) {
        let Some(node) = self.node.get(section) else {
            return;
        };
        for (category, rules) in rows {
            let Some(entry) = node.entry(category.name()) else {
                continue;
            };
            self.section(section, *category, entry);
            if !entry.value.is_damaged {
                check_row(*category, rules, &entry.value, self.problems);
            }
        }
    }

    /// Attacks stand under `attacks`, everything else under `categories`.
    fn section(&mut self, section: &str, category: Category, entry: &Entry) {
        let (right, kind) = match category.group() {
            Group::Attack => ("attacks", "an attack"),
            _ => ("categories", "no attack"),
        };
        if section != right {
            let message = format!("`{category}` is {kind}, so it stands under `{right}`");
            let problem = Problem::new(&entry.key_span, message);
            self.problems
                .push(problem.help(format!("move the row to `{right}`")));
        }
    }

    fn linear_failure(&mut self, policy: &Policy) {
        if policy.on_failure.linear != FailureRule::LowerTier {
            return;
        }
        let rules = self.node.get("on_failure");
        let value = rules.and_then(|rules| rules.get("linear"));
        let span = value.map_or(&self.node.span, |value| &value.span);
        let problem = Problem::new(span, "the linear tier has no lower tier");
        self.problems.push(
            problem
                .label("nothing is below it")
                .help("use `closed` or `open`"),
        );
    }
}
