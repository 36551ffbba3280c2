//! Events of a streamed answer, in both dialects.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| portcullis_fuzz::stream::check(bytes));
