//! Views, folding, tokens and windows of any text.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| portcullis_fuzz::canonical::check(bytes));
