//! The conversation a client sends back: what of it is still used.
//!
//! - Turns before the last `/reset-ai` are dropped.
//! - Commands and our answers to them are dropped: no model needs to read them.
//! - A turn that was refused before, and the refusal after it, is dropped: the client resends it
//!   for ever, and the conversation must not be dead. One that was refused for what it was after
//!   others is dropped after these.
//! - Notices and disclaimers that we appended are taken out of earlier answers.
//!
//! What is left is read again as a request of its own, so that what is screened is exactly what
//! is forwarded.

use crate::error::Error;
use crate::gate::{Gate, OwnTexts};
use portcullis_classifiers::cache::{Said, Salt};
use portcullis_protocol::{Edit, Exchange, PartKind, Role, Turn};
use portcullis_text::{Content, Surface};
use std::collections::BTreeSet;

impl Gate {
    /// The request without what is no longer used.
    pub(crate) fn without_old(&self, exchange: Box<Exchange>) -> Result<Box<Exchange>, Error> {
        // One turn has no history.
        if exchange.turns.len() < 2 {
            return Ok(exchange);
        }
        let mut dropped = BTreeSet::new();
        if let Some(reset) = self.commands.last_reset(&exchange) {
            dropped.extend(up_to(&exchange, reset));
        }
        dropped.extend(self.commands_and_replies(&exchange));
        let inserted: Vec<&str> = self.own_texts.inserted.iter().map(String::as_str).collect();
        let stripped = exchange
            .strip_inserted(&inserted)
            .into_iter()
            .filter(|edit| match edit {
                Edit::Replace { part, .. } => {
                    let turn = exchange.part(*part).and_then(|part| part.turn);
                    turn.is_none_or(|turn| !dropped.contains(&turn))
                }
                Edit::DropTurn(_) => true,
            });
        let edits: Vec<Edit> = stripped
            .chain(dropped.iter().copied().map(Edit::DropTurn))
            .collect();
        self.edited(exchange, &edits)
    }

    /// The request without turns that were refused before after the very same others, and the
    /// refusals after them: such a turn may pass now that more has been said, and was refused.
    pub(crate) fn without_refused_here(
        &self,
        exchange: Box<Exchange>,
        salt: &Salt,
    ) -> Result<Box<Exchange>, Error> {
        let mut dropped = BTreeSet::new();
        let mut said = Said::default();
        // The last turn is what is being asked now: it stays.
        let n_before = exchange.turns.len().saturating_sub(1);
        for (idx, turn) in users_turns(&exchange).take_while(|(idx, _)| *idx < n_before) {
            let after = said.then(salt, &Content::from(exchange.turn_text(idx)));
            if may_go(&exchange, turn) && self.refused.was_refused_here(&after) {
                dropped.insert(idx);
                dropped.extend(self.refusal_after(&exchange, idx));
            } else {
                said = after;
            }
        }
        let edits: Vec<Edit> = dropped.into_iter().map(Edit::DropTurn).collect();
        self.edited(exchange, &edits)
    }

    /// Remembers turns of a request as refused, by themselves and after those before them.
    pub(crate) fn remember_refused(&self, exchange: &Exchange, refused: &[usize], salt: &Salt) {
        let mut said = Said::default();
        for (idx, _) in users_turns(exchange) {
            let text = Content::from(exchange.turn_text(idx));
            said = said.then(salt, &text);
            if refused.contains(&idx) {
                self.refused.remember(salt, &text);
                self.refused.remember_here(&said);
            }
        }
    }

    /// The request without turns that were refused before, and the refusals after them; `None`
    /// when there are none. The last turn stays: it is what is being asked now.
    pub(crate) fn without_refused(
        &self,
        exchange: &Exchange,
        stopping: &[usize],
        salt: &Salt,
    ) -> Result<Option<Box<Exchange>>, Error> {
        let mut dropped = BTreeSet::new();
        for turn_idx in stopping {
            let turn = &exchange.turns[*turn_idx];
            let is_last = *turn_idx + 1 >= exchange.turns.len();
            if is_last || !may_go(exchange, turn) {
                continue;
            }
            let refusal = self.refusal_after(exchange, *turn_idx);
            let text = Content::from(exchange.turn_text(*turn_idx));
            if refusal.is_some() || self.refused.was_refused(salt, &text) {
                dropped.insert(*turn_idx);
                dropped.extend(refusal);
            }
        }
        if dropped.is_empty() {
            return Ok(None);
        }
        let edits: Vec<Edit> = dropped.into_iter().map(Edit::DropTurn).collect();
        self.reread(exchange, &edits).map(Some)
    }

