//! Both views of a stream under the automaton, as the text arrives.
//!
//! While the text is ASCII the views say the same and one engine stands for both, one character
//! behind: a mark that follows could still change the last letter of the raw view. The first other
//! character splits it in two, and once both are idle on ASCII again they become one.

use super::PatternMatch;
use super::engine::{Engine, Scratch, Unit};
use super::ledger::Hit;
use super::program::{Program, Reading};
use crate::View;
use crate::canonical::{Composer, Fold, Segment, fold_of};
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Looks for the patterns in a stream as it arrives.
#[derive(Clone)]
pub struct Scanner {
    /// `None` when there is nothing to look for.
    work: Option<Box<Work>>,
}

#[derive(Clone)]
struct Work {
    program: Arc<Program>,
    scratch: Scratch,
    /// The engine of the folded view, and of the raw one too unless `raw` stands.
    folded: Engine,
    raw: Option<RawSide>,
    /// While one engine stands for both: the last character, not yet taken by it.
    ahead: Option<Unit>,
    /// Last byte of the folded text, if it is ASCII.
    before: Option<u8>,
    /// Original bytes taken, and the end of the last character that is not ASCII.
    at: usize,
    wide: usize,
    /// Matches reported while two engines run, which may come again: on plain ASCII from the
    /// other engine, and from one character that stands for several in a view.
    once: HashSet<PatternMatch>,
    hold: usize,
}

#[derive(Clone)]
struct RawSide {
    engine: Engine,
    composer: Composer,
    /// [`Unit::wide`] of the open segment.
    wide: usize,
}

impl RawSide {
    fn take(
        &mut self,
        program: &Program,
        unit: Unit,
        scratch: &mut Scratch,
        report: &mut impl FnMut(u16, Hit),
    ) {
        let Self {
            engine,
            composer,
            wide,
        } = self;
        let mut emit = |segment: Segment<'_>| {
            step_segment(engine, program, &segment, *wide, scratch, report);
        };
        if composer.push(unit.c, unit.from, &mut emit) {
            *wide = unit.wide;
        }
    }

    fn finish(
        &mut self,
        program: &Program,
        scratch: &mut Scratch,
        report: &mut impl FnMut(u16, Hit),
    ) {
        let Self {
            engine,
            composer,
            wide,
        } = self;
        composer.flush(&mut |segment| {
            step_segment(engine, program, &segment, *wide, scratch, report);
        });
        engine.finish(program, scratch, report);
    }
}

fn step_segment(
    engine: &mut Engine,
    program: &Program,
    segment: &Segment<'_>,
    wide: usize,
    scratch: &mut Scratch,
    report: &mut impl FnMut(u16, Hit),
) {
    let Range {
        start: from,
        end: to,
    } = segment.original;
    for c in segment.text.chars() {
        engine.step(program, Unit { c, from, to, wide }, scratch, report);
    }
}

impl Scanner {
    pub(super) fn new(program: Option<&Arc<Program>>) -> Self {
        Self {
            work: program.map(|program| Box::new(Work::new(Arc::clone(program)))),
        }
    }

    /// Takes more text; gives the matches that became certain, in order of place.
    ///
    /// Cost is linear in `text`. A match becomes certain one or two characters after its end at
    /// the earliest, when no longer match and no allow match can follow.
    pub fn push(&mut self, text: &str) -> Vec<PatternMatch> {
        self.work
            .as_mut()
            .map_or_else(Vec::new, |work| work.push(text))
    }

    /// The earliest original byte that a match not yet reported may still cover.
    ///
    /// Every match reported later starts here or after; with `None`, after all text pushed. It
    /// reaches back at most [`MAX_MATCH`](super::MAX_MATCH) characters of a view.
    #[must_use]
    pub fn hold_from(&self) -> Option<usize> {
        let hold = self.work.as_ref().map_or(usize::MAX, |work| work.hold);
        (hold != usize::MAX).then_some(hold)
    }

    /// The text has ended: gives the matches that were waiting for that. Push nothing after.
    pub fn finish(&mut self) -> Vec<PatternMatch> {
        self.work
            .as_mut()
            .map_or_else(Vec::new, |work| work.finish())
    }

    /// States looked at so far, the measure of work for tests.
    #[cfg(test)]
    pub(super) fn n_visits(&self) -> u64 {
        self.work.as_ref().map_or(0, |work| work.scratch.n_visits)
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.work.as_ref().map_or(0, |work| work.at);
        write!(f, "Scanner({at} bytes)")
    }
}

impl Work {
    fn new(program: Arc<Program>) -> Self {
        Self {
            scratch: Scratch::default(),
            folded: Engine::new(&program),
            raw: None,
            ahead: None,
            before: None,
            at: 0,
            wide: 0,
            once: HashSet::new(),
            hold: usize::MAX,
            program,
        }
    }

    fn push(&mut self, text: &str) -> Vec<PatternMatch> {
        let mut found = Vec::new();
        for c in text.chars() {
            if self.raw.is_none() && c.is_ascii() {
                self.push_shared(c, &mut found);
            } else {
                self.push_apart(c, &mut found);
            }
        }
        self.hold = self.find_hold();
        self.once.retain(|found| found.range.end > self.hold);
        found.sort_unstable_by_key(PatternMatch::place);
        found
    }

    fn push_shared(&mut self, c: char, found: &mut Vec<PatternMatch>) {
        let unit = self.next_unit(c);
        if let Some(before) = self.ahead.replace(unit) {
            self.step_engine_folded(before, found);
        }
        self.before = Some(c as u8);
    }

