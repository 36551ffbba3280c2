//! The bytes of an upstream's stream, decoded where they are encoded.

use crate::body::{Encoding, decoder};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http_body::Body;
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The upstream's bytes, decoded.
pub(crate) enum Source {
    Plain(Incoming),
    Decoded(Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>),
}

impl Source {
    pub(crate) fn new(incoming: Incoming, encoding: Encoding) -> Self {
        if encoding == Encoding::Identity {
            return Self::Plain(incoming);
        }
        let bytes = BodyDataStream::new(incoming).map_err(io::Error::other);
        let reader = decoder(encoding, tokio_util::io::StreamReader::new(Box::pin(bytes)));
        Self::Decoded(Box::pin(tokio_util::io::ReaderStream::new(reader)))
    }

    /// The next bytes; an error when the upstream broke off or cannot be decoded.
    pub(crate) fn poll_bytes(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, ()>>> {
        match self {
            Self::Decoded(stream) => stream
                .as_mut()
                .poll_next(context)
                .map(|next| next.map(|it| it.map_err(drop))),
            Self::Plain(incoming) => loop {
                let frame = std::task::ready!(Pin::new(&mut *incoming).poll_frame(context));
                return Poll::Ready(match frame {
                    None => None,
                    Some(Err(_)) => Some(Err(())),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(bytes) => Some(Ok(bytes)),
                        Err(_trailers) => continue,
                    },
                });
            },
        }
    }
}
