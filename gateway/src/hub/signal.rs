//! How topics wake a connection: which of its subscriptions may have something to read.

use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;

/// One bit for each subscription of a connection, and the task that reads them.
#[derive(Debug, Default)]
pub struct Signal {
    waker: AtomicWaker,
    places: AtomicU32,
}

impl Signal {
    /// There may be something to read at `place`.
    pub fn raise(&self, place: u8) {
        self.places.fetch_or(1u32.checked_shl(u32::from(place)).unwrap_or_default(), Ordering::Release);
        self.waker.wake();
    }

    /// There is something else to do.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// Wakes this task at the next [`Signal::raise`] or [`Signal::wake`]. To miss none, register first, then take.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// The places that were raised since the last call, one bit each.
    pub fn take(&self) -> u32 {
        self.places.swap(0, Ordering::Acquire)
    }
}
