//! An answer that the request begins and the model goes on with: a word may be cut by its end.

use crate::screen::across::TOUCHING;
use portcullis_policy::stream::DeltaIn;
use portcullis_policy::{Engine, Match};
use portcullis_protocol::Exchange;
use portcullis_text::{Span, Surface};

/// Bytes before and behind the end of the beginning that are read together.
const REACH: usize = 64;

/// A beginning, and what every choice has said since.
#[derive(Debug)]
pub(crate) struct Begun {
    end: String,
    since: Vec<(u32, String)>,
}

impl Begun {
    /// The end of the answer that a request begins.
    pub(crate) fn of(exchange: &Exchange) -> Option<Self> {
        let text = exchange.begun_answer()?.content.expose();
        let from = text.ceil_char_boundary(text.len().saturating_sub(REACH));
        Some(Self {
            end: text[from..].to_owned(),
            since: Vec::new(),
        })
    }

    /// Takes what comes next; gives the matches over the end of the beginning.
    pub(crate) fn go_on(&mut self, engine: &Engine, deltas: &[DeltaIn<'_>]) -> Vec<Match> {
        let mut found = Vec::new();
        for delta in deltas {
            if delta.surface == Surface::Completion && !delta.text.is_empty() {
                found.extend(self.go_on_in(engine, delta));
            }
        }
        found
    }

    fn go_on_in(&mut self, engine: &Engine, delta: &DeltaIn<'_>) -> Vec<Match> {
        let choice = delta.key.choice;
        let idx = match self.since.iter().position(|(known, _)| *known == choice) {
            Some(idx) => idx,
            None => {
                self.since.push((choice, String::new()));
                self.since.len() - 1
            }
        };
        let since = &mut self.since[idx].1;
        if REACH <= since.len() {
            return Vec::new();
        }
        let room = delta.text.floor_char_boundary(REACH);
        since.push_str(&delta.text[..room]);
        let end = &self.end;
        let matches = TOUCHING.iter().flat_map(|between| {
            let found = engine.find_across(Surface::Completion, &format!("{end}{between}{since}"));
            let over = move |found: &portcullis_text::pattern::PatternMatch| {
                found.range.start < end.len() && end.len() + between.len() < found.range.end
            };
            found.into_iter().filter(over)
        });
        let matches = matches.map(|found| Match {
            id: found.id,
            surface: Surface::Completion,
            span: Span {
                part: portcullis_text::PartId(0),
                range: 0..0,
            },
            view: found.view,
            replaceable: false,
        });
        matches.collect()
    }
}
