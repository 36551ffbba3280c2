//! What a scripted upstream does for the model `script`: byte by byte, so that it can break any rule.

use crate::upstream::Shared;
use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One thing that a scripted answer does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Sends these bytes at once.
    Send(Vec<u8>),
    /// Sends each byte in a packet of its own.
    Drip(Vec<u8>),
    /// Sends a byte every few milliseconds until the gate goes away.
    Trickle(u8),
    /// Sends these bytes again and again until the gate goes away, and counts them.
    Flood(Vec<u8>),
    /// Waits for a step of the test.
    Await,
    /// Says nothing until the gate goes away.
    Hang,
    /// Ends the connection in order.
    Close,
    /// Ends the connection with a reset.
    Reset,
}

/// Plays an answer; `None` when the connection is over.
pub(crate) async fn play(stream: &mut TcpStream, acts: &[Act], shared: &Shared) -> Option<()> {
    for act in acts {
        match act {
            Act::Send(bytes) => stream.write_all(bytes).await.ok()?,
            Act::Drip(bytes) => {
                for byte in bytes {
                    stream.write_all(&[*byte]).await.ok()?;
                    tokio::task::yield_now().await;
                }
            }
            Act::Trickle(byte) => return trickle(stream, *byte).await,
            Act::Flood(bytes) => return flood(stream, bytes, shared).await,
            Act::Await => drop(shared.steps.lock().await.recv().await),
            Act::Hang => return crate::upstream::hang(stream, shared).await,
            Act::Close => return None,
            Act::Reset => {
                stream.set_zero_linger().unwrap();
                return None;
            }
        }
    }
    Some(())
}

async fn trickle(stream: &mut TcpStream, byte: u8) -> Option<()> {
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    loop {
        pace.tick().await;
        stream.write_all(&[byte]).await.ok()?;
    }
}

async fn flood(stream: &mut TcpStream, bytes: &[u8], shared: &Shared) -> Option<()> {
    while stream.write_all(bytes).await.is_ok() {
        shared.flooded.fetch_add(bytes.len(), Ordering::SeqCst);
    }
    shared.cancelled.fetch_add(1, Ordering::SeqCst);
    shared.was_cancelled.notify_one();
    None
}

/// A head with these lines after the status line.
pub(crate) fn head(status: &str, lines: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{lines}\r\n").into_bytes()
}

/// A whole answer of status 200 with these lines besides its length.
pub(crate) fn answer(lines: &str, body: &[u8]) -> Vec<u8> {
    reply("200 OK", lines, body)
}

/// A whole answer with these lines besides its length.
pub(crate) fn reply(status: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let lines = format!("{lines}content-length: {}\r\n", body.len());
    [head(status, &lines), body.to_vec()].concat()
}

/// The content type of a plain answer.
pub(crate) const JSON: &str = "content-type: application/json\r\n";

/// The lines of an answer in chunks.
pub(crate) const CHUNKED: &str = "transfer-encoding: chunked\r\n";

/// The content type of a stream, which comes in chunks.
pub(crate) const EVENTS: &str = "content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n";

/// The last chunk.
pub(crate) const LAST: &[u8] = b"0\r\n\r\n";

/// One chunk.
pub(crate) fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The start of a stream: its head and these events, in one chunk.
pub(crate) fn stream(events: &[u8]) -> Vec<u8> {
    [head("200 OK", EVENTS), chunk(events)].concat()
}

/// The encodings that answers may come in.
pub(crate) const ENCODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

/// Bytes encoded as `content-encoding` names it.
pub(crate) async fn encoded(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let read = match encoding {
        "gzip" => GzipEncoder::new(bytes).read_to_end(&mut out).await,
        "deflate" => ZlibEncoder::new(bytes).read_to_end(&mut out).await,
        "br" => BrotliEncoder::new(bytes).read_to_end(&mut out).await,
        "zstd" => ZstdEncoder::new(bytes).read_to_end(&mut out).await,
        other => panic!("no encoder for {other}"),
    };
    read.unwrap();
    out
}
