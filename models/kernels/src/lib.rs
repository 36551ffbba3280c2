//! The arithmetic of encoders on CPUs: slices in, slices out.
//!
//! Each kernel is a folder: `mod.rs` with the safe entry, `scalar.rs` as the reference, and one
//! file per instruction set. Lengths are checked once, at the entry. Every sum runs in an order
//! that depends on the row alone, so a row's result is the same bits whatever lies beside it and
//! however many threads share the work.
//!
//! Start with [`Isa`], then [`Rows`] (activations as a product reads them) and [`Matrix`]
//! (weights as it reads them).

mod activation;
mod aligned;
pub mod attention;
mod bf16;
mod cores;
pub mod counting;
mod isa;
mod matrix;
#[cfg(feature = "mimalloc")]
pub mod memory;
mod norm;
mod peak;
mod rows;
mod team;
#[cfg(test)]
mod testing;

pub use activation::Activation;
pub use aligned::{Aligned, Plain};
pub use bf16::{bf16_from_f32, f32_from_bf16};
pub use isa::Isa;
pub use matrix::{Matrix, Out, Precision};
pub use norm::Norm;
pub use peak::{Peak, peak};
pub use rows::{Format, Rows};
pub use team::{MAX_TEAM, MemberPanicked, Place, Team};
