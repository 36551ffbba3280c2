//! The rows of a policy by surface: which action a score earns.
//!
//! The rules about surfaces are applied here, once, when the policy is compiled: on `system`
//! classifiers only annotate, and a disclaimer goes with an answer or is an annotation.

use portcullis_config::{Action, Policy, Threshold, Thresholds};
use portcullis_text::{Category, Scores, Surface};

/// Thresholds by surface and category, and the smallest of each for the fast path.
#[derive(Debug)]
pub(crate) struct Rows {
    thresholds: [[Option<Thresholds>; Category::COUNT]; Surface::COUNT],
    /// The lowest score that reaches any row; infinite where there is none.
    floors: [[f32; Category::COUNT]; Surface::COUNT],
}

impl Rows {
    pub(crate) fn compile(policy: &Policy) -> Self {
        let mut rows = Self {
            thresholds: [[None; Category::COUNT]; Surface::COUNT],
            floors: [[f32::INFINITY; Category::COUNT]; Surface::COUNT],
        };
        for (category, rules) in policy.categories.iter().chain(&policy.attacks) {
            for surface in Surface::ALL {
                if let Some(written) = rules.on(surface) {
                    rows.put(surface, *category, effective(*written, surface));
                }
            }
        }
        rows
    }

    fn put(&mut self, surface: Surface, category: Category, thresholds: Thresholds) {
        let lowest = cuts(&thresholds)
            .map(|(_, cut)| cut.value())
            .reduce(f32::min);
        if let Some(lowest) = lowest {
            self.thresholds[surface.index()][category.index()] = Some(thresholds);
            self.floors[surface.index()][category.index()] = lowest;
        }
    }

    pub(crate) const fn on(&self, category: Category, surface: Surface) -> Option<&Thresholds> {
        self.thresholds[surface.index()][category.index()].as_ref()
    }

    /// The categories whose score reaches any row. Allocates nothing.
    pub(crate) fn reached(
        &self,
        surface: Surface,
        scores: &Scores,
    ) -> impl Iterator<Item = (Category, f32)> + use<> {
        let floors = self.floors[surface.index()];
        let scores = *scores.as_array();
        Category::ALL.into_iter().filter_map(move |category| {
            let idx = category.index();
            (floors[idx] <= scores[idx]).then_some((category, scores[idx]))
        })
    }

    /// The strongest action that a score earns, and the threshold it reached.
    pub(crate) fn earned(
        &self,
        category: Category,
        surface: Surface,
        score: f32,
    ) -> Option<(Action, f32)> {
        let thresholds = self.on(category, surface)?;
        let reached = cuts(thresholds).find(|(_, cut)| cut.is_met_by(score));
        reached.map(|(action, cut)| (action, cut.value()))
    }
}

/// The thresholds that are set, strongest action first.
pub(crate) fn cuts(thresholds: &Thresholds) -> impl Iterator<Item = (Action, Threshold)> + use<> {
    let all = [
        (Action::Block, thresholds.block),
        (Action::Redirect, thresholds.redirect),
        (Action::Disclaim, thresholds.disclaim),
        (Action::Annotate, thresholds.annotate),
    ];
    all.into_iter()
        .filter_map(|(action, cut)| cut.map(|cut| (action, cut)))
}

/// What is left of the written thresholds on a surface.
fn effective(written: Thresholds, surface: Surface) -> Thresholds {
    if surface == Surface::System {
        let all = [
            written.annotate,
            written.disclaim,
            written.redirect,
            written.block,
        ];
        let annotate = all.into_iter().flatten().reduce(lower);
        return Thresholds {
            annotate,
            ..Thresholds::default()
        };
    }
    if surface == Surface::Completion {
        return written;
    }
    let annotate = [written.annotate, written.disclaim]
        .into_iter()
        .flatten()
        .reduce(lower);
    Thresholds {
        annotate,
        disclaim: None,
        ..written
    }
}

fn lower(a: Threshold, b: Threshold) -> Threshold {
    if b.value() < a.value() { b } else { a }
}
