//! `/predict`, in the shape of text-embeddings-inference.

use crate::json::{self, Kind, Value};
use crate::{ErrorKind, ErrorReply, ParseError, read};
use bytes::Bytes;
use serde_json::{Value as Json, json};

/// Texts in a request.
const MAX_TEXTS: usize = 4096;

/// What is to be classified.
#[derive(Clone, PartialEq, Eq)]
pub struct PredictRequest {
    /// The texts.
    pub texts: Vec<String>,
    /// Whether they came as a list, and answers go back as one.
    pub is_list: bool,
    /// Logits instead of probabilities.
    pub raw_scores: bool,
    /// Only what fits the model at once counts; else a long text is read in windows.
    pub truncate: bool,
}

impl std::fmt::Debug for PredictRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PredictRequest({} texts)", self.texts.len())
    }
}

/// Reads a request: `inputs` is a text, a list of texts, or a list of lists of one text each.
///
/// # Errors
/// The body is not strict JSON or has no readable `inputs`.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a body is handed over, as to `Dialect::parse`"
)]
pub fn parse(body: Bytes, depth: usize) -> Result<PredictRequest, ParseError> {
    let document = json::parse(&body, depth)?;
    let root = read::object(document.root(), "the body")?;
    let inputs = root.get("inputs").ok_or_else(wrong)?;
    let is_list = inputs.kind() == Kind::Array;
    let texts = if is_list {
        let listed: Result<Vec<String>, ParseError> = inputs.items().map(text_of).collect();
        listed?
    } else {
        vec![text_of(inputs)?]
    };
    if texts.is_empty() {
        return Err(wrong());
    }
    if MAX_TEXTS < texts.len() {
        return Err(ParseError::Shape(format!(
            "`inputs` holds {} texts, but at most {MAX_TEXTS} are taken at once",
            texts.len()
        )));
    }
    Ok(PredictRequest {
        texts,
        is_list,
        raw_scores: read::switch(root, "raw_scores")?,
        truncate: read::switch(root, "truncate")?,
    })
}

fn wrong() -> ParseError {
    ParseError::Shape("`inputs` must be a text or a list of texts".into())
}

fn text_of(value: Value<'_>) -> Result<String, ParseError> {
    if let Some(text) = value.as_str() {
        return Ok(text.into_owned());
    }
    let mut items = value.items();
    match (items.next(), items.next()) {
        (Some(only), None) => only.as_str().map(Into::into).ok_or_else(wrong),
        (Some(_), Some(_)) => Err(ParseError::Shape(
            "`inputs` holds pairs of texts, which this model does not compare; send single texts"
                .into(),
        )),
        _ => Err(wrong()),
    }
}

/// The answer: labels with their scores, highest first, for each text.
#[must_use]
pub fn reply(labels: &[String], scores: &[Vec<f32>], is_list: bool) -> Bytes {
    let of_text = |scores: &Vec<f32>| {
        let mut ranked: Vec<(&String, f32)> = labels.iter().zip(scores.iter().copied()).collect();
        ranked.sort_by(|one, other| other.1.total_cmp(&one.1));
        let ranked = ranked.into_iter();
        Json::from_iter(ranked.map(|(label, score)| json!({"score": score, "label": label})))
    };
    let all: Vec<Json> = scores.iter().map(of_text).collect();
    let answer = match (is_list, all) {
        (false, mut all) if all.len() == 1 => all.remove(0),
        (_, all) => Json::Array(all),
    };
    Bytes::from(answer.to_string())
}

/// Why there is no answer, as text-embeddings-inference tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 413: the request is larger than what is taken.
    Validation,
    /// 422: the request cannot be read.
    Tokenizer,
    /// 424: the model failed.
    Backend,
    /// 429: more is asked than can be done.
    Overloaded,
    /// What it has no word for keeps its status.
    Other(ErrorKind),
}

/// The error in its shape.
#[must_use]
pub fn error(fault: Fault, message: &str) -> ErrorReply {
    let (status, name) = match fault {
        Fault::Validation => (413, "Validation"),
        Fault::Tokenizer => (422, "Tokenizer"),
        Fault::Backend => (424, "Backend"),
        Fault::Overloaded => (429, "Overloaded"),
        Fault::Other(kind) if kind.status() < 500 => (kind.status(), "Validation"),
        Fault::Other(kind) => (kind.status(), "Unhealthy"),
    };
    let retry_after = match fault {
        Fault::Overloaded => ErrorKind::RateLimited.retry_after(),
        Fault::Other(kind) => kind.retry_after(),
        _ => None,
    };
    let body = json!({"error": message, "error_type": name}).to_string();
    ErrorReply {
        status,
        body: Bytes::from(body),
        retry_after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> Result<(Vec<String>, bool), String> {
        let read = parse(Bytes::from(body.to_owned()), 8).map_err(|error| error.to_string())?;
        Ok((read.texts, read.is_list))
    }

    #[test]
    fn a_text_or_a_list_of_texts_is_read() {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(check(r#"{"inputs":"a"}"#), Ok((texts(&["a"]), false)));
        assert_eq!(
            check(r#"{"inputs":["a","b"]}"#),
            Ok((texts(&["a", "b"]), true))
        );
        assert_eq!(
            check(r#"{"inputs":[["a"],["b"]]}"#),
            Ok((texts(&["a", "b"]), true))
        );
        for wrong in [
            r#"{}"#,
            r#"{"inputs":[]}"#,
            r#"{"inputs":3}"#,
            r#"{"inputs":[3]}"#,
        ] {
            assert!(check(wrong).unwrap_err().contains("`inputs`"), "{wrong}");
        }
        let pairs = check(r#"{"inputs":[["a","b"]]}"#).unwrap_err();
        assert!(pairs.contains("pairs"), "{pairs}");
    }

    #[test]
    fn labels_go_back_highest_first() {
        let labels = ["low".to_owned(), "high".to_owned()];
        let one = reply(&labels, &[vec![0.25, 0.5]], false);
        assert_eq!(
            &one[..],
            br#"[{"label":"high","score":0.5},{"label":"low","score":0.25}]"#
        );
        let listed = reply(&labels, &[vec![0.25, 0.5]], true);
        assert!(listed.starts_with(b"[[") && listed.ends_with(b"]]"));
    }

    #[test]
    fn errors_have_statuses_and_types_of_their_own() {
        for (fault, status, name) in [
            (Fault::Validation, 413, "Validation"),
            (Fault::Tokenizer, 422, "Tokenizer"),
            (Fault::Backend, 424, "Backend"),
            (Fault::Overloaded, 429, "Overloaded"),
            (Fault::Other(ErrorKind::NotFound), 404, "Validation"),
            (Fault::Other(ErrorKind::Internal), 500, "Unhealthy"),
        ] {
            let reply = error(fault, "no");
            let body = format!(r#"{{"error":"no","error_type":"{name}"}}"#);
            assert_eq!((reply.status, &reply.body[..]), (status, body.as_bytes()));
        }
        assert_eq!(error(Fault::Overloaded, "no").retry_after, Some(1));
        assert_eq!(error(Fault::Backend, "no").retry_after, None);
    }
}
