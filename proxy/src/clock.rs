//! Waiting no longer than a while.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::task::unconstrained;

/// What a future gives, or `None` when it is not there `limit` after `started`. What is there at
/// once is taken without the cost of a timer, and the clock is not read.
pub(crate) async fn within<F: Future>(
    started: Instant,
    limit: Duration,
    future: F,
) -> Option<F::Output> {
    let Some(deadline) = started.checked_add(limit) else {
        return Some(future.await);
    };
    let mut future = pin!(future);
    let mut timer = pin!(None);
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if timer.is_none() {
            // A future that always has more to do must not keep its own time from running out.
            timer.set(Some(unconstrained(tokio::time::sleep_until(
                deadline.into(),
            ))));
        }
        match timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(context).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}
