//! The vocabulary every other crate speaks, and the pure text work behind it.
//!
//! Nothing here does IO, knows a model, or knows HTTP.
//! Start with [`Content`] and [`Surface`], then [`Category`], [`Scores`] and [`Finding`];
//! [`canonical`], [`segment`] and [`pattern`] do the work on characters.

mod content;
mod surface;
mod category;
mod finding;
pub mod canonical;
pub mod pattern;
pub mod segment;

pub use category::{Category, CategorySet, Group, UnknownCategory};
pub use content::Content;
pub use finding::{Detector, Finding, Label, PatternId, Scores, Span, View, Window};
pub use surface::{PartId, Surface};
