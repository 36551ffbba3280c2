//! The JSON Schema of the configuration file, generated from the types.

use crate::{CategoryRules, Config, Policy, SHIPPED};
use portcullis_text::{Category, Group};
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// The JSON Schema (draft 2020-12) of the configuration file, policy included.
#[must_use]
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Config>().to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), json!("Portcullis configuration"));
        // The policy has a default: the first shipped one.
        root.remove("required");
    }
    schema
}

/// What may stand under `policy`: a name, or a mapping that is, names or changes a policy.
pub(crate) fn policy_choice(generator: &mut SchemaGenerator) -> Schema {
    let whole = generator.root_schema_for::<Policy>().to_value();
    drop(generator.subschema_for::<Policy>());
    let mut mapping = Map::new();
    for key in ["type", "properties", "additionalProperties"] {
        if let Some(value) = whole.get(key) {
            mapping.insert(key.to_owned(), value.clone());
        }
    }
    if let Some(properties) = mapping.get_mut("properties").and_then(Value::as_object_mut) {
        let base = "A shipped policy that the other keys change; lists are replaced, null removes.";
        let file = "A policy file, relative to this file; the other keys change it.";
        properties.insert(
            "base".to_owned(),
            json!({"enum": SHIPPED, "description": base}),
        );
        properties.insert(
            "file".to_owned(),
            json!({"type": "string", "description": file}),
        );
    }
    let required = ["name", "base", "file"].map(|key| json!({"required": [key]}));
    mapping.insert("anyOf".to_owned(), json!(required));
    json_schema!({
        "anyOf": [{"enum": SHIPPED, "description": "A shipped policy."}, mapping],
    })
}

/// Rows under `categories`: everything but attacks.
pub(crate) fn category_rows(generator: &mut SchemaGenerator) -> Schema {
    rows(generator, |group| group != Group::Attack)
}

/// Rows under `attacks`.
pub(crate) fn attack_rows(generator: &mut SchemaGenerator) -> Schema {
    rows(generator, |group| group == Group::Attack)
}

fn rows(generator: &mut SchemaGenerator, belongs: impl Fn(Group) -> bool) -> Schema {
    let rules = generator.subschema_for::<CategoryRules>().to_value();
    let words = generator.root_schema_for::<Category>().to_value();
    let mut properties = Map::new();
    for category in Category::ALL
        .into_iter()
        .filter(|category| belongs(category.group()))
    {
        // `null` takes away the row of a base.
        let row = json!({
            "anyOf": [rules, {"type": "null"}],
            "description": description(&words, category),
        });
        properties.insert(category.name().to_owned(), row);
    }
    json_schema!({"type": "object", "properties": properties, "additionalProperties": false})
}

/// What the taxonomy says about a category.
fn description(words: &Value, category: Category) -> Option<&str> {
    let options = words.get("oneOf")?.as_array()?;
    let option = options
        .iter()
        .find(|option| option["const"] == category.name())?;
    option.get("description")?.as_str()
}
