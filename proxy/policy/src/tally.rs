//! The running account of what was found: evidence goes in piece by piece, a decision comes out.
//!
//! [`Engine::decide`] fills one at once; the stream machine keeps one for as long as a stream runs.
//! Windows that reach no row cost a comparison of scores and no memory.

use crate::{Decision, Engine, Match, Redaction, RowHit, Terminal};
use portcullis_config::{Action, Mode};
use portcullis_text::{
    Category, Detector, Group, Label, PartId, Scores, Surface, Vectors, View, Window,
};
use std::cmp::Reverse;

/// Evidence added up. Order does not matter, but for the part named by equal scores.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    n_windows: u64,
    max: [Option<Scores>; Surface::COUNT],
    peaks: Vec<Peak>,
    matches: Vec<Match>,
}

/// The highest window of one category on one surface, where it reaches a row; with the vectors of
/// all such windows.
#[derive(Clone, Copy, Debug)]
struct Peak {
    category: Category,
    surface: Surface,
    score: f32,
    part: PartId,
    view: View,
    vectors: Vectors,
    detector: Detector,
}

impl Tally {
    /// Adds a scored window.
    pub fn add_window(&mut self, engine: &Engine, window: &Window) {
        self.n_windows += 1;
        let max = &mut self.max[window.surface.index()];
        *max = Some(max.map_or(window.scores, |max| max.max(&window.scores)));
        for (category, score) in engine.rows.reached(window.surface, &window.scores) {
            self.raise(Peak {
                category,
                surface: window.surface,
                score,
                part: window.span.part,
                view: window.view,
                vectors: window.vectors,
                detector: window.detector,
            });
        }
    }

    /// Adds a match of a pattern.
    pub fn add_match(&mut self, engine: &Engine, found: &Match) {
        if engine.action_of(found) != Action::Allow {
            self.matches.push(found.clone());
        }
    }

    /// Windows added.
    #[must_use]
    pub const fn n_windows(&self) -> u64 {
        self.n_windows
    }

    /// The largest score of each category on a surface; `None` where nothing was scored.
    #[must_use]
    pub const fn max_scores(&self, surface: Surface) -> Option<&Scores> {
        self.max[surface.index()].as_ref()
    }

    /// Every row that was reached, strongest first: by action, patterns before classifiers,
    /// what is named before the aggregate, then by score.
    #[must_use]
    pub fn rows(&self, engine: &Engine) -> Vec<RowHit> {
        let peaks = self
            .peaks
            .iter()
            .filter_map(|peak| row_of_peak(engine, peak));
        let mut rows: Vec<RowHit> = peaks.collect();
        for found in &self.matches {
            let row = row_of_match(engine, found);
            let same = |seen: &&mut RowHit| (seen.label, seen.surface) == (row.label, row.surface);
            match rows.iter_mut().find(same) {
                None => rows.push(row),
                // A match in disguise may do more than the one that was found before it.
                Some(seen) if seen.action < row.action => *seen = row,
                Some(_) => {}
            }
        }
        rows.sort_by(|a, b| {
            rank(a)
                .cmp(&rank(b))
                .then(b.score.total_cmp(&a.score))
                .then_with(|| (order_of(a.label), a.surface).cmp(&(order_of(b.label), b.surface)))
        });
        rows
    }

    /// The decision about everything added so far.
    #[must_use]
    pub fn conclude(&self, engine: &Engine) -> Decision {
        let rows = self.rows(engine);
        let deciding = rows.first();
        let action = deciding.map_or(Action::Allow, |row| row.action);
        if engine.mode() == Mode::Observe {
            return Decision {
                rows,
                ..observed(action)
            };
        }
        let terminal = match deciding {
            Some(row) if row.action == Action::Block => Terminal::Block(engine.refusal(row.label)),
            Some(row) if row.action == Action::Redirect => {
                Terminal::Redirect(engine.redirect_text(row.label))
            }
            _ => Terminal::Forward,
        };
        let goes_on = terminal == Terminal::Forward;
        Decision {
            action,
            enforced: action,
            terminal,
            redactions: if goes_on {
                self.redactions(engine)
            } else {
                Vec::new()
            },
            disclaimers: if goes_on {
                disclaimers(engine, &rows)
            } else {
                Vec::new()
            },
            rows,
            mode: Mode::Enforce,
        }
    }

