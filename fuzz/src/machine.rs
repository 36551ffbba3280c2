//! The machine that holds back a stream, played by its simulator: whatever is said and however it
//! comes, the verdict is the same and its promises hold.
//!
//! The input is read choice by choice: the mode, runs of words on four channels, arrivals.

use crate::cuts::Script;
use portcullis_config::{FailureRule, Policy, StreamMode};
use portcullis_policy::simulator::{Arrival, Outcome, Report, Simulation, Step};
use portcullis_policy::stream::{ChannelKey, Hold, StreamConfig};
use portcullis_policy::{Engine, Evidence, Match};
use portcullis_text::{Category, PartId, Scores, Surface, View};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// Words, quiet and loud, pieces of what the patterns look for, and that in disguise.
const WORDS: [&str; 28] = [
    "ok",
    "x",
    "badge",
    "worsen",
    "project",
    "cHJvamVjdCBuaWdodGZhbGw=",
    "forbidden",
    "f o r b i d d e n  f r u i t",
    "日本語",
    "word, and\nmore.",
    "bad",
    "worse",
    "sad",
    "meh",
    "pill",
    "alpha",
    "omega",
    "forbidden fruit",
    "salad",
    "nightfall",
    "project nightfall",
    "plan",
    "e\u{301}",
    "\u{200b}",
    "ｆruit",
    "flaky",
    "broken",
    "\u{11ab}",
];

/// Patterns whose text is replaced.
const REDACTING: [&str; 2] = ["codename", "plan"];

const RULES: &str = r#"
name: fuzz
categories:
  hate: {completion: {annotate: 0.99, block: 0.999}}
  violence: {completion: {block: 0.999}}
  cyber: {completion: {block: 0.999}}
  self_harm: {completion: {redirect: 0.99}, redirect_text: You are not alone.}
  advice_medical: {completion: {disclaim: 0.99}, disclaimer: Ask a doctor.}
patterns:
  - {id: fruit, deny: [forbidden fruit], allow: [forbidden fruit salad], then: block}
  - {id: codename, deny: [project nightfall], then: redact, replacement: "[project]"}
  - {id: plan, deny: [nightfall plan], then: redact, replacement: "[plan]"}
"#;

static ENFORCING: LazyLock<Arc<Engine>> = LazyLock::new(|| engine(RULES));
static OBSERVING: LazyLock<Arc<Engine>> =
    LazyLock::new(|| engine(&format!("mode: observe{RULES}")));
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn engine(rules: &str) -> Arc<Engine> {
    let policy: Policy = portcullis_config::parse_policy(rules, "fuzz.yaml").expect("a policy");
    Arc::new(Engine::compile(&policy).expect("it compiles"))
}

/// The engine of a mode.
#[must_use]
pub fn engine_for(observes: bool) -> Arc<Engine> {
    Arc::clone(if observes { &OBSERVING } else { &ENFORCING })
}

/// Runs the oracle.
///
/// # Panics
/// When a promise is broken.
pub fn check(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let observes = script.below(8) == 7;
    let mode = if script.below(4) == 3 {
        StreamMode::Buffer
    } else {
        StreamMode::Balanced
    };
    let config = StreamConfig {
        mode,
        stride: 1 + script.below(12),
        overlap: script.below(32),
        ..StreamConfig::default()
    };
    let arrivals = [arrival(&mut script), arrival(&mut script)];
    let steps = steps(&mut script);
    let engine = engine_for(observes);
    let play = |arrival: &Arrival| play(&engine, config, &steps, arrival);
    let whole = play(&Arrival::default());
    check_report(&engine, &steps, &whole);
    for arrival in &arrivals {
        let split = play(arrival);
        check_report(&engine, &steps, &split);
        check_same(&split, &whole, goes_on_after_close(&steps));
    }
}

fn play(engine: &Arc<Engine>, config: StreamConfig, steps: &[Step], arrival: &Arrival) -> Report {
    Simulation {
        engine: Arc::clone(engine),
        config,
        script: steps,
        arrival,
        classify: &by_words,
        start: *START,
    }
    .run()
}

