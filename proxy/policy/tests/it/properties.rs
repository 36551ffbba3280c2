//! The promises of the stream machine, for any text, split, delivery and order of verdicts.

use crate::fixture::{
    CONTENT, OTHER, REASONING, TOOL, answer, engine, observing, play, play_with, text_of,
};
use portcullis_config::StreamMode;
use portcullis_policy::simulator::{Arrival, Outcome, Report, Step};
use portcullis_policy::stream::{ChannelKey, StreamConfig};
use portcullis_policy::{Engine, Evidence, Match};
use portcullis_text::{PartId, Surface, View};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(engine);

const QUIET: [&str; 14] = [
    "ok",
    "fine",
    "badge",
    "worsen",
    "secretary",
    "project",
    "night",
    "nights",
    "forbidden",
    "naïve",
    "日本語",
    "forbidden fruit salad",
    "x",
    "word, and\nmore.",
];
const LOUD: [&str; 12] = [
    "bad",
    "worse",
    "sad",
    "meh",
    "pill",
    "alpha",
    "omega",
    "forbidden fruit",
    "project nightfall",
    "nightfall plan",
    "project nightfall plan",
    "PROJECT  nightfall",
];

const REDACTING: [&str; 2] = ["codename", "plan"];

fn words(n_loud: u32) -> impl Strategy<Value = String> {
    let word = prop_oneof![
        (100 - n_loud) => prop::sample::select(&QUIET[..]),
        n_loud => prop::sample::select(&LOUD[..]),
    ];
    prop::collection::vec(word, 1..40).prop_map(|words| words.join(" ") + " ")
}

/// Runs of text of four channels in any order, each ended in its way.
fn script(n_loud: u32) -> impl Strategy<Value = Vec<Step>> {
    let channel = prop::sample::select(&[CONTENT, CONTENT, REASONING, TOOL, OTHER][..]);
    let runs = prop::collection::vec((channel, words(n_loud)), 0..6);
    (runs, any::<bool>(), any::<bool>()).prop_map(|(runs, closes, completes)| {
        let last_tool = runs.iter().rposition(|(key, _)| *key == TOOL);
        let mut steps = vec![Step::Frame];
        for (idx, (key, text)) in runs.iter().enumerate() {
            steps.push(text_of(*key, text));
            if completes && last_tool == Some(idx) {
                steps.push(Step::Complete(TOOL));
            }
        }
        if closes {
            steps.extend([Step::Close(1), Step::Close(0)]);
        }
        steps.push(Step::Frame);
        steps
    })
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let millis = |most: u64| {
        let times = (0..most).prop_map(Duration::from_millis);
        prop::collection::vec(times, 0..6)
    };
    let cuts = prop::collection::vec(1usize..30, 0..6);
    let per_event = prop::collection::vec(1usize..4, 0..4);
    (cuts, per_event, millis(200), millis(400), any::<bool>()).prop_map(
        |(cuts, per_event, gaps, latencies, joins_close)| Arrival {
            cuts,
            per_event,
            gaps,
            latencies,
            joins_close,
        },
    )
}

/// The text of each channel as it should be received where the stream passes.
fn expected(engine: &Engine, script: &[Step]) -> BTreeMap<ChannelKey, String> {
    let mut sent: BTreeMap<ChannelKey, (Surface, String)> = BTreeMap::new();
    for step in script {
        if let Step::Text {
            key, surface, text, ..
        } = step
        {
            sent.entry(*key)
                .or_insert((*surface, String::new()))
                .1
                .push_str(text);
        }
    }
    let redact = |(key, (surface, text)): (ChannelKey, (Surface, String))| {
        let mut matches = engine.find_patterns(PartId(0), surface, &text);
        // What stands in disguise is blocked in a stream.
        let is_plain = |found: &Match| matches!(found.view, View::Raw | View::Folded);
        matches.retain(|found| {
            is_plain(found) && REDACTING.contains(&engine.pattern_name(found.id).unwrap())
        });
        let decision = engine.decide(&Evidence {
            windows: &[],
            matches: &matches,
        });
        let mut redacted = text;
        for redaction in decision.redactions.iter().rev() {
            redacted.replace_range(redaction.span.range.clone(), &redaction.replacement);
        }
        (key, redacted)
    };
    sent.into_iter().map(redact).collect()
}

/// What must hold whatever came out.
fn keeps_its_promises(engine: &Engine, script: &[Step], report: &Report) {
    assert_eq!(report.violations, Vec::<String>::new());
    assert_eq!(report.n_unscreened, 0, "bytes left unscreened");
    assert_eq!(report.stats.bytes_unscreened, 0);
    assert_ne!(report.outcome, Outcome::Stuck);
    let expected = expected(engine, script);
    if report.outcome == Outcome::Finished {
        assert_eq!(
            report.n_released.0, report.n_released.1,
            "every event leaves"
        );
        assert_eq!(report.received, expected);
    }
    for (key, text) in &report.received {
        assert!(
            expected[key].starts_with(text.as_str()),
            "{text:?} is no part of the answer"
        );
    }
}

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Finished => "finished",
        Outcome::Blocked(_) => "blocked",
        Outcome::Redirected(_) => "redirected",
        Outcome::Fault => "fault",
        Outcome::Stuck => "stuck",
    }
}

