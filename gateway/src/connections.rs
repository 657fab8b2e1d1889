//! The connections of this replica: how many there may be, which there are, and what each streams.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use promcast_proto::control;
use promcast_proto::cursor::SUBSCRIPTIONS_MAX;
use promcast_proto::tick::Tick;
use rand::RngExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::auth::Sight;
use crate::hub::{Feed, Note, Resume, Signal};
use crate::metrics::Metrics;

mod exodus;
mod pressure;
pub mod roster;

pub use pressure::Pressure;
pub use roster::{Conflict, Diff, Roster, Seen, Wish};

use exodus::Exodus;

/// The places for connections on this replica, and who has one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    places: Arc<Semaphore>,
    open: Mutex<OpenById>,
    exodus: OnceLock<Mutex<Exodus>>,
    leaving: AtomicBool,
    metrics: Metrics,
}

type OpenById = HashMap<Arc<str>, Arc<Entry>>;

/// How much there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections of all together.
    pub all: usize,
    /// Connections of one user.
    pub user: usize,
    /// Different topics of one user.
    pub user_topics: usize,
    /// Subscriptions of one connection; never more than a cursor holds.
    pub subscriptions: usize,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// All places are taken.
    #[error("this replica holds as many streams as it may; try again, or reach another")]
    Replica,
    /// The user has as many connections as one may.
    #[error("you hold as many streams here as one user may; close one, or reach another replica")]
    User,
    /// The user has as many topics as one may.
    #[error("you stream as many different queries here as one user may; close one first")]
    UserTopics,
}

/// Who opens a connection, and with what.
pub struct Opening {
    /// The connection's name.
    pub id: String,
    /// Whose it is, where users are told apart.
    pub user: Option<Arc<str>>,
    /// How far they see with it.
    pub sight: Sight,
    /// When.
    pub opened: Tick,
    /// What it streams at first.
    pub roster: Roster,
    /// Wakes its stream.
    pub signal: Arc<Signal>,
}

/// What is known of a connection.
#[derive(Debug)]
struct Entry {
    user: Option<Arc<str>>,
    sight: Sight,
    opened: Tick,
    roster: Mutex<Roster>,
    changes: Mutex<Vec<Change>>,
    signal: Arc<Signal>,
}

/// A topic that a stream reads.
pub struct Joined {
    /// Its place in the cursor.
    pub place: u8,
    /// Where it is read from.
    pub feed: Feed,
    /// The last tick that the client has seen.
    pub after: Option<Tick>,
    /// Where it goes on.
    pub resume: Resume,
    /// Where its last tick is noted.
    pub seen: Seen,
}

/// What a stream does otherwise from now on.
pub struct Change {
    /// Places whose topic it reads no more.
    pub left: Vec<u8>,
    /// What it reads from now on.
    pub joined: Vec<Joined>,
    /// The event that says so.
    pub event: Bytes,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Change").field("left", &self.left).finish_non_exhaustive()
    }
}

/// The place of one connection; dropping it frees the place.
#[derive(Debug)]
pub struct Connection {
    id: Arc<str>,
    entry: Arc<Entry>,
    signal: Arc<Signal>,
    all: Connections,
    since: Instant,
    _place: OwnedSemaphorePermit,
}

/// A connection that is open, in the hands of somebody who may change it.
#[derive(Debug)]
pub struct Open {
    id: String,
    entry: Arc<Entry>,
    all: Connections,
}

/// Why a connection stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unchanged {
    /// It has ended.
    #[error("the connection has ended")]
    Ended,
    /// The subscriptions do not go together.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// There is no room for them.
    #[error(transparent)]
    Full(#[from] Full),
}

impl Connections {
    /// Room for so many.
    pub fn new(limits: Limits, metrics: Metrics) -> Self {
        let limits = Limits { subscriptions: limits.subscriptions.min(SUBSCRIPTIONS_MAX), ..limits };
        Self(Arc::new(Shared {
            limits,
            places: Arc::new(Semaphore::new(limits.all)),
            open: Mutex::default(),
            exodus: OnceLock::new(),
            leaving: AtomicBool::new(false),
            metrics,
        }))
    }

