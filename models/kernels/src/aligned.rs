//! Memory that begins on a cache line, so that no load of a full vector straddles two.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

const LINE: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

mod sealed {
    pub trait Sealed {}
}

/// A number for which every pattern of bits is a value.
pub trait Plain: Copy + sealed::Sealed {}

macro_rules! plain {
    ($($of:ty),*) => { $(impl sealed::Sealed for $of {} impl Plain for $of {})* };
}
plain!(u8, i8, u16, u32, f32);

/// A vector of numbers whose first begins on a cache line. New room is zero.
#[derive(Clone)]
pub struct Aligned<T> {
    lines: Vec<Line>,
    len: usize,
    of: PhantomData<T>,
}

impl<T> Default for Aligned<T> {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            len: 0,
            of: PhantomData,
        }
    }
}

impl<T: Plain> Aligned<T> {
    /// `len` zeros.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let mut this = Self::default();
        this.grow(len);
        this
    }

    /// A copy.
    #[must_use]
    pub fn copied(from: &[T]) -> Self {
        let mut this = Self::zeroed(from.len());
        this.copy_from_slice(from);
        this
    }

    /// Makes room for at least `len` numbers; what is there stays. Allocates only to grow.
    pub fn grow(&mut self, len: usize) {
        if self.len < len {
            self.lines
                .resize((len * size_of::<T>()).div_ceil(LINE), Line([0; LINE]));
            self.len = len;
        }
    }
}

impl<T: Plain> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `grow` keeps `len * size_of::<T>()` initialised bytes in `lines`, a `Line` is
        // aligned for every `Plain` type, and every pattern of bits is a `Plain` value.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Plain> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; the borrow of `self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl<T: Plain + std::fmt::Debug> std::fmt::Debug for Aligned<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Aligned({} numbers)", self.len)
    }
}

/// Words as the floats they hold.
#[must_use]
pub(crate) fn as_f32(words: &[u32]) -> &[f32] {
    // SAFETY: same size and alignment, and every pattern of bits is an f32.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), words.len()) }
}

/// Words as the floats they hold.
#[must_use]
pub(crate) fn as_f32_mut(words: &mut [u32]) -> &mut [f32] {
    // SAFETY: as in `as_f32`; the borrow is exclusive, and every f32 is a u32.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len()) }
}

/// Words as the halves they hold.
#[must_use]
pub(crate) fn as_u16(words: &[u32]) -> &[u16] {
    // SAFETY: twice as many of half the size; a u32 is aligned for a u16.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), 2 * words.len()) }
}

/// Words as the halves they hold.
#[must_use]
pub(crate) fn as_u16_mut(words: &mut [u32]) -> &mut [u16] {
    // SAFETY: as in `as_u16`; the borrow is exclusive, and every pair of u16 is a u32.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), 2 * words.len()) }
}

/// Words as the bytes they hold.
#[must_use]
pub(crate) fn as_u8(words: &[u32]) -> &[u8] {
    // SAFETY: four times as many of a quarter of the size; a u8 needs no alignment.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), 4 * words.len()) }
}

/// Words as the bytes they hold.
#[must_use]
pub(crate) fn as_u8_mut(words: &mut [u32]) -> &mut [u8] {
    // SAFETY: as in `as_u8`; the borrow is exclusive, and every four u8 are a u32.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), 4 * words.len()) }
}
