//! Documents that are right, and what they become.

use portcullis_config::*;
use portcullis_text::{Category, Surface};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn config(text: &str) -> Config {
    match parse_config(text, "gate.yaml") {
        Ok(config) => config,
        Err(error) => panic!("{:?}", miette::Report::new(error)),
    }
}

#[test]
fn an_empty_document_is_the_defaults() {
    for text in ["", "# nothing\n", "\u{feff}", "{}"] {
        assert_eq!(config(text), Config::default());
    }
    let defaults = Config::default();
    assert_eq!(defaults.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(defaults.admin.to_string(), "127.0.0.1:9090");
    assert_eq!(defaults.upstreams, Upstreams::default());
    assert_eq!(defaults.policy.name, "balanced");
    assert_eq!(
        defaults.policy,
        parse_policy(shipped("balanced").unwrap(), "balanced").unwrap()
    );
}

#[test]
fn values_are_read_with_their_units() {
    let config = config(
        "limits: {body: 8MiB, answer: 1000, header: 16 KiB}\n\
         timeouts: {connect: 250ms, upstream: 10m}\n\
         labels: {notice: {every_turns: 5}, language: de-AT}\n\
         record: {file: out.jsonl}\n\
         stream: {mode: buffer}\n",
    );
    assert_eq!(
        (
            config.limits.body,
            config.limits.answer,
            config.limits.header
        ),
        (8 << 20, 1000, 16 << 10)
    );
    assert_eq!(config.limits.depth, 64);
    assert_eq!(config.timeouts.connect, Duration::from_millis(250));
    assert_eq!(config.timeouts.upstream, Duration::from_mins(10));
    assert_eq!(config.labels.notice, Notice::EveryTurns(5));
    assert_eq!(config.record, RecordSink::File(PathBuf::from("out.jsonl")));
    assert_eq!(config.stream.mode, StreamMode::Buffer);
}

#[test]
fn the_slash_at_the_end_of_an_upstream_is_dropped() {
    let config = config(
        "upstreams: {openai: \"http://localhost:8000/\", anthropic: \"https://h/base//\"}\n",
    );
    assert_eq!(
        config.upstreams.openai.as_deref(),
        Some("http://localhost:8000")
    );
    assert_eq!(
        config.upstreams.anthropic.as_deref(),
        Some("https://h/base")
    );
}

#[test]
fn a_policy_is_named_inline_or_changed() {
    assert_eq!(config("policy: strict\n").policy.name, "strict");
    assert_eq!(
        config("policy: {name: own, mode: observe}\n").policy.mode,
        Mode::Observe
    );
    let changed = config(
        "policy:\n  base: balanced\n  categories:\n    hate: {cite: House rules 3}\n    crime: null\n  tests: []\n",
    )
    .policy;
    let balanced = Config::default().policy;
    let (hate, was) = (
        &changed.categories[&Category::Hate],
        &balanced.categories[&Category::Hate],
    );
    assert_eq!(hate.cite.as_deref(), Some("House rules 3"));
    assert_eq!(hate.prompt, was.prompt);
    assert!(!changed.categories.contains_key(&Category::Crime));
    assert!(changed.tests.is_empty());
    assert_eq!(changed.attacks, balanced.attacks);
    assert_eq!(changed.name, "balanced");
}

#[test]
fn anchors_and_merge_keys_spare_repetition() {
    let policy = parse_policy(
        "name: mine\ncategories:\n  hate: &row {prompt: {block: 0.999}}\n  crime: {<<: *row, cite: A}\n  cyber: *row\n",
        "mine.yaml",
    )
    .unwrap();
    let prompt = |category| policy.categories[&category].prompt;
    assert_eq!(prompt(Category::Crime), prompt(Category::Hate));
    assert_eq!(prompt(Category::Cyber), prompt(Category::Hate));
    assert_eq!(
        policy.categories[&Category::Crime].cite.as_deref(),
        Some("A")
    );
}

#[test]
fn a_document_is_taken_for_what_most_of_its_keys_say() {
    let kind = |text| matches!(check(text, "x.yaml").unwrap(), Checked::Policy(_));
    assert!(kind(
        "name: mine\ncategories: {hate: {prompt: {block: 0.999}}}\n"
    ));
    assert!(kind("base: strict\nmode: observe\n"));
    assert!(!kind("listen: 127.0.0.1:1\npolicy: strict\n"));
    assert!(!kind(""));
    assert!(!kind("policy: {name: mine}\n"));
}

#[test]
fn a_pattern_looks_both_ways_and_replaces_by_default() {
    let text = "name: mine\npatterns:\n  - {id: a, deny: [x], then: redact}\ntests:\n  - {say: hi, expect: allow}\n";
    let policy = parse_policy(text, "mine.yaml").unwrap();
    let pattern = &policy.patterns[0];
    assert_eq!(
        pattern.directions,
        [Direction::Prompt, Direction::Completion]
    );
    assert_eq!(pattern.replacement, "[redacted]");
    assert_eq!(policy.tests[0].on, Surface::User);
}

#[test]
fn policy_files_stand_beside_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(
        path("gate.yaml"),
        "policy: {file: own.yaml, mode: observe}\n",
    )
    .unwrap();
    std::fs::write(path("own.yaml"), "base: strict\nname: own\n").unwrap();
    let Checked::Config(config) = check_file(&path("gate.yaml")).unwrap() else {
        panic!("this is a configuration")
    };
    assert_eq!(
        (config.policy.name.as_str(), config.policy.mode),
        ("own", Mode::Observe)
    );
    let strict = parse_policy(shipped("strict").unwrap(), "strict").unwrap();
    assert_eq!(config.policy.categories, strict.categories);

    std::fs::write(path("own.yaml"), "name: own\nmod: observe\n").unwrap();
    let error = check_file(&path("gate.yaml")).unwrap_err();
    let place = error.problems().next().unwrap().place().clone();
    assert_eq!(
        (Path::new(&place.name), place.line),
        (path("own.yaml").as_path(), 2)
    );

    std::fs::remove_file(path("own.yaml")).unwrap();
    let error = check_file(&path("gate.yaml")).unwrap_err();
    assert!(error.is_environment());
    assert!(error.to_string().contains("gate.yaml:1:16"), "{error}");
}
