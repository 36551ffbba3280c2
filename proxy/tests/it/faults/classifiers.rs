//! Classifiers that fail, in every way, under every rule, on every side of an exchange.

use super::{
    ANSWER, Book, DIALECTS, Want, assert_broken, assert_error, body, counted, decision, ordinary,
    path,
};
use crate::client::Reply;
use crate::setup::{Setup, start_with};
use crate::upstream::{events, whole};
use portcullis_config::FailureRule;
use serde_json::json;
use std::time::Duration;

/// A word on which the classifier fails, what that is called, and how the coverage says it.
struct Failing {
    word: &'static str,
    failure: &'static str,
    none: &'static str,
    partial: &'static str,
    is_shed: bool,
}

const fn failing(word: &'static str, [failure, none, partial]: [&'static str; 3]) -> Failing {
    Failing {
        word,
        failure,
        none,
        partial,
        is_shed: matches!(failure.as_bytes(), b"queue_full" | b"late"),
    }
}

const DIED: [&str; 3] = ["died", "none;reason=died", "partial;reason=died"];

const FAILURES: [Failing; 7] = [
    failing("explode", DIED),
    failing("crash", DIED),
    failing("omit", DIED),
    failing(
        "silence",
        [
            "timed_out",
            "none;reason=timed_out",
            "partial;reason=timed_out",
        ],
    ),
    failing(
        "garbage",
        [
            "non_finite",
            "none;reason=non_finite",
            "partial;reason=non_finite",
        ],
    ),
    failing(
        "no room",
        [
            "queue_full",
            "none;reason=queue_full",
            "partial;reason=queue_full",
        ],
    ),
    failing(
        "too late",
        ["late", "none;reason=late", "partial;reason=late"],
    ),
];

/// Where the text stands on which the classifier fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Prompt,
    PromptOfStream,
    Completion,
    Stream,
}

const PLACES: [Place; 4] = [
    Place::Prompt,
    Place::PromptOfStream,
    Place::Completion,
    Place::Stream,
];

impl Place {
    const fn is_prompt(self) -> bool {
        matches!(self, Self::Prompt | Self::PromptOfStream)
    }

    const fn streams(self) -> bool {
        matches!(self, Self::PromptOfStream | Self::Stream)
    }

    /// What the model says.
    fn said(self, text: &str) -> &str {
        if self.is_prompt() { ANSWER } else { text }
    }

    /// One exchange with this text there.
    async fn ask(self, setup: &Setup, anthropic: bool, text: &str) -> Reply {
        let asked = if self.is_prompt() { text } else { "hello" };
        let body = body("m", self.streams(), asked).to_string();
        let say = [("x-say", self.said(text))];
        setup.post_raw(path(anthropic), body.as_bytes(), &say).await
    }
}

async fn setup_with(rule: FailureRule) -> Setup {
    start_with(|config| {
        config.policy.on_failure.linear = rule;
        config.timeouts.screen = Duration::from_millis(100);
    })
    .await
}

/// The metrics have counted the failures of one exchange, and nothing else has changed its meaning.
fn assert_counted(
    before: &str,
    after: &str,
    failing: &Failing,
    n_expected: impl Fn(usize) -> bool,
) {
    let failure = failing.failure;
    let counter =
        format!("portcullis_classifier_failures_total{{model=\"linear\",result=\"{failure}\"}}");
    let grown = counted(after, &counter) - counted(before, &counter);
    assert!(n_expected(grown), "{failure} was counted {grown} times");
    let shed = format!("portcullis_classifier_shed_total{{reason=\"{failure}\"}}");
    let shed = counted(after, &shed) - counted(before, &shed);
    assert_eq!(shed, if failing.is_shed { grown } else { 0 }, "{failure}");
    assert!(!after.contains("action=\"block\""), "a failure is no block");
}

