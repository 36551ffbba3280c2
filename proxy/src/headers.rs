//! The headers that tell a client what the gate did (DESIGN 5.2).

use crate::record::{Coverage, Event};
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_config::Action;
use portcullis_protocol::Dialect;
use std::fmt::Write as _;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const DECISION: HeaderName = HeaderName::from_static("x-portcullis-decision");
const ACTION: HeaderName = HeaderName::from_static("x-portcullis-action");
const POLICY: HeaderName = HeaderName::from_static("x-portcullis-policy");
const COVERAGE: HeaderName = HeaderName::from_static("x-portcullis-coverage");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Headers that most answers get from us.
pub(crate) const STAMPS: usize = 7;
/// Says that what follows was written by a model.
pub(crate) const AI_DISCLOSURE: HeaderName = HeaderName::from_static("ai-disclosure");

/// The client's own id for the request, where it is a sane token.
#[must_use]
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    let sent = headers
        .get(&REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    let is_sane = |id: &&str| {
        (8..=128).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    sent.filter(is_sane).map(str::to_owned)
}

/// Puts on what every response of the data plane carries.
pub(crate) fn stamp(headers: &mut HeaderMap, event: &Event, coverage: Coverage, dialect: Dialect) {
    set(headers, REQUEST_ID, &event.request_id);
    if dialect == Dialect::AnthropicMessages {
        set(headers, ANTHROPIC_REQUEST_ID, &event.request_id);
    }
    set(headers, DECISION, &event.id);
    headers.insert(ACTION, HeaderValue::from_static(event.enforced.name()));
    set(headers, POLICY, &event.policy);
    match coverage {
        Coverage::Full => drop(headers.insert(COVERAGE, HeaderValue::from_static("full"))),
        other => set(headers, COVERAGE, &other.to_string()),
    }
    set(headers, SERVER_TIMING, &timing(event));
    if event.enforced == Action::Block {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
}

fn timing(event: &Event) -> String {
    let upstream = event.timings.upstream_us;
    let guard = crate::record::micros(event.opened().elapsed()).saturating_sub(upstream);
    let mut timing = String::with_capacity(64);
    timing.push_str("guard;dur=");
    push_millis(&mut timing, guard);
    timing.push_str(", upstream;dur=");
    push_millis(&mut timing, upstream);
    timing
}

/// Microseconds as milliseconds with three digits after the point.
fn push_millis(timing: &mut String, us: u64) {
    let _ = write!(timing, "{}.", us / 1000);
    let rest = us % 1000;
    let digits = [rest / 100, rest / 10 % 10, rest % 10];
    timing.extend(digits.map(|digit| char::from(b'0' + digit as u8)));
}

/// Ids and digests are plain ASCII; anything else is left out.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds_with_three_digits() {
        let shown = |us| {
            let mut shown = String::new();
            push_millis(&mut shown, us);
            shown
        };
        assert_eq!([0, 7, 42_050].map(shown), ["0.000", "0.007", "42.050"]);
    }

    #[test]
    fn only_a_sane_request_id_is_taken_over() {
        let id = |sent: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(sent));
            request_id(&headers)
        };
        assert_eq!(id("abc-12345").as_deref(), Some("abc-12345"));
        assert_eq!(id("short"), None);
        assert_eq!(id("with space and <script>"), None);
    }
}