fn arrival(script: &mut Script<'_>) -> Arrival {
    let millis = |list: Vec<usize>| {
        list.into_iter()
            .map(|n| Duration::from_millis(n as u64))
            .collect()
    };
    Arrival {
        cuts: script.list(5, 30),
        per_event: script.list(3, 4),
        gaps: millis(script.list(5, 200)),
        latencies: millis(script.list(5, 250)),
        joins_close: script.below(2) == 1,
    }
}

/// Runs of text of some channels; a channel may end and begin again.
fn steps(script: &mut Script<'_>) -> Vec<Step> {
    let mut steps = vec![Step::Frame];
    while !script.is_over() && steps.len() < 64 {
        let key = ChannelKey {
            choice: script.below(2) as u32,
            channel: script.below(3) as u32,
        };
        match script.below(8) {
            0 => steps.push(Step::Frame),
            1 => steps.push(Step::Complete(key)),
            2 => steps.push(Step::Close(key.choice)),
            _ => steps.push(run_of(key, script)),
        }
    }
    steps.push(Step::Frame);
    steps
}

fn run_of(key: ChannelKey, script: &mut Script<'_>) -> Step {
    let (surface, hold) = match key.channel {
        1 => (Surface::Reasoning, Hold::UntilScreened),
        2 => (Surface::ToolCall, Hold::UntilComplete),
        _ => (Surface::Completion, Hold::UntilScreened),
    };
    let mut text = String::new();
    for _ in 0..=script.below(24) {
        text.push_str(script.pick(&WORDS));
        if script.below(4) != 0 {
            text.push(' ');
        }
    }
    Step::Text {
        key,
        surface,
        hold,
        text,
    }
}

/// Plays the classifier: goes by whole words, so that the beginning of one can look bad.
///
/// # Errors
/// Two of the words make it fail, one open and one closed.
pub fn by_words(text: &str) -> Result<Scores, FailureRule> {
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    let has = |word: &str| words.contains(&word);
    if has("broken") {
        return Err(FailureRule::Closed);
    }
    if has("flaky") {
        return Err(FailureRule::Open);
    }
    let mut scores = [0.1; Category::COUNT];
    let rows = [
        (has("meh"), Category::Hate, 0.995),
        (has("bad"), Category::Hate, 0.9992),
        (has("worse"), Category::Violence, 0.9999),
        (has("sad"), Category::SelfHarm, 0.995),
        (has("pill"), Category::AdviceMedical, 0.995),
        (has("alpha") && has("omega"), Category::Cyber, 0.9999),
    ];
    for (_, category, score) in rows.into_iter().filter(|(seen, ..)| *seen) {
        scores[category.index()] = score;
    }
    Ok(Scores::new(scores).expect("scores within bounds"))
}

/// What must hold whatever came out.
fn check_report(engine: &Engine, steps: &[Step], report: &Report) {
    assert_eq!(report.violations, Vec::<String>::new());
    assert_ne!(
        report.outcome,
        Outcome::Stuck,
        "nothing left to happen, and no end"
    );
    let enforces = engine.mode() == portcullis_config::Mode::Enforce;
    if enforces {
        // A rule `open` lets bytes pass that nobody saw; they are counted, never hidden.
        assert_eq!(report.stats.bytes_unscreened as usize, report.n_unscreened);
        assert!(
            report.n_unscreened == 0 || 0 < report.stats.n_failed_open,
            "bytes left unscreened"
        );
    } else {
        assert_eq!(
            report.outcome,
            Outcome::Finished,
            "observing stopped a stream"
        );
        assert!(
            report.n_edits == 0 && report.disclaimers.is_empty(),
            "observing changed a stream"
        );
    }
    if report.outcome == Outcome::Finished {
        assert_eq!(
            report.n_released.0, report.n_released.1,
            "an event stayed behind"
        );
    }
    let expected = expected(engine, steps, enforces);
    for (key, expected) in &expected {
        let received = report.received.get(key).map_or("", String::as_str);
        assert!(
            expected.starts_with(received),
            "{received:?} is no part of {expected:?}"
        );
        let is_whole = report.outcome != Outcome::Finished || received == expected;
        assert!(is_whole, "{received:?} is not all of {expected:?}");
    }
}