    /// How much there may be.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Takes a place, unless all are taken, or all that one user may have. Nobody is evicted for a newcomer.
    pub fn open(&self, opening: Opening) -> Result<Connection, Full> {
        let place = self.0.places.clone().try_acquire_owned().map_err(|_| Full::Replica)?;
        let Opening { id, user, sight, opened, roster, signal } = opening;
        {
            let mut open = self.0.open.lock();
            self.0.limits.check(&open, user.as_deref(), &id, &roster)?;
            let entry = Entry {
                user,
                sight,
                opened,
                roster: Mutex::new(roster),
                changes: Mutex::default(),
                signal: signal.clone(),
            };
            let (id, entry) = (Arc::from(id), Arc::new(entry));
            open.insert(Arc::clone(&id), entry.clone());
            self.0.metrics.active_connections.inc();
            Ok(Connection { id, entry, signal, all: self.clone(), since: Instant::now(), _place: place })
        }
    }

    /// Tells all, and whoever comes after, that the replica goes away when `soft` is cancelled.
    pub async fn leave_with(self, soft: CancellationToken) {
        soft.cancelled().await;
        self.0.leaving.store(true, Ordering::Release);
        self.0.open.lock().values().for_each(|entry| entry.signal.wake());
    }

    /// The connections that are open, of one user or, without a name, of all.
    pub fn list(&self, user: Option<&str>) -> Vec<control::Connection> {
        let open = self.0.open.lock();
        open.iter().filter(|(_, entry)| entry.is_of(user)).map(|(id, entry)| entry.describe(id)).collect()
    }

    /// Ends a connection, of one user or, without a name, of anybody. False where it is not here.
    pub fn close(&self, id: &str, user: Option<&str>) -> bool {
        let entry = self.0.open.lock().get(id).cloned().filter(|entry| entry.is_of(user));
        entry.inspect(|entry| entry.close()).is_some()
    }

    /// A connection of this user, to change it; nothing where it is not here.
    pub fn find(&self, id: &str, user: Option<&str>) -> Option<Open> {
        let entry = self.0.open.lock().get(id).cloned().filter(|entry| entry.is_of(user))?;
        Some(Open { id: id.to_owned(), entry, all: self.clone() })
    }
}

impl Open {
    /// How far its user sees with it.
    pub fn sight(&self) -> &Sight {
        &self.entry.sight
    }

    /// Changes its subscriptions, or none of them. `join` makes of what is to be done the change that its stream carries out.
    pub fn amend(
        &self,
        remove: &[String],
        add: &[Wish],
        join: impl FnOnce(Diff, &Arc<Signal>) -> Change,
    ) -> Result<(), Unchanged> {
        let open = self.all.0.open.lock();
        if !open.contains_key(self.id.as_str()) {
            return Err(Unchanged::Ended);
        }
        let next = self.entry.roster.lock().amend(remove, add, self.all.0.limits.subscriptions);
        let (next, diff) = next?;
        self.all.0.limits.check_topics(&open, self.entry.user.as_deref(), &self.id, &next)?;
        *self.entry.roster.lock() = next;
        // Still under the lock: changes come to the stream in the order in which they were decided.
        self.entry.changes.lock().push(join(diff, &self.entry.signal));
        self.entry.signal.leave(Note::Changes);
        Ok(())
    }
}

impl Limits {
    /// Whether one more of its user is within the limits; where nobody is told apart there are none.
    fn check(&self, open: &OpenById, user: Option<&str>, id: &str, roster: &Roster) -> Result<(), Full> {
        if user.is_some() && open.values().filter(|entry| entry.is_of(user)).count() >= self.user {
            return Err(Full::User);
        }
        self.check_topics(open, user, id, roster)
    }

