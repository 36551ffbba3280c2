//! The compiled form of a policy's patterns.

use super::compose::ComposedBases;
use super::syntax::{Place, compile, folded, parse, without_word_looks};
use super::{List, PatternError, PatternSpec};
use crate::PatternId;
use regex_automata::meta;
use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::primitives::StateID;
use regex_syntax::hir::Hir;

/// Memory of all compiled regexes of a policy together.
const MAX_SET_BYTES: usize = 64 << 20;

/// One compiled regex.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Index of its pattern in [`Program::ids`].
    pub pattern: u16,
    pub list: List,
    pub reading: Reading,
}

/// Which text a rule may be matched against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Both views: the regex as written.
    Both,
    /// The folded view only, for it is the regex with its letters folded. A match on nothing but
    /// ASCII does not count: `кот` must not find the English word it looks like.
    Folded,
}

/// All patterns of a policy in one automaton.
#[derive(Debug)]
pub(super) struct Program {
    pub ids: Vec<PatternId>,
    pub rules: Vec<Rule>,
    pub nfa: NFA,
    /// The rule each state belongs to.
    pub rule_of: Vec<u16>,
    /// For each byte, start states of the rules that a text beginning with it could match.
    pub starts: Vec<Vec<StateID>>,
    /// Matches wherever a deny rule does: what it passes needs no closer look.
    pub gate: meta::Regex,
    pub composed: ComposedBases,
}

impl Program {
    /// `None` when there is nothing to look for.
    pub(super) fn compile(specs: &[PatternSpec<'_>]) -> Result<Option<Self>, PatternError> {
        let mut ids = Vec::new();
        let mut rules = Vec::new();
        let mut hirs = Vec::new();
        let mut last = None;
        for spec in specs {
            let pattern = u16::try_from(ids.len()).unwrap_or(u16::MAX);
            ids.push(spec.id);
            for (list, regexes) in [(List::Deny, spec.deny), (List::Allow, spec.allow)] {
                for (index, regex) in regexes.iter().enumerate() {
                    let place = Place {
                        id: spec.id,
                        list,
                        index,
                    };
                    let hir = parse(regex, place)?;
                    let variant = folded(&hir);
                    rules.push(Rule {
                        pattern,
                        list,
                        reading: Reading::Both,
                    });
                    hirs.push(hir);
                    if let Some(variant) = variant {
                        rules.push(Rule {
                            pattern,
                            list,
                            reading: Reading::Folded,
                        });
                        hirs.push(variant);
                    }
                    last = Some(place);
                }
            }
        }
        let Some(last) = last.filter(|_| rules.iter().any(|rule| rule.list == List::Deny)) else {
            return Ok(None);
        };
        Self::assemble(ids, rules, &hirs, last).map(Some)
    }

    fn assemble(
        ids: Vec<PatternId>,
        rules: Vec<Rule>,
        hirs: &[Hir],
        last: Place,
    ) -> Result<Self, PatternError> {
        let too_large = || last.error(None, "the patterns together are too large when compiled");
        if rules.len() > usize::from(u16::MAX) {
            return Err(last.error(None, "there are more than 65535 regexes"));
        }
        let nfa = compile(hirs, MAX_SET_BYTES).ok_or_else(too_large)?;
        let deny = rules
            .iter()
            .zip(hirs)
            .filter(|(rule, _)| rule.list == List::Deny);
        let deny: Vec<_> = deny.map(|(_, hir)| without_word_looks(hir)).collect();
        let config = meta::Config::new()
            .nfa_size_limit(Some(MAX_SET_BYTES))
            .utf8_empty(true);
        let gate = meta::Builder::new()
            .configure(config)
            .build_many_from_hir(&deny);
        let gate = gate.map_err(|_| too_large())?;
        let (rule_of, starts) = explore(&nfa);
        Ok(Self {
            ids,
            rules,
            nfa,
            rule_of,
            starts,
            gate,
            composed: ComposedBases::new(hirs),
        })
    }

    /// The rule that a state belongs to.
    pub(super) fn rule(&self, state: StateID) -> Rule {
        self.rules[usize::from(self.rule_of[state.as_usize()])]
    }
}

/// Finds the rule of each state, and which rules each first byte may begin.
fn explore(nfa: &NFA) -> (Vec<u16>, Vec<Vec<StateID>>) {
    let mut rule_of = vec![u16::MAX; nfa.states().len()];
    let mut starts = vec![Vec::new(); 256];
    for rule in nfa.patterns() {
        let Some(start) = nfa.start_pattern(rule) else {
            continue;
        };
        let number = rule.as_usize() as u16;
        let mut todo = vec![start];
        while let Some(state) = todo.pop() {
            if std::mem::replace(&mut rule_of[state.as_usize()], number) != number {
                todo.extend(successors(nfa.state(state)));
            }
        }
        for byte in first_bytes(nfa, start) {
            starts[usize::from(byte)].push(start);
        }
    }
    (rule_of, starts)
}

/// The bytes that can be consumed first from a state, whatever its look-arounds say.
fn first_bytes(nfa: &NFA, start: StateID) -> Vec<u8> {
    let mut seen = vec![start];
    let mut accepts = [false; 256];
    let mut next = 0;
    while let Some(&state) = seen.get(next) {
        next += 1;
        let state = nfa.state(state);
        if state.is_epsilon() {
            for to in successors(state) {
                if !seen.contains(&to) {
                    seen.push(to);
                }
            }
        } else {
            for byte in 0..=u8::MAX {
                accepts[usize::from(byte)] |= step(state, byte).is_some();
            }
        }
    }
    (0..=u8::MAX)
        .filter(|&byte| accepts[usize::from(byte)])
        .collect()
}

/// The state that a byte leads to.
pub(super) fn step(state: &State, byte: u8) -> Option<StateID> {
    match state {
        State::ByteRange { trans } => trans.matches_byte(byte).then_some(trans.next),
        State::Sparse(sparse) => sparse.matches_byte(byte),
        State::Dense(dense) => dense.matches_byte(byte),
        _ => None,
    }
}

/// Every state reached in one step, by bytes or without.
fn successors(state: &State) -> Vec<StateID> {
    match state {
        State::ByteRange { trans } => vec![trans.next],
        State::Sparse(sparse) => sparse.transitions.iter().map(|trans| trans.next).collect(),
        State::Dense(dense) => (0..=u8::MAX)
            .filter_map(|byte| dense.matches_byte(byte))
            .collect(),
        State::Union { alternates } => alternates.to_vec(),
        State::BinaryUnion { alt1, alt2 } => vec![*alt1, *alt2],
        State::Look { next, .. } | State::Capture { next, .. } => vec![*next],
        State::Fail | State::Match { .. } => Vec::new(),
    }
}
