//! Small readings that every dialect needs, with errors that name the field.

use crate::ParseError;
use crate::json::{JsonError, Kind, Value};

impl From<JsonError> for ParseError {
    fn from(error: JsonError) -> Self {
        Self::Json(error.to_string())
    }
}

/// The value, when it is an object.
pub(crate) fn object<'d>(value: Value<'d>, place: &str) -> Result<Value<'d>, ParseError> {
    if value.kind() == Kind::Object {
        return Ok(value);
    }
    Err(ParseError::Shape(format!("{place} must be a JSON object")))
}

/// A field that has to be there and be an array.
pub(crate) fn required_list<'d>(root: Value<'d>, name: &str) -> Result<Value<'d>, ParseError> {
    let list = root.get(name).filter(|value| value.kind() == Kind::Array);
    list.ok_or_else(|| ParseError::Shape(format!("`{name}` must be there and be an array")))
}

/// A field's text, when it is a string.
pub(crate) fn string(root: Value<'_>, name: &str) -> Option<String> {
    Some(root.get(name)?.as_str()?.into_owned())
}

/// A field that is `true`, `false`, `null` or absent. Upstreams differ in what else they take.
pub(crate) fn switch(root: Value<'_>, name: &str) -> Result<bool, ParseError> {
    match root.get(name).map(Value::kind) {
        None | Some(Kind::Null) => Ok(false),
        Some(Kind::Bool(on)) => Ok(on),
        Some(_) => Err(ParseError::Shape(format!("`{name}` must be true or false"))),
    }
}

/// Most messages in a request: history is worked on turn by turn.
const MAX_TURNS: usize = 1 << 14;

/// Whether there is room for one more message.
pub(crate) fn room_for(n_turns: usize, place: &str) -> Result<(), ParseError> {
    if n_turns < MAX_TURNS {
        return Ok(());
    }
    Err(ParseError::Shape(format!(
        "{place} is more than the {MAX_TURNS} messages that are read"
    )))
}
