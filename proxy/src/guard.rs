//! The endpoints that we answer ourselves: moderations, guard checks, decisions; and the list of models.

use crate::error::Error;
use crate::gate::Gate;
use crate::headers;
use crate::record::{Event, micros};
use crate::reply::Answer;
use crate::request::failed_lookup;
use crate::screen::{Asker, Seen};
use crate::upstream::end_to_end;
use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use hyper::body::Incoming;
use portcullis_policy::Terminal;
use portcullis_protocol::moderations::{self, ModerationResult};
use portcullis_protocol::{Dialect, GuardCheck, Part};
use portcullis_text::{Category, Scores, Surface, Window};
use serde_json::{Value, json};
use std::time::Instant;

/// OpenAI's moderation categories and the taxonomy's categories that answer for them.
///
/// The mapping is that of `docs/taxonomy.md`. The finer OpenAI categories (`…/threatening`,
/// `…/graphic`, `…/intent`) have no category of their own here and take the coarse one's score
/// together with the finer hazard's, the smaller of both.
const MODERATION: [(&str, &[Category]); 13] = [
    ("harassment", &[Category::Harassment]),
    (
        "harassment/threatening",
        &[Category::Harassment, Category::Violence],
    ),
    ("hate", &[Category::Hate]),
    ("hate/threatening", &[Category::Hate, Category::Violence]),
    ("illicit", &[Category::Crime]),
    ("illicit/violent", &[Category::Crime, Category::Violence]),
    ("self-harm", &[Category::SelfHarm]),
    ("self-harm/intent", &[Category::SelfHarm]),
    ("self-harm/instructions", &[Category::SelfHarm]),
    ("sexual", &[Category::Sexual]),
    ("sexual/minors", &[Category::ChildSafety]),
    ("violence", &[Category::Violence]),
    ("violence/graphic", &[Category::Violence]),
];

impl Gate {
    /// `POST /v1/moderations`: answered by the gate's own classifiers.
    pub(crate) async fn moderations(
        &self,
        head: &Parts,
        body: Incoming,
        event: &mut Event,
    ) -> Result<Answer, Error> {
        event.route = "moderations";
        event.dialect = Dialect::OpenAiChat.name();
        let body = self.read_json(head, body, event).await?;
        let request = moderations::parse(body, &self.parse_rules())?;
        let parts: Vec<&Part> = request.parts.iter().collect();
        let seen = self.look_in_order(&parts, head, event).await?;
        let decision = self.decide(&seen);
        event.note_decision(
            decision.action,
            portcullis_config::Action::Allow,
            &decision.rows,
        );
        let results: Vec<ModerationResult> = request
            .parts
            .iter()
            .map(|part| self.moderation(part, &seen))
            .collect();
        let model = self.classifier_labels().join(",");
        let id = format!("modr-{}", event.id.trim_start_matches("dec_"));
        Ok(Answer::json(moderations::reply(&id, &model, &results)))
    }

    fn moderation(&self, part: &Part, seen: &Seen) -> ModerationResult {
        let mine = seen.of_part(part);
        let scores = peak(&mine.windows);
        let flagged = matches!(
            self.decide(&mine).terminal,
            Terminal::Block(_) | Terminal::Redirect(_)
        );
        let by_category = MODERATION.map(|(name, of)| {
            let score = of
                .iter()
                .map(|category| scores[*category])
                .fold(1.0_f32, f32::min);
            let is_hit = of.iter().all(|category| {
                let rows = self.engine.thresholds(*category, part.surface);
                let stops = rows.and_then(|rows| rows.block.or(rows.redirect));
                stops.is_some_and(|threshold| threshold.is_met_by(scores[*category]))
            });
            (name, score, is_hit)
        });
        ModerationResult {
            flagged,
            categories: by_category.to_vec(),
        }
    }

