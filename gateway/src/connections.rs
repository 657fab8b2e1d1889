//! The connections of this replica: how many there may be, which there are, and whether the way to each is blocked.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use promcast_proto::control;
use promcast_proto::tick::{Interval, Tick};
use promcast_proto::topic::Key;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::metrics::Metrics;

/// The places for connections on this replica, and who has one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connections {
    places: Arc<Semaphore>,
    open: Arc<Mutex<HashMap<String, Arc<Entry>>>>,
    metrics: Metrics,
}

/// What is known of a connection.
#[derive(Debug)]
struct Entry {
    opened: Tick,
    subscriptions: Vec<(Key, Interval, AtomicI64)>,
    closed: CancellationToken,
}

/// The place of one connection; dropping it frees the place.
#[derive(Debug)]
pub struct Connection {
    id: String,
    entry: Arc<Entry>,
    all: Connections,
    since: Instant,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    /// Room for so many.
    pub fn new(most: usize, metrics: Metrics) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), open: Arc::default(), metrics }
    }

    /// Takes a place; nothing where all are taken. Nobody is evicted for a newcomer.
    pub fn open(
        &self,
        id: &str,
        opened: Tick,
        subscriptions: impl IntoIterator<Item = (Key, Interval)>,
    ) -> Option<Connection> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let none = || AtomicI64::new(i64::MIN);
        let subscriptions =
            subscriptions.into_iter().map(|(key, interval)| (key, interval, none())).collect();
        let entry = Arc::new(Entry { opened, subscriptions, closed: CancellationToken::new() });
        self.open.lock().insert(id.to_owned(), entry.clone());
        self.metrics.active_connections.inc();
        Some(Connection { id: id.to_owned(), entry, all: self.clone(), since: Instant::now(), _place: place })
    }

    /// The connections that are open, of one user or, without a name, of all.
    pub fn list(&self, user: Option<&str>) -> Vec<control::Connection> {
        if user.is_some() {
            return Vec::new();
        }
        self.open.lock().iter().map(|(id, entry)| entry.describe(id)).collect()
    }

    /// Ends a connection, of one user or, without a name, of anybody. False where it is not here.
    pub fn close(&self, id: &str, user: Option<&str>) -> bool {
        let entry = self.open.lock().get(id).cloned().filter(|_| user.is_none());
        entry.inspect(|entry| entry.closed.cancel()).is_some()
    }
}

impl Entry {
    fn describe(&self, id: &str) -> control::Connection {
        let subscriptions = self
            .subscriptions
            .iter()
            .map(|(key, interval, last)| control::Subscription {
                key: *key,
                interval: *interval,
                last: Some(last.load(Ordering::Relaxed)).filter(|last| *last >= 0).map(Tick::from_millis),
            })
            .collect();
        control::Connection { id: id.to_owned(), user: None, opened: self.opened, subscriptions }
    }
}

impl Connection {
    /// Takes note of the last tick of a subscription.
    pub fn delivered(&self, subscription: usize, tick: Tick) {
        if let Some((_, _, last)) = self.entry.subscriptions.get(subscription) {
            last.store(tick.millis(), Ordering::Relaxed);
        }
    }

    /// Ready when somebody closes the connection.
    pub fn closed(&self) -> WaitForCancellationFutureOwned {
        self.entry.closed.clone().cancelled_owned()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.open.lock().remove(&self.id);
        self.all.metrics.active_connections.dec();
        self.all.metrics.connection_duration.observe(self.since.elapsed().as_secs_f64());
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
