//! Strict reading: what is refused, and that what is read equals another reader's reading.

use crate::support::{OPENAI, messages, parse};
use bytes::Bytes;
use portcullis_protocol::{Dialect, ParseRules};
use proptest::prelude::*;
use serde_json::{Value, json};

fn refused(body: &[u8]) -> String {
    let read = OPENAI.parse(Bytes::copy_from_slice(body), &ParseRules::default());
    read.expect_err("must be refused").to_string()
}

fn check(body: &str, expected: &str) {
    let error = refused(body.as_bytes());
    assert!(error.contains(expected), "{body}: {error}");
}

#[test]
fn what_parsers_read_differently_is_refused_with_its_place() {
    check("\u{feff}{}", "byte order mark");
    check(
        r#"{"a":1} x"#,
        "something stands after the value at line 1 column 9 (byte 8)",
    );
    check(r#"{"a":1}{"a":1}"#, "after the value");
    check(
        "{\"a\":1,\n\"a\":2}",
        "duplicate key `a` at line 2 column 1 (byte 8)",
    );
    check(
        r#"{"content":1,"\u0063ontent":2}"#,
        "duplicate key `content`",
    );
    check(r#"{"a":"\ud800"}"#, "lone surrogate");
    check(r#"{"a":"\udc00"}"#, "lone surrogate");
    check(r#"{"a":"\ud800\u0041"}"#, "lone surrogate");
    check(r#"{"a":NaN}"#, "expected a value");
    check(r#"{"a":Infinity}"#, "expected a value");
    check(r#"{"a":01}"#, "expected `,` or `}`");
    check(r#"{"a":1.}"#, "expected a digit");
    check(r#"{"a":+1}"#, "expected a value");
    check(r#"{"a":"\x41"}"#, "unknown escape");
    check("{\"a\":\"\n\"}", "bare control character");
    check("{\"a\":\"\0\"}", "bare control character");
    check(r#"{"a":1,}"#, "expected a key");
    check(r#"{a:1}"#, "expected a key");
    check("[1,]", "expected a value");
    check(r#"{"a":1"#, "the text ends");
    check("", "the text ends");
    check("// x\n{}", "expected a value");
    check(r#"{"a":'x'}"#, "expected a value");
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    assert!(refused(b"{\"a\":\"\xff\"}").contains("not UTF-8 at line 1 column 7 (byte 6)"));
    let utf16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    refused(&utf16);
}

#[test]
fn duplicate_keys_are_found_among_many() {
    let mut members: Vec<String> = (0..500).map(|idx| format!("\"k{idx}\":0")).collect();
    members.push("\"\\u006b7\":1".to_owned());
    check(
        &format!("{{\"x\":{{{}}}}}", members.join(",")),
        "duplicate key `k7`",
    );
}

#[test]
fn nesting_is_bounded_without_recursion() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64));
    check(&deep, "nesting is deeper");
    let bomb = "[".repeat(1 << 20);
    check(&bomb, "nesting is deeper");
    let fits = format!(
        "{{\"messages\":[],\"a\":{}{}}}",
        "[".repeat(63),
        "]".repeat(63)
    );
    assert!(
        OPENAI
            .parse(Bytes::from(fits), &ParseRules::default())
            .is_ok()
    );
}

#[test]
fn bodies_that_are_no_request_name_what_is_missing() {
    check("[]", "the body must be a JSON object");
    check("{}", "`messages` must be there");
    check(r#"{"messages":{}}"#, "`messages` must be there");
    check(r#"{"messages":["x"]}"#, "/messages/0 must be a JSON object");
    check(
        r#"{"messages":[{"content":"x"}]}"#,
        "/messages/0 has no `role`",
    );
    check(
        r#"{"messages":[],"stream":"true"}"#,
        "`stream` must be true or false",
    );
    check(r#"{"messages":[],"n":"2"}"#, "`n` must be a whole number");
    check(r#"{"messages":[],"n":0}"#, "`n` must be a whole number");
}

#[test]
fn keys_that_differ_from_known_ones_only_in_case_are_refused() {
    check(
        r#"{"messages":[],"Messages":[]}"#,
        "differs from `messages` only in case",
    );
    check(
        "{\"messages\":[],\"me\u{17f}\u{17f}ages\":[]}",
        "differs from `messages`",
    );
    check(
        r#"{"messages":[{"role":"user","Content":"x"}]}"#,
        "/messages/0 differs from `content`",
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every string and key of a document that serde_json reads.
fn strings(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
        Value::Object(members) => {
            out.extend(members.keys().cloned());
            members.values().for_each(|value| strings(value, out));
        }
        _ => {}
    }
}

/// All texts that the crate lists below an unknown field of a message.
fn listed(document: &str) -> Option<String> {
    let body = format!(r#"{{"messages":[{{"role":"user","x":{document}}}]}}"#);
    let read = OPENAI
        .parse(Bytes::from(body), &ParseRules::default())
        .ok()?;
    let texts: Vec<&str> = read
        .parts
        .iter()
        .map(|part| part.content.expose())
        .collect();
    Some(texts.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_string_that_another_reader_sees_is_listed(value in any_json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let listed = listed(&text).unwrap();
        let mut expected = Vec::new();
        strings(&value, &mut expected);
        for text in expected {
            let numeric = text.bytes().all(|byte| byte.is_ascii_digit());
            prop_assert!(numeric || listed.contains(&text), "{text:?} is missing");
        }
    }

    #[test]
    fn what_we_read_others_read_too(text in r#"[\[\]{}:,"\\ud8c0-9a-e.+\-tfn \n]{0,24}"#) {
        if listed(&text).is_some() {
            prop_assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
            prop_assert!(jiter::JsonValue::parse(text.as_bytes(), false).is_ok(), "{text}");
        }
    }

    #[test]
    fn damaged_documents_are_read_alike(value in any_json(), at: prop::sample::Index, byte in prop::sample::select(b"\"\\{}[]:,u0e-".to_vec())) {
        let mut text = serde_json::to_vec(&value).unwrap();
        let at = at.index(text.len());
        text[at] = byte;
        let Ok(text) = String::from_utf8(text) else { return Ok(()) };
        match (listed(&text), serde_json::from_str::<Value>(&text)) {
            (Some(listed), Ok(value)) => {
                let mut expected = Vec::new();
                strings(&value, &mut expected);
                for text in expected {
                    prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit()) || listed.contains(&text));
                }
            }
            // A number too large for a double is one for us.
            (Some(_), Err(error)) => prop_assert!(error.to_string().contains("out of range"), "{text}: {error}"),
            // Only duplicate keys are stricter here.
            (None, Ok(_)) => prop_assert!(text.matches('"').count() >= 4, "{text}"),
            (None, Err(_)) => {}
        }
    }
}

#[test]
fn both_dialects_read_strictly() {
    let body = Bytes::from(r#"{"model":"m","model":"n","messages":[]}"#);
    for dialect in [Dialect::OpenAiChat, Dialect::AnthropicMessages] {
        assert!(dialect.parse(body.clone(), &ParseRules::default()).is_err());
        assert!(dialect.parse_completion(body.clone(), 64).is_err());
    }
    parse(OPENAI, &messages(&json!([])));
}
