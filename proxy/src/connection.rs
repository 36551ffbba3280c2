//! One connection: which HTTP it speaks, its exchanges, and its rest between them.
//!
//! The HTTP library holds two buffers of 8 KiB for as long as it has a connection. So an HTTP/1.1
//! connection that asked nothing for [`REST`] is taken out of its hands: only the stream is kept,
//! until its next byte begins anew.

use crate::body::{BrokenOff, ResponseBody};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use portcullis_config::{Limits, Timeouts};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long an idle HTTP/1.1 connection keeps what a busy one needs.
const REST: Duration = Duration::from_secs(1);

/// How a client says that it speaks HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What answers requests. It keeps nothing of a request's body past its answer: what is left of it
/// would be read as the next request.
pub(crate) trait Handle: Clone + Send + Sync + Unpin + 'static {
    fn handle(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send;
}

/// How connections are spoken to.
#[derive(Debug)]
pub(crate) struct Http {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    /// From the end of an exchange, or the beginning, until the head of the next request is there;
    /// and how long a client may take nothing of an answer.
    within: Duration,
}

/// How an HTTP/1.1 connection came out of the library's hands.
enum End<I> {
    /// It is over: closed, broken, or silent for too long.
    Over,
    /// It is idle: the stream, and what was read from it already.
    Idle(I, Bytes),
}

impl Http {
    pub(crate) fn new(limits: &Limits, timeouts: &Timeouts) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(limits.header.max(8192))
            .half_close(false);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(256)
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(64)
            .max_header_list_size(u32::try_from(limits.header).unwrap_or(u32::MAX))
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        Self {
            http1,
            http2,
            within: timeouts.read,
        }
    }

    /// Talks until the client leaves, asks nothing for too long, or `ending` is called and the
    /// exchange in flight is over.
    pub(crate) async fn talk<I, H>(
        self: Arc<Self>,
        mut io: I,
        handler: H,
        ending: CancellationToken,
    ) where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        H: Handle,
    {
        let mut idle_since = Instant::now();
        let mut read = Bytes::new();
        let mut is_new = true;
        loop {
            if read.is_empty() {
                let deadline = idle_since + self.within;
                match next_bytes(&mut io, is_new, deadline, &ending).await {
                    Some(bytes) => read = bytes,
                    None => break,
                }
            }
            let pulse = Arc::<Pulse>::default();
            let stream = Stream {
                read: std::mem::take(&mut read),
                io,
                pulse: Arc::clone(&pulse),
            };
            let service = Answering {
                handler: handler.clone(),
                pulse,
            };
            // Large, and gone while the connection rests.
            if is_new && stream.read == PREFACE[..] {
                let deadline = idle_since + self.within;
                return Box::pin(self.streams(stream, service, &ending, deadline)).await;
            }
            match Box::pin(self.exchanges(stream, service, &ending, &mut idle_since)).await {
                End::Over => return,
                End::Idle(stream, rest) => (io, read) = (stream, rest),
            }
            is_new = false;
        }
        // TLS says goodbye; a client that does not listen is not waited for.
        drop(timeout(REST, io.shutdown()).await);
    }

    /// HTTP/1.1, until the connection is over or idle.
    async fn exchanges<I, H>(
        &self,
        stream: Stream<I>,
        service: Answering<H>,
        ending: &CancellationToken,
        idle_since: &mut Instant,
    ) -> End<I>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        H: Handle,
    {
        let pulse = Arc::clone(&service.pulse);
        let mut connection = self.http1.serve_connection(TokioIo::new(stream), service);
        let (mut ended, mut is_told) = (pin!(ending.cancelled()), false);
        let mut timer = pin!(sleep_until(*idle_since + self.within));
        let mut moved = Moved::default();
        let is_over = poll_fn(|context| {
            loop {
                if let Poll::Ready(end) = Pin::new(&mut connection).poll(context) {
                    note(&end);
                    return Poll::Ready(true);
                }
                // Only now: what was read before the call is a request that came in time.
                if !is_told && ended.as_mut().poll(context).is_ready() {
                    is_told = true;
                    Pin::new(&mut connection).graceful_shutdown();
                    continue;
                }
                // Before the timer is touched: a stream comes by here with each of its chunks.
                let waits_for_us = pulse.is_busy() && !pulse.is_blocked();
                if waits_for_us {
                    *idle_since = Instant::now();
                    return Poll::Pending;
                }
                let now_moved = pulse.moved();
                if moved != now_moved {
                    moved = now_moved;
                    *idle_since = Instant::now();
                    timer.as_mut().reset(*idle_since + REST.min(self.within));
                }
                ready!(timer.as_mut().poll(context));
                let silent_from = *idle_since + self.within;
                if silent_from <= Instant::now() {
                    tracing::debug!("a client asked nothing and took nothing");
                    return Poll::Ready(true);
                }
                timer.as_mut().reset(silent_from);
                if moved.is_answered() && !pulse.is_busy() && !pulse.is_blocked() {
                    Pin::new(&mut connection).graceful_shutdown();
                    if let Poll::Ready(end) = connection.poll_without_shutdown(context) {
                        return Poll::Ready(!note(&end));
                    }
                }
            }
        });
        if is_over.await {
            return End::Over;
        }
        let parts = connection.into_parts();
        // A copy, for the rest of the library's buffer goes with it.
        let read = Bytes::copy_from_slice(&parts.read_buf);
        End::Idle(parts.io.into_inner().io, read)
    }

    /// HTTP/2, until the connection is over; the first request is waited for until `deadline`.
    async fn streams<I, H>(
        &self,
        stream: Stream<I>,
        service: Answering<H>,
        ending: &CancellationToken,
        deadline: Instant,
    ) where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        H: Handle,
    {
        let pulse = Arc::clone(&service.pulse);
        let connection = self.http2.serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let (mut ended, mut is_told) = (pin!(ending.cancelled()), false);
        // After its first request the library's pings tell whether the client is there.
        let mut patience = pin!(sleep_until(deadline));
        poll_fn(|context| {
            if !is_told && ended.as_mut().poll(context).is_ready() {
                is_told = true;
                connection.as_mut().graceful_shutdown();
            }
            if let Poll::Ready(end) = connection.as_mut().poll(context) {
                note(&end);
                return Poll::Ready(());
            }
            if pulse.is_busy() || pulse.moved().is_answered() {
                return Poll::Pending;
            }
            patience.as_mut().poll(context)
        })
        .await;
    }
}

