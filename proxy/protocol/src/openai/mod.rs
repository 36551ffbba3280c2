//! OpenAI's chat completions, as OpenAI and the servers that speak like it write them.

pub(crate) mod parts;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod stream;
