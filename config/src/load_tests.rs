//! Layers: flags over environment over file over defaults. The environment is an argument here.

use super::*;
use crate::Mode;
use portcullis_text::Category;

fn load_with(
    file: &str,
    environment: &[(&str, &str)],
    overrides: &Overrides,
) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gate.yaml");
    std::fs::write(&path, file).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    load_from(Some(&path), environment, overrides)
}

#[track_caller]
fn config(file: &str, environment: &[(&str, &str)]) -> Config {
    match load_with(file, environment, &Overrides::default()) {
        Ok(config) => config,
        Err(error) => panic!("{:?}", miette::Report::new(error)),
    }
}

#[track_caller]
fn check_refused(environment: &[(&str, &str)], place: &str, message: &str) {
    let error = load_with("", environment, &Overrides::default()).unwrap_err();
    let shown: Vec<_> = error
        .problems()
        .map(|p| format!("{} {p}", p.place()))
        .collect();
    assert_eq!(shown, [format!("{place} {message}")]);
}

#[test]
fn without_file_and_variables_the_defaults_hold() {
    let loaded = load_from(None, [], &Overrides::default()).unwrap();
    assert_eq!(loaded, Config::default());
}

#[test]
fn a_later_layer_wins() {
    let file = "listen: 127.0.0.1:1\nadmin: 127.0.0.1:2\nupstreams: {openai: \"http://file\"}\nlimits: {depth: 9}\n";
    let environment = [
        ("PORTCULLIS_ADMIN", "127.0.0.1:3"),
        ("PORTCULLIS_LISTEN", "127.0.0.1:4"),
        ("PORTCULLIS_LIMITS__BODY", "8MiB"),
        ("HOME", "elsewhere"),
    ];
    let overrides = Overrides {
        listen: Some("127.0.0.1:5".parse().unwrap()),
        admin: None,
        upstream: Some("http://flag/".to_owned()),
    };
    let config = load_with(file, &environment, &overrides).unwrap();
    assert_eq!((config.listen.port(), config.admin.port()), (5, 3));
    assert_eq!((config.limits.body, config.limits.depth), (8 << 20, 9));
    assert_eq!(config.upstreams.openai.as_deref(), Some("http://flag"));
    assert_eq!(config.upstreams.anthropic.as_deref(), Some("http://flag"));
}

#[test]
fn a_variable_is_what_its_key_wants() {
    let config = config(
        "",
        &[
            ("PORTCULLIS_COMMANDS__ENABLED", "false"),
            ("PORTCULLIS_COMMANDS__RESET_ALIASES", "[/restart, /forget]"),
            ("PORTCULLIS_LABELS__TEXT", "An AI: yes, really"),
            ("PORTCULLIS_LIMITS__DEPTH", "32"),
            (
                "PORTCULLIS_POLICY__CATEGORIES__HATE__PROMPT__BLOCK",
                "0.9999",
            ),
            ("PORTCULLIS_RECORD", "none"),
        ],
    );
    assert!(!config.commands.enabled);
    assert_eq!(config.commands.reset_aliases, ["/restart", "/forget"]);
    assert_eq!(config.labels.text.as_deref(), Some("An AI: yes, really"));
    assert_eq!(config.limits.depth, 32);
    assert_eq!(config.record, crate::RecordSink::None);
    let hate = config.policy.categories[&Category::Hate].prompt.unwrap();
    assert_eq!(hate.block.unwrap().value(), 0.9999);
    assert_eq!(config.policy.name, "balanced");
}

#[test]
fn variables_name_or_change_the_policy() {
    let name_and_mode = |file, environment: &[_]| {
        let policy = config(file, environment).policy;
        (policy.name, policy.mode)
    };
    let mode = ("PORTCULLIS_POLICY__MODE", "observe");
    assert_eq!(
        name_and_mode("", &[("PORTCULLIS_POLICY", "strict")]),
        ("strict".to_owned(), Mode::Enforce)
    );
    assert_eq!(
        name_and_mode("", &[mode]),
        ("balanced".to_owned(), Mode::Observe)
    );
    assert_eq!(
        name_and_mode("policy: strict\n", &[mode]),
        ("strict".to_owned(), Mode::Observe)
    );
    assert_eq!(
        name_and_mode("", &[mode, ("PORTCULLIS_POLICY", "strict")]),
        ("strict".to_owned(), Mode::Observe)
    );
    assert_eq!(
        name_and_mode("policy: {name: own}\n", &[mode]),
        ("own".to_owned(), Mode::Observe)
    );
}

#[test]
fn a_wrong_variable_is_named_with_the_one_that_was_meant() {
    check_refused(
        &[("PORTCULLIS_LIMITS__BDOY", "8MiB")],
        "PORTCULLIS_LIMITS__BDOY:1:20",
        "unknown key `bdoy` in `limits`, did you mean `PORTCULLIS_LIMITS__BODY`?",
    );
    check_refused(
        &[("PORTCULLIS_LISTN", "127.0.0.1:1")],
        "PORTCULLIS_LISTN:1:12",
        "unknown key `listn`, did you mean `PORTCULLIS_LISTEN`?",
    );
    check_refused(
        &[("PORTCULLIS_LIMITS__BODY", "much")],
        "PORTCULLIS_LIMITS__BODY:1:25",
        "`limits.body`: expected a size such as 32MiB, 64KiB or 1000 (bytes), found `much`",
    );
    check_refused(
        &[("PORTCULLIS_POLICY", "lenient")],
        "PORTCULLIS_POLICY:1:19",
        "unknown policy `lenient`",
    );
}

#[test]
fn variables_that_kubernetes_sets_for_a_service_are_passed_over() {
    let environment = [
        ("PORTCULLIS_PORT", "tcp://10.0.0.1:8080"),
        ("PORTCULLIS_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("PORTCULLIS_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("PORTCULLIS_SERVICE_HOST", "10.0.0.1"),
        ("PORTCULLIS_SERVICE_PORT", "8080"),
        ("PORTCULLIS_SERVICE_PORT_HTTP", "8080"),
        ("PORTCULLIS_ADMIN_SERVICE_HOST", "10.0.0.1"),
    ];
    assert_eq!(config("", &environment), Config::default());
    check_refused(
        &[("PORTCULLIS_PORTS", "1")],
        "PORTCULLIS_PORTS:1:12",
        "unknown key `ports`",
    );
}

#[test]
fn a_wrong_flag_is_reported_once() {
    let overrides = Overrides {
        upstream: Some("http://h/v1".to_owned()),
        ..Overrides::default()
    };
    let error = load_with("", &[], &overrides).unwrap_err();
    let places: Vec<_> = error.problems().map(|p| p.place().to_string()).collect();
    assert_eq!(places, ["command line:1:12"]);
}