    /// `POST /v1/guard/check`: what would be decided about a text or about messages.
    pub(crate) async fn guard_check(
        &self,
        head: &Parts,
        body: Incoming,
        event: &mut Event,
    ) -> Result<Answer, Error> {
        event.route = "guard_check";
        let body = self.read_json(head, body, event).await?;
        let check = GuardCheck::parse(body, &self.parse_rules())?;
        let started = Instant::now();
        let parts: Vec<&Part> = check.parts.iter().chain(check.seams()).collect();
        let mut seen = self.look_in_order(&parts, head, event).await?;
        let across = self.find_across(&check.parts, &check.chains(), Surface::User);
        seen.matches.extend(across);
        self.join_turns(&mut seen, &check.parts, event);
        event.timings.screen_prompt_us = micros(started.elapsed());
        let decision = self.decide(&seen);
        // Nothing is held back here: the verdict is the answer.
        event.note_decision(
            decision.action,
            portcullis_config::Action::Allow,
            &decision.rows,
        );
        let answer = json!({
            "id": event.id,
            "action": decision.action,
            "enforced": decision.enforced,
            "mode": decision.mode,
            "policy": self.policy_label(),
            "refusal": decision.refusal().map(|refusal| &refusal.text),
            "findings": event.rows.iter().map(finding).collect::<Vec<Value>>(),
            "receipt": event.receipt,
        });
        Ok(Answer::json(Bytes::from(answer.to_string())))
    }

    /// `GET /v1/guard/decisions/{id}`: the final receipt, for the same key.
    pub(crate) fn guard_decision(&self, id: &str, event: &mut Event) -> Result<Answer, Error> {
        event.route = "guard_decision";
        let Some(record) = self.recorder.decision(id, &event.tenant) else {
            return Err(failed_lookup());
        };
        let answer = json!({
            "id": record.id,
            "request_id": record.request_id,
            "time_ms": record.time_ms,
            "route": record.route,
            "stream": record.stream,
            "action": record.action,
            "enforced": record.enforced,
            "mode": record.mode,
            "policy": record.policy,
            "outcome": record.outcome,
            "error": record.error,
            "coverage": record.receipt.coverage().to_string(),
            "receipt": record.receipt,
            "conversation_turns": record.conversation.as_ref().map(|joint| joint.turns),
            "timings": record.timings,
        });
        Ok(Answer::json(Bytes::from(answer.to_string())))
    }

    /// `GET /v1/models`: the upstream's answer as it came; it holds no text of people or models.
    pub(crate) async fn models(&self, head: &Parts, event: &mut Event) -> Result<Answer, Error> {
        event.route = "models";
        let dialect = Dialect::guess(head.uri.path(), &head.headers);
        event.dialect = dialect.name();
        let answer = self.forward(dialect, head, Bytes::new(), event).await?;
        let (answer_head, incoming) = answer.into_parts();
        let encoding = crate::body::encoding_of(&answer_head.headers)
            .map_err(|_| Error::BadAnswer("its content-encoding is not one we read".into()))?;
        let body = self.read_answer(incoming, encoding, event).await?;
        let headers = end_to_end(&answer_head.headers, headers::STAMPS);
        Ok(Answer::Whole {
            status: answer_head.status,
            headers,
            body,
            by_model: false,
        })
    }

    async fn look_in_order(
        &self,
        parts: &[&Part],
        head: &Parts,
        event: &mut Event,
    ) -> Result<Seen, Error> {
        let asker = self.anonymous_asker(&head.headers);
        self.look_at(parts, None, asker, event).await
    }

    fn anonymous_asker(&self, headers: &HeaderMap) -> Asker {
        let (tenant, _) = self.identities.tenant(headers);
        Asker {
            tenant,
            salt: self.salts.salt_for(tenant, None),
        }
    }
}

impl Seen {
    fn of_part(&self, part: &Part) -> Self {
        let windows = self
            .windows
            .iter()
            .filter(|window| window.span.part == part.id);
        let matches = self
            .matches
            .iter()
            .filter(|found| found.span.part == part.id);
        Self {
            windows: windows.cloned().collect(),
            matches: matches.cloned().collect(),
            joint: None,
        }
    }
}

fn peak(windows: &[Window]) -> Scores {
    windows
        .iter()
        .fold(Scores::ZERO, |peak, window| peak.max(&window.scores))
}

/// What a caller of `/v1/guard/check` is told of a row: no threshold, no score.
fn finding(row: &crate::record::Row) -> Value {
    json!({
        "category": row.label.metric(),
        "surface": row.surface,
        "action": row.action,
        "detector": row.detector,
        "view": row.view,
        "vectors": row.vectors,
    })
}
