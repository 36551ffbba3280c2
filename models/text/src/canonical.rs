//! Canonical views of a text, with offsets back to the original.
