//! Lists, mappings, keys and enum words of the tree, as serde wants to walk them.

use super::fault::{Fault, FaultKind};
use super::typed::Reader;
use super::{Entry, Node};
use serde::de::{self, DeserializeSeed, Visitor, value::StrDeserializer};

/// Walks a list.
pub(super) struct Items<'a> {
    items: &'a [Node],
    next: usize,
}

impl<'a> Items<'a> {
    pub(super) const fn new(items: &'a [Node]) -> Self {
        Self { items, next: 0 }
    }
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let idx = self.next;
        let Some(item) = self.items.get(idx) else {
            return Ok(None);
        };
        self.next += 1;
        seed.deserialize(Reader(item))
            .map(Some)
            .map_err(|fault| fault.below(idx))
    }
}

/// Walks a mapping; with `fields` every key must be one of them.
pub(super) struct Entries<'a> {
    entries: &'a [Entry],
    within: &'static str,
    fields: Option<&'static [&'static str]>,
    next: usize,
}

impl<'a> Entries<'a> {
    pub(super) const fn new(
        entries: &'a [Entry],
        within: &'static str,
        fields: Option<&'static [&'static str]>,
    ) -> Self {
        Self {
            entries,
            within,
            fields,
            next: 0,
        }
    }

    fn known(&self, key: &str) -> Result<(), Fault> {
        match self.fields {
            Some(valid) if !valid.contains(&key) => Err(Fault::here(FaultKind::UnknownKey {
                within: self.within,
                valid,
            })),
            _ => Ok(()),
        }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let idx = self.next;
        let Some(entry) = self.entries.get(idx) else {
            return Ok(None);
        };
        self.next += 1;
        let key = self
            .known(&entry.key)
            .and_then(|()| seed.deserialize(Key(&entry.key)));
        key.map(Some).map_err(|fault| fault.of_key(idx))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let idx = self.next.saturating_sub(1);
        let entry = self
            .entries
            .get(idx)
            .ok_or_else(|| Fault::wrong_type("a value"))?;
        seed.deserialize(Reader(&entry.value))
            .map_err(|fault| fault.below(idx))
    }
}

/// Reads a key: a name, or a word of an enum.
struct Key<'a>(&'a str);

impl<'de> de::Deserializer<'de> for Key<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if !variants.contains(&self.0) {
            return Err(Fault::here(FaultKind::UnknownWord {
                of: name,
                valid: variants,
            }));
        }
        visitor.visit_enum(Variant {
            word: self.0,
            content: None,
        })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A word of an enum, alone or with what it holds (`file: path`).
pub(super) struct Variant<'a> {
    pub(super) word: &'a str,
    pub(super) content: Option<&'a Node>,
}

impl<'de> de::EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let value = seed.deserialize(StrDeserializer::<Fault>::new(self.word))?;
        Ok((value, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(Fault::refused(format!(
                "`{0}` takes no value; write `{0}`",
                self.word
            ))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        let lacking = || {
            Fault::refused(format!(
                "`{0}` needs a value; write `{{{0}: …}}`",
                self.word
            ))
        };
        let content = self.content.ok_or_else(lacking)?;
        seed.deserialize(Reader(content))
            .map_err(|fault| fault.below(0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(Fault::wrong_type("a single value"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fault> {
        Err(Fault::wrong_type("a single value"))
    }
}
