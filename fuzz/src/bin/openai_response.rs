//! Whole answers in OpenAI's dialect.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::answer;
use portcullis_protocol::Dialect;

fuzz_target!(|bytes: &[u8]| answer::check(Dialect::OpenAiChat, bytes));
