//! The person's turns taken together: an attack may be cut into turns that are each nearly harmless.
//!
//! Nothing is scored for it: the windows of the turns are there, from the cache or scored just now.

use portcullis_policy::{Conversation, MAX_TURNS};
use portcullis_protocol::{Part, PartKind};
use portcullis_text::{Category, Detector, Scores, Span, Surface, Vectors, View, Window};

/// What the turns say together, and which they are.
#[derive(Debug)]
pub(crate) struct Joint {
    pub(crate) conversation: Conversation,
    /// As evidence for the policy, on the surface of the person's turns.
    pub(crate) window: Window,
    /// The turns that were looked at with their scores, the oldest first.
    turns: Vec<(usize, Scores)>,
}

impl Joint {
    /// Takes the turns that some parts stand in together. `None` where they are no evidence.
    pub(crate) fn of(parts: &[Part], windows: &[Window]) -> Option<Self> {
        let mut said = parts.iter().filter(|part| is_said(part));
        let first = said.next()?.turn;
        if said.all(|part| part.turn == first) {
            return None;
        }
        let mut turns = latest(parts);
        let last = turns.last().filter(|_| 1 < turns.len())?.0;
        let mut detector = Detector::Linear;
        for window in windows {
            // Seams belong to several turns and count for none.
            let part = parts.get(window.span.part.0 as usize);
            let Some(turn) = part.filter(|part| is_said(part)).and_then(|part| part.turn) else {
                continue;
            };
            if let Some((_, scores)) = turns.iter_mut().find(|(idx, _)| *idx == turn) {
                *scores = scores.max(&window.scores);
                detector = detector.max(window.detector);
            }
        }
        let scores: Vec<Scores> = turns.iter().map(|(_, scores)| *scores).collect();
        let conversation = Conversation::of(&scores)?;
        let part = parts.iter().find(|part| part.turn == Some(last))?.id;
        let window = Window {
            span: Span { part, range: 0..0 },
            surface: Surface::User,
            view: View::Conversation,
            detector,
            scores: conversation.scores,
            vectors: Vectors::NONE,
        };
        Some(Self {
            conversation,
            window,
            turns,
        })
    }

    /// The turns on which the scores of these categories rest, the oldest first.
    pub(crate) fn resting_on(&self, categories: &[Category]) -> Vec<usize> {
        let rests = |scores: &Scores| {
            let mut all = categories.iter();
            all.any(|category| self.conversation.rests_on(*category, scores))
        };
        let turns = self.turns.iter().filter(|(_, scores)| rests(scores));
        turns.map(|(turn, _)| *turn).collect()
    }
}

/// The person's latest turns that say something, each text once, the oldest first.
///
/// Asking again is no second piece of evidence.
fn latest(parts: &[Part]) -> Vec<(usize, Scores)> {
    let mut texts: Vec<Vec<&str>> = Vec::new();
    let mut turns = Vec::new();
    let said: Vec<&Part> = parts.iter().filter(|part| is_said(part)).collect();
    for of_turn in said.chunk_by(|one, next| one.turn == next.turn).rev() {
        let text = of_turn.iter().map(|part| part.content.expose().trim());
        let text: Vec<&str> = text.collect();
        if texts.contains(&text) {
            continue;
        }
        texts.push(text);
        turns.extend(of_turn[0].turn.map(|turn| (turn, Scores::ZERO)));
        if turns.len() == MAX_TURNS {
            break;
        }
    }
    turns.reverse();
    turns
}

/// Whether a part is what the person says in a turn.
fn is_said(part: &Part) -> bool {
    part.surface == Surface::User
        && part.kind == PartKind::Text
        && part.turn.is_some()
        && !part.content.expose().trim().is_empty()
}
