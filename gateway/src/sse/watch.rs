//! A future that a stream watches beside its topics, and polls only when that one has woken it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::hub::{Nudge, Signal};

/// A future whose waking is told from all else that wakes its stream: an event costs it nothing.
pub(super) struct Watch<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    nudge: Nudge,
}

impl<T> Watch<T> {
    /// Watches a future for the stream with this signal.
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static, signal: Arc<Signal>) -> Self {
        Self { future: Box::pin(future), nudge: Nudge::new(signal) }
    }

    /// What it has come to, if it has. Not to be called again then.
    pub(super) fn take(&mut self) -> Option<T> {
        if !self.nudge.take() {
            return None;
        }
        match self.future.as_mut().poll(&mut Context::from_waker(self.nudge.waker())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }
}
