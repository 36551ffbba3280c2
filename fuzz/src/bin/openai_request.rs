//! Requests in OpenAI's dialect.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::request;
use portcullis_protocol::Dialect;

fuzz_target!(|bytes: &[u8]| request::check(Dialect::OpenAiChat, bytes));