fn check_split(script: &[Step], arrivals: &[Arrival]) {
    let whole = play(&ENGINE, script, &Arrival::default());
    keeps_its_promises(&ENGINE, script, &whole);
    for arrival in arrivals {
        let split = play(&ENGINE, script, arrival);
        keeps_its_promises(&ENGINE, script, &split);
        assert_eq!(kind(&split.outcome), kind(&whole.outcome));
        assert_eq!(split.decision, whole.decision, "the same rows decide");
        assert_eq!(split.stats.max_scores, whole.stats.max_scores);
        let texts = |report: &Report| {
            let given = report
                .disclaimers
                .iter()
                .map(|(_, choice, texts)| (*choice, texts.clone()));
            given.collect::<Vec<_>>()
        };
        if whole.outcome == Outcome::Finished {
            assert_eq!(texts(&split), texts(&whole), "the same disclaimers");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_split_and_order_of_verdicts_gives_the_same_verdict(
        script in script(4),
        arrivals in prop::collection::vec(arrival(), 2),
    ) {
        check_split(&script, &arrivals);
    }

    #[test]
    fn streams_full_of_findings_keep_every_promise(
        script in script(30),
        arrivals in prop::collection::vec(arrival(), 2),
    ) {
        check_split(&script, &arrivals);
    }

    #[test]
    fn a_quiet_stream_leaves_as_it_came(script in script(0), arrival in arrival()) {
        let report = play(&ENGINE, &script, &arrival);
        keeps_its_promises(&ENGINE, &script, &report);
        prop_assert_eq!(&report.outcome, &Outcome::Finished);
        prop_assert_eq!(report.n_edits, 0);
        prop_assert!(report.disclaimers.is_empty());
    }

    #[test]
    fn buffering_gives_the_same_verdict_and_lets_nothing_out_before_the_end(
        script in script(4),
        arrival in arrival(),
    ) {
        let config = StreamConfig { mode: StreamMode::Buffer, ..StreamConfig::default() };
        let buffered = play_with(&ENGINE, config, &script, &arrival);
        keeps_its_promises(&ENGINE, &script, &buffered);
        let balanced = play(&ENGINE, &script, &arrival);
        prop_assert_eq!(kind(&buffered.outcome), kind(&balanced.outcome));
        prop_assert_eq!(&buffered.decision, &balanced.decision);
        if buffered.outcome != Outcome::Finished {
            prop_assert_eq!(buffered.n_released.0, 0);
        }
    }

    #[test]
    fn observing_changes_and_holds_nothing_and_sees_the_same(
        script in script(10),
        arrival in arrival(),
    ) {
        let report = play(&observing(), &script, &arrival);
        prop_assert_eq!(&report.violations, &Vec::<String>::new());
        prop_assert_eq!(&report.outcome, &Outcome::Finished);
        prop_assert_eq!(report.n_edits, 0);
        prop_assert!(report.disclaimers.is_empty());
        prop_assert_eq!(report.stats.bytes_observed as usize, report.n_unscreened);
        let enforced = play(&ENGINE, &script, &arrival);
        if enforced.outcome == Outcome::Finished {
            prop_assert_eq!(report.decision.action, enforced.decision.action);
            prop_assert_eq!(report.decision.rows, enforced.decision.rows);
        } else {
            prop_assert!(enforced.decision.action <= report.decision.action);
        }
    }

    #[test]
    fn failures_let_pass_are_counted_and_never_called_screened(
        before in words(0),
        after in words(0),
        arrival in arrival(),
    ) {
        let text = format!("{before} flaky {after}");
        let report = play(&ENGINE, &answer(&text), &arrival);
        prop_assert_eq!(&report.violations, &Vec::<String>::new());
        prop_assert_eq!(&report.outcome, &Outcome::Finished);
        prop_assert!(0 < report.stats.n_failed_open);
        prop_assert_eq!(report.stats.bytes_unscreened as usize, report.n_unscreened);
        // Its first letters may have left in a window of their own, never the last one.
        prop_assert!(0 < report.n_unscreened);
    }

    #[test]
    fn a_classifier_that_fails_closed_ends_every_stream(
        before in words(0),
        after in words(0),
        arrival in arrival(),
    ) {
        let report = play(&ENGINE, &answer(&format!("{before} broken {after}")), &arrival);
        prop_assert_eq!(&report.outcome, &Outcome::Fault);
        prop_assert_eq!(report.n_unscreened, 0);
        let received = report.received.get(&CONTENT).cloned().unwrap_or_default();
        prop_assert!(!received.contains("broken"));
    }
}
