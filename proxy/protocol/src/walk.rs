//! The listing of every text in a body, driven by tables.
//!
//! A dialect describes its shapes as [`Rule`]s. The walk follows them, and whatever no rule
//! describes is text: an unknown field, a word that should be one of a few, a number's place taken
//! by a string. So leaving something out of a table makes it screened, never unseen. Only four
//! rules can leave a string out: [`Rule::Word`] (it is one of these words), [`Rule::Ident`] and
//! [`Rule::Name`] (it has the form of an identifier or name), and [`Rule::Gap`] (it has the form of
//! base64 and is reported as unscreened).

use crate::exchange::{OnPart, ParseRules, Part, PartKind, Reason, Unscreened};
use crate::form::{fold, holds_many_numbers, is_identifier, is_name, is_opaque};
use crate::json::{Kind, Value};
use crate::{ParseError, nested};
use portcullis_text::{Content, PartId, Surface};
use std::borrow::Cow;

/// Most texts in one body: each costs an allocation and a classifier's call.
pub(crate) const MAX_PARTS: usize = 1 << 16;

/// Longest place that is kept for a part.
const MAX_PATH: usize = 256;

/// Longest place of nearly all bodies.
const USUAL_PATH: usize = 64;

/// What stands at a place.
pub(crate) enum Rule {
    /// Text of the current surface, with everything below it, keys too.
    Text,
    /// A string of this kind; anything else is text.
    Of(PartKind),
    /// One of these words; anything else is text.
    Word(&'static [&'static str]),
    /// An identifier; anything else is text.
    Ident,
    /// The name of a model, which can hold many words; anything else is text.
    Name,
    /// Bytes that cannot be screened and are reported; anything else is text.
    Gap(Reason),
    /// Text that stands elsewhere than its surroundings.
    On(Surface, &'static Self),
    /// An object with these fields; other fields are text, and so is anything else.
    Object(Fields),
    /// An array of these; anything else is taken as the only item.
    List(&'static Self),
    /// Counts and short words under identifiers; a string or key that is no identifier is text.
    Counts,
    /// A JSON schema.
    Schema,
    /// A code path of its own.
    With(fn(&mut Walk, Value<'_>) -> Result<(), ParseError>),
}

/// The known fields of an object.
pub(crate) type Fields = &'static [(&'static str, Rule)];

/// The listing while it is made.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) rules: ParseRules,
    pub(crate) parts: Vec<Part>,
    pub(crate) unscreened: Vec<Unscreened>,
    pub(crate) surface: Surface,
    pub(crate) turn: Option<usize>,
    pub(crate) choice: Option<u32>,
    /// Whether the current turn has held text only so far.
    pub(crate) plain: bool,
    /// Whether this is an answer: there nothing is refused, and results of tools that the provider
    /// ran are shown to the person.
    pub(crate) is_answer: bool,
    path: String,
}

impl Walk {
    pub(crate) fn request(rules: &ParseRules) -> Self {
        Self {
            rules: *rules,
            parts: Vec::new(),
            unscreened: Vec::new(),
            surface: Surface::Document,
            turn: None,
            choice: None,
            plain: true,
            is_answer: false,
            path: String::with_capacity(USUAL_PATH),
        }
    }

    pub(crate) fn answer(depth: usize) -> Self {
        let all = OnPart::Pass;
        let rules = ParseRules {
            depth,
            images: all,
            audio: all,
            files: all,
            unknown: all,
        };
        Self {
            surface: Surface::Completion,
            is_answer: true,
            ..Self::request(&rules)
        }
    }

    /// Where the walk stands: a JSON pointer.
    pub(crate) fn path(&self) -> &str {
        if self.path.is_empty() {
            "the top"
        } else {
            &self.path
        }
    }

    /// The same for a part, cut off where it is very long: many texts at a great depth must not
    /// cost many times their body.
    fn place(&self) -> String {
        let end = self.path.floor_char_boundary(MAX_PATH);
        self.path[..end].to_owned()
    }

