//! `POST /predict`: the encoder by itself, in the shape of text-embeddings-inference.
//!
//! Nothing is screened and no policy is asked: labels and scores are the model's own.

use crate::error::Error;
use crate::gate::Gate;
use crate::record::{Event, micros};
use crate::reply::Answer;
use crate::screen::note_failure;
use http::request::Parts;
use hyper::body::Incoming;
use portcullis_classifiers::Failure;
use portcullis_models::Kind;
use portcullis_protocol::ErrorReply;
use portcullis_protocol::predict::{self, Fault};
use std::time::Instant;

/// The path, whose errors have a shape of their own.
pub(crate) const PATH: &str = "/predict";

/// The error as text-embeddings-inference would say it.
pub(crate) fn error(error: &Error) -> ErrorReply {
    let fault = match error {
        Error::TooLarge(_) => Fault::Validation,
        Error::Malformed(_) | Error::Unscreenable(_) => Fault::Tokenizer,
        Error::Overloaded => Fault::Overloaded,
        Error::Unscreened {
            failure: Failure::Shed(_),
            ..
        } => Fault::Overloaded,
        Error::Unscreened { .. } => Fault::Backend,
        other => Fault::Other(other.kind()),
    };
    let message = match error {
        Error::Unscreened { failure, .. } => failure.to_string(),
        other => other.to_string(),
    };
    predict::error(fault, &message)
}

impl Gate {
    pub(crate) async fn predict(
        &self,
        tenant: u64,
        head: &Parts,
        body: Incoming,
        event: &mut Event,
    ) -> Result<Answer, Error> {
        event.route = "predict";
        let Some(encoder) = &self.encoder else {
            return Err(Error::NotFound(
                "the configuration has no encoder (`encoder.model: none`)".into(),
            ));
        };
        let body = self.read_json(head, body, event).await?;
        let started = Instant::now();
        let deadline = started + self.config.timeouts.screen;
        // Under overload most are refused: before anything is read, so that it costs the least.
        let pass = encoder.check(tenant, deadline);
        let pass = pass.map_err(|shed| note_failure(event, shed.into()))?;
        let request = predict::parse(body, self.config.limits.depth)?;
        if encoder.facts().kind == Kind::Token {
            return Err(Error::Malformed(
                "the configured encoder labels tokens and not texts; /predict has no shape for that"
                    .into(),
            ));
        }
        let predicted = encoder.predict(request.texts, request.truncate, pass).await;
        event.infer_us += micros(started.elapsed());
        let predicted = predicted.map_err(|failure| note_failure(event, failure))?;
        let raw = request.raw_scores;
        let scores = predicted
            .into_iter()
            .map(|text| if raw { text.logits } else { text.shares });
        let scores: Vec<Vec<f32>> = scores.collect();
        let reply = predict::reply(&encoder.facts().labels, &scores, request.is_list);
        Ok(Answer::json(reply))
    }
}
