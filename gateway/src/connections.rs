//! The connections of this replica: how many there may be, which there are, and whether the way to each is blocked.

use std::collections::{HashMap, HashSet};
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
use tracing::info;

use crate::metrics::Metrics;

/// The places for connections on this replica, and who has one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connections {
    limits: Limits,
    places: Arc<Semaphore>,
    open: Arc<Mutex<HashMap<String, Arc<Entry>>>>,
    exodus: Arc<OnceLock<Mutex<Exodus>>>,
    metrics: Metrics,
}

/// How much there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections of all together.
    pub all: usize,
    /// Connections of one user.
    pub user: usize,
    /// Different topics of one user.
    pub user_topics: usize,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// All places are taken.
    Replica,
    /// The user has as many connections as one may.
    User,
    /// The user has as many topics as one may.
    UserTopics,
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
    user: Option<Arc<str>>,
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
    pub fn new(limits: Limits, metrics: Metrics) -> Self {
        Self {
            limits,
            places: Arc::new(Semaphore::new(limits.all)),
            open: Arc::default(),
            exodus: Arc::default(),
            metrics,
        }
    }

    /// Takes a place, unless all are taken, or all that one user may have. Nobody is evicted for a newcomer.
    pub fn open(
        &self,
        id: &str,
        user: Option<Arc<str>>,
        opened: Tick,
        subscriptions: impl IntoIterator<Item = (Key, Interval)>,
    ) -> Result<Connection, Full> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| Full::Replica)?;
        let none = || AtomicI64::new(i64::MIN);
        let subscriptions =
            subscriptions.into_iter().map(|(key, interval)| (key, interval, none())).collect();
        let entry = Arc::new(Entry { user, opened, subscriptions, closed: CancellationToken::new() });
        {
            let mut open = self.open.lock();
            self.limits.check(&open, &entry)?;
            open.insert(id.to_owned(), entry.clone());
        }
        self.metrics.active_connections.inc();
        Ok(Connection { id: id.to_owned(), entry, all: self.clone(), since: Instant::now(), _place: place })
    }

    /// The connections that are open, of one user or, without a name, of all.
    pub fn list(&self, user: Option<&str>) -> Vec<control::Connection> {
        let open = self.open.lock();
        open.iter().filter(|(_, entry)| entry.is_of(user)).map(|(id, entry)| entry.describe(id)).collect()
    }

    /// Ends a connection, of one user or, without a name, of anybody. False where it is not here.
    pub fn close(&self, id: &str, user: Option<&str>) -> bool {
        let entry = self.open.lock().get(id).cloned().filter(|entry| entry.is_of(user));
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

impl Limits {
    /// Whether one more of its user is within the limits; where nobody is told apart there are none.
    fn check(&self, open: &HashMap<String, Arc<Entry>>, new: &Entry) -> Result<(), Full> {
        let Some(user) = new.user.as_deref() else { return Ok(()) };
        let held: Vec<_> = open.values().filter(|entry| entry.is_of(Some(user))).collect();
        if held.len() >= self.user {
            return Err(Full::User);
        }
        let all = held.into_iter().map(Arc::as_ref).chain([new]);
        let topics: HashSet<_> =
            all.flat_map(|entry| entry.subscriptions.iter().map(|(key, _, _)| *key)).collect();
        if topics.len() > self.user_topics { Err(Full::UserTopics) } else { Ok(()) }
    }
}

impl Entry {
    /// Whether it is that user's; everything is somebody's where none is named.
    fn is_of(&self, user: Option<&str>) -> bool {
        user.is_none_or(|user| self.user.as_deref() == Some(user))
    }

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
        control::Connection {
            id: id.to_owned(),
            user: self.user.as_deref().map(str::to_owned),
            opened: self.opened,
            subscriptions,
        }
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
        let lived = self.since.elapsed().as_secs_f64();
        self.all.metrics.connection_duration.observe(lived);
        info!(connection.id = self.id, user = self.entry.user.as_deref(), seconds = lived, "stream closed");
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
    use promcast_proto::topic::{Datasource, Topic};
    use proptest::prelude::*;

    use super::*;

    fn key(query: &str) -> (Key, Interval) {
        (Topic::new(Datasource::default(), query.to_owned()).key(), Interval::from_secs(5).unwrap())
    }

    #[test]
    fn a_user_has_so_many_places_and_topics_and_no_more() {
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let all = Connections::new(Limits { all: 6, user: 3, user_topics: 2 }, metrics);
        let open =
            |id: &str, user: Option<&str>, query| all.open(id, user.map(Into::into), Tick::MIN, [key(query)]);
        let _one = open("1", Some("ann"), "a").unwrap();
        let _two = open("2", Some("ann"), "b").unwrap();
        assert_eq!(open("3", Some("ann"), "c").unwrap_err(), Full::UserTopics);
        let three = open("3", Some("ann"), "a").unwrap();
        assert_eq!(open("4", Some("ann"), "a").unwrap_err(), Full::User);
        let _other = open("4", Some("ben"), "c").unwrap();
        let _nobody = (open("5", None, "x").unwrap(), open("6", None, "y").unwrap());
        assert_eq!(open("7", Some("cid"), "a").unwrap_err(), Full::Replica);
        drop(three);
        open("3", Some("ann"), "b").unwrap();
    }

    #[test]
    fn a_user_sees_and_closes_their_own_and_whoever_sees_all_those_of_all() {
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let all = Connections::new(Limits { all: 9, user: 9, user_topics: 9 }, metrics);
        let _ann = all.open("a", Some("ann".into()), Tick::MIN, []).unwrap();
        let _ben = all.open("b", Some("ben".into()), Tick::MIN, []).unwrap();
        let ids = |user| all.list(user).into_iter().map(|held| held.id).collect::<Vec<_>>();
        assert_eq!((ids(Some("ann")), ids(None).len(), ids(Some("cid")).len()), (vec!["a".to_owned()], 2, 0));
        assert!(!all.close("b", Some("ann")), "somebody else's connection was closed");
        assert!(all.close("b", Some("ben")) && all.close("a", None));
    }

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
