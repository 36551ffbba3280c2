//! The operator's files: configuration and policy, typed, strict, with errors that point.
//!
//! Nothing here knows a runtime; only [`load`] reads files and the environment.
//! Start with [`Config`] and [`Policy`].

mod config;
mod policy;

pub use config::*;
pub use policy::*;
