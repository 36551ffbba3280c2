//! Where records are written: JSON Lines, by a thread of its own.

use crate::record::Record;
use portcullis_config::RecordSink;
use prometheus::IntCounter;
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
    CountLost(IntCounter),
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
    pub fn write(&self, record: &Arc<Record>) -> bool {
        let Some(queue) = &self.queue else {
            return true;
        };
        match queue.try_send(Message::Record(Arc::clone(record))) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// Counts there, from now on, the records that were taken and cannot be written.
    pub(crate) fn count_lost_in(&self, counter: IntCounter) {
        if let Some(queue) = &self.queue {
            drop(queue.send(Message::CountLost(counter)));
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
    let mut lost = None;
    let mut line = Vec::new();
    loop {
        match records.recv_timeout(Duration::from_millis(200)) {
            Ok(Message::Record(record)) => {
                let written = write_line(&mut out, &mut line, &record);
                if let (Err(_), Some(lost)) = (&written, &lost) {
                    IntCounter::inc(lost);
                }
                note(&mut broken, written);
            }
            Ok(Message::CountLost(counter)) => lost = Some(counter),
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

/// A line is handed over in one piece: one that cannot be taken leaves no half of itself behind,
/// which the next line would be glued to once the disk has room again.
fn write_line(out: &mut impl Write, line: &mut Vec<u8>, record: &Record) -> io::Result<()> {
    line.clear();
    serde_json::to_writer(&mut *line, record)?;
    line.push(b'\n');
    out.write_all(line)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// A disk that is full for the first `refusals` writes.
    struct Disk {
        refusals: usize,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(left) = self.refusals.checked_sub(1) {
                self.refusals = left;
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_was_full_holds_whole_lines_and_the_others_are_counted() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let disk = Disk {
            refusals: 5,
            written: Arc::clone(&written),
        };
        let lost = IntCounter::new("lost", "lost").unwrap();
        let (queue, records) = sync_channel(200);
        queue.send(Message::CountLost(lost.clone())).unwrap();
        for number in 0..100 {
            let record = Record {
                id: format!("dec_{number}"),
                ..Record::default()
            };
            queue.send(Message::Record(Arc::new(record))).unwrap();
        }
        drop(queue);
        write_all(&records, BufWriter::new(disk));
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let whole = |line: &&str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        assert!(text.lines().all(|line| whole(&line)), "a torn line");
        assert_eq!(lost.get(), 5);
        assert_eq!(text.lines().count(), 95);
    }
}
