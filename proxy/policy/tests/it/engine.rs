//! Decisions about evidence that is all there.

use crate::fixture::{compile, engine, observing, rules, scores, window};
use portcullis_config::{Action, Mode, Policy};
use portcullis_policy::{CompileError, Decision, Engine, Evidence, Terminal};
use portcullis_text::{Category, Label, PartId, Surface, Window};
use proptest::prelude::*;
use serde_json::json;
use std::error::Error;

fn decide(windows: &[Window], texts: &[(Surface, &str)]) -> Decision {
    decide_by(&engine(), windows, texts)
}

fn decide_by(engine: &Engine, windows: &[Window], texts: &[(Surface, &str)]) -> Decision {
    let texts = (0..).map(PartId).zip(texts);
    let matches: Vec<_> = texts
        .flat_map(|(part, (surface, text))| engine.find_patterns(part, *surface, text))
        .collect();
    engine.decide(&Evidence {
        windows,
        matches: &matches,
    })
}

fn check_score(surface: Surface, category: Category, score: f32, expected: Action) {
    let decision = decide(&[window(surface, &[(category, score)])], &[]);
    assert_eq!(
        decision.action,
        expected,
        "{category} at {score} on {}",
        surface.name()
    );
}

#[test]
fn a_score_earns_the_strongest_action_whose_threshold_it_reaches() {
    check_score(Surface::User, Category::Hate, 0.989, Action::Allow);
    check_score(Surface::User, Category::Hate, 0.99, Action::Annotate);
    check_score(Surface::User, Category::Hate, 0.999, Action::Block);
    check_score(
        Surface::Completion,
        Category::AdviceMedical,
        0.99,
        Action::Disclaim,
    );
    check_score(
        Surface::Document,
        Category::SelfHarm,
        0.995,
        Action::Redirect,
    );
    check_score(Surface::User, Category::Privacy, 1.0, Action::Allow);
}

#[test]
fn on_system_text_classifiers_only_annotate_and_patterns_enforce() {
    check_score(Surface::System, Category::Hate, 1.0, Action::Annotate);
    check_score(Surface::System, Category::SelfHarm, 1.0, Action::Annotate);
    let decision = decide(&[], &[(Surface::System, "a forbidden fruit")]);
    assert_eq!(decision.action, Action::Block);
}

#[test]
fn a_disclaimer_goes_with_an_answer_and_is_an_annotation_elsewhere() {
    let said = decide(
        &[window(
            Surface::Completion,
            &[(Category::AdviceMedical, 0.995)],
        )],
        &[],
    );
    assert_eq!(said.disclaimers, ["Ask a doctor."]);
    check_score(
        Surface::User,
        Category::AdviceMedical,
        0.995,
        Action::Annotate,
    );
    check_score(
        Surface::Reasoning,
        Category::AdviceMedical,
        0.995,
        Action::Annotate,
    );
}

#[test]
fn the_largest_score_over_windows_decides() {
    let windows = [0.5, 0.9995, 0.2].map(|score| window(Surface::User, &[(Category::Hate, score)]));
    let decision = decide(&windows, &[]);
    assert_eq!(decision.action, Action::Block);
    assert_eq!(decision.rows.len(), 1);
    assert_eq!(decision.rows[0].score, 0.9995);
    assert_eq!(decision.rows[0].threshold, 0.999);
}

#[test]
fn a_refusal_cites_the_clause_and_names_the_category_but_never_the_words() {
    let decision = decide(&[window(Surface::User, &[(Category::Hate, 1.0)])], &[]);
    let refusal = decision.refusal().unwrap();
    assert_eq!(refusal.text, "I can't help with that. (Acceptable use 1.3)");
    assert_eq!(refusal.category(), Some(Category::Hate));

    let decision = decide(
        &[],
        &[(
            Surface::User,
            "Forbidden  FRUIT pie".replace("  ", " ").as_str(),
        )],
    );
    let refusal = decision.refusal().unwrap();
    assert_eq!(refusal.text, "I can't help with that. (House rule 7)");
    assert_eq!(refusal.category(), None);
}

