//! The stream machine, case by case.

use crate::fixture::{
    CONTENT, OTHER, TOOL, answer, by_words, compile, engine, play, play_with, rules, text_of,
    window,
};
use portcullis_config::{FailureRule, StreamMode};
use portcullis_policy::simulator::{Arrival, Outcome, Report, Step};
use portcullis_policy::stream::{
    ChannelKey, Check, CheckKind, DeltaIn, EventIn, Hold, Machine, Output, Stop, StreamConfig,
};
use portcullis_text::{Category, Label, Surface};
use serde_json::json;
use std::time::{Duration, Instant};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn by_chars(n_chars: usize, gap: Duration) -> Arrival {
    Arrival {
        cuts: vec![n_chars],
        gaps: vec![gap],
        latencies: vec![ms(5)],
        ..Arrival::default()
    }
}

fn received(report: &Report, key: ChannelKey) -> &str {
    report.received.get(&key).map_or("", String::as_str)
}

fn blocked(report: &Report) -> &Stop {
    match &report.outcome {
        Outcome::Blocked(stop) => stop,
        other => panic!("not blocked: {other:?}"),
    }
}

fn words(n: usize) -> String {
    (0..n).map(|n| format!("w{} ", n % 7)).collect()
}

/// A machine driven by hand, for what a simulation cannot say.
struct ByHand {
    machine: Machine,
    start: Instant,
}

impl ByHand {
    fn new() -> Self {
        Self {
            machine: Machine::new(engine(), StreamConfig::default()),
            start: Instant::now(),
        }
    }

    fn say(&mut self, at: u64, text: &str) {
        self.event(at, CONTENT, text, false);
    }

    fn event(&mut self, at: u64, key: ChannelKey, text: &str, complete: bool) {
        let (surface, hold) = (Surface::Completion, Hold::UntilScreened);
        let delta = DeltaIn {
            key,
            surface,
            text,
            hold,
            complete,
        };
        self.machine.event(
            self.start + ms(at),
            &EventIn {
                deltas: &[delta],
                closes: &[],
            },
        );
        self.machine.tick(self.start + ms(at));
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.machine.poll()).collect()
    }

    fn checks(&mut self) -> Vec<Check> {
        let only = |output| {
            if let Output::Check(check) = output {
                Some(check)
            } else {
                None
            }
        };
        self.outputs().into_iter().filter_map(only).collect()
    }

    fn answer(&mut self, at: u64, check: &Check) {
        let mut answer = window(check.surface, &[]);
        let result = by_words(check.text.expose()).map(|scores| {
            answer.scores = scores;
            std::slice::from_ref(&answer)
        });
        self.machine.verdict(self.start + ms(at), check.id, result);
        self.machine.tick(self.start + ms(at));
    }
}

#[test]
fn the_first_delta_is_checked_at_once_and_leaves_with_its_verdict() {
    let arrival = Arrival {
        latencies: vec![ms(7)],
        ..by_chars(3, ms(50))
    };
    let report = play(&engine(), &answer(&words(30)), &arrival);
    let first_event = ms(50); // the frame before it comes after one gap, the text after two
    assert_eq!(report.first_text, Some(2 * first_event + ms(7)));
}

#[test]
fn tails_are_checked_at_the_pace_and_one_at_a_time() {
    let mut hand = ByHand::new();
    hand.say(0, "one ");
    let first = hand.checks().remove(0);
    assert_eq!((first.kind, first.range.clone()), (CheckKind::Tail, 0..4));
    hand.answer(5, &first);
    hand.say(10, "two ");
    assert_eq!(hand.checks(), [], "the pace has not passed");
    assert_eq!(hand.machine.next_wake(), Some(hand.start + ms(100)));
    hand.machine.tick(hand.start + ms(100));
    let second = hand.checks().remove(0);
    assert_eq!((second.kind, second.range), (CheckKind::Tail, 0..8));
    hand.say(300, "three ");
    assert_eq!(hand.checks(), [], "one is outstanding");
    assert_eq!(hand.machine.next_wake(), None);
}

#[test]
fn a_fast_stream_has_one_provisional_check_half_way_to_each_grid_point() {
    let mut hand = ByHand::new();
    hand.say(0, "one ");
    let first = hand.checks().remove(0);
    hand.answer(1, &first);
    let mut kinds = Vec::new();
    for n in 1..=32 {
        hand.say(n, "word ");
        for check in hand.checks() {
            hand.answer(n, &check);
            kinds.push(check.kind);
        }
    }
    let (tail, grid) = (CheckKind::Tail, CheckKind::Grid);
    assert_eq!(kinds, [tail, grid, tail, grid, tail, grid, tail, grid]);
}

