//! Framing of event streams, by the WHATWG standard.
//!
//! Lines end with LF, CRLF or CR; a blank line ends an event; a byte order mark may stand first;
//! comments, `id`, `retry` and unknown fields are skipped. Each [`Event`] keeps the bytes it came
//! in, so a stream can be passed on byte by byte. How the bytes were cut into chunks does not
//! change the events, their bytes, or where an error is found.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;
use std::ops::Range;

/// One event, with the bytes it came in.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    raw: Bytes,
    name: Range<usize>,
    data: Data,
}

/// What the `data` lines of an event say.
#[derive(Clone, PartialEq, Eq)]
enum Data {
    None,
    /// One line: these bytes of the event.
    Line(Range<usize>),
    /// Several lines, joined with LF.
    Lines(Bytes),
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Event({} bytes)", self.raw.len())
    }
}

impl Event {
    /// The bytes as they came, the blank line included.
    #[must_use]
    pub const fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The value of the last `event` field; empty where there is none.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.raw[self.name.clone()]
    }

    /// The data; `None` for an event that only holds comments or other fields.
    #[must_use]
    pub fn data(&self) -> Option<&[u8]> {
        match &self.data {
            Data::None => None,
            Data::Line(range) => Some(&self.raw[range.clone()]),
            Data::Lines(joined) => Some(joined),
        }
    }

    /// The same event with other data, which must hold no line break. Other fields stay.
    pub(crate) fn with_data(&self, data: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(self.raw.len() + data.len());
        if let Data::Line(range) = &self.data {
            out.extend_from_slice(&self.raw[..range.start]);
            out.extend_from_slice(data);
            out.extend_from_slice(&self.raw[range.end..]);
            return out.freeze();
        }
        for line in lines(&self.raw) {
            let is_kept = field(&self.raw[line.clone()]).is_none_or(|(name, _)| name != b"data");
            if is_kept && !line.is_empty() {
                out.extend_from_slice(&self.raw[line]);
                out.extend_from_slice(b"\n");
            }
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(data);
        out.extend_from_slice(b"\n\n");
        out.freeze()
    }

    fn read(raw: Bytes, is_first: bool) -> Self {
        let mut name = 0..0;
        let mut found: SmallVec<[Range<usize>; 1]> = SmallVec::new();
        let start = if is_first && raw.starts_with(BOM) {
            BOM.len()
        } else {
            0
        };
        for line in lines(&raw[start..]) {
            let line = start + line.start..start + line.end;
            let Some((field, value)) = field(&raw[line.clone()]) else {
                continue;
            };
            let value = line.end - value.len()..line.end;
            match field {
                b"event" => name = value,
                b"data" => found.push(value),
                _ => {}
            }
        }
        let data = match found.len() {
            0 => Data::None,
            1 => Data::Line(found.swap_remove(0)),
            _ => {
                let lines: Vec<&[u8]> = found.into_iter().map(|range| &raw[range]).collect();
                Data::Lines(Bytes::from(lines.join(&b'\n')))
            }
        };
        Self { raw, name, data }
    }
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The lines of an event without their ends; the blank line at the end is left out.
fn lines(raw: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= raw.len() {
            return None;
        }
        let rest = &raw[at..];
        let len = find_end(rest).unwrap_or(rest.len());
        let line = at..at + len;
        at = line.end + 1;
        if rest[len..].starts_with(b"\r\n") {
            at += 1;
        }
        Some(line)
    })
}

const fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn find_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr2(b'\n', b'\r', bytes)
}

/// Name and value of a line; `None` for comments and blank lines.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return (!line.is_empty()).then_some((line, &line[line.len()..]));
    };
    let value = &line[colon + 1..];
    (colon > 0).then(|| (&line[..colon], value.strip_prefix(b" ").unwrap_or(value)))
}

/// Why bytes are no event stream that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// An event is larger than allowed.
    #[error("an event is larger than {max} bytes")]
    TooLarge {
        /// The bound.
        max: usize,
    },
    /// The stream ended within an event.
    #[error("the stream ended within an event, after {n_bytes} bytes of it")]
    Unterminated {
        /// Bytes of the unfinished event.
        n_bytes: usize,
    },
}

