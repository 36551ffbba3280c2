//! Documents made from the path of a leaf.

use serde_json::{Map, Value, json};

/// One step of a path as `e2e/fields.py` writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Step {
    Field(String),
    Item,
    MapValue,
    MapKey,
    /// What the object says it is: a field and its word.
    Is(String, String),
}

pub(super) fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (step, after) = step(rest);
        steps.push(step);
        rest = after;
    }
    steps
}

fn step(rest: &str) -> (Step, &str) {
    for (mark, step) in [
        ("[]", Step::Item),
        ("{}", Step::MapValue),
        ("{key}", Step::MapKey),
    ] {
        if let Some(after) = rest.strip_prefix(mark) {
            return (step, after);
        }
    }
    if let Some(after) = rest.strip_prefix('[') {
        let (inner, after) = after.split_once(']').expect("a bracket is closed");
        let (name, word) = inner.split_once('=').expect("a word follows");
        return (Step::Is(name.to_owned(), word.to_owned()), after);
    }
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    let end = rest.find(['.', '[', '{']).unwrap_or(rest.len());
    (Step::Field(rest[..end].to_owned()), &rest[end..])
}

/// The smallest document in which `leaf` stands at the place.
pub(super) fn document(steps: &[Step], leaf: Value) -> Value {
    match steps {
        [] => leaf,
        [Step::Item, rest @ ..] => json!([document(rest, leaf)]),
        [Step::MapValue, rest @ ..] => json!({"entry": document(rest, leaf)}),
        [Step::MapKey, ..] => {
            let key = leaf.as_str().expect("a key is a string").to_owned();
            Value::Object(Map::from_iter([(key, json!(1))]))
        }
        [Step::Field(name), rest @ ..] => {
            Value::Object(Map::from_iter([(name.clone(), document(rest, leaf))]))
        }
        [Step::Is(name, word), rest @ ..] => {
            let mut object = document(rest, leaf);
            let fields = object.as_object_mut().expect("only objects have a type");
            // The leaf may be this very field.
            fields.entry(name.clone()).or_insert_with(|| json!(word));
            object
        }
    }
}

#[test]
fn a_document_is_made_from_a_path() {
    let check = |path: &str, expected: Value| {
        assert_eq!(document(&steps(path), json!("x")), expected, "{path}");
    };
    check("model", json!({"model": "x"}));
    check("stop[]", json!({"stop": ["x"]}));
    check("metadata{key}", json!({"metadata": {"x": 1}}));
    check("metadata{}", json!({"metadata": {"entry": "x"}}));
    check(
        "messages[][role=user].content[][type=text].text",
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}),
    );
    check(
        "[type=a].b[type=c].type",
        json!({"type": "a", "b": {"type": "x"}}),
    );
}