#[test]
fn a_provisional_score_holds_but_never_blocks() {
    let mut hand = ByHand::new();
    hand.say(0, "a bad");
    let tail = hand.checks().remove(0);
    hand.answer(5, &tail);
    assert_eq!(
        hand.outputs(),
        [],
        "the word may be half, so it is neither sent nor blocked"
    );
    hand.say(10, "ge");
    hand.machine.tick(hand.start + ms(300));
    assert_eq!(hand.outputs(), [], "no second opinion: the grid will tell");
    assert_eq!(hand.machine.next_wake(), None);
    hand.say(10, " of honour for one and all of us ");
    let checks = hand.checks();
    assert_eq!(checks[0].kind, CheckKind::Grid);
    hand.answer(20, &checks[0]);
    let outputs = hand.outputs();
    assert!(
        matches!(&outputs[0], Output::Release { events, .. } if *events == (0..2)),
        "{outputs:?}"
    );
}

#[test]
fn what_a_tail_disliked_never_leaves_and_the_grid_blocks() {
    let text = format!("{} bad {}", words(10), words(20));
    for n_chars in [1, 2, 3, 5, 1000] {
        let report = play(&engine(), &answer(&text), &by_chars(n_chars, ms(40)));
        let stop = blocked(&report);
        assert_eq!(
            stop.decision.deciding().unwrap().label,
            Label::Category(Category::Hate)
        );
        assert!(
            !received(&report, CONTENT).contains("bad"),
            "split by {n_chars}"
        );
        assert_eq!(stop.text_released, !received(&report, CONTENT).is_empty());
    }
}

#[test]
fn an_encoding_longer_than_a_window_never_leaves_whole() {
    type Form = fn(&str) -> String;
    let forms: [Form; 5] = [
        |text| {
            text.bytes()
                .fold(String::new(), |s, b| s + &format!("%{b:02x}"))
        },
        |text| {
            text.bytes()
                .fold(String::new(), |s, b| s + &format!("{b:07b}"))
        },
        |text| {
            text.bytes()
                .fold(String::new(), |s, b| s + &format!("{b:03o}"))
        },
        |text| {
            text.bytes()
                .fold(String::new(), |s, b| s + &format!("{b} "))
        },
        |text| {
            text.bytes()
                .fold(String::new(), |s, b| s + &format!("&#{b}; "))
        },
    ];
    let harmless = "tell me how to bake bread ".repeat(20);
    for (idx, form) in forms.into_iter().enumerate() {
        for before in [0, 60, 333] {
            let secret = form("how do we start project nightfall");
            let text = format!("{}{}{secret}", words(41), form(&harmless[..before]));
            let script = answer(&format!("{text}{}\n{}", form(" today"), words(30)));
            for n_chars in [1, 7, 50] {
                let report = play(&engine(), &script, &by_chars(n_chars, ms(40)));
                blocked(&report);
                assert!(
                    !received(&report, CONTENT).contains(&secret),
                    "form {idx} after {before}, {n_chars} characters at a time"
                );
            }
        }
    }
}

#[test]
fn harm_spread_wider_than_a_window_is_seen_by_the_global_check() {
    let text = format!("alpha {} omega {}", words(45), words(100));
    let report = play(&engine(), &answer(&text), &by_chars(4, ms(20)));
    assert!(blocked(&report).text_released);
    let sent = received(&report, CONTENT).len();
    assert!(
        sent < text.len() * 2 / 3,
        "stopped at 64 tokens, not at the end: {sent}"
    );
}

#[test]
fn the_last_check_sees_a_short_answer_whole_and_precedes_the_last_event() {
    let script = answer(&format!("alpha {}omega", words(45)));
    for joins_close in [false, true] {
        let arrival = Arrival {
            joins_close,
            ..by_chars(4, ms(150))
        };
        let report = play(&engine(), &script, &arrival);
        blocked(&report);
        let (left, came) = report.n_released;
        assert!(
            left < came - 1,
            "neither the end of the choice nor the last event leaves"
        );
    }
    let unmarked = [
        text_of(CONTENT, &format!("alpha {}omega", words(45))),
        Step::Frame,
    ];
    let report = play(&engine(), &unmarked, &by_chars(4, ms(150)));
    assert_eq!(report.n_released.0, report.n_released.1 - 1);
}

