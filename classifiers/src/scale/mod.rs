//! The score scale: from a raw logit to the share of harmless texts that score lower.
//!
//! A model's logits mean nothing to an operator and change with every training. A score does not: at
//! 0.999, one ordinary harmless text in a thousand on that surface reaches it, whatever the model.
//! Fitting needs harmless texts only (`train::calibrate`).
//!
//! Promises: scores lie in `[0, 1]`, a larger logit never gives a smaller score, and a logit that is
//! not a number gives a score that is not one, which [`portcullis_text::Scores`] refuses.
//! Start with [`Scale::score`]; `curve.rs` has the shape of one curve.

mod curve;
pub(crate) mod fit;

pub(crate) use curve::{Curve, LEVELS, N_NUMBERS as CURVE_NUMBERS};

use crate::Unit;
use portcullis_text::{Category, Surface};

/// Surfaces whose harmless texts look alike and share their curves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SurfaceGroup {
    /// Written to a model.
    Prompt,
    /// Written by a model.
    Response,
    /// Brought along: documents, tool calls and what tools gave back.
    Material,
}

impl SurfaceGroup {
    pub(crate) const fn of(surface: Surface) -> Self {
        match surface {
            Surface::System | Surface::User => Self::Prompt,
            Surface::Assistant | Surface::Completion | Surface::Reasoning => Self::Response,
            Surface::ToolCall | Surface::ToolResult | Surface::Document => Self::Material,
        }
    }
}

/// The curves of a category, in the order they are stored.
pub(crate) const SCALE_LAYOUT: [(SurfaceGroup, Unit); 6] = [
    (SurfaceGroup::Prompt, Unit::Text),
    (SurfaceGroup::Prompt, Unit::StreamWindow),
    (SurfaceGroup::Response, Unit::Text),
    (SurfaceGroup::Response, Unit::StreamWindow),
    (SurfaceGroup::Material, Unit::Text),
    (SurfaceGroup::Material, Unit::StreamWindow),
];

/// Curves per category.
pub(crate) const CURVES: usize = SCALE_LAYOUT.len();

/// A logistic curve through held-out rows: `1 / (1 + exp(-(slope * logit + offset)))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Logistic {
    pub(crate) slope: f32,
    pub(crate) offset: f32,
}

/// Everything that turns the logits of one category into numbers for people.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CategoryScale {
    /// In the order of [`SCALE_LAYOUT`].
    pub(crate) curves: [Curve; CURVES],
    /// `None` where too few positives are known.
    pub(crate) probability: Option<Logistic>,
}

/// Maps raw logits to scores and probabilities.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    categories: [CategoryScale; Category::COUNT],
}

impl Scale {
    pub(crate) const fn new(categories: [CategoryScale; Category::COUNT]) -> Self {
        Self { categories }
    }

    pub(crate) const fn categories(&self) -> &[CategoryScale; Category::COUNT] {
        &self.categories
    }

    /// The share of reference harmless texts on that surface that score lower, in `[0, 1]`.
    ///
    /// For [`Unit::StreamWindow`] the share is of whole harmless answers, by their highest window.
    /// Monotone in `logit`; NaN gives NaN, which no caller may read as safe.
    #[must_use]
    pub fn score(&self, category: Category, surface: Surface, unit: Unit, logit: f32) -> f32 {
        self.categories[category.index()].curves[curve_index(SurfaceGroup::of(surface), unit)]
            .score(logit)
    }

    /// The probability that the category holds, in `[0, 1]`; `None` where too few positives were
    /// known to fit one.
    #[must_use]
    pub fn probability(&self, category: Category, logit: f32) -> Option<f32> {
        let fitted = self.categories[category.index()].probability?;
        Some(1.0 / (1.0 + (-(fitted.slope * logit + fitted.offset)).exp()))
    }
}

/// Position in [`SCALE_LAYOUT`].
pub(crate) const fn curve_index(group: SurfaceGroup, unit: Unit) -> usize {
    group as usize * 2 + unit as usize
}
