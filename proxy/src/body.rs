//! Bodies: reading a request under limits, and the response that closes its record.

use crate::clock;
use crate::error::Error;
use crate::load::Permit;
use crate::record::{Event, Outcome};
use crate::screen::stream::GuardedStream;
use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use portcullis_config::Limits;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt};

/// Compressed bytes below which the ratio limit does not count: small texts compress well.
const RATIO_FREE: u64 = 64 * 1024;

/// A content encoding that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As it is.
    Identity,
    /// gzip.
    Gzip,
    /// zlib, as HTTP's `deflate` means.
    Deflate,
    /// Brotli.
    Brotli,
    /// Zstandard.
    Zstd,
}

/// The encoding that the headers name.
///
/// # Errors
/// [`Error::UnsupportedMedia`] for an encoding we do not read, or several on top of each other.
pub(crate) fn encoding_of(headers: &HeaderMap) -> Result<Encoding, Error> {
    let mut named = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(value) = named.next() else {
        return Ok(Encoding::Identity);
    };
    let name = value.to_str().unwrap_or("?").trim().to_ascii_lowercase();
    let unknown = || {
        Error::UnsupportedMedia(format!(
            "content-encoding `{name}` is not supported; use identity, gzip, deflate, br or zstd"
        ))
    };
    if named.next().is_some() {
        return Err(unknown());
    }
    match name.as_str() {
        "" | "identity" => Ok(Encoding::Identity),
        "gzip" | "x-gzip" => Ok(Encoding::Gzip),
        "deflate" => Ok(Encoding::Deflate),
        "br" => Ok(Encoding::Brotli),
        "zstd" => Ok(Encoding::Zstd),
        _ => Err(unknown()),
    }
}

/// A decoder over a reader of compressed bytes.
pub(crate) fn decoder<'r, R: AsyncBufRead + Unpin + Send + 'r>(
    encoding: Encoding,
    reader: R,
) -> Box<dyn AsyncRead + Unpin + Send + 'r> {
    match encoding {
        Encoding::Identity => Box::new(reader),
        Encoding::Gzip => {
            let mut gzip = GzipDecoder::new(reader);
            gzip.multiple_members(true);
            Box::new(gzip)
        }
        Encoding::Deflate => Box::new(ZlibDecoder::new(reader)),
        Encoding::Brotli => Box::new(BrotliDecoder::new(reader)),
        Encoding::Zstd => {
            let mut zstd = ZstdDecoder::new(reader);
            zstd.multiple_members(true);
            Box::new(zstd)
        }
    }
}

/// Reads a whole body of at most `limit` bytes.
///
/// # Errors
/// [`Error::TooLarge`] past the limit, [`Error::ClientGone`] when it breaks off.
pub(crate) async fn read_whole<B>(
    mut body: B,
    limit: u64,
    what: &str,
    permit: &mut Option<Permit>,
) -> Result<Bytes, ReadError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let too_large = || ReadError::TooLarge(format!("the {what} is larger than {limit} bytes"));
    if body.size_hint().lower() > limit {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| ReadError::Broken)?.into_data() else {
            continue;
        };
        if (first.len() + rest.len() + data.len()) as u64 > limit {
            return Err(too_large());
        }
        grow(permit, data.len())?;
        // Most bodies are one frame: keep it without a copy.
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
            first = Bytes::new();
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// Past a limit.
    #[error("{0}")]
    TooLarge(String),
    /// It broke off.
    #[error("it broke off")]
    Broken,
    /// There is no room for it.
    #[error("there is no room for it")]
    Overloaded,
    /// It cannot be decoded.
    #[error("it does not decode as its content-encoding says")]
    Undecodable,
}

