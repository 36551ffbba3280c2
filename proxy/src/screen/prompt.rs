//! Screening what goes to the model, and what is decided about it.

use crate::error::Error;
use crate::gate::Gate;
use crate::record::Event;
use crate::redact::redacted_texts;
use crate::screen::{Asker, Seen};
use portcullis_config::Action;
use portcullis_policy::{Decision, Evidence, RefusalText, Terminal};
use portcullis_protocol::{Edit, Exchange, Part};
use portcullis_text::{Category, Label, Surface, Window};

/// What becomes of a prompt.
#[derive(Debug)]
pub(crate) enum PromptVerdict {
    /// It goes to the upstream with these edits.
    Forward(Vec<Edit>),
    /// It is answered here: refused, or redirected.
    Stop(Terminal),
}

impl Gate {
    /// Screens everything that would be forwarded, and decides. Gives the request back as it
    /// would be forwarded: without turns that were refused before.
    pub(crate) async fn screen_prompt(
        &self,
        exchange: Box<Exchange>,
        asker: Asker,
        event: &mut Event,
    ) -> Result<(Box<Exchange>, PromptVerdict), Error> {
        let mut exchange = self.without_refused_here(exchange, &asker.salt)?;
        let (mut seen, mut decision) = self.judge(&exchange, asker, event).await?;
        if stops(&decision) {
            let mut stopping = self.stopping_alone(&exchange, &seen);
            stopping.extend(self.stopping_together(&seen));
            if let Some(rest) = self.without_refused(&exchange, &stopping, &asker.salt)? {
                exchange = rest;
                (seen, decision) = self.judge(&exchange, asker, event).await?;
            }
        }
        if !stops(&decision)
            && let Some(rest) = self.without_refusals(&exchange)?
        {
            exchange = rest;
            (seen, decision) = self.judge(&exchange, asker, event).await?;
        }
        event.note_decision(decision.action, decision.enforced, &decision.rows);
        if stops(&decision) {
            let refused = self.refused_turns(&exchange, &seen);
            self.remember_refused(&exchange, &refused, &asker.salt);
            return Ok((exchange, PromptVerdict::Stop(decision.terminal)));
        }
        let verdict = match redactions(&exchange, &decision) {
            Some(edits) => PromptVerdict::Forward(edits),
            None => {
                event.enforced = Action::Block;
                PromptVerdict::Stop(Terminal::Block(self.refusal_for(&decision)))
            }
        };
        Ok((exchange, verdict))
    }

    /// Screens a request as it would be forwarded. What was noted of an earlier form is forgotten.
    async fn judge(
        &self,
        exchange: &Exchange,
        asker: Asker,
        event: &mut Event,
    ) -> Result<(Seen, Decision), Error> {
        event.forget_screening();
        let parts: Vec<&Part> = exchange.parts.iter().chain(exchange.seams()).collect();
        let mut seen = self.look_at(&parts, None, asker, event).await?;
        let across = self.find_across(&exchange.parts, &exchange.chains(), Surface::User);
        seen.matches.extend(across);
        self.join_turns(&mut seen, &exchange.parts, event);
        for unscreened in &exchange.unscreened {
            event.receipt.gap(unscreened.reason.name());
        }
        let decision = self.decide(&seen);
        Ok((seen, decision))
    }

    /// The refusal for text that should be redacted and stands where nothing can be replaced.
    pub(crate) fn refusal_for(&self, decision: &Decision) -> RefusalText {
        let text = self.own_texts.refusals.first().cloned().unwrap_or_default();
        let label = decision
            .deciding()
            .map_or(Label::Category(Category::Unsafe), |row| row.label);
        RefusalText {
            text,
            label,
            cite: None,
        }
    }

    pub(crate) fn decide(&self, seen: &Seen) -> Decision {
        let Some(joint) = &seen.joint else {
            return self.engine.decide(&Evidence {
                windows: &seen.windows,
                matches: &seen.matches,
            });
        };
        let windows: Vec<Window> = seen
            .windows
            .iter()
            .chain([&joint.window])
            .cloned()
            .collect();
        self.engine.decide(&Evidence {
            windows: &windows,
            matches: &seen.matches,
        })
    }

    /// The turns for which a prompt is refused. Where no turn would be by itself, it is the last of
    /// those that were too much together.
    fn refused_turns(&self, exchange: &Exchange, seen: &Seen) -> Vec<usize> {
        let mut refused = self.stopping_alone(exchange, seen);
        if refused.is_empty() {
            refused.extend(self.stopping_together(seen).pop());
        }
        refused
    }

    /// Turns that would not be forwarded if they stood alone.
    fn stopping_alone(&self, exchange: &Exchange, seen: &Seen) -> Vec<usize> {
        let stops_alone = |turn: &usize| stops(&self.decide(&seen.of_turn(exchange, *turn)));
        (0..exchange.turns.len()).filter(stops_alone).collect()
    }

    /// Turns that would not be forwarded together, the oldest first.
    fn stopping_together(&self, seen: &Seen) -> Vec<usize> {
        let Some(joint) = &seen.joint else {
            return Vec::new();
        };
        let decision = self.engine.decide(&Evidence {
            windows: std::slice::from_ref(&joint.window),
            matches: &[],
        });
        let rows = decision.rows.iter();
        let stopping = rows.filter(|row| matches!(row.action, Action::Block | Action::Redirect));
        let categories = stopping.filter_map(|row| match row.label {
            Label::Category(category) => Some(category),
            Label::Pattern(_) => None,
        });
        joint.resting_on(&categories.collect::<Vec<Category>>())
    }
}

impl Seen {
    fn of_turn(&self, exchange: &Exchange, turn_idx: usize) -> Self {
        let stands_there = |part| {
            exchange
                .part(part)
                .is_some_and(|part| part.turn == Some(turn_idx))
        };
        let windows = self
            .windows
            .iter()
            .filter(|window| stands_there(window.span.part));
        let matches = self
            .matches
            .iter()
            .filter(|found| stands_there(found.span.part));
        Self {
            windows: windows.cloned().collect(),
            matches: matches.cloned().collect(),
            joint: None,
        }
    }
}

const fn stops(decision: &Decision) -> bool {
    !matches!(decision.terminal, Terminal::Forward)
}

/// The edits that redact, or nothing when a match stands where text cannot be replaced.
fn redactions(exchange: &Exchange, decision: &Decision) -> Option<Vec<Edit>> {
    let texts = redacted_texts(
        &decision.redactions,
        |part| exchange.part(part),
        |part, range| exchange.locate(part, range),
    )?;
    Some(
        texts
            .into_iter()
            .map(|(part, text)| Edit::Replace { part, text })
            .collect(),
    )
}
