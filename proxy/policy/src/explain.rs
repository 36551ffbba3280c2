//! Why a policy decided as it did: every row that was looked at, for `portcullis policy explain`.

use crate::rows::cuts;
use crate::{Engine, Evidence, RowHit, Tally};
use portcullis_config::Action;
use portcullis_text::{Category, Label, Surface};
use serde::Serialize;
use std::fmt;

/// A decision with its reasons. Holds no text of the exchange.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The policy, as `name@digest8`.
    pub policy: String,
    /// The verdict.
    pub action: Action,
    /// What is really done.
    pub enforced: Action,
    /// Every row considered: those reached first and strongest first, then the others.
    pub rows: Vec<ExplainedRow>,
}

/// One threshold of the policy beside the score it was compared with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedRow {
    /// Name of the category or pattern.
    pub row: String,
    /// Where the text stands.
    pub surface: Surface,
    /// What the row asks for.
    pub action: Action,
    /// The score: the largest on that surface; for patterns 1 on a match and 0 without.
    pub score: f32,
    /// What it was compared with.
    pub threshold: f32,
    /// Whether the score reached it.
    pub reached: bool,
    /// Whether this row decided.
    pub decided: bool,
}

impl Explanation {
    pub(crate) fn of(engine: &Engine, evidence: &Evidence<'_>) -> Self {
        let mut tally = Tally::default();
        evidence
            .windows
            .iter()
            .for_each(|window| tally.add_window(engine, window));
        evidence
            .matches
            .iter()
            .for_each(|found| tally.add_match(engine, found));
        let decision = tally.conclude(engine);
        let mut rows = considered(engine, evidence, &tally, decision.deciding());
        rows.sort_by(|a, b| {
            let key = |row: &ExplainedRow| (row.decided, row.reached, row.action);
            key(b).cmp(&key(a)).then(b.score.total_cmp(&a.score))
        });
        Self {
            policy: format!("{}@{}", engine.name(), engine.digest8()),
            action: decision.action,
            enforced: decision.enforced,
            rows,
        }
    }
}

fn considered(
    engine: &Engine,
    evidence: &Evidence<'_>,
    tally: &Tally,
    deciding: Option<&RowHit>,
) -> Vec<ExplainedRow> {
    let mut rows = Vec::new();
    for surface in Surface::ALL {
        if let Some(max) = tally.max_scores(surface) {
            for category in Category::ALL {
                let row = Compared {
                    label: Label::Category(category),
                    surface,
                    deciding,
                };
                let thresholds = engine.thresholds(category, surface).unwrap_or_default();
                rows.extend(cuts(&thresholds).map(|(action, cut)| {
                    row.explained(category.name(), action, (max[category], cut.value()))
                }));
            }
        }
        let present = evidence
            .windows
            .iter()
            .any(|window| window.surface == surface)
            || evidence
                .matches
                .iter()
                .any(|found| found.surface == surface);
        for (id, rule) in engine
            .patterns
            .rules()
            .filter(|(_, rule)| rule.looks_at(surface))
        {
            if present {
                let row = Compared {
                    label: Label::Pattern(id),
                    surface,
                    deciding,
                };
                let mut here = evidence
                    .matches
                    .iter()
                    .filter(|found| found.surface == surface);
                let score = if here.any(|found| found.id == id) {
                    1.0
                } else {
                    0.0
                };
                rows.push(row.explained(&rule.name, rule.action(surface), (score, 1.0)));
            }
        }
    }
    rows
}

struct Compared<'a> {
    label: Label,
    surface: Surface,
    deciding: Option<&'a RowHit>,
}

impl Compared<'_> {
    fn explained(&self, row: &str, action: Action, compared: (f32, f32)) -> ExplainedRow {
        let (score, threshold) = compared;
        let decided = self.deciding.is_some_and(|hit| {
            (hit.label, hit.surface, hit.action) == (self.label, self.surface, action)
        });
        ExplainedRow {
            row: row.to_owned(),
            surface: self.surface,
            action,
            score,
            threshold,
            reached: threshold <= score,
            decided,
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "policy {}: {} (done: {})",
            self.policy,
            self.action.name(),
            self.enforced.name()
        )?;
        writeln!(
            f,
            "{:<2}{:<20} {:<12} {:<9} {:>8} {:>10}  reached",
            "", "row", "surface", "action", "score", "threshold"
        )?;
        for row in &self.rows {
            let mark = if row.decided { ">" } else { "" };
            let reached = if row.reached { "yes" } else { "no" };
            writeln!(
                f,
                "{mark:<2}{:<20} {:<12} {:<9} {:>8.5} {:>10.5}  {reached}",
                row.row,
                row.surface.name(),
                row.action.name(),
                row.score,
                row.threshold
            )?;
        }
        Ok(())
    }
}