/// The text of each channel as it is received where the stream passes; a channel that ended and
/// began again is redacted piece by piece.
fn expected(engine: &Engine, steps: &[Step], enforces: bool) -> BTreeMap<ChannelKey, String> {
    let mut done: BTreeMap<ChannelKey, String> = BTreeMap::new();
    let mut open: BTreeMap<ChannelKey, (Surface, String)> = BTreeMap::new();
    let mut end = |key: ChannelKey, open: &mut BTreeMap<ChannelKey, (Surface, String)>| {
        if let Some((surface, text)) = open.remove(&key) {
            let text = if enforces {
                redacted(engine, surface, text)
            } else {
                text
            };
            done.entry(key).or_default().push_str(&text);
        }
    };
    for step in steps {
        match step {
            Step::Text {
                key, surface, text, ..
            } => {
                open.entry(*key)
                    .or_insert((*surface, String::new()))
                    .1
                    .push_str(text);
            }
            Step::Complete(key) => end(*key, &mut open),
            Step::Close(choice) => {
                let keys: Vec<_> = open
                    .keys()
                    .copied()
                    .filter(|key| key.choice == *choice)
                    .collect();
                keys.into_iter().for_each(|key| end(key, &mut open));
            }
            Step::Frame => {}
        }
    }
    let keys: Vec<_> = open.keys().copied().collect();
    keys.into_iter().for_each(|key| end(key, &mut open));
    done
}

fn redacted(engine: &Engine, surface: Surface, mut text: String) -> String {
    let mut matches = engine.find_patterns(PartId(0), surface, &text);
    let redacts = |name: Option<&str>| name.is_some_and(|name| REDACTING.contains(&name));
    // What stands in disguise is blocked in a stream, never replaced.
    let is_plain = |found: &Match| matches!(found.view, View::Raw | View::Folded);
    matches.retain(|found| is_plain(found) && redacts(engine.pattern_name(found.id)));
    let decision = engine.decide(&Evidence {
        windows: &[],
        matches: &matches,
    });
    for redaction in decision.redactions.iter().rev() {
        text.replace_range(redaction.span.range.clone(), &redaction.replacement);
    }
    text
}

/// Whether a choice gets text after the event that ended it. Then a disclaimer may be given once
/// for each of its ends, and how often depends on the time of the verdicts.
fn goes_on_after_close(steps: &[Step]) -> bool {
    let mut closed = BTreeSet::new();
    steps.iter().any(|step| match step {
        Step::Close(choice) => {
            closed.insert(*choice);
            false
        }
        Step::Text { key, .. } => closed.contains(&key.choice),
        Step::Complete(_) | Step::Frame => false,
    })
}

/// The verdict does not depend on how the stream came.
fn check_same(split: &Report, whole: &Report, repeats: bool) {
    let kind = |report: &Report| std::mem::discriminant(&report.outcome);
    assert_eq!(kind(split), kind(whole), "another outcome");
    assert_eq!(split.decision, whole.decision, "other rows decide");
    assert_eq!(split.stats.max_scores, whole.stats.max_scores);
    if whole.outcome != Outcome::Finished {
        return;
    }
    let texts = |report: &Report| -> Vec<(u32, Vec<String>)> {
        let given = report.disclaimers.iter();
        let mut texts: Vec<_> = given
            .map(|(_, choice, texts)| (*choice, texts.clone()))
            .collect();
        if repeats {
            texts.sort_unstable();
            texts.dedup();
        }
        texts
    };
    assert_eq!(texts(split), texts(whole), "other disclaimers");
}
