//! The engine between tokenized windows and a model: it gathers what waits into packed batches.
//!
//! A free worker takes what is waiting, most urgent first, up to a batch worth about 10 ms; there is
//! no timer, so at low load nothing waits, and at high load batches fill by themselves. Overload is
//! told at the door, as a value, within microseconds.
//!
//! # What it promises
//! - Every ticket ends: with logits, or with a failure, by its deadline at the latest.
//! - Work nobody waits for any more is dropped: from the queue at once, from a batch when all of the
//!   batch is unwanted.
//! - What is in flight for a tenant is scored once for all who ask; a follower keeps it alive when
//!   the one who asked first is gone.
//! - A model that panics, hangs, fails or gives what is not a number costs the texts it was given at
//!   most, never their neighbours and never the process.
//! - A text longer than a batch does not hold up short ones: between its layers they go before it,
//!   as long as all of them together are no longer than it is and its deadline has room for both.
//! - Everything is bounded: what waits, how large a batch is, how often one is run again (once, one
//!   by one), how many stuck workers are replaced.
//!
//! # Where to start reading
//! [`queue`] says who is next and who is let in; it is pure and tested in virtual time. `desk` knows
//! what waits, runs and works, without threads; `shared` puts it behind a lock; `worker` takes
//! batches and runs them on its `seat`; [`Engine`] has the threads. Where threads meet, `loom` tries every order of events:
//! `RUSTFLAGS="--cfg loom" cargo test -p portcullis-classifiers --lib batching::loom`

mod batch;
mod config;
mod crew;
mod desk;
mod engine;
#[cfg(test)]
#[cfg(loom)]
mod loom;
mod observer;
pub mod queue;
mod run;
mod seat;
mod shared;
mod sync;
#[cfg(test)]
mod tests;
pub mod throughput;
mod ticket;
mod worker;

pub use batch::{Logits, Runner, Sequence};
pub use config::BatchingConfig;
pub use engine::{Engine, EngineLoad, Pass, StartError};
pub use observer::{BatchSeen, Observer, WorkerEvent};
pub use ticket::Ticket;
pub use worker::BoxError;
