//! The tree as a serde deserializer, so that the derived types read it.
//!
//! Every kind of value that a type can want has a name people know; that is what errors say.

use super::access::{Entries, Items, Variant};
use super::fault::{Fault, FaultKind};
use super::{Node, Value};
use serde::de::{self, Visitor};

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a Node);

impl Reader<'_> {
    /// A whole number that fits between 0 and `max`.
    fn whole(self, max: u64) -> Result<u64, Fault> {
        let value = match &self.0.value {
            Value::Int(value) => Some(*value),
            Value::Plain(text) => text.trim().parse::<i128>().ok(),
            _ => None,
        };
        let fitting = value
            .and_then(|value| u64::try_from(value).ok())
            .filter(|value| *value <= max);
        fitting.ok_or_else(|| match max {
            u64::MAX => Fault::wrong_type("a whole number, 0 or more"),
            max => Fault::wrong_type(format!("a whole number from 0 to {max}")),
        })
    }

    fn number(self) -> Result<f64, Fault> {
        let value = match &self.0.value {
            // Every whole number that makes sense here is small.
            #[expect(
                clippy::cast_precision_loss,
                reason = "precise to 2^53, and ranges end far below"
            )]
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            Value::Plain(text) => text.trim().parse().ok(),
            _ => None,
        };
        value.ok_or_else(|| Fault::wrong_type("a number"))
    }
}

macro_rules! whole_numbers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visitor.visit_u64(self.whole(<$type>::MAX.into())?)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => match u64::try_from(*value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => self.deserialize_f64(visitor),
            },
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) | Value::Plain(text) => visitor.visit_str(text),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Plain(text) if text == "true" => visitor.visit_bool(true),
            Value::Plain(text) if text == "false" => visitor.visit_bool(false),
            _ => Err(Fault::wrong_type("`true` or `false`")),
        }
    }

    whole_numbers! {
        deserialize_u8: u8,
        deserialize_u16: u16,
        deserialize_u32: u32,
        deserialize_u64: u64
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_f64(self.number()?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_f64(self.number()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.0.text().ok_or_else(|| Fault::wrong_type("text"))?;
        visitor.visit_borrowed_str(text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::List(items) => visitor.visit_seq(Items::new(items)),
            _ => Err(Fault::wrong_type("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Map(entries) => visitor.visit_map(Entries::new(entries, "", None)),
            _ => Err(Fault::wrong_type("a mapping")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Map(entries) => visitor.visit_map(Entries::new(entries, name, Some(fields))),
            _ => Err(Fault::wrong_type(format!(
                "a mapping with keys among {}",
                fields.join(", ")
            ))),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let unknown = FaultKind::UnknownWord {
            of: name,
            valid: variants,
        };
        match &self.0.value {
            Value::Text(word) | Value::Plain(word) if variants.contains(&word.as_str()) => visitor
                .visit_enum(Variant {
                    word,
                    content: None,
                }),
            Value::Text(_) | Value::Plain(_) => Err(Fault::here(unknown)),
            Value::Map(entries) => match entries.as_slice() {
                [entry] if variants.contains(&entry.key.as_str()) => visitor.visit_enum(Variant {
                    word: &entry.key,
                    content: Some(&entry.value),
                }),
                [_] => Err(Fault::here(unknown).of_key(0)),
                _ => Err(Fault::wrong_type(format!("one of {}", variants.join(", ")))),
            },
            _ => Err(Fault::wrong_type(format!("one of {}", variants.join(", ")))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}
