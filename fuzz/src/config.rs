//! Configurations and policies: refused with a place in the text, or read and written alike.

use miette::{GraphicalReportHandler, GraphicalTheme};
use portcullis_config::{
    Checked, Config, ConfigError, Policy, check as check_text, parse_config, parse_policy,
};
use portcullis_policy::Engine;
use serde_json::{Value, json};

const NAME: &str = "gate.yaml";

/// Runs the oracle. Bytes that are not UTF-8 count as replacement characters.
///
/// # Panics
/// When a promise is broken.
pub fn check(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    let config = parse_config(text, NAME);
    let policy = parse_policy(text, NAME);
    match &config {
        Ok(config) => check_config(config),
        Err(error) => check_error(text, error),
    }
    match &policy {
        Ok(policy) => check_policy(policy),
        Err(error) => check_error(text, error),
    }
    match check_text(text, NAME) {
        Ok(Checked::Config(checked)) => assert_eq!(config.ok(), Some(*checked)),
        Ok(Checked::Policy(checked)) => assert_eq!(policy.ok(), Some(checked)),
        Err(error) => check_error(text, &error),
    }
}

/// What is wrong has a place in the text, and can be shown.
fn check_error(text: &str, error: &ConfigError) {
    assert!(!error.is_environment(), "a file was asked for: {error}");
    assert!(error.problems().count() > 0, "refused for no reason");
    for problem in error
        .problems()
        .filter(|problem| problem.place().name == NAME)
    {
        let place = problem.place();
        // A byte order mark is no part of the first line.
        let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).split('\n');
        let line = place.line.checked_sub(1).and_then(|idx| lines.nth(idx));
        let n_lines = text.split('\n').count();
        assert!(line.is_some(), "{place}: {n_lines} lines");
        let n_chars = line.unwrap_or_default().chars().count();
        assert!(
            (1..=n_chars + 1).contains(&place.column),
            "{place}: {n_chars} characters"
        );
        assert!(!problem.message().is_empty());
    }
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    let mut shown = String::new();
    assert!(
        handler.render_report(&mut shown, error).is_ok(),
        "cannot be shown"
    );
}

/// An accepted policy can be used, and says the same when written out.
fn check_policy(policy: &Policy) {
    let engine = Engine::compile(policy);
    assert!(engine.is_ok(), "accepted and of no use: {:?}", engine.err());
    let written = yaml(&serde_json::to_value(policy).expect("a policy can be written"));
    match parse_policy(&written, NAME) {
        Ok(again) => assert_eq!(&again, policy, "a policy changed when written"),
        Err(error) => panic!("a written policy is refused: {error}\n{written}"),
    }
}

fn check_config(config: &Config) {
    let engine = Engine::compile(&config.policy);
    assert!(engine.is_ok(), "accepted and of no use: {:?}", engine.err());
    let written = yaml(&value_of(config));
    match parse_config(&written, NAME) {
        Ok(again) => assert_eq!(&again, config, "a configuration changed when written"),
        Err(error) => panic!("a written configuration is refused: {error}\n{written}"),
    }
}

/// The document of a configuration, which only its parts know how to write.
fn value_of(config: &Config) -> Value {
    let Config {
        listen,
        admin,
        tls,
        upstreams,
        limits,
        timeouts,
        content,
        unknown_endpoints,
        refusals,
        labels,
        commands,
        stream,
        record,
        identity,
        encoder,
        policy,
    } = config;
    let mut value = json!({
        "listen": listen.to_string(),
        "admin": admin.to_string(),
        "upstreams": upstreams,
        "limits": limits,
        "timeouts": timeouts,
        "content": content,
        "unknown_endpoints": unknown_endpoints,
        "refusals": refusals,
        "labels": labels,
        "commands": commands,
        "stream": stream,
        "record": record,
        "identity": identity,
        "encoder": encoder,
        "policy": policy,
    });
    if let Some(tls) = tls {
        value["tls"] = json!(tls);
    }
    value
}

/// JSON is YAML but for characters that YAML wants escaped.
fn yaml(value: &Value) -> String {
    let escape = |c: char| match c {
        '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
            format!("\\u{:04x}", u32::from(c))
        }
        other => other.to_string(),
    };
    value.to_string().chars().map(escape).collect()
}
