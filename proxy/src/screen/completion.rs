//! Screening a whole answer, and what is decided about it.

use crate::error::Error;
use crate::gate::Gate;
use crate::record::Event;
use crate::redact::redacted_texts;
use crate::screen::{Asker, prompt_of};
use portcullis_config::{Action, Mode};
use portcullis_policy::{Decision, Terminal};
use portcullis_protocol::{Completion, CompletionEdit, Exchange, Part};
use portcullis_text::Surface;

/// What becomes of an answer.
#[derive(Debug)]
pub(crate) enum CompletionVerdict {
    /// It goes to the client with these edits.
    Deliver(Vec<CompletionEdit>),
    /// Something else goes to the client.
    Stop(Terminal),
}

impl Gate {
    /// Screens every choice, reasoning and tool call of an answer beside its prompt, and decides.
    pub(crate) async fn screen_completion(
        &self,
        completion: &Completion,
        exchange: &Exchange,
        notice: Option<&str>,
        asker: Asker,
        event: &mut Event,
    ) -> Result<CompletionVerdict, Error> {
        let parts: Vec<&Part> = completion.parts.iter().chain(completion.seams()).collect();
        let context = prompt_of(exchange);
        let mut seen = self.look_at(&parts, context, asker, event).await?;
        let begun = exchange.begun_answer();
        let mut chains = completion.chains();
        chains.extend(
            begun
                .into_iter()
                .flat_map(|part| completion.chains_after(part)),
        );
        let across = self.find_across(&completion.parts, &chains, Surface::Completion);
        seen.matches.extend(across);
        for unscreened in &completion.unscreened {
            event.receipt.gap(unscreened.reason.name());
        }
        let decision = self.decide(&seen);
        event.note_decision(decision.action, decision.enforced, &decision.rows);
        if !matches!(decision.terminal, Terminal::Forward) {
            return Ok(CompletionVerdict::Stop(decision.terminal));
        }
        let Some(mut edits) = redactions(completion, &decision) else {
            let refusal = self.refusal_for(&decision);
            event.enforced = Action::Block;
            return Ok(CompletionVerdict::Stop(Terminal::Block(refusal)));
        };
        let inserted = decision
            .disclaimers
            .iter()
            .map(String::as_str)
            .chain(notice);
        if self.engine.mode() == Mode::Enforce {
            edits.extend(inserted.flat_map(|text| completion.append_to_all(text)));
        }
        if notice.is_some() {
            event.labels.push("notice");
        }
        Ok(CompletionVerdict::Deliver(edits))
    }
}

fn redactions(completion: &Completion, decision: &Decision) -> Option<Vec<CompletionEdit>> {
    let texts = redacted_texts(
        &decision.redactions,
        |part| completion.part(part),
        |part, range| completion.locate(part, range),
    )?;
    let edits = texts
        .into_iter()
        .map(|(part, text)| CompletionEdit::Replace { part, text });
    Some(edits.collect())
}
