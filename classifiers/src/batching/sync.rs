//! Locks: the standard library's, or loom's where the meeting of threads is checked.

#[cfg(not(all(loom, test)))]
pub(super) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

#[cfg(all(loom, test))]
pub(super) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

use std::sync::PoisonError;

/// Locks. A thread that panicked under the lock left nothing half done that others rely on: every
/// critical section here changes counters and maps and calls no code of anybody else.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