/// Cuts a byte stream into events.
#[derive(Clone, Debug)]
pub struct Splitter {
    max_event: usize,
    /// The start of an event whose end has not come.
    carry: BytesMut,
    scan: Scan,
    is_first: bool,
    failed: Option<SseError>,
}

/// Where the search for the end of an event stands.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    /// Bytes of the event that were looked at.
    at: usize,
    /// Whether no byte of the current line has come.
    line_is_empty: bool,
    /// Whether the last byte was a CR, whose LF may follow.
    after_cr: bool,
    /// Whether the blank line has come and only its LF may follow.
    is_whole: bool,
}

impl Scan {
    const START: Self = Self {
        at: 0,
        line_is_empty: true,
        after_cr: false,
        is_whole: false,
    };

    /// Looks on in the event's bytes. The event's length, once its end is known.
    fn run(&mut self, bytes: &[u8]) -> Option<usize> {
        while self.at < bytes.len() {
            if !self.after_cr && !self.line_is_empty {
                let plain = find_end(&bytes[self.at..]);
                self.at += plain.unwrap_or(bytes.len() - self.at);
                plain?;
            }
            let byte = bytes[self.at];
            if self.is_whole {
                // An LF belongs to the CR before it; anything else begins the next event.
                return Some(self.at + usize::from(byte == b'\n'));
            }
            self.at += 1;
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                continue;
            }
            if !is_end(byte) {
                self.line_is_empty = false;
                continue;
            }
            self.after_cr = byte == b'\r';
            if std::mem::replace(&mut self.line_is_empty, true) {
                if byte == b'\n' {
                    return Some(self.at);
                }
                self.is_whole = true;
            }
        }
        None
    }
}

impl Splitter {
    /// `max_event` bounds the bytes of one event.
    #[must_use]
    pub fn new(max_event: usize) -> Self {
        let carry = BytesMut::new();
        Self {
            max_event,
            carry,
            scan: Scan::START,
            is_first: true,
            failed: None,
        }
    }

    /// Takes bytes as they came and gives the events that are whole now, without copying those
    /// that lie within one chunk.
    ///
    /// # Errors
    /// An event is too large. The events before it are given first; the failure comes with
    /// [`Self::check`] and the next call.
    pub fn push(&mut self, chunk: Bytes) -> Result<Vec<Event>, SseError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        // A chunk of one event, or many small ones that lay ready together.
        let mut events = Vec::with_capacity(1 + chunk.len() / 256);
        let mut rest = self.with_carry(chunk);
        loop {
            let end = self.scan.run(&rest);
            if end.unwrap_or(rest.len()) > self.max_event {
                let failed = SseError::TooLarge {
                    max: self.max_event,
                };
                self.failed = Some(failed.clone());
                return if events.is_empty() {
                    Err(failed)
                } else {
                    Ok(events)
                };
            }
            let Some(end) = end else { break };
            let raw = rest.split_to(end);
            events.push(Event::read(raw, std::mem::take(&mut self.is_first)));
            self.scan = Scan::START;
        }
        self.carry = BytesMut::from(rest);
        Ok(events)
    }

    /// Whether it failed behind the events that [`Self::push`] gave last.
    ///
    /// # Errors
    /// What the next call would say.
    pub fn check(&self) -> Result<(), SseError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// The unfinished event with the new bytes behind it.
    fn with_carry(&mut self, chunk: Bytes) -> Bytes {
        if self.carry.is_empty() {
            return chunk;
        }
        let mut joined = std::mem::take(&mut self.carry);
        joined.extend_from_slice(&chunk);
        joined.freeze()
    }

    /// Ends the stream. An event whose blank line is a lone CR is only known to be whole now.
    ///
    /// # Errors
    /// The stream ended within an event, or failed before.
    pub fn finish(&mut self) -> Result<Option<Event>, SseError> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        let rest = std::mem::take(&mut self.carry).freeze();
        if rest.is_empty() || (self.is_first && rest == BOM) {
            return Ok(None);
        }
        if self.scan.is_whole {
            return Ok(Some(Event::read(rest, self.is_first)));
        }
        Err(SseError::Unterminated {
            n_bytes: rest.len(),
        })
    }
}
