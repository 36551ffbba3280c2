//! One thread that takes long jobs from a bounded queue.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// A thread and the queue before it. Dropping it finishes what is queued and joins the thread.
#[derive(Debug)]
pub(crate) struct Worker<T> {
    queue: Option<SyncSender<T>>,
    thread: Option<JoinHandle<()>>,
}

/// The queue is full, or there is no thread behind it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<T: Send + 'static> Worker<T> {
    /// Starts the thread; `run` is called for one task after another and must not panic.
    ///
    /// When the system gives no thread, every task is refused.
    pub(crate) fn start(name: &str, capacity: usize, run: impl Fn(T) + Send + 'static) -> Self {
        let (queue, tasks) = sync_channel(capacity);
        let builder = std::thread::Builder::new().name(name.to_owned());
        let thread = builder.spawn(move || drain(&tasks, run)).ok();
        Self {
            queue: thread.is_some().then_some(queue),
            thread,
        }
    }

    /// Queues a task; never waits.
    pub(crate) fn offer(&self, task: T) -> Result<(), Full> {
        let queue = self.queue.as_ref().ok_or(Full)?;
        queue.try_send(task).map_err(|_| Full)
    }
}

fn drain<T>(tasks: &Receiver<T>, run: impl Fn(T)) {
    while let Ok(task) = tasks.recv() {
        run(task);
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // a thread that panicked has nothing left to say: its promises were dropped
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_full_queue_refuses_and_a_dropped_worker_finishes_what_it_took() {
        let (let_go, gate) = channel::<()>();
        let (report, done) = channel();
        let worker = Worker::start("test", 1, move |task: u32| {
            report.send(task).unwrap();
            gate.recv().unwrap_err();
        });
        worker.offer(1).unwrap();
        assert_eq!(
            done.recv(),
            Ok(1),
            "the first task runs and waits at the gate"
        );
        worker.offer(2).unwrap();
        assert_eq!(worker.offer(3), Err(Full));
        drop(let_go);
        drop(worker);
        assert_eq!(done.iter().collect::<Vec<_>>(), [2]);
    }
}
