//! `/v1/guard/check`: a text or messages to be judged.

use crate::exchange::{ParseRules, Part, PartKind, Unscreened};
use crate::json::{self, Kind, Value};
use crate::seam::{self, Chain, Seams};
use crate::walk::{Rule, Step, Walk};
use crate::{ParseError, openai, read};
use bytes::Bytes;
use portcullis_text::Surface;

/// What is to be judged.
#[derive(Clone, Debug)]
pub struct GuardCheck {
    /// Every text.
    pub parts: Vec<Part>,
    /// What is in the request and not in `parts`.
    pub unscreened: Vec<Unscreened>,
    seams: Seams,
}

impl GuardCheck {
    /// Reads `{"text": "…"}` or `{"messages": […]}` in OpenAI's shape. `surface` says where `text`
    /// stands; it is `user` where nothing is said.
    ///
    /// # Errors
    /// The body is not strict JSON, has neither or both, names an unknown surface, or has a field
    /// that this endpoint does not know.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a body is handed over, as to `Dialect::parse`"
    )]
    pub fn parse(body: Bytes, rules: &ParseRules) -> Result<Self, ParseError> {
        let document = json::parse(&body, rules.depth)?;
        let root = read::object(document.root(), "the body")?;
        let mut walk = Walk::request(rules);
        refuse_unknown_fields(root)?;
        match (root.get("text"), root.get("messages")) {
            (Some(text), None) if text.is_string() => {
                walk.surface = surface(root)?;
                walk.at(Step::Field("text"), |walk| {
                    walk.follow(&Rule::Of(PartKind::Text), text)
                })?;
            }
            (None, Some(messages)) if messages.kind() == Kind::Array => {
                openai::request::read_turns(&mut walk, messages)?;
            }
            _ => {
                return Err(ParseError::Shape(
                    "give either `text`, a string, or `messages`, a list".into(),
                ));
            }
        }
        let seams = Seams::of(&walk.parts);
        Ok(Self {
            parts: walk.parts,
            unscreened: walk.unscreened,
            seams,
        })
    }

    /// Texts read across parts; see [`crate::Exchange::seams`].
    #[must_use]
    pub fn seams(&self) -> &[Part] {
        &self.seams.parts
    }

    /// Neighbouring texts put side by side, for patterns: a word may be cut over any two of them.
    #[must_use]
    pub fn chains(&self) -> Vec<Chain> {
        seam::chains(&self.parts)
    }
}

fn refuse_unknown_fields(root: Value<'_>) -> Result<(), ParseError> {
    let known = ["text", "messages", "surface"];
    let unknown = root
        .members()
        .find(|(key, _)| !known.iter().any(|name| key.is(name)));
    match unknown {
        None => Ok(()),
        Some((key, _)) => Err(ParseError::Shape(format!(
            "an unknown field stands at byte {}; this endpoint takes `text`, `messages`, `surface`",
            key.span().start
        ))),
    }
}

fn surface(root: Value<'_>) -> Result<Surface, ParseError> {
    let Some(named) = root.get("surface") else {
        return Ok(Surface::User);
    };
    let known = Surface::ALL
        .into_iter()
        .find(|surface| named.is(surface.name()));
    known.ok_or_else(|| {
        let names = Surface::ALL.map(Surface::name).join("`, `");
        ParseError::Shape(format!("`surface` must be one of `{names}`"))
    })
}
