//! The machine that holds back a stream, under any script.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    portcullis_fuzz::machine::check(bytes);
    portcullis_fuzz::hostile::check(bytes);
});
