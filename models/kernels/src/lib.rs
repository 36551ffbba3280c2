//! The arithmetic of encoders on CPUs: slices in, slices out.
