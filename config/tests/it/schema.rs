//! The schema says what the reader says, and the files beside it follow.

use portcullis_config::{Checked, SHIPPED, check, schema, shipped};
use serde_json::Value;
use std::path::PathBuf;

fn beside(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// Why a value does not fit, for the keywords that our schema uses; others fail the test.
fn misfit(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if schema == &Value::Bool(true) {
        return None;
    }
    if schema == &Value::Bool(false) {
        return Some(format!("{at}: nothing is allowed here"));
    }
    let keywords = schema.as_object().unwrap().iter();
    keywords
        .filter_map(|(keyword, rule)| broken(root, schema, (keyword, rule), value, at))
        .next()
}

fn broken(
    root: &Value,
    schema: &Value,
    (keyword, rule): (&str, &Value),
    value: &Value,
    at: &str,
) -> Option<String> {
    let fits = |schema: &Value| misfit(root, schema, value, at).is_none();
    let holds = match keyword {
        "$ref" => {
            let target = root
                .pointer(rule.as_str().unwrap().trim_start_matches('#'))
                .unwrap();
            return misfit(root, target, value, at);
        }
        "type" => match rule {
            Value::Array(names) => names
                .iter()
                .any(|name| is_of_type(value, name.as_str().unwrap())),
            name => is_of_type(value, name.as_str().unwrap()),
        },
        "enum" => rule.as_array().unwrap().contains(value),
        "const" => rule == value,
        "minimum" => value
            .as_f64()
            .is_none_or(|number| rule.as_f64().unwrap() <= number),
        "maximum" => value
            .as_f64()
            .is_none_or(|number| number <= rule.as_f64().unwrap()),
        "pattern" => value.as_str().is_none_or(|text| {
            regex::Regex::new(rule.as_str().unwrap())
                .unwrap()
                .is_match(text)
        }),
        "anyOf" => rule.as_array().unwrap().iter().any(fits),
        "oneOf" => {
            rule.as_array()
                .unwrap()
                .iter()
                .filter(|schema| fits(schema))
                .count()
                == 1
        }
        "required" => value.as_object().is_none_or(|map| {
            rule.as_array()
                .unwrap()
                .iter()
                .all(|key| map.contains_key(key.as_str().unwrap()))
        }),
        "items" => {
            let items = value.as_array().into_iter().flatten();
            return items.filter_map(|item| misfit(root, rule, item, at)).next();
        }
        "properties" => {
            let known = value.as_object().into_iter().flatten();
            let ruled = known.filter_map(|(key, value)| Some((rule.get(key)?, key, value)));
            return ruled
                .filter_map(|(rule, key, value)| misfit(root, rule, value, &format!("{at}.{key}")))
                .next();
        }
        "additionalProperties" => {
            let known = schema.get("properties").and_then(Value::as_object);
            let keys = value.as_object().into_iter().flatten();
            let others =
                keys.filter(|(key, _)| !known.is_some_and(|known| known.contains_key(*key)));
            return others
                .filter_map(|(key, value)| misfit(root, rule, value, &format!("{at}.{key}")))
                .next();
        }
        "$schema" | "$defs" | "title" | "description" | "default" | "examples" | "format" => true,
        other => panic!("the schema uses {other}, which this test does not know"),
    };
    (!holds).then(|| format!("{at}: {value} breaks {keyword} {rule}"))
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    }
}

#[track_caller]
fn check_fits(document: &Value, fits: bool) {
    let schema = schema();
    let misfit = misfit(&schema, &schema, document, "");
    assert_eq!(misfit.is_none(), fits, "{misfit:?}: {document}");
}

#[test]
fn shipped_policies_and_the_example_fit_the_schema() {
    for name in SHIPPED {
        check_fits(
            &serde_json::json!({"policy": yaml(shipped(name).unwrap())}),
            true,
        );
        check_fits(&serde_json::json!({"policy": name}), true);
    }
    check_fits(
        &yaml(&std::fs::read_to_string(beside("examples/portcullis.yaml")).unwrap()),
        true,
    );
    check_fits(&serde_json::json!({}), true);
}

#[test]
fn the_schema_and_the_reader_refuse_alike() {
    let documents = [
        "limts: {}",
        "limits: {body: 32MB}",
        "limits: {depth: 0}",
        "timeouts: {read: 5}",
        "listen: localhost",
        "upstreams: {openai: \"ftp://x\"}",
        "unknown_endpoints: maybe",
        "policy: lenient",
        "policy: {mode: observe}",
        "policy: {name: x, categories: {hatee: {}}}",
        "policy: {name: x, categories: {jailbreak: {}}}",
        "policy: {name: x, attacks: {hate: {}}}",
        "policy: {name: x, categories: {hate: {prompt: {block: 1.5}}}}",
        "policy: {name: x, categories: {hate: {prompt: {redact: 0.5}}}}",
        "policy: {name: x, patterns: [{id: a}]}",
        "policy: {base: balanced, locked: true}",
        "labels: {notice: sometimes}",
        "tls: {cert: a}",
    ];
    for text in documents {
        check_fits(&yaml(text), false);
        assert!(check(text, "x.yaml").is_err(), "{text}");
    }
}

#[test]
fn the_example_shows_every_key() {
    let text = std::fs::read_to_string(beside("examples/portcullis.yaml")).unwrap();
    let Checked::Config(config) = check(&text, "portcullis.yaml").unwrap() else {
        panic!("the example is a configuration")
    };
    let defaults = portcullis_config::Config::default();
    let (upstreams, policy) = (config.upstreams.clone(), config.policy.clone());
    assert_eq!(
        *config,
        portcullis_config::Config {
            upstreams,
            policy,
            ..defaults
        }
    );
    let schema = schema();
    for section in [
        "limits", "timeouts", "content", "refusals", "labels", "commands", "stream", "identity",
    ] {
        assert!(text.contains(&format!("\n{section}:")), "{section}");
    }
    for definition in schema["$defs"].as_object().unwrap().values() {
        for key in definition["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key)
        {
            assert!(
                text.contains(&format!("{key}:")),
                "the example does not show `{key}`"
            );
        }
    }
}

/// Every property under a schema, with its path.
fn properties<'a>(schema: &'a Value, path: &str, found: &mut Vec<(String, &'a Value)>) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                found.push((format!("{path}.{key}"), value));
            }
            map.iter()
                .for_each(|(key, value)| properties(value, &format!("{path}/{key}"), found));
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, path, found)),
        _ => {}
    }
}

#[test]
fn every_key_is_described() {
    let schema = schema();
    let mut found = Vec::new();
    properties(&schema, "", &mut found);
    assert!(found.len() > 60, "only {} keys", found.len());
    for (path, property) in found {
        // `{file: path}` and the like: the enum's word is the key, described one level up.
        let described = property.get("description").is_some() || path.contains("oneOf");
        assert!(described, "{path} has no description");
    }
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
}

/// `UPDATE_SCHEMA=1 cargo test -p portcullis-config` writes the file anew.
#[test]
fn the_schema_file_is_up_to_date() {
    let path = beside("schema/portcullis.schema.json");
    let now = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == now,
        "the schema file is stale: run the tests with UPDATE_SCHEMA=1"
    );
}
