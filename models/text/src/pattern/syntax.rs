//! From the regex as written to what is compiled.

use super::{List, PatternError};
use crate::PatternId;
use crate::canonical::{Fold, fold_of};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{
    Capture, Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look, Repetition,
};

/// Nesting of groups, classes and repetitions in one regex.
const MAX_NESTING: u32 = 64;

/// Memory of one compiled regex.
const MAX_REGEX_BYTES: usize = 4 << 20;

/// Places of one regex that can be live at once, which bounds the cost of a byte (tens of ns
/// each). Counted repetitions multiply: `\w{1,50}` has 50, `(a{0,100}){0,50}` has 5000.
const MAX_PLACES: usize = 512;

/// Largest class whose members are folded one by one; larger ones are ranges such as `\w`.
const MAX_FOLDED_CLASS: usize = 512;

/// Where a regex stands, for errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub id: PatternId,
    pub list: List,
    pub index: usize,
}

impl Place {
    pub(super) fn error(self, offset: Option<usize>, message: impl Into<String>) -> PatternError {
        let Self { id, list, index } = self;
        PatternError {
            id,
            list,
            index,
            offset,
            message: message.into(),
        }
    }
}

/// Parses a regex and refuses what could not be matched soundly.
pub(super) fn parse(regex: &str, place: Place) -> Result<Hir, PatternError> {
    let mut parser = ParserBuilder::new()
        .case_insensitive(true)
        .nest_limit(MAX_NESTING)
        .utf8(true)
        .build();
    let hir = parser
        .parse(regex)
        .map_err(|error| explain(&error, place))?;
    match hir.properties().minimum_len() {
        Some(0) => Err(place.error(
            None,
            "it matches the empty string, so it would match everywhere; make some part required",
        )),
        None => Err(place.error(None, "it can never match; remove it or mend its classes")),
        Some(_) if n_places(&hir) > MAX_PLACES => Err(place.error(
            None,
            format!("it repeats too much: its counts multiply to more than {MAX_PLACES} places"),
        )),
        Some(_) => {
            compile(std::slice::from_ref(&hir), MAX_REGEX_BYTES).ok_or_else(|| {
                place.error(
                    None,
                    "it is too large when compiled; use smaller repetition counts",
                )
            })?;
            Ok(hir)
        }
    }
}

/// Places of the regex that can be live at once, at most. Of plain alternatives one counts, for
/// a text is in few of them at a time.
fn n_places(hir: &Hir) -> usize {
    let places = |parts: &[Hir]| parts.iter().map(n_places).fold(0, usize::saturating_add);
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Class(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1) as usize;
            n_places(&repetition.sub).saturating_mul(times)
        }
        HirKind::Capture(capture) => n_places(&capture.sub),
        HirKind::Concat(parts) => places(parts),
        HirKind::Alternation(parts) if parts.iter().any(repeats) => places(parts),
        HirKind::Alternation(parts) => parts.iter().map(n_places).max().unwrap_or(0),
    }
}

fn repeats(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Repetition(_) => true,
        HirKind::Capture(capture) => repeats(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(repeats),
        _ => false,
    }
}

/// The regex without its word boundaries, which matches wherever the regex does. Automata that
/// are fast on all text cannot have Unicode's.
pub(super) fn without_word_looks(hir: &Hir) -> Hir {
    let each = |parts: &[Hir]| parts.iter().map(without_word_looks).collect();
    match hir.kind() {
        HirKind::Look(look) if look.as_repr() >= Look::WordAscii.as_repr() => Hir::empty(),
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            sub: Box::new(without_word_looks(&repetition.sub)),
            ..repetition.clone()
        }),
        HirKind::Capture(capture) => without_word_looks(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(each(parts)),
        HirKind::Alternation(parts) => Hir::alternation(each(parts)),
        _ => hir.clone(),
    }
}

fn explain(error: &regex_syntax::Error, place: Place) -> PatternError {
    match error {
        regex_syntax::Error::Parse(fault) => {
            place.error(Some(fault.span().start.offset), fault.kind().to_string())
        }
        regex_syntax::Error::Translate(fault) => {
            place.error(Some(fault.span().start.offset), fault.kind().to_string())
        }
        other => place.error(None, other.to_string()),
    }
}

/// Compiles regexes into one automaton over bytes, regex `i` as its pattern `i`.
/// `None` when that takes more than `max_bytes`.
pub(super) fn compile(hirs: &[Hir], max_bytes: usize) -> Option<NFA> {
    let config = NFA::config()
        .utf8(true)
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(Some(max_bytes));
    thompson::Compiler::new()
        .configure(config)
        .build_many_from_hir(hirs)
        .ok()
}

/// The regex with its letters folded as text is, so that a pattern in Cyrillic still finds text
/// in which some letters were swapped for Latin ones. `None` where nothing changes.
pub(super) fn folded(hir: &Hir) -> Option<Hir> {
    let folded = fold(hir);
    let useful = folded != *hir && folded.properties().minimum_len().is_some_and(|len| len > 0);
    useful.then_some(folded)
}

fn fold(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Look(look) => Hir::look(*look),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => Hir::concat(text.chars().map(fold_char).collect()),
            Err(_) => hir.clone(),
        },
        HirKind::Class(Class::Unicode(class)) => fold_class(class),
        HirKind::Class(class) => Hir::class(class.clone()),
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            sub: Box::new(fold(&repetition.sub)),
            ..repetition.clone()
        }),
        HirKind::Capture(capture) => Hir::capture(Capture {
            sub: Box::new(fold(&capture.sub)),
            ..capture.clone()
        }),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(fold).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(fold).collect()),
    }
}

fn fold_char(c: char) -> Hir {
    if c.is_ascii() {
        return Hir::literal(c.to_string().into_bytes());
    }
    match fold_of(c, false) {
        Fold::Drop => Hir::empty(),
        Fold::One(plain) => either_case(plain),
        Fold::Many(plain) => Hir::concat(plain.chars().map(either_case).collect()),
    }
}

/// A letter that came out of a fold; the text around it keeps the case of its ASCII.
fn either_case(c: char) -> Hir {
    let upper = c.to_ascii_uppercase();
    let ranges = [
        ClassUnicodeRange::new(c, c),
        ClassUnicodeRange::new(upper, upper),
    ];
    Hir::class(Class::Unicode(ClassUnicode::new(ranges)))
}

fn fold_class(class: &ClassUnicode) -> Hir {
    let n_chars: usize = class.iter().map(ClassUnicodeRange::len).sum();
    let members = || class.iter().flat_map(|range| range.start()..=range.end());
    // Case folding brings the long s and the Kelvin sign into classes; no view has them.
    let is_plain = |c: char| c.is_ascii() || matches!(c, '\u{17F}' | '\u{212A}');
    if n_chars > MAX_FOLDED_CLASS || members().all(is_plain) {
        return Hir::class(Class::Unicode(class.clone()));
    }
    let mut folded: Vec<_> = members().map(fold_char).collect();
    // A member that is dropped matches nothing visible; the class still wants some character,
    // unless none of its members is visible.
    folded.retain(|member| *member != Hir::empty());
    if folded.is_empty() {
        Hir::empty()
    } else {
        Hir::alternation(folded)
    }
}
