//! Anthropic's messages.

pub(crate) mod blocks;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod stream;