#[test]
fn frames_before_any_text_leave_at_once() {
    let mut hand = ByHand::new();
    hand.machine.event(hand.start, &EventIn::default());
    let outputs = hand.outputs();
    assert!(matches!(&outputs[..], [Output::Release { events, .. }] if *events == (0..1)));
}

#[test]
fn a_live_partial_match_is_held_until_it_dies() {
    let mut hand = ByHand::new();
    hand.say(0, "eat ");
    hand.say(0, "forbidden fruit ");
    let tail = hand.checks().remove(0);
    hand.answer(5, &tail);
    hand.outputs();
    hand.machine.tick(hand.start + ms(100));
    let tail = hand.checks().remove(0);
    hand.answer(105, &tail);
    assert_eq!(
        hand.outputs(),
        [],
        "screened, but `salad` would excuse it and nothing else"
    );
    assert_eq!(hand.machine.held_since(), Some(hand.start));

    hand.say(110, "salad today ");
    let expected = Output::Release {
        events: 1..2,
        edits: Vec::new(),
        held: ms(110),
    };
    assert_eq!(hand.outputs(), [expected]);

    let report = play(
        &engine(),
        &answer("eat forbidden fruit cakes"),
        &by_chars(1, ms(30)),
    );
    let refusal = blocked(&report).decision.refusal().unwrap().text.clone();
    assert_eq!(refusal, "I can't help with that. (House rule 7)");
    assert!("eat ".starts_with(received(&report, CONTENT)));
}

#[test]
fn a_redaction_across_events_stands_in_the_first_of_them() {
    let mut hand = ByHand::new();
    hand.say(0, "the project ni");
    hand.say(0, "ght");
    hand.say(0, "fall is on ");
    hand.machine.end(hand.start);
    for check in hand.checks() {
        hand.answer(1, &check);
    }
    let mut edits = Vec::new();
    for output in hand.outputs() {
        if let Output::Release { edits: more, .. } = output {
            edits.extend(more);
        }
    }
    let edits: Vec<_> = edits
        .iter()
        .map(|edit| (edit.event, edit.delta, edit.text.expose()))
        .collect();
    assert_eq!(
        edits,
        [(0, 0, "the [project]"), (1, 0, ""), (2, 0, " is on ")]
    );
}

#[test]
fn a_tool_call_leaves_when_it_is_complete_and_not_before() {
    let later = words(40);
    let script = [
        text_of(TOOL, "{\"city\": \"Zürich\"}"),
        Step::Complete(TOOL),
        text_of(CONTENT, &later),
        Step::Close(0),
    ];
    let report = play(&engine(), &script, &by_chars(3, ms(10)));
    assert_eq!(report.violations, Vec::<String>::new());
    assert_eq!(report.outcome, Outcome::Finished);
    // 18 characters in 6 events, then the mark; its verdict takes 5 ms more.
    assert_eq!(report.first_text, Some(ms(75)));
}

#[test]
fn text_after_the_end_of_a_channel_is_screened_like_any_other() {
    let quiet = [
        text_of(TOOL, "{}"),
        Step::Complete(TOOL),
        text_of(TOOL, "{\"more\": 1}"),
    ];
    let report = play(&engine(), &quiet, &by_chars(2, ms(10)));
    assert_eq!(report.outcome, Outcome::Finished);
    assert_eq!(report.n_unscreened, 0);
    assert_eq!(received(&report, TOOL), "{}{\"more\": 1}");

    let loud = [
        text_of(TOOL, "{}"),
        Step::Complete(TOOL),
        text_of(TOOL, "{\"bad\": 1}"),
    ];
    let report = play(&engine(), &loud, &by_chars(2, ms(10)));
    blocked(&report);
    assert_eq!(received(&report, TOOL), "{}");
}

#[test]
fn order_holds_across_choices() {
    let script = [
        text_of(TOOL, "{\"a\": 1"),
        text_of(OTHER, "hello there"),
        Step::Frame,
    ];
    let report = play(&engine(), &script, &by_chars(50, ms(200)));
    assert_eq!(report.outcome, Outcome::Finished);
    assert_eq!(
        report.first_text,
        Some(ms(605)),
        "the open tool call stands before the other choice"
    );
}

