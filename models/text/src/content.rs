//! Text that people or models wrote.

use std::fmt;
use std::sync::Arc;

/// Text that a person or a model wrote.
///
/// It has no `Display`, and `Debug` prints only its length in bytes: logging it does not compile,
/// and a derived `Debug` around it cannot leak it.
/// Cloning is cheap (a reference count).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Content(Arc<str>);

impl Content {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for screening and for the wire; never for logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Length in UTF-8 bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no text at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.len())
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_length_and_never_the_text() {
        let shown = format!("{:?}", Content::from("a secret"));
        assert_eq!(shown, "Content(8 bytes)");
    }
}
