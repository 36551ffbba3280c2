//! What was scored before need not be scored again, and what was refused before is known again.
//!
//! Two bounded memories, both keyed by a MAC under a [`Salt`], so that neither can be asked about
//! another tenant or another person: [`VerdictCache`] holds scores, [`RefusedTurns`] holds the fact
//! that a turn was refused. Neither holds text, and both live in this process only.
//! Start with [`Salts`].

mod refused;
mod salt;
mod verdicts;

pub use refused::{RefusedTurns, Said};
pub use salt::{NoRandomness, Salt, Salts};
pub use verdicts::{Asked, CachedWindow, Key, VerdictCache};
