//! The connections of this replica: how many there may be, which there are, and whether the way to each is blocked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Context;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use promcast_proto::control;
use promcast_proto::tick::{Interval, Tick};
use promcast_proto::topic::Key;
use rand::RngExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::metrics::Metrics;

/// The places for connections on this replica, and who has one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connections {
    places: Arc<Semaphore>,
    open: Arc<Mutex<HashMap<String, Arc<Entry>>>>,
    exodus: Arc<OnceLock<Mutex<Exodus>>>,
    metrics: Metrics,
}

/// All connections leave: how many there were, since when, and how many have their turn.
#[derive(Debug)]
struct Exodus {
    since: Instant,
    all: u32,
    placed: u32,
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
        Self { places: Arc::new(Semaphore::new(most)), open: Arc::default(), exodus: Arc::default(), metrics }
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

impl Exodus {
    /// The moment of the next one, of a window that begins with the exodus.
    fn turn(&mut self, window: Duration, within: f64) -> Instant {
        let place = f64::from(self.placed.min(self.all.saturating_sub(1))) + within;
        self.placed = self.placed.saturating_add(1);
        self.since + window.mul_f64(place / f64::from(self.all.max(1)))
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

    /// When to leave, now that all do: each has a slot of its own in the window, so that no second sees more than its share of
    /// those who come to the other replicas.
    pub fn leave(&self, window: Duration) -> Instant {
        let begin = || {
            let all = u32::try_from(self.all.open.lock().len()).unwrap_or(u32::MAX);
            Mutex::new(Exodus { since: Instant::now(), all, placed: 0 })
        };
        let mut exodus = self.all.exodus.get_or_init(begin).lock();
        exodus.turn(window, rand::rng().random_range(0.0..1.0))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_second_of_an_exodus_sees_its_share(
            all in 1_u32..300, within in prop::collection::vec(0.0_f64..1.0, 300),
        ) {
            let since = Instant::now();
            let mut exodus = Exodus { since, all, placed: 0 };
            let window = Duration::from_secs(20);
            let turns: Vec<_> =
                (0..all).zip(within).map(|(_, within)| exodus.turn(window, within) - since).collect();
            prop_assert!(turns.iter().all(|turn| *turn <= window));
            for second in 0..20 {
                let second = Duration::from_secs(second)..Duration::from_secs(second + 1);
                let seen = turns.iter().filter(|turn| second.contains(*turn)).count();
                // Slots at either border may be partly in it.
                prop_assert!(seen <= usize::try_from(all / 20).unwrap() + 2, "{seen} of {all} in {second:?}");
            }
        }
    }
}