/// Whether a connection ended well. What goes wrong on one is that client's affair.
fn note(end: &hyper::Result<()>) -> bool {
    if let Err(error) = end {
        tracing::debug!(%error, "a connection ended early");
    }
    end.is_ok()
}

/// What a client says next, or nothing where it is not talked to any more.
async fn next_bytes<I: AsyncRead + Unpin>(
    io: &mut I,
    is_new: bool,
    deadline: Instant,
    ending: &CancellationToken,
) -> Option<Bytes> {
    let begun = tokio::select! {
        biased;
        () = ending.cancelled() => return None,
        begun = timeout_at(deadline, first_bytes(io, is_new)) => begun,
    };
    match begun {
        Ok(Ok(bytes)) => (!bytes.is_empty()).then_some(bytes),
        Ok(Err(_)) => None,
        Err(_) => {
            tracing::debug!("a connection said nothing");
            None
        }
    }
}

/// The first bytes of what a client says; of a new connection as many as tell whether it is HTTP/2.
/// None when it says no more.
async fn first_bytes<I: AsyncRead + Unpin>(io: &mut I, is_new: bool) -> io::Result<Bytes> {
    let mut bytes = [0; PREFACE.len()];
    let mut n_read = 0;
    loop {
        let n_more = io.read(bytes.get_mut(n_read..).unwrap_or_default()).await?;
        n_read += n_more;
        let read = bytes.get(..n_read).unwrap_or_default();
        let may_be_http2 = is_new && n_read < PREFACE.len() && PREFACE.starts_with(read);
        if n_more == 0 || !may_be_http2 {
            return Ok(Bytes::copy_from_slice(read));
        }
    }
}

/// What happens on a connection, as its service, its bodies and its stream notice it.
#[derive(Debug, Default)]
struct Pulse {
    in_flight: AtomicUsize,
    answered: AtomicUsize,
    n_written: AtomicUsize,
    /// The client does not take what is written.
    blocked: AtomicBool,
}

/// How far a connection has come: answers that were made, and bytes that the client took.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Moved {
    answered: usize,
    n_written: usize,
}

impl Moved {
    const fn is_answered(self) -> bool {
        0 < self.answered
    }
}

impl Pulse {
    fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) != 0
    }

    fn moved(&self) -> Moved {
        Moved {
            answered: self.answered.load(Ordering::Relaxed),
            n_written: self.n_written.load(Ordering::Relaxed),
        }
    }

    fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    fn note_written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.blocked.store(written.is_pending(), Ordering::Relaxed);
        if let Poll::Ready(Ok(n_bytes)) = written {
            self.n_written.fetch_add(n_bytes, Ordering::Relaxed);
        }
        written
    }
}

/// An exchange in flight, until the library has its whole answer or it is given up.
#[derive(Debug)]
struct InFlight(Arc<Pulse>);

impl InFlight {
    fn new(pulse: &Arc<Pulse>) -> Self {
        pulse.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(pulse))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // In this order: who sees it over has to see it answered.
        self.0.answered.fetch_add(1, Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Release);
    }
}

/// The service of one connection.
struct Answering<H> {
    handler: H,
    pulse: Arc<Pulse>,
}

impl<H: Handle> Service<Request<Incoming>> for Answering<H> {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = InFlight::new(&self.pulse);
        let handler = self.handler.clone();
        Box::pin(async move {
            let response = handler.handle(request).await;
            Ok(response.map(|body| Answer {
                body,
                _in_flight: in_flight,
            }))
        })
    }
}

/// A body that is in flight until it is dropped.
#[derive(Debug)]
struct Answer {
    body: ResponseBody,
    _in_flight: InFlight,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose first bytes were read already.
struct Stream<I> {
    read: Bytes,
    io: I,
    pulse: Arc<Pulse>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Stream<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.io).poll_read(context, into);
        }
        let n_bytes = self.read.len().min(into.remaining());
        into.put_slice(&self.read.split_to(n_bytes));
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Stream<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.pulse.note_written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.pulse.note_written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context).map_ok(|()| 0);
        self.pulse.note_written(flushed).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
