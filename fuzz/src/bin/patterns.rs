//! Patterns of an operator on any text, whole and as a stream.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| portcullis_fuzz::patterns::check(bytes));
