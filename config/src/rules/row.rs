//! The row of one category.

use super::Checker;
use crate::document::{Entry, Node};
use crate::{CategoryRules, Problem, Threshold, Thresholds};
use portcullis_text::Category;

/// Texts go with an answer or not at all, so `disclaim` belongs to these.
const ANSWERS: [&str; 1] = ["completion"];

pub(super) fn check_row(
    category: Category,
    rules: &CategoryRules,
    node: &Node,
    problems: &mut Vec<Problem>,
) {
    let mut checker = Checker { node, problems };
    checker.refuse_blank(&["cite", "redirect_text", "disclaimer"]);
    for (surface, thresholds) in surfaces(rules) {
        let Some(entry) = node.entry(surface) else {
            continue;
        };
        checker.order(thresholds, entry);
        checker.system(thresholds, entry);
        checker.disclaimers(thresholds, entry);
        checker.redirects(category, rules, thresholds, entry);
    }
}

/// The thresholds that are written, by key.
fn surfaces(rules: &CategoryRules) -> impl Iterator<Item = (&'static str, &Thresholds)> {
    let all = [
        ("prompt", &rules.prompt),
        ("system", &rules.system),
        ("user", &rules.user),
        ("assistant", &rules.assistant),
        ("tool_call", &rules.tool_call),
        ("tool_result", &rules.tool_result),
        ("document", &rules.document),
        ("completion", &rules.completion),
        ("reasoning", &rules.reasoning),
    ];
    all.into_iter()
        .filter_map(|(key, thresholds)| Some((key, thresholds.as_ref()?)))
}

/// The thresholds that are set, weakest action first.
fn written(thresholds: &Thresholds) -> impl Iterator<Item = (&'static str, Threshold)> + use<> {
    let all = [
        ("annotate", thresholds.annotate),
        ("disclaim", thresholds.disclaim),
        ("redirect", thresholds.redirect),
        ("block", thresholds.block),
    ];
    all.into_iter()
        .filter_map(|(key, threshold)| Some((key, threshold?)))
}

impl Checker<'_> {
    /// With a stronger action below a weaker one, the weaker could never be taken.
    fn order(&mut self, thresholds: &Thresholds, entry: &Entry) {
        let all: Vec<_> = written(thresholds).collect();
        for pair in all.windows(2) {
            let [(weak, low), (strong, high)] = pair else {
                continue;
            };
            if high.value() >= low.value() {
                continue;
            }
            let (Some(value), Some(other)) = (entry.value.get(strong), entry.value.get(weak))
            else {
                continue;
            };
            let message = format!(
                "`{strong}` has a lower threshold than the weaker `{weak}`: {} is below {}",
                high.value(),
                low.value()
            );
            let problem = Problem::new(&value.span, message).label("reached first");
            self.problems.push(
                problem
                    .also(&other.span, "never reached alone")
                    .help(format!(
                        "raise `{strong}` to at least {}, or lower `{weak}`",
                        low.value()
                    )),
            );
        }
    }

    /// System text is the operator's own.
    fn system(&mut self, thresholds: &Thresholds, entry: &Entry) {
        if entry.key != "system" {
            return;
        }
        for (action, _) in written(thresholds).filter(|(action, _)| *action != "annotate") {
            let Some(found) = entry.value.entry(action) else {
                continue;
            };
            let message =
                format!("`{action}` cannot stand on `system`: there classifiers only annotate");
            let problem = Problem::new(&found.key_span, message).label("system text is your own");
            self.problems
                .push(problem.help("use `annotate`, or a pattern"));
        }
    }

    fn disclaimers(&mut self, thresholds: &Thresholds, entry: &Entry) {
        let key = entry.key.as_str();
        if thresholds.disclaim.is_none() || key == "system" || ANSWERS.contains(&key) {
            return;
        }
        let Some(found) = entry.value.entry("disclaim") else {
            return;
        };
        let message =
            format!("`disclaim` cannot stand on `{key}`: a disclaimer goes with an answer");
        let problem = Problem::new(&found.key_span, message);
        self.problems
            .push(problem.help("put it under `completion`, or use `annotate` here"));
    }

    fn redirects(
        &mut self,
        category: Category,
        rules: &CategoryRules,
        thresholds: &Thresholds,
        entry: &Entry,
    ) {
        if thresholds.redirect.is_none() || rules.redirect_text.is_some() || entry.key == "system" {
            return;
        }
        let Some(found) = entry.value.entry("redirect") else {
            return;
        };
        let problem = Problem::new(&found.key_span, "`redirect` without a `redirect_text`");
        self.problems.push(
            problem
                .label("what is answered?")
                .help(format!("add `redirect_text: …` to the row of `{category}`")),
        );
    }
}