    /// The request without our refusals of earlier answers: a model must not read them as its own.
    /// `None` when there are none.
    pub(crate) fn without_refusals(
        &self,
        exchange: &Exchange,
    ) -> Result<Option<Box<Exchange>>, Error> {
        let mut edits = Vec::new();
        for (idx, turn) in exchange.turns.iter().enumerate() {
            if turn.role != Role::Assistant {
                continue;
            }
            if turn.plain_text && self.own_texts.is_refusal(&exchange.turn_text(idx)) {
                edits.push(Edit::DropTurn(idx));
                continue;
            }
            let parts = &exchange.parts[turn.parts.clone()];
            let ours = parts.iter().filter(|part| {
                part.kind == PartKind::Refusal && self.own_texts.is_refusal(part.content.expose())
            });
            edits.extend(ours.map(|part| Edit::Replace {
                part: part.id,
                text: String::new(),
            }));
            // A refusal in mid-stream: some clients put it behind what had been said.
            let texts = parts.iter().filter(|part| part.kind == PartKind::Text);
            edits.extend(texts.filter_map(|part| {
                let before = self.own_texts.before_refusal(part.content.expose())?;
                Some(Edit::Replace {
                    part: part.id,
                    text: before.to_owned(),
                })
            }));
        }
        if edits.is_empty() {
            return Ok(None);
        }
        self.reread(exchange, &edits).map(Some)
    }

    fn refusal_after(&self, exchange: &Exchange, turn_idx: usize) -> Option<usize> {
        let next = exchange.assistant_after(turn_idx)?;
        let text = exchange.turn_text(next);
        // Some clients send a refusal back as an answer without text.
        let is_refusal = text.trim().is_empty() || self.own_texts.is_refusal(&text);
        (exchange.turns[next].plain_text && is_refusal).then_some(next)
    }

    /// Our answers to commands, with the commands they answer.
    fn commands_and_replies(&self, exchange: &Exchange) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        for (idx, turn) in exchange.turns.iter().enumerate() {
            let is_reply = turn.role == Role::Assistant
                && turn.plain_text
                && self.own_texts.is_reply(&exchange.turn_text(idx));
            if is_reply {
                found.insert(idx);
                found.extend(
                    idx.checked_sub(1)
                        .filter(|asked| self.is_command(exchange, *asked)),
                );
            }
        }
        found
    }

    fn is_command(&self, exchange: &Exchange, turn_idx: usize) -> bool {
        let turn = &exchange.turns[turn_idx];
        turn.role == Role::User
            && turn.plain_text
            && self.commands.is_command(&exchange.turn_text(turn_idx))
    }

    fn edited(&self, exchange: Box<Exchange>, edits: &[Edit]) -> Result<Box<Exchange>, Error> {
        if edits.is_empty() {
            return Ok(exchange);
        }
        self.reread(&exchange, edits)
    }

    fn reread(&self, exchange: &Exchange, edits: &[Edit]) -> Result<Box<Exchange>, Error> {
        let body = exchange.outgoing(edits).map_err(|_| Error::Internal)?;
        let exchange = exchange.dialect.parse(body, &self.parse_rules())?;
        Ok(Box::new(exchange))
    }
}

/// Whether a turn can be taken out by itself: one with a tool's result belongs to the call before.
fn may_go(exchange: &Exchange, turn: &Turn) -> bool {
    let parts = &exchange.parts[turn.parts.clone()];
    let answers_a_call = parts.iter().any(|part| part.surface == Surface::ToolResult);
    turn.role != Role::System && (turn.plain_text || (turn.role == Role::User && !answers_a_call))
}

/// The turns of the person.
fn users_turns(exchange: &Exchange) -> impl Iterator<Item = (usize, &Turn)> {
    let turns = exchange.turns.iter().enumerate();
    turns.filter(|(_, turn)| matches!(turn.role, Role::User | Role::Other))
}

/// Every turn up to and with one, but for the operator's own.
fn up_to(exchange: &Exchange, last: usize) -> impl Iterator<Item = usize> {
    let turns = exchange.turns.iter().enumerate().take(last + 1);
    turns
        .filter(|(_, turn)| turn.role != Role::System)
        .map(|(idx, _)| idx)
}

impl OwnTexts {
    fn is_refusal(&self, text: &str) -> bool {
        let text = text.trim();
        self.refusals.iter().any(|refusal| refusal.trim() == text)
    }

    /// What stands before a refusal of ours at the end of a text.
    fn before_refusal<'t>(&self, text: &'t str) -> Option<&'t str> {
        let text = text.trim_end();
        let refusals = self.refusals.iter().map(|refusal| refusal.trim());
        let before = refusals.filter_map(|refusal| text.strip_suffix(refusal));
        before.map(str::trim_end).find(|before| !before.is_empty())
    }

    fn is_reply(&self, text: &str) -> bool {
        let text = text.trim();
        !text.is_empty() && self.replies.iter().any(|reply| reply.trim() == text)
    }
}
