//! Whether the way to a client is blocked: said by its socket, read by its stream.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;

/// Whether the client's socket takes no more bytes at the moment: said by the socket, read by the stream.
#[derive(Debug, Default)]
pub struct Pressure {
    blocked: AtomicBool,
    waker: AtomicWaker,
}

impl Pressure {
    /// Says whether the socket is blocked.
    pub fn set(&self, blocked: bool) {
        if self.blocked.swap(blocked, Ordering::AcqRel) && !blocked {
            self.waker.wake();
        }
    }

    /// Whether the socket is blocked; if so, the task is woken when it no longer is.
    pub fn is_blocked(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.blocked.load(Ordering::Acquire)
    }
}