/// Decodes a whole body under the limits on size and ratio.
///
/// # Errors
/// [`ReadError::TooLarge`] past a limit, [`ReadError::Undecodable`] when it is damaged.
pub(crate) async fn decode_whole(
    encoding: Encoding,
    body: Bytes,
    limit: u64,
    ratio: u32,
    permit: &mut Option<Permit>,
) -> Result<Bytes, ReadError> {
    if encoding == Encoding::Identity {
        return Ok(body);
    }
    let compressed = body.len() as u64;
    let by_ratio = compressed.max(RATIO_FREE).saturating_mul(u64::from(ratio));
    let limit_here = limit.min(by_ratio);
    let mut bytes = std::io::Cursor::new(&body[..]);
    let mut reader = decoder(encoding, &mut bytes);
    let mut out = BytesMut::with_capacity(64 * 1024);
    loop {
        out.reserve(16 * 1024);
        let read = reader
            .read_buf(&mut out)
            .await
            .map_err(|_| ReadError::Undecodable)?;
        if read == 0 {
            drop(reader);
            // Bytes that one decoder leaves another may read.
            let is_whole = bytes.position() == compressed;
            return is_whole.then(|| out.freeze()).ok_or(ReadError::Undecodable);
        }
        if out.len() as u64 > limit_here {
            return Err(ReadError::TooLarge(format!(
                "the decompressed body is larger than {limit_here} bytes"
            )));
        }
        grow(permit, read)?;
        // Decoding a large body must not keep this thread from others.
        tokio::task::consume_budget().await;
    }
}

fn grow(permit: &mut Option<Permit>, bytes: usize) -> Result<(), ReadError> {
    let Some(permit) = permit else { return Ok(()) };
    permit.grow(bytes as u64).map_err(|_| ReadError::Overloaded)
}

/// Reads, decodes and bounds a request body.
///
/// # Errors
/// As [`Error`] names them.
pub(crate) async fn read_request<B>(
    headers: &HeaderMap,
    body: B,
    limits: &Limits,
    (started, limit): (Instant, Duration),
    permit: &mut Option<Permit>,
) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let encoding = encoding_of(headers)?;
    let reading = read_whole(body, limits.body, "request body", permit);
    let read = clock::within(started, limit, reading)
        .await
        .ok_or(Error::SlowClient)?;
    let whole = read.map_err(request_error)?;
    let ratio = limits.decompression_ratio;
    let decoded = decode_whole(encoding, whole, limits.body, ratio, permit).await;
    decoded.map_err(request_error)
}

fn request_error(error: ReadError) -> Error {
    match error {
        ReadError::TooLarge(message) => Error::TooLarge(message),
        ReadError::Broken => Error::ClientGone,
        ReadError::Overloaded => Error::Overloaded,
        ReadError::Undecodable => {
            Error::Malformed("the request body does not decode as its content-encoding says".into())
        }
    }
}

/// The body of every response. It owns the record and closes it when its last byte has been taken.
#[derive(Debug)]
pub struct ResponseBody(Kind);

#[derive(Debug)]
enum Kind {
    Plain(Bytes),
    Recorded {
        bytes: Bytes,
        event: Event,
        outcome: Outcome,
    },
    Stream(Box<GuardedStream>),
}

impl ResponseBody {
    /// A body without a record, for the admin plane.
    #[must_use]
    pub(crate) fn plain(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Plain(bytes.into()))
    }

    /// A whole body; its record ends with `outcome` once the bytes have been taken.
    #[must_use]
    pub(crate) fn recorded(bytes: Bytes, mut event: Event, outcome: Outcome) -> Self {
        if bytes.is_empty() {
            event.finish(outcome);
        }
        Self(Kind::Recorded {
            bytes,
            event,
            outcome,
        })
    }

    /// A guarded stream, which holds its record itself.
    #[must_use]
    pub(crate) fn stream(stream: GuardedStream) -> Self {
        Self(Kind::Stream(Box::new(stream)))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let bytes = match &mut self.0 {
            Kind::Stream(stream) => return stream.poll_next(context),
            Kind::Plain(bytes) => bytes,
            Kind::Recorded {
                bytes,
                event,
                outcome,
            } => {
                event.finish(*outcome);
                bytes
            }
        };
        let taken = std::mem::take(bytes);
        Poll::Ready((!taken.is_empty()).then(|| Ok(Frame::data(taken))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Plain(bytes) | Kind::Recorded { bytes, .. } => bytes.is_empty(),
            Kind::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Plain(bytes) | Kind::Recorded { bytes, .. } => {
                SizeHint::with_exact(bytes.len() as u64)
            }
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}

/// A stream that must not end as if it were whole: the connection is cut instead.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the stream broke off")]
pub struct BrokenOff;