/// The exchange fails, may be tried again, and no text leaves that was not screened.
async fn closed(rule: FailureRule) {
    let setup = setup_with(rule).await;
    let mut book = Book::default();
    for failing in &FAILURES {
        for (place, anthropic) in PLACES
            .into_iter()
            .flat_map(|it| DIALECTS.map(|of| (it, of)))
        {
            let case = format!("{} in {place:?}", failing.word);
            let text = format!("well then {} comes, and goes on for a while", failing.word);
            let (before, asked) = (setup.metrics().await, setup.upstream.requests().await.len());
            let reply = place.ask(&setup, anthropic, &text).await;
            let want = Want {
                status: match (place, anthropic) {
                    (Place::Stream, _) => 200,
                    (_, false) => 503,
                    (_, true) => 529,
                },
                error: Some("unscreened"),
                upstream_fault: false,
                coverage: if place.is_prompt() {
                    failing.none
                } else {
                    failing.partial
                },
            };
            book.note(&case, &reply, want);
            if place == Place::Stream {
                assert_broken(anthropic, &reply, &case);
            } else {
                assert_error(anthropic, &reply, &case);
                assert_eq!(reply.header("retry-after"), Some("1"), "{case}");
            }
            assert!(
                !reply.text().contains(failing.word),
                "{case}: {}",
                reply.text()
            );
            let forwarded = setup.upstream.requests().await.len() - asked;
            assert_eq!(forwarded, usize::from(!place.is_prompt()), "{case}");
            decision(&setup, reply.header("x-portcullis-decision").unwrap()).await;
            assert_counted(&before, &setup.metrics().await, failing, |grown| {
                grown == 1 || (place == Place::Stream && grown > 1)
            });
        }
        ordinary(&setup).await;
    }
    let page = setup.metrics().await;
    assert_eq!(
        counted(&page, "portcullis_stream_unscreened_bytes_total"),
        0
    );
    book.close(setup).await;
}

#[tokio::test]
async fn closed_is_a_retryable_error_and_never_a_block() {
    closed(FailureRule::Closed).await;
}

/// The linear tier is the lowest. A configuration may not say this; if it came to it, it is closed.
#[tokio::test]
async fn lower_tier_without_a_lower_tier_is_closed() {
    closed(FailureRule::LowerTier).await;
}

#[tokio::test]
async fn open_goes_on_and_says_what_was_not_screened() {
    let setup = setup_with(FailureRule::Open).await;
    let mut book = Book::default();
    for failing in &FAILURES {
        for (place, anthropic) in PLACES
            .into_iter()
            .flat_map(|it| DIALECTS.map(|of| (it, of)))
        {
            let case = format!("{} in {place:?}", failing.word);
            let text = format!("well then {} comes, and goes on for a while", failing.word);
            let before = setup.metrics().await;
            let reply = place.ask(&setup, anthropic, &text).await;
            let coverage = failing.partial;
            book.note(
                &case,
                &reply,
                Want {
                    coverage,
                    ..Want::FINE
                },
            );
            let said = place.said(&text);
            let wanted = match place.streams() {
                true => events(anthropic, said, true),
                false => whole(anthropic, said).to_string(),
            };
            assert!(
                reply.whole && reply.text() == wanted,
                "{case}: {}",
                reply.text()
            );
            let told = reply.header("x-portcullis-coverage");
            assert_eq!(
                told,
                Some(if place.streams() { "pending" } else { coverage }),
                "{case}"
            );
            let id = reply.header("x-portcullis-decision").unwrap();
            let receipt = decision(&setup, id).await;
            let surface = if place.is_prompt() {
                "user"
            } else {
                "completion"
            };
            let parts = receipt["receipt"]["parts"].as_array().unwrap();
            let gap = parts.iter().find(|part| part["surface"] == json!(surface));
            assert_eq!(
                gap.unwrap()["gap"],
                json!(failing.failure),
                "{case}: {receipt}"
            );
            let after = setup.metrics().await;
            assert_counted(&before, &after, failing, |grown| {
                grown == 1 || (place == Place::Stream && grown > 1)
            });
            let gaps = format!(
                "portcullis_coverage_total{{reason=\"{}\",result=\"partial\",surface=\"{surface}\"}}",
                failing.failure
            );
            assert_eq!(
                counted(&after, &gaps),
                counted(&before, &gaps) + 1,
                "{case}"
            );
            let unscreened = "portcullis_stream_unscreened_bytes_total";
            let leaked = counted(&after, unscreened) > counted(&before, unscreened);
            assert_eq!(leaked, place == Place::Stream, "{case}");
        }
        ordinary(&setup).await;
    }
    book.close(setup).await;
}

#[tokio::test]
async fn what_patterns_see_is_enforced_while_classifiers_fail_open() {
    let setup = setup_with(FailureRule::Open).await;
    for failing in &FAILURES {
        let text = format!("{} and open sesame", failing.word);
        for (place, anthropic) in PLACES
            .into_iter()
            .flat_map(|it| DIALECTS.map(|of| (it, of)))
        {
            let reply = place.ask(&setup, anthropic, &text).await;
            let said = reply.text();
            assert!(!said.contains("sesame"), "{text} in {place:?}: {said}");
            assert!(said.contains("Clause 2"), "{text} in {place:?}: {said}");
        }
    }
    ordinary(&setup).await;
}
