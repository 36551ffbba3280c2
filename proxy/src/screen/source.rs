//! The bytes of an upstream's stream, decoded where they are encoded.

use crate::body::{Encoding, decoder};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt};
use http_body::Body;
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Bytes that are handed over at once.
const AT_ONCE: usize = 64 * 1024;

/// The upstream's bytes, decoded.
pub(crate) enum Source {
    /// Read by a task of its own, which ends when this is dropped.
    Plain(
        mpsc::Receiver<Result<Bytes, ()>>,
        #[expect(dead_code, reason = "held for its drop")] AbortOnDropHandle<()>,
    ),
    /// Decoded as it is read.
    Decoded(Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>),
}

impl Source {
    pub(crate) fn new(incoming: Incoming, encoding: Encoding) -> Self {
        if encoding == Encoding::Identity {
            let (sender, receiver) = mpsc::channel(1);
            let reading = tokio::spawn(read(incoming, sender));
            return Self::Plain(receiver, AbortOnDropHandle::new(reading));
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
            Self::Plain(receiver, _) => receiver.poll_recv(context),
            Self::Decoded(stream) => stream
                .as_mut()
                .poll_next(context)
                .map(|next| next.map(|it| it.map_err(drop))),
        }
    }
}

/// Hands over what the upstream sends, as much at once as lies ready.
///
/// The upstream's connection gives one chunk at a time, and each one written by itself costs a
/// system call here and one at the client. So after each chunk the connection gets its turn, and
/// only when it has nothing more is what came handed over. Nothing is waited for.
async fn read(mut incoming: Incoming, sender: mpsc::Sender<Result<Bytes, ()>>) {
    let mut ready = Ready::default();
    loop {
        let mut next = next_bytes(&mut incoming).await;
        while let Some(Ok(bytes)) = &mut next {
            ready.push(std::mem::take(bytes));
            if AT_ONCE <= ready.len {
                break;
            }
            give_turn().await;
            match poll_fn(|context| Poll::Ready(poll_bytes(&mut incoming, context))).await {
                Poll::Ready(more) => next = more,
                Poll::Pending => break,
            }
        }
        let is_over = !matches!(next, Some(Ok(_)));
        if 0 < ready.len && sender.send(Ok(ready.take())).await.is_err() {
            return;
        }
        if is_over {
            if let Some(Err(())) = next {
                // Nobody reads on: then nobody needs to know.
                drop(sender.send(Err(())).await);
            }
            return;
        }
    }
}

async fn next_bytes(incoming: &mut Incoming) -> Option<Result<Bytes, ()>> {
    poll_fn(|context| poll_bytes(incoming, context)).await
}

fn poll_bytes(
    incoming: &mut Incoming,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, ()>>> {
    loop {
        let frame = std::task::ready!(Pin::new(&mut *incoming).poll_frame(context));
        return Poll::Ready(match frame {
            None => None,
            Some(Err(_)) => Some(Err(())),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => Some(Ok(bytes)),
                Err(_trailers) => continue,
            },
        });
    }
}

/// Lets the tasks run that are ready, without a look at the sockets.
async fn give_turn() {
    let mut given = false;
    poll_fn(|context| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Bytes that came together; a single chunk is not copied.
#[derive(Default)]
struct Ready {
    first: Bytes,
    all: BytesMut,
    len: usize,
}

impl Ready {
    fn push(&mut self, bytes: Bytes) {
        self.len += bytes.len();
        if self.first.is_empty() && self.all.is_empty() {
            self.first = bytes;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&bytes);
    }

    fn take(&mut self) -> Bytes {
        self.len = 0;
        if self.all.is_empty() {
            return std::mem::take(&mut self.first);
        }
        self.all.split().freeze()
    }
}