#[test]
fn what_is_named_decides_before_the_aggregate_and_block_before_redirect() {
    let window = window(
        Surface::Completion,
        &[
            (Category::Unsafe, 1.0),
            (Category::Hate, 0.9995),
            (Category::SelfHarm, 1.0),
        ],
    );
    let decision = decide(&[window], &[]);
    let labels: Vec<Label> = decision.rows.iter().map(|row| row.label).collect();
    let expected = [Category::Hate, Category::Unsafe, Category::SelfHarm].map(Label::Category);
    assert_eq!(labels, expected);
}

#[test]
fn a_redirect_answers_with_the_policys_text() {
    let decision = decide(
        &[window(Surface::User, &[(Category::SelfHarm, 0.995)])],
        &[],
    );
    assert_eq!(
        decision.terminal,
        Terminal::Redirect("You are not alone.".to_owned())
    );
}

#[test]
fn patterns_look_in_their_directions_and_allow_excuses() {
    let check = |surface, text, expected| {
        assert_eq!(
            decide(&[], &[(surface, text)]).action,
            expected,
            "{text} on {surface:?}"
        );
    };
    check(Surface::Completion, "project nightfall", Action::Redact);
    check(Surface::User, "project nightfall", Action::Allow);
    check(Surface::ToolCall, "project nightfall", Action::Redact);
    check(Surface::ToolCall, "whisper", Action::Annotate);
    check(Surface::Completion, "whisper", Action::Allow);
    check(Surface::User, "forbidden fruit salad", Action::Allow);
    check(Surface::User, "forbidden fruit", Action::Block);
}

#[test]
fn overlapping_redactions_become_one_with_the_first_text() {
    let text = "the project nightfall plan and project nightfall";
    let decision = decide(&[], &[(Surface::Completion, text)]);
    let redacted: Vec<(&str, &str)> = decision
        .redactions
        .iter()
        .map(|redaction| {
            (
                &text[redaction.span.range.clone()],
                redaction.replacement.as_str(),
            )
        })
        .collect();
    let expected = [
        ("project nightfall plan", "[project]"),
        ("project nightfall", "[project]"),
    ];
    assert_eq!(redacted, expected);
}

#[test]
fn observing_gives_the_verdict_and_changes_nothing() {
    let windows = [window(Surface::User, &[(Category::Hate, 1.0)])];
    let decision = decide_by(
        &observing(),
        &windows,
        &[(Surface::Completion, "project nightfall")],
    );
    assert_eq!(decision.mode, Mode::Observe);
    assert_eq!(decision.action, Action::Block);
    assert_eq!(decision.enforced, Action::Allow);
    assert_eq!(decision.terminal, Terminal::Forward);
    assert!(decision.redactions.is_empty() && decision.disclaimers.is_empty());
    assert_eq!(decision.rows.len(), 2);
}

#[test]
fn our_own_texts_can_be_recognised_later() {
    let expected = [
        "I can't help with that.",
        "I can't help with that. (Acceptable use 1.3)",
        "I can't help with that. (House rule 7)",
        "You are not alone.",
    ];
    assert_eq!(engine().refusal_texts(), expected);
    assert_eq!(engine().inserted_texts(), ["Ask a doctor."]);
}

#[test]
fn the_digest_is_stable_over_key_order_and_moves_with_behaviour() {
    let digest = |rules| compile(rules).digest().to_owned();
    let base = digest(rules());
    assert_eq!(base.len(), 64);
    assert_eq!(engine().digest8(), &base[..8]);

    let text = serde_json::to_string(&rules()).unwrap();
    let reordered: Policy = serde_json::from_str(&text).unwrap();
    assert_eq!(Engine::compile(&reordered).unwrap().digest(), base);

    let mut tested = rules();
    tested["tests"] = json!([{"say": "hello", "expect": "allow"}]);
    assert_eq!(digest(tested), base, "tests change no decision");

    let mut stricter = rules();
    stricter["categories"]["hate"]["prompt"]["block"] = json!(0.998);
    assert_ne!(digest(stricter), base);
}

#[test]
fn thresholds_are_those_that_really_hold() {
    let engine = engine();
    let on_system = engine.thresholds(Category::Hate, Surface::System).unwrap();
    assert_eq!(on_system.annotate.unwrap().value(), 0.99);
    assert_eq!(on_system.block, None);
    let on_reasoning = engine
        .thresholds(Category::Hate, Surface::Reasoning)
        .unwrap();
    assert_eq!(on_reasoning.block.unwrap().value(), 0.999);
    assert_eq!(engine.thresholds(Category::Privacy, Surface::User), None);
}

