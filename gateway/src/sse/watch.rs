//! A future that a stream watches beside its topics, and polls only when that one has woken it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::hub::{Note, Signal};

/// A future whose waking is told from all else that wakes its stream: an event costs it nothing. A stream has one.
pub(super) struct Watch<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    waker: Waker,
}

impl<T> Watch<T> {
    /// Watches a future for the stream with this signal.
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static, signal: &Arc<Signal>) -> Self {
        Self { future: Box::pin(future), waker: signal.waker(Note::Access) }
    }

    /// What it has come to, if it has; `signal` is its stream's. Not to be called again then.
    pub(super) fn take(&mut self, signal: &Signal) -> Option<T> {
        if !signal.take_note(Note::Access) {
            return None;
        }
        match self.future.as_mut().poll(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }
}
