//! Whether anybody still waits for a batch that runs.

use super::sync::{AtomicBool, Ordering};
use std::sync::atomic::AtomicUsize;

/// Counts the members of a running batch that are wanted.
///
/// The count changes only under the desk's lock. Once it has been zero the run is cancelled for
/// good: nobody can join it, since its runner may have seen it and stopped.
#[derive(Debug)]
pub(super) struct Run {
    n_wanted: AtomicUsize,
    is_cancelled: AtomicBool,
}

impl Run {
    pub(super) fn new(n_wanted: usize) -> Self {
        Self {
            n_wanted: AtomicUsize::new(n_wanted),
            is_cancelled: AtomicBool::new(false),
        }
    }

    /// The one read that needs no lock: it only spares work, so a late answer does no harm.
    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    pub(super) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// A member is wanted again.
    pub(super) fn enter(&self) {
        self.n_wanted.fetch_add(1, Ordering::Relaxed);
    }

    /// A member is not wanted any more.
    pub(super) fn leave(&self) {
        if self.n_wanted.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.cancel();
        }
    }
}