    /// Whether the user may stream the topics of `roster` on connection `id`, besides those of their others.
    fn check_topics(
        &self,
        open: &OpenById,
        user: Option<&str>,
        id: &str,
        roster: &Roster,
    ) -> Result<(), Full> {
        if user.is_none() {
            return Ok(());
        }
        let mut topics: HashSet<_> = roster.keys().collect();
        for (_, entry) in open.iter().filter(|(other, entry)| &***other != id && entry.is_of(user)) {
            topics.extend(entry.roster.lock().keys());
        }
        if topics.len() > self.user_topics { Err(Full::UserTopics) } else { Ok(()) }
    }
}

impl Entry {
    fn close(&self) {
        self.signal.leave(Note::Closed);
    }

    /// Whether it is that user's; everything is somebody's where none is named.
    fn is_of(&self, user: Option<&str>) -> bool {
        user.is_none_or(|user| self.user.as_deref() == Some(user))
    }

    fn describe(&self, id: &str) -> control::Connection {
        control::Connection {
            id: id.to_owned(),
            user: self.user.as_deref().map(str::to_owned),
            opened: self.opened,
            subscriptions: self.roster.lock().describe(),
        }
    }
}

impl Connection {
    /// What its stream is to do otherwise, in the order in which that was decided.
    pub fn changes(&self) -> Vec<Change> {
        if self.signal.take_note(Note::Changes) {
            std::mem::take(&mut *self.entry.changes.lock())
        } else {
            Vec::new()
        }
    }

    /// When to leave, now that all do: each has a slot of its own in the window, so that no second sees more than its share of
    /// those who come to the other replicas.
    pub fn leave(&self, window: Duration) -> Instant {
        let begin =
            || Mutex::new(Exodus::of(u32::try_from(self.all.0.open.lock().len()).unwrap_or(u32::MAX)));
        let mut exodus = self.all.0.exodus.get_or_init(begin).lock();
        exodus.turn(window, rand::rng().random_range(0.0..1.0))
    }

    /// Whether somebody closed the connection.
    pub fn is_closed(&self) -> bool {
        self.signal.has(Note::Closed)
    }

    /// Whether the replica goes away.
    pub fn is_leaving(&self) -> bool {
        self.all.0.leaving.load(Ordering::Acquire)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let metrics = &self.all.0.metrics;
        self.all.0.open.lock().remove(&self.id);
        metrics.active_connections.dec();
        let lived = self.since.elapsed().as_secs_f64();
        metrics.connection_duration.observe(lived);
        info!(connection.id = &*self.id, user = self.entry.user.as_deref(), seconds = lived, "stream closed");
    }
}

#[cfg(test)]
mod tests {
    use promcast_proto::tick::Interval;
    use promcast_proto::topic::{Datasource, Topic};

    use super::*;

    fn opening(id: &str, user: Option<&str>, query: &str) -> Opening {
        let key = Topic::new(Datasource::default(), query.to_owned()).key();
        let wish = Wish { id: "0".to_owned(), key, interval: Interval::from_secs(5).unwrap() };
        let (roster, _) = Roster::of_request(&[wish], 1).unwrap();
        let (user, signal) = (user.map(Into::into), Arc::default());
        Opening { id: id.to_owned(), user, sight: Sight::All, opened: Tick::MIN, roster, signal }
    }

    fn limits(all: usize, user: usize, user_topics: usize) -> Limits {
        Limits { all, user, user_topics, subscriptions: 32 }
    }

    #[test]
    fn a_user_has_so_many_places_and_topics_and_no_more() {
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let all = Connections::new(limits(6, 3, 2), metrics);
        let open = |id: &str, user: Option<&str>, query: &str| all.open(opening(id, user, query));
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
        let all = Connections::new(limits(9, 9, 9), metrics);
        let _ann = all.open(opening("a", Some("ann"), "up")).unwrap();
        let _ben = all.open(opening("b", Some("ben"), "up")).unwrap();
        let ids = |user| all.list(user).into_iter().map(|held| held.id).collect::<Vec<_>>();
        assert_eq!((ids(Some("ann")), ids(None).len(), ids(Some("cid")).len()), (vec!["a".to_owned()], 2, 0));
        assert!(!all.close("b", Some("ann")), "somebody else's connection was closed");
        assert!(all.close("b", Some("ben")) && all.close("a", None));
    }
}