    /// Follows a rule.
    pub(crate) fn follow(&mut self, rule: &Rule, value: Value<'_>) -> Result<(), ParseError> {
        match rule {
            Rule::Text => self.everything(value),
            Rule::Of(kind) => match value.as_str() {
                Some(text) => self.part(*kind, value, &text),
                None => self.everything(value),
            },
            Rule::Word(words) => match value.as_str() {
                Some(text) if words.contains(&&*text) => Ok(()),
                _ => self.everything(value),
            },
            Rule::Ident => match value.as_str() {
                Some(text) if is_identifier(&text) => Ok(()),
                _ => self.everything(value),
            },
            Rule::Name => match value.as_str() {
                Some(text) if is_name(&text) => Ok(()),
                _ => self.everything(value),
            },
            Rule::Gap(reason) => match value.as_str() {
                Some(text) if text.is_empty() => Ok(()),
                Some(text) => {
                    self.gap(*reason);
                    if is_opaque(&text) {
                        return Ok(());
                    }
                    self.everything(value)
                }
                None => self.everything(value),
            },
            Rule::On(surface, rule) => self.on(*surface, |walk| walk.follow(rule, value)),
            Rule::Object(fields) => self.object(fields, value),
            Rule::List(rule) => self.list(value, |walk, item| walk.follow(rule, item)),
            Rule::Counts => self.counts(value),
            Rule::Schema => self.schema(value),
            Rule::With(path) => path(self, value),
        }
    }

