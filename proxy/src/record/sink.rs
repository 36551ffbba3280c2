//! Where records are written: JSON Lines, by a thread of its own.

use crate::record::Record;
use portcullis_config::RecordSink;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Records that may wait for the disk. One more is lost, and counted as lost.
const QUEUE: usize = 16_384;

enum Message {
    Record(Arc<Record>),
    Flush(SyncSender<()>),
}

/// The writing end. Dropping it writes what waits and joins the thread.
#[derive(Debug)]
pub struct Sink {
    queue: Option<SyncSender<Message>>,
    writer: Option<JoinHandle<()>>,
}

impl Sink {
    /// Opens the sink of a configuration.
    ///
    /// # Errors
    /// When the file cannot be opened for appending, or the thread cannot be started.
    pub fn open(sink: &RecordSink) -> io::Result<Self> {
        match sink {
            RecordSink::None => Ok(Self {
                queue: None,
                writer: None,
            }),
            RecordSink::Stdout => Self::start(io::stdout()),
            RecordSink::File(path) => {
                Self::start(OpenOptions::new().create(true).append(true).open(path)?)
            }
        }
    }

    fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, records) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("records".to_owned());
        let writer = thread.spawn(move || write_all(&records, BufWriter::new(out)))?;
        Ok(Self {
            queue: Some(queue),
            writer: Some(writer),
        })
    }

    /// Takes a record; never waits. Whether it was taken.
    #[must_use]
    pub fn write(&self, record: Arc<Record>) -> bool {
        let Some(queue) = &self.queue else {
            return true;
        };
        match queue.try_send(Message::Record(record)) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// Waits until everything taken so far is written.
    pub fn flush(&self) {
        let Some(queue) = &self.queue else { return };
        let (done, flushed) = sync_channel(1);
        if queue.send(Message::Flush(done)).is_ok() {
            let _ = flushed.recv();
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            drop(writer.join());
        }
    }
}

/// Writes records until nobody can send any more; flushes whenever the queue runs dry.
fn write_all(records: &Receiver<Message>, mut out: BufWriter<impl Write>) {
    let mut broken = false;
    loop {
        match records.recv_timeout(Duration::from_millis(200)) {
            Ok(Message::Record(record)) => note(&mut broken, write_line(&mut out, &record)),
            Ok(Message::Flush(done)) => {
                note(&mut broken, out.flush());
                let _ = done.send(());
            }
            Err(RecvTimeoutError::Timeout) => note(&mut broken, out.flush()),
            Err(RecvTimeoutError::Disconnected) => {
                note(&mut broken, out.flush());
                return;
            }
        }
    }
}

fn write_line(out: &mut impl Write, record: &Record) -> io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.write_all(b"\n")
}

/// A sink that cannot be written to is said once; it must not be able to fail a request.
fn note(broken: &mut bool, result: io::Result<()>) {
    match result {
        Err(error) if !*broken => {
            *broken = true;
            tracing::error!(%error, "decision records cannot be written");
        }
        Ok(()) => {}
        Err(_) => {}
    }
}
