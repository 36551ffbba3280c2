//! The vocabulary every other crate speaks, and the pure text work behind it.
//!
//! Nothing here does IO, knows a model, or knows HTTP.
//! Start with [`Content`] and [`Surface`], then [`Category`], [`Scores`] and [`Finding`];
//! [`canonical`], [`decoded`], [`segment`] and [`pattern`] do the work on characters.

pub mod canonical;
mod category;
mod content;
pub mod decoded;
mod finding;
pub mod pattern;
pub mod segment;
mod surface;
#[cfg(test)]
mod testing;
mod vector;

pub use category::{Category, CategorySet, Group, UnknownCategory};
pub use content::Content;
pub use finding::{Detector, Finding, Label, PatternId, Scores, Span, View, Window};
pub use surface::{PartId, Surface};
pub use vector::{Vector, Vectors};
