//! The operator's files: configuration and policy, typed, strict, with errors that point.
//!
//! Nothing here knows a runtime; only [`load()`] and [`check_file`] read files, and only [`load()`]
//! the environment. Start with [`Config`] and [`Policy`], then [`load()`] and [`ConfigError`].
//!
//! A text becomes a tree of values that know their place (`document`), trees are laid over each
//! other (`load`, `base`), the tree becomes the types, and `rules` checks what types cannot say.
//! Every independent problem is reported at once.

mod base;
mod config;
mod document;
mod environment;
mod error;
mod load;
mod policy;
mod rules;
mod schema;
mod shipped;
mod units;

pub use config::*;
pub use error::{ConfigError, Place, Problem};
pub use load::{Checked, Overrides, check, check_file, load, parse_config, parse_policy};
pub use policy::*;
pub use rules::NOTICE_LANGUAGES;
pub use schema::schema;
pub use shipped::{SHIPPED, default_disclaimer, shipped};