    fn raise(&mut self, peak: Peak) {
        let key = (peak.category, peak.surface);
        match self
            .peaks
            .iter_mut()
            .find(|seen| (seen.category, seen.surface) == key)
        {
            Some(seen) => {
                let higher = seen.score < peak.score;
                let earlier = seen.score <= peak.score && peak.part < seen.part;
                let vectors = seen.vectors.union(peak.vectors);
                if higher || earlier {
                    *seen = peak;
                }
                seen.vectors = vectors;
            }
            None => self.peaks.push(peak),
        }
    }

    fn redactions(&self, engine: &Engine) -> Vec<Redaction> {
        let found = self
            .matches
            .iter()
            .filter_map(|found| redaction(engine, found));
        merge(found.collect())
    }
}

/// What a match replaces; `None` when its pattern does not redact.
pub(crate) fn redaction(engine: &Engine, found: &Match) -> Option<Redaction> {
    let rule = engine.patterns.rule(found.id)?;
    (engine.action_of(found) == Action::Redact).then(|| Redaction {
        span: found.span.clone(),
        replacement: rule.replacement.clone(),
    })
}

/// Orders redactions and joins those that overlap; the one that begins first gives the text.
pub(crate) fn merge(mut redactions: Vec<Redaction>) -> Vec<Redaction> {
    redactions.sort_by(|a, b| {
        let key = |r: &Redaction| (r.span.part, r.span.range.start, Reverse(r.span.range.end));
        key(a)
            .cmp(&key(b))
            .then_with(|| a.replacement.cmp(&b.replacement))
    });
    let mut merged: Vec<Redaction> = Vec::with_capacity(redactions.len());
    for next in redactions {
        match merged.last_mut() {
            Some(last)
                if last.span.part == next.span.part
                    && next.span.range.start < last.span.range.end =>
            {
                last.span.range.end = last.span.range.end.max(next.span.range.end);
            }
            _ => merged.push(next),
        }
    }
    merged
}

fn observed(action: Action) -> Decision {
    Decision {
        action,
        enforced: Action::Allow,
        terminal: Terminal::Forward,
        redactions: Vec::new(),
        disclaimers: Vec::new(),
        rows: Vec::new(),
        mode: Mode::Observe,
    }
}

fn disclaimers(engine: &Engine, rows: &[RowHit]) -> Vec<String> {
    let mut texts = Vec::new();
    for row in rows.iter().filter(|row| row.action == Action::Disclaim) {
        let text = engine.disclaimer(row.label);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

fn row_of_peak(engine: &Engine, peak: &Peak) -> Option<RowHit> {
    let (action, threshold) = engine
        .rows
        .earned(peak.category, peak.surface, peak.score)?;
    let label = Label::Category(peak.category);
    Some(RowHit {
        label,
        surface: peak.surface,
        action,
        score: peak.score,
        threshold,
        detector: peak.detector,
        part: peak.part,
        view: peak.view,
        vectors: peak.vectors.union(Vectors::of_finding(label, peak.view)),
    })
}

fn row_of_match(engine: &Engine, found: &Match) -> RowHit {
    let label = Label::Pattern(found.id);
    RowHit {
        label,
        surface: found.surface,
        action: engine.action_of(found),
        score: 1.0,
        threshold: 1.0,
        detector: Detector::Pattern,
        part: found.span.part,
        view: found.view,
        vectors: Vectors::of_finding(label, found.view),
    }
}

fn rank(row: &RowHit) -> (Reverse<Action>, u8) {
    let kind = match row.label {
        Label::Pattern(_) => 0,
        Label::Category(category) if category.group() != Group::Aggregate => 1,
        Label::Category(_) => 2,
    };
    (Reverse(row.action), kind)
}

const fn order_of(label: Label) -> usize {
    match label {
        Label::Pattern(id) => id.0 as usize,
        Label::Category(category) => category.index(),
    }
}