    fn next_unit(&mut self, c: char) -> Unit {
        let from = self.at;
        self.at += c.len_utf8();
        if !c.is_ascii() {
            self.wide = self.at;
        }
        Unit {
            c,
            from,
            to: self.at,
            wide: self.wide,
        }
    }

    fn push_apart(&mut self, c: char, found: &mut Vec<PatternMatch>) {
        if self.raw.is_none() {
            self.part(found);
        }
        let after_ascii = self.before.is_some() && self.at > self.wide;
        let was_idle = c.is_ascii() && after_ascii && self.folded.is_idle();
        let unit = self.next_unit(c);
        self.step_folded(unit, found);
        self.step_raw(unit, found);
        if was_idle {
            self.join(unit);
        }
    }

    /// From here on the views differ.
    fn part(&mut self, found: &mut Vec<PatternMatch>) {
        let mut engine = self.folded.clone();
        engine.turn_to(Reading::Both, &self.program);
        let mut composer = Composer::default();
        if let Some(unit) = self.ahead.take() {
            // Nothing is open yet, so this ends no segment.
            composer.push(unit.c, unit.from, &mut |_| {});
            self.step_engine_folded(unit, found);
        }
        self.raw = Some(RawSide {
            engine,
            composer,
            wide: self.wide,
        });
    }

    /// Back to one engine, when the raw one is idle too: it stands just before `unit`.
    fn join(&mut self, unit: Unit) {
        if self.raw.as_ref().is_some_and(|raw| raw.engine.is_idle())
            && let Some(raw) = self.raw.take()
        {
            self.folded = raw.engine;
            self.folded.turn_to(Reading::Folded, &self.program);
            self.ahead = Some(unit);
            self.once.clear();
        }
    }

    fn step_folded(&mut self, unit: Unit, found: &mut Vec<PatternMatch>) {
        let joined = self.before.is_some_and(|byte| byte.is_ascii_alphanumeric());
        let fold = if unit.c.is_ascii() {
            Fold::One(unit.c)
        } else {
            fold_of(unit.c, joined)
        };
        let mut take = |work: &mut Self, c: char| {
            work.step_engine_folded(Unit { c, ..unit }, found);
            work.before = c.is_ascii().then_some(c as u8);
        };
        match fold {
            Fold::Drop => {}
            Fold::One(c) => take(self, c),
            Fold::Many(plain) => plain.chars().for_each(|c| take(self, c)),
        }
    }

    fn step_engine_folded(&mut self, unit: Unit, found: &mut Vec<PatternMatch>) {
        let Self {
            program,
            folded,
            scratch,
            once,
            ..
        } = self;
        folded.step(
            program,
            unit,
            scratch,
            &mut noting(program, View::Folded, once, found),
        );
    }

    fn step_raw(&mut self, unit: Unit, found: &mut Vec<PatternMatch>) {
        let Self {
            program,
            raw,
            scratch,
            once,
            ..
        } = self;
        if let Some(raw) = raw {
            raw.take(
                program,
                unit,
                scratch,
                &mut noting(program, View::Raw, once, found),
            );
        }
    }

    fn finish(&mut self) -> Vec<PatternMatch> {
        let mut found = Vec::new();
        if self.raw.is_none() {
            self.part(&mut found);
        }
        let Self {
            program,
            folded,
            raw,
            scratch,
            once,
            ..
        } = self;
        folded.finish(
            program,
            scratch,
            &mut noting(program, View::Folded, once, &mut found),
        );
        if let Some(raw) = raw {
            raw.finish(
                program,
                scratch,
                &mut noting(program, View::Raw, once, &mut found),
            );
        }
        self.hold = usize::MAX;
        found.sort_unstable_by_key(PatternMatch::place);
        found
    }

    fn find_hold(&mut self) -> usize {
        let Self {
            program,
            folded,
            raw,
            ahead,
            scratch,
            ..
        } = self;
        let Some(RawSide {
            engine, composer, ..
        }) = raw
        else {
            let mut buffer = [0; 4];
            let open = ahead.map(|unit| Segment {
                text: unit.c.encode_utf8(&mut buffer),
                original: unit.from..unit.to,
                unchanged: true,
            });
            return hold_before(program, folded, open, scratch);
        };
        let folded_hold = folded.hold(program, None, scratch);
        folded_hold.min(hold_before(program, engine, composer.open(), scratch))
    }
}

/// The hold of an engine that has yet to take `open`, the last segment of the raw view.
fn hold_before(
    program: &Program,
    engine: &Engine,
    open: Option<Segment<'_>>,
    scratch: &mut Scratch,
) -> usize {
    let Some(open) = open else {
        return engine.hold(program, None, scratch);
    };
    let from = open.original.start;
    match open.text.chars().next() {
        Some(c) if open.unchanged && !program.composed.may_compose(open.text) => {
            engine.hold(program, Some((c, from)), scratch)
        }
        _ => engine.hold(program, None, scratch).min(from),
    }
}

/// Turns what an engine reports into matches, each of them noted only once.
fn noting<'a>(
    program: &'a Program,
    view: View,
    once: &'a mut HashSet<PatternMatch>,
    all: &'a mut Vec<PatternMatch>,
) -> impl FnMut(u16, Hit) + 'a {
    move |pattern, hit| {
        let view = if hit.wide <= hit.from {
            View::Raw
        } else {
            view
        };
        let id = program.ids[usize::from(pattern)];
        let found = PatternMatch {
            id,
            range: hit.from..hit.to,
            view,
        };
        if once.insert(found.clone()) {
            all.push(found);
        }
    }
}
