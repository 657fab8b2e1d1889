//! When the connections of a shard have something to do though nothing happens: one timer for all of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::pin::Pin;
use std::task::Context;

use tokio::time::{Instant, Sleep, sleep_until};

/// The alarms of a shard. One that is of no use any more is not taken back: it rings, and whoever it is for looks in vain.
pub(super) struct Alarms {
    heap: BinaryHeap<Reverse<(Instant, u32)>>,
    timer: Pin<Box<Sleep>>,
}

impl Alarms {
    /// None.
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), timer: Box::pin(sleep_until(Instant::now())) }
    }

    /// One more.
    pub(super) fn set(&mut self, at: Instant, number: u32) {
        self.heap.push(Reverse((at, number)));
    }

    /// Whose alarm rings; where there is none, the task is woken for the next.
    pub(super) fn next(&mut self, now: Instant, cx: &mut Context<'_>) -> Option<u32> {
        let Reverse((at, number)) = *self.heap.peek()?;
        if at <= now {
            self.heap.pop();
            return Some(number);
        }
        if self.timer.deadline() != at {
            self.timer.as_mut().reset(at);
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            // It rings between `now` and now.
            cx.waker().wake_by_ref();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn alarms_ring_in_their_order_and_at_their_time() {
        let mut alarms = Alarms::new();
        let start = Instant::now();
        for (number, seconds) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
            alarms.set(start + Duration::from_secs(seconds), number);
        }
        let mut rang = Vec::new();
        std::future::poll_fn(|cx| {
            let now = Instant::now();
            while let Some(number) = alarms.next(now, cx) {
                rang.push((number, (now - start).as_secs()));
            }
            if rang.len() < 4 { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
        })
        .await;
        assert_eq!(rang, [(2, 10), (4, 10), (3, 20), (1, 30)]);
    }
}