fn check_refused(change: impl FnOnce(&mut serde_json::Value), expected: &str) {
    let mut rules = rules();
    change(&mut rules);
    let policy: Policy = serde_json::from_value(rules).unwrap();
    let error: CompileError = Engine::compile(&policy).unwrap_err();
    let cause = error
        .source()
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    let message = format!("{error}{cause}");
    assert!(message.contains(expected), "{message}");
}

#[test]
fn policies_that_cannot_be_carried_out_are_refused_by_name() {
    check_refused(
        |rules| rules["categories"]["self_harm"]["redirect_text"] = json!(null),
        "`self_harm` redirects but has no `redirect_text`",
    );
    check_refused(
        |rules| rules["patterns"][3]["then"] = json!("redirect"),
        "`whisper` redirects but has no `redirect_text`",
    );
    check_refused(
        |rules| rules["attacks"] = json!({"hate": {}}),
        "category `hate` stands both under `categories` and under `attacks`",
    );
    check_refused(
        |rules| rules["patterns"][1]["deny"][0] = json!("("),
        "`codename` cannot be used",
    );
}

#[test]
fn an_explanation_shows_every_row_and_marks_the_one_that_decided() {
    let engine = engine();
    let windows = [window(Surface::User, &[(Category::Hate, 0.995)])];
    let matches = engine.find_patterns(PartId(0), Surface::User, "one forbidden fruit");
    let explanation = engine.explain(&Evidence {
        windows: &windows,
        matches: &matches,
    });

    assert_eq!(explanation.action, Action::Block);
    assert_eq!(explanation.rows.iter().filter(|row| row.decided).count(), 1);
    let first = &explanation.rows[0];
    assert!(first.decided && first.reached && first.row == "fruit");
    let find = |name: &str, action| {
        let mut rows = explanation.rows.iter();
        rows.find(|row| row.row == name && row.action == action)
            .unwrap()
    };
    assert!(find("hate", Action::Annotate).reached);
    let unreached = find("hate", Action::Block);
    assert!(!unreached.reached && unreached.score == 0.995 && unreached.threshold == 0.999);
    assert!(!find("whisper", Action::Annotate).reached);

    let shown = explanation.to_string();
    assert!(shown.starts_with(&format!(
        "policy test@{}: block (done: block)\n",
        engine.digest8()
    )));
    assert!(shown.contains("> fruit"), "{shown}");
    assert!(
        !serde_json::to_string(&explanation)
            .unwrap()
            .contains("one forbidden")
    );
}

fn any_scores() -> impl Strategy<Value = Vec<f32>> {
    let score = prop_oneof![0.0f32..=1.0, 0.985f32..=1.0, Just(0.99f32), Just(0.999f32)];
    prop::collection::vec(score, Category::COUNT)
}

proptest! {
    #[test]
    fn a_higher_score_never_gives_a_weaker_action(
        low in any_scores(),
        raised in any_scores(),
        surface in prop::sample::select(&Surface::ALL[..]),
    ) {
        let given = |scores: Vec<f32>| -> Vec<(Category, f32)> {
            Category::ALL.into_iter().zip(scores).collect()
        };
        let low = given(low);
        let high = given(low.iter().zip(raised).map(|((_, low), raised)| low.max(raised)).collect());
        let engine = engine();
        let (low, high) = (window(surface, &low), window(surface, &high));
        prop_assert!(engine.earned(&low) <= engine.earned(&high));
        let decide = |window: &Window| decide(std::slice::from_ref(window), &[]).action;
        prop_assert!(decide(&low) <= decide(&high));
        prop_assert_eq!(decide(&high), engine.earned(&high));
    }

    #[test]
    fn the_order_of_evidence_does_not_matter(all in prop::collection::vec(any_scores(), 1..5)) {
        let mut windows: Vec<Window> = all.into_iter().map(|given| {
            let given: Vec<_> = Category::ALL.into_iter().zip(given).collect();
            Window { scores: scores(&given), ..window(Surface::Completion, &[]) }
        }).collect();
        let forward = decide(&windows, &[]);
        windows.reverse();
        prop_assert_eq!(forward, decide(&windows, &[]));
    }
}