    /// Does something with another surface in force.
    pub(crate) fn on<T>(&mut self, surface: Surface, work: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.surface, surface);
        let done = work(self);
        self.surface = outer;
        done
    }

    /// Does something one step further down.
    pub(crate) fn at<T>(&mut self, step: Step<'_>, work: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.path.len();
        step.write(&mut self.path);
        let done = work(self);
        self.path.truncate(outer);
        done
    }

    /// Walks the items of an array, or takes anything else as the only item.
    pub(crate) fn list(
        &mut self,
        value: Value<'_>,
        mut each: impl FnMut(&mut Self, Value<'_>) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        if value.kind() != Kind::Array {
            return each(self, value);
        }
        for (idx, item) in value.items().enumerate() {
            self.at(Step::Item(idx), |walk| each(walk, item))?;
        }
        Ok(())
    }

    fn object(&mut self, fields: Fields, value: Value<'_>) -> Result<(), ParseError> {
        if value.kind() != Kind::Object {
            return self.everything(value);
        }
        value
            .members()
            .try_for_each(|(key, value)| self.field(fields, key, value))
    }

    /// Walks one member of an object with these fields.
    pub(crate) fn field(
        &mut self,
        fields: Fields,
        key: Value<'_>,
        value: Value<'_>,
    ) -> Result<(), ParseError> {
        let name = key.as_str().unwrap_or_default();
        match fields.iter().find(|(known, _)| *known == name) {
            Some((known, rule)) => self.at(Step::Field(known), |walk| walk.follow(rule, value)),
            None => self.unknown_field(fields, key, value),
        }
    }

    /// A field that the table does not name: its key and everything below are text.
    fn unknown_field(
        &mut self,
        fields: Fields,
        key: Value<'_>,
        value: Value<'_>,
    ) -> Result<(), ParseError> {
        let name = key.as_str().unwrap_or_default();
        let folded = fold(&name);
        if let Some((known, _)) = fields.iter().find(|(known, _)| *known == folded) {
            // Some upstreams match keys without regard to case and would read this one.
            return Err(ParseError::Shape(format!(
                "a key at {} differs from `{known}` only in case; write it as `{known}`",
                self.path()
            )));
        }
        let is_top = self.path.is_empty();
        self.at(Step::Key(&name, key.span().start), |walk| {
            // A key of the request itself may be a whole word of prose; deeper ones are names.
            if is_top || !is_identifier(&name) {
                walk.keys_part(key, name.clone().into_owned())?;
            }
            if holds_many_numbers(value) {
                walk.gap(Reason::Numbers);
            }
            walk.everything(value)
        })
    }

    /// Every string below, keys too.
    pub(crate) fn everything(&mut self, value: Value<'_>) -> Result<(), ParseError> {
        match value.kind() {
            Kind::String(_) => {
                let text = value.as_str().unwrap_or_default();
                self.part(PartKind::Other, value, &text)
            }
            Kind::Array => self.list(value, Self::everything),
            Kind::Object => {
                self.keys(value)?;
                for (key, value) in value.members() {
                    let name = key.as_str().unwrap_or_default();
                    self.at(Step::Key(&name, key.span().start), |walk| {
                        walk.everything(value)
                    })?;
                }
                Ok(())
            }
            Kind::Null | Kind::Bool(_) | Kind::Number => Ok(()),
        }
    }

    fn counts(&mut self, value: Value<'_>) -> Result<(), ParseError> {
        match value.kind() {
            Kind::Object => value.members().try_for_each(|(key, value)| {
                let name = key.as_str().unwrap_or_default();
                self.at(Step::Key(&name, key.span().start), |walk| {
                    if !is_identifier(&name) {
                        walk.keys_part(key, name.clone().into_owned())?;
                    }
                    walk.counts(value)
                })
            }),
            Kind::Array => self.list(value, Self::counts),
            _ => self.follow(&Rule::Ident, value),
        }
    }

    /// The keys of a free-form object, as one text.
    fn keys(&mut self, object: Value<'_>) -> Result<(), ParseError> {
        let keys: Vec<Cow<'_, str>> = object
            .members()
            .filter_map(|(key, _)| key.as_str())
            .collect();
        self.keys_part(object, keys.join("\n"))
    }

    fn keys_part(&mut self, place: Value<'_>, joined: String) -> Result<(), ParseError> {
        if joined
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'\n')
        {
            return Ok(());
        }
        self.push(PartKind::Key, place, Content::from(joined))
    }

    /// Lists a string as a part. Empty ones say nothing and are left out, unless something may be
    /// put into them later.
    pub(crate) fn part(
        &mut self,
        kind: PartKind,
        value: Value<'_>,
        text: &str,
    ) -> Result<(), ParseError> {
        if text.is_empty() {
            return Ok(());
        }
        let content = match kind {
            PartKind::Arguments => Content::from(&*nested::readable(text)),
            _ => Content::from(text),
        };
        self.push(kind, value, content)
    }

    /// Lists a text that stands at a place.
    pub(crate) fn push(
        &mut self,
        kind: PartKind,
        place: Value<'_>,
        content: Content,
    ) -> Result<(), ParseError> {
        if self.parts.len() >= MAX_PARTS {
            return Err(ParseError::Shape(format!(
                "the body holds more than {MAX_PARTS} texts"
            )));
        }
        self.parts.push(Part {
            id: PartId(self.parts.len() as u32),
            surface: self.surface,
            path: self.place(),
            content,
            literal: place.span(),
            turn: self.turn,
            choice: self.choice,
            editable: kind != PartKind::Key,
            kind,
        });
        Ok(())
    }

    /// Reports that something here is not screened.
    pub(crate) fn gap(&mut self, reason: Reason) {
        self.plain = false;
        self.unscreened.push(Unscreened {
            path: self.path.clone(),
            reason,
        });
    }

    /// Reports or refuses something that cannot be screened, by the rule for it.
    pub(crate) fn gap_by_rule(&mut self, reason: Reason, what: &str) -> Result<(), ParseError> {
        let rule = match reason {
            Reason::Image => self.rules.images,
            Reason::Audio => self.rules.audio,
            Reason::Unknown => self.rules.unknown,
            _ => self.rules.files,
        };
        if rule == OnPart::Refuse {
            return Err(ParseError::Unscreenable(format!(
                "{what} at {} cannot be screened and is refused by this gate's configuration",
                self.path()
            )));
        }
        self.gap(reason);
        Ok(())
    }

    /// A content part of a type that no table names.
    pub(crate) fn unknown_part(&mut self, value: Value<'_>) -> Result<(), ParseError> {
        let name = value.get("type").and_then(Value::as_str);
        let what = match name {
            Some(name) if is_identifier(&name) => {
                format!("a content part of unknown type `{name}`")
            }
            _ => "a content part without a known type".to_owned(),
        };
        self.gap_by_rule(Reason::Unknown, &what)?;
        self.everything(value)
    }

    /// A JSON schema: its keywords are not text, everything else is.
    fn schema(&mut self, value: Value<'_>) -> Result<(), ParseError> {
        match value.kind() {
            Kind::Object => {}
            Kind::Array => return self.list(value, Self::schema),
            _ => return self.everything(value),
        }
        for (key, value) in value.members() {
            let name = key.as_str().unwrap_or_default();
            self.at(Step::Key(&name, key.span().start), |walk| match &*name {
                "type" => walk.list(value, |walk, item| walk.follow(&SCHEMA_TYPE, item)),
                "properties" | "$defs" | "definitions" | "patternProperties"
                | "dependentSchemas" => walk.schema_map(value),
                "items"
                | "additionalProperties"
                | "not"
                | "if"
                | "then"
                | "else"
                | "contains"
                | "propertyNames"
                | "allOf"
                | "anyOf"
                | "oneOf"
                | "prefixItems"
                | "unevaluatedProperties"
                | "unevaluatedItems" => walk.schema(value),
                "$schema" => walk.follow(&SCHEMA_DRAFT, value),
                "title" | "description" | "default" | "examples" | "enum" | "const"
                | "required" | "format" | "pattern" | "$ref" | "$id" | "$anchor" | "$comment"
                | "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum"
                | "multipleOf" | "minLength" | "maxLength" | "minItems" | "maxItems"
                | "uniqueItems" | "minProperties" | "maxProperties" | "nullable" | "deprecated"
                | "readOnly" | "writeOnly" => walk.everything(value),
                _ => {
                    walk.keys_part(key, name.clone().into_owned())?;
                    walk.everything(value)
                }
            })?;
        }
        Ok(())
    }

    fn schema_map(&mut self, value: Value<'_>) -> Result<(), ParseError> {
        if value.kind() != Kind::Object {
            return self.everything(value);
        }
        self.keys(value)?;
        for (key, value) in value.members() {
            let name = key.as_str().unwrap_or_default();
            self.at(Step::Key(&name, key.span().start), |walk| {
                walk.schema(value)
            })?;
        }
        Ok(())
    }
}

const SCHEMA_TYPE: Rule = Rule::Word(&[
    "object", "array", "string", "number", "integer", "boolean", "null",
]);

const SCHEMA_DRAFT: Rule = Rule::Word(&[
    "http://json-schema.org/draft-07/schema#",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
]);

/// One step down a body.
#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    /// A field that a table names.
    Field(&'static str),
    /// Any other key, and the byte it begins at. Keys can be text that people wrote, so one that
    /// has not the form of an identifier is named by its place.
    Key(&'a str, usize),
    /// An item of an array.
    Item(usize),
}

impl Step<'_> {
    fn write(self, path: &mut String) {
        use std::fmt::Write as _;
        path.push('/');
        let _ = match self {
            Step::Field(name) => path.write_str(name),
            Step::Key(name, _) if is_identifier(name) && name.len() <= 40 => path.write_str(name),
            Step::Key(_, at) => write!(path, "*{at}"),
            Step::Item(idx) => write!(path, "{idx}"),
        };
    }
}
