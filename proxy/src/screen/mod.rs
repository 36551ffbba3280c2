//! Screening: ask the patterns and the classifiers, ask the policy, keep the receipt.
//!
//! [`prompt`] screens what goes to the model, [`completion`] a whole answer, [`stream`] an answer
//! while it runs.

mod across;
mod begun;
pub(crate) mod channels;
pub(crate) mod completion;
pub(crate) mod conversation;
pub(crate) mod prompt;
pub(crate) mod source;
pub(crate) mod stream;

use crate::error::Error;
use crate::gate::Gate;
use crate::record::{ConversationScores, Event, PartReceipt, Peak, micros};
use conversation::Joint;
use portcullis_classifiers::cache::Salt;
use portcullis_classifiers::cascade::{Closed, ScreenRequest, Screening};
use portcullis_classifiers::classifier::{Class, Failure, Segment, Unit};
use portcullis_policy::Match;
use portcullis_protocol::{Exchange, Part};
use portcullis_text::{Content, Detector, Surface, Window};
use smallvec::SmallVec;
use std::time::Instant;

/// Whose text is screened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    /// Keyed hash of the credential.
    pub(crate) tenant: u64,
    /// Key of this person's or conversation's cache entries.
    pub(crate) salt: Salt,
}

/// Everything the detectors said about some parts.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) windows: Vec<Window>,
    pub(crate) matches: Vec<Match>,
    /// The person's turns taken together, where they say more than each alone.
    pub(crate) joint: Option<Joint>,
}

impl Gate {
    /// Asks patterns and classifiers about whole texts, and notes scores, failures and coverage.
    ///
    /// Answers among them are judged beside `context`, their prompt.
    pub(crate) async fn look_at(
        &self,
        parts: &[&Part],
        context: Option<Content>,
        asker: Asker,
        event: &mut Event,
    ) -> Result<Seen, Error> {
        let matches = parts.iter().flat_map(|part| {
            self.engine
                .find_patterns(part.id, part.surface, part.content.expose())
        });
        let matches = matches.collect();
        let segments = parts.iter().map(|part| Segment {
            part: part.id,
            surface: part.surface,
            start: 0,
            content: part.content.clone(),
        });
        let request = ScreenRequest {
            context,
            ..self.screen_request(segments.collect(), Unit::Text, Class::Prompt, asker)
        };
        let screening = self.cascade.screen(request).await;
        let screening = screening.map_err(|closed| note_closed(event, &closed))?;
        note_screening(event, &screening);
        note_parts(event, parts, &screening);
        Ok(Seen {
            windows: screening.windows,
            matches,
            joint: None,
        })
    }

    /// Takes the turns of a conversation together, and notes what that came to.
    pub(crate) fn join_turns(&self, seen: &mut Seen, parts: &[Part], event: &mut Event) {
        seen.joint = Joint::of(parts, &seen.windows);
        let joint = seen.joint.as_ref();
        event.conversation = joint.map(|joint| ConversationScores {
            turns: joint.conversation.n_turns,
            scores: Peak(joint.conversation.scores),
        });
    }

    /// Without a context.
    pub(crate) fn screen_request(
        &self,
        segments: Vec<Segment>,
        unit: Unit,
        class: Class,
        asker: Asker,
    ) -> ScreenRequest {
        ScreenRequest {
            segments,
            context: None,
            unit,
            tenant: asker.tenant,
            salt: asker.salt,
            deadline: Instant::now() + self.config.timeouts.screen,
            class,
            on_failure: self.engine.on_failure(),
            use_cache: true,
        }
    }
}

/// The prompt that an answer is judged beside: what the person said last.
pub(crate) fn prompt_of(exchange: &Exchange) -> Option<Content> {
    let mut said = exchange.parts.iter().rev();
    let last = said.find(|part| part.surface == Surface::User)?;
    Some(last.content.clone())
}

/// Notes what a screening cost and what failed in it.
pub(crate) fn note_screening(event: &mut Event, screening: &Screening) {
    event.note_windows(&screening.windows);
    note_failures(event, &screening.failures);
    event.cache.0 += screening.cache_hits;
    event.cache.1 += screening.cache_misses;
    event.infer_us += screening.infer.map_or(0, micros);
}

fn note_failures(event: &mut Event, failures: &[(Detector, Failure)]) {
    let named = failures
        .iter()
        .map(|(detector, failure)| (detector.name(), failure.name()));
    event.failures.extend(named);
}

/// The encoder could not answer `/predict`.
pub(crate) fn note_failure(event: &mut Event, failure: Failure) -> Error {
    let detector = Detector::Encoder;
    note_failures(event, &[(detector, failure)]);
    Error::Unscreened { detector, failure }
}

/// A classifier failed and the policy says closed: the exchange fails, and the record says why.
pub(crate) fn note_closed(event: &mut Event, closed: &Closed) -> Error {
    note_failures(event, &closed.failures);
    event.receipt.gap(closed.failure.name());
    Error::Unscreened {
        detector: closed.detector,
        failure: closed.failure,
    }
}

fn note_parts(event: &mut Event, parts: &[&Part], screening: &Screening) {
    for (part, coverage) in parts.iter().zip(&screening.coverage) {
        let mut by = SmallVec::from_slice(&[Detector::Pattern]);
        by.extend_from_slice(&coverage.detectors);
        event.receipt.parts.push(PartReceipt {
            surface: part.surface,
            part: part.id.0,
            choice: part.choice,
            bytes: part.content.len(),
            by,
            gap: coverage.gap.map(|failure| failure.name()),
        });
    }
}