#[test]
fn choices_that_end_together_count_in_the_order_of_their_ends() {
    let script = [
        text_of(OTHER, &format!("{}bad", words(8))),
        text_of(CONTENT, words(8).trim_end()),
        Step::Close(1),
        Step::Close(0),
    ];
    for gap in [ms(0), ms(50)] {
        let report = play(&engine(), &script, &by_chars(100, gap));
        blocked(&report);
        assert_eq!(
            report.stats.n_windows, 2,
            "the grid and the end of one choice, not the other"
        );
    }
}

#[test]
fn a_disclaimer_comes_once_for_its_choice_before_the_event_that_ends_it() {
    let script = [
        text_of(CONTENT, &format!("take a pill {} and a pill ", words(20))),
        text_of(OTHER, "just rest "),
        Step::Close(0),
        Step::Close(1),
        Step::Frame,
    ];
    let report = play(&engine(), &script, &Arrival::default());
    assert_eq!(report.outcome, Outcome::Finished);
    assert_eq!(
        report.disclaimers,
        [(2, 0, vec!["Ask a doctor.".to_owned()])]
    );
    assert_eq!(report.decision.disclaimers, ["Ask a doctor."]);

    let unmarked = [
        Step::Frame,
        text_of(CONTENT, "take a pill"),
        Step::Frame,
        Step::Frame,
    ];
    let report = play(&engine(), &unmarked, &Arrival::default());
    assert_eq!(report.disclaimers.len(), 1);
    assert_eq!(
        report.disclaimers[0].0, 2,
        "behind the last text, before the last events"
    );
}

#[test]
fn a_redirect_says_whether_text_has_left() {
    let early = play(&engine(), &answer("so sad"), &Arrival::default());
    let Outcome::Redirected(stop) = &early.outcome else {
        panic!("{:?}", early.outcome)
    };
    assert!(!stop.text_released);
    let late = format!("{} so sad {}", words(20), words(10));
    let late = play(&engine(), &answer(&late), &by_chars(5, ms(100)));
    let Outcome::Redirected(stop) = &late.outcome else {
        panic!("{:?}", late.outcome)
    };
    assert!(stop.text_released);
}

