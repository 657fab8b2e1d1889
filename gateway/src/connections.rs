//! The connections of this replica: how many there may be, and whether the way to each client is blocked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::metrics::Metrics;

/// The places for connections on this replica. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connections {
    places: Arc<Semaphore>,
    metrics: Metrics,
}

/// The place of one connection; dropping it frees the place.
#[derive(Debug)]
pub struct Connection {
    opened: Instant,
    metrics: Metrics,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    /// Room for so many.
    pub fn new(most: usize, metrics: Metrics) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), metrics }
    }

    /// Takes a place; nothing where all are taken. Nobody is evicted for a newcomer.
    pub fn open(&self) -> Option<Connection> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        self.metrics.active_connections.inc();
        Some(Connection { opened: Instant::now(), metrics: self.metrics.clone(), _place: place })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.active_connections.dec();
        self.metrics.connection_duration.observe(self.opened.elapsed().as_secs_f64());
    }
}

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