#[test]
fn evidence_counts_in_the_order_of_the_text_and_bad_news_stops_the_flow_at_once() {
    let mut hand = ByHand::new();
    hand.say(0, &format!("one bad {}", words(6)));
    hand.say(0, &format!("worse {}", words(60)));
    let grid: Vec<Check> = hand
        .checks()
        .into_iter()
        .filter(|check| check.kind == CheckKind::Grid)
        .collect();
    hand.answer(5, &grid[1]);
    assert_eq!(
        hand.outputs(),
        [],
        "later and worse, but what came first is not known yet"
    );
    hand.answer(6, &grid[0]);
    let outputs = hand.outputs();
    let [Output::Block(stop)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!(
        stop.decision.deciding().unwrap().label,
        Label::Category(Category::Hate)
    );

    hand.answer(7, &grid[2]);
    hand.say(8, "more ");
    hand.machine.end(hand.start + ms(9));
    assert_eq!(hand.outputs(), [], "blocked stays blocked");
    assert_eq!(hand.machine.next_wake(), None);
}

#[test]
fn a_verdict_without_windows_is_a_failure_and_a_failed_tail_decides_nothing() {
    let mut hand = ByHand::new();
    hand.say(0, "hello ");
    let tail = hand.checks().remove(0);
    hand.machine
        .verdict(hand.start, tail.id, Err(FailureRule::Closed));
    assert_eq!(hand.outputs(), [], "the grid or the end will tell");
    hand.machine.end(hand.start);
    let end = hand.checks().remove(0);
    assert_eq!(end.kind, CheckKind::End);
    hand.machine.verdict(hand.start, end.id, Ok(&[]));
    assert_eq!(hand.outputs(), [Output::Fault(end.id)]);
}

#[test]
fn nothing_leaves_after_bad_news_even_what_was_screened() {
    let mut hand = ByHand::new();
    hand.say(0, "one two ");
    let tail = hand.checks().remove(0);
    hand.say(0, &format!("{} bad {}", words(8), words(12)));
    let checks = hand.checks();
    let grid: Vec<&Check> = checks
        .iter()
        .filter(|check| check.kind == CheckKind::Grid)
        .collect();
    hand.answer(1, grid[1]);
    hand.answer(2, &tail);
    assert_eq!(
        hand.outputs(),
        [],
        "the first event is screened, but the stream is lost"
    );
    hand.answer(3, grid[0]);
    assert!(matches!(&hand.outputs()[..], [Output::Block(stop)] if !stop.text_released));
}

#[test]
fn a_pattern_that_may_still_match_before_it_counts_before_a_window() {
    let mut hand = ByHand::new();
    hand.say(0, "a a a a bad forbidden fruit ");
    let window = hand.checks().remove(0);
    assert_eq!(window.kind, CheckKind::Grid);
    hand.answer(1, &window);
    assert_eq!(hand.outputs(), [], "salad may follow");
    hand.say(2, "pie now ");
    let outputs = hand.outputs();
    let [Output::Block(stop)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert!(matches!(
        stop.decision.deciding().unwrap().label,
        Label::Pattern(_)
    ));
    assert_eq!(stop.decision.rows.len(), 1);
}

#[test]
fn a_match_reported_late_counts_where_it_ends() {
    let mut rules = rules();
    rules["patterns"] = json!([{
        "id": "stop", "deny": ["stop!"], "allow": ["stop!!!"], "then": "block",
    }]);
    let engine = compile(rules);
    let script = answer("a a a a a a bad stop! go on now");
    let whole = play(&engine, &script, &Arrival::default());
    assert!(matches!(
        blocked(&whole).decision.deciding().unwrap().label,
        Label::Pattern(_)
    ));
    for n_chars in 1..30 {
        let split = play(&engine, &script, &by_chars(n_chars, ms(50)));
        assert_eq!(split.decision, whole.decision, "split by {n_chars}");
    }
}

#[test]
fn an_event_that_ends_a_channel_waits_for_its_last_check() {
    let mut hand = ByHand::new();
    hand.event(0, CONTENT, &format!("{} bad", words(3)), true);
    let last = hand.checks().remove(0);
    assert_eq!(last.kind, CheckKind::End);
    hand.event(0, OTHER, "hello ", false);
    hand.event(0, OTHER, "", true);
    hand.event(0, OTHER, "again ", false);
    for check in hand.checks() {
        hand.answer(1, &check);
    }
    assert_eq!(hand.outputs(), []);

    let mut hand = ByHand::new();
    hand.say(0, "hello ");
    let tail = hand.checks().remove(0);
    hand.answer(1, &tail);
    assert!(matches!(&hand.outputs()[..], [Output::Release { .. }]));
    hand.event(2, CONTENT, "", true);
    let last = hand.checks().remove(0);
    hand.event(3, OTHER, "more ", false);
    let other = hand.checks().remove(0);
    hand.answer(4, &other);
    assert_eq!(hand.outputs(), [], "the mark stands before the other text");
    hand.answer(5, &last);
    assert!(matches!(&hand.outputs()[..], [Output::Release { events, .. }] if *events == (1..3)));
}

/// Tokens checked for each token of the answer.
fn cost(n_tokens: usize, arrival: &Arrival) -> f64 {
    let report = play(&engine(), &answer(&words(n_tokens)), arrival);
    assert_eq!(report.outcome, Outcome::Finished);
    report.n_tokens.1 as f64 / report.n_tokens.0 as f64
}

#[test]
fn the_cost_is_linear_in_the_length() {
    let at_60_per_second = by_chars(3, ms(16));
    let all_at_once = Arrival::default();
    let slow_and_in_crumbs = by_chars(1, ms(101));
    for n_tokens in [512, 4096] {
        assert!(cost(n_tokens, &at_60_per_second) <= 12.0);
        assert!(cost(n_tokens, &all_at_once) <= 6.0);
    }
    // A slow answer is worth a check for every crumb, but never more than a stride of them between
    // two grid points.
    assert!(cost(512, &slow_and_in_crumbs) <= 40.0);
}

#[test]
fn a_buffered_stream_leaves_whole_after_its_last_check() {
    let config = StreamConfig {
        mode: StreamMode::Buffer,
        ..StreamConfig::default()
    };
    let report = play_with(&engine(), config, &answer(&words(30)), &by_chars(4, ms(10)));
    assert_eq!(report.outcome, Outcome::Finished);
    assert_eq!(report.stats.n_checks[CheckKind::Tail as usize], 0);
    let all_came = ms(10) * u32::try_from(report.n_released.1).unwrap();
    assert_eq!(report.first_text, Some(all_came));
}
