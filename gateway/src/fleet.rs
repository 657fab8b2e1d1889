//! The replicas of the gateway, seen from one of them: how many there are, which connections each holds.
//!
//! Nothing is shared and nobody is in charge. Each replica says every few seconds that it is there, and answers what
//! the others ask; so a question knows how many answers to expect, and says when it got fewer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use promcast_proto::control::{self, Changed, Control, Reply, Wanted};
use promcast_proto::problem;
use promcast_runtime::bus::{Bus, Question};
use promcast_runtime::lifecycle::Tasks;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::connections::Connections;
use crate::subscribe::Desk;

/// How often a replica says that it is there.
const HERE: Duration = Duration::from_secs(3);

/// A replica that was silent for so long is gone.
const GONE: Duration = Duration::from_secs(10);

/// How long a question waits for its answers.
const WAIT: Duration = Duration::from_secs(1);

/// This replica among the others. Cheap to clone.
#[derive(Clone)]
pub struct Fleet {
    bus: Arc<dyn Bus>,
    connections: Connections,
    desk: Desk,
    replica: Arc<str>,
    others: Arc<Mutex<BTreeMap<String, Instant>>>,
    since: Instant,
}

/// The connections of all replicas, as far as they answered.
#[derive(Debug)]
pub struct Status {
    /// How many replicas there are, this one included.
    pub known: usize,
    /// What those that answered in time hold, by replica.
    pub replicas: BTreeMap<String, Vec<control::Connection>>,
}

/// What a request about one connection came to, wherever that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// The replica that holds it did so.
    Done(T),
    /// No replica holds it.
    Unknown,
    /// No replica that answered holds it, and not all answered.
    Undecided,
}

/// Why a connection was not changed, as its client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of problem.
    pub kind: problem::Type,
    /// What to change.
    pub detail: String,
}

impl Fleet {
    /// Joins the others, and answers them until everything else has ended.
    pub fn start(
        bus: Arc<dyn Bus>,
        connections: Connections,
        desk: Desk,
        replica: String,
        tasks: &Tasks,
    ) -> Self {
        let fleet = Self {
            bus,
            connections,
            desk,
            replica: replica.into(),
            others: Arc::default(),
            since: Instant::now(),
        };
        let (member, soft) = (fleet.clone(), tasks.soft().clone());
        tasks.background().spawn("fleet", async move {
            member.belong(&soft).await;
        });
        fleet
    }

    /// The connections of one user, or of all, on all replicas.
    pub async fn status(&self, user: Option<String>) -> Status {
        let own = self.connections.list(user.as_deref());
        let mut replicas = BTreeMap::from([(self.replica.to_string(), own)]);
        let known = self.others().len() + 1;
        for reply in self.gather(&Control::Status { user }, self.enough(known)).await {
            if let Reply::Status { replica, connections } = reply {
                replicas.entry(replica).or_insert(connections);
            }
        }
        Status { known: known.max(replicas.len()), replicas }
    }

    /// Closes a connection, wherever it is; one user's only where one is named.
    pub async fn close(&self, connection: &str, user: Option<String>) -> Found<()> {
        if self.connections.close(connection, user.as_deref()) {
            return Found::Done(());
        }
        let closed = |reply| matches!(reply, Reply::Closed).then_some(());
        self.seek(&Control::Close { connection: connection.to_owned(), user }, closed).await
    }

    /// Changes what a connection streams, wherever it is; one user's only where one is named.
    pub async fn change(
        &self,
        connection: &str,
        user: Option<String>,
        add: Vec<Wanted>,
        remove: Vec<String>,
    ) -> Found<Result<Changed, Refusal>> {
        match self.change_here(connection, user.as_deref(), &add, &remove).await {
            Reply::Changed(changed) => return Found::Done(Ok(changed)),
            Reply::Refused { kind, detail } => return Found::Done(Err(Refusal { kind, detail })),
            Reply::NotHeld | Reply::Closed | Reply::Status { .. } => {}
        }
        let changed = |reply| match reply {
            Reply::Changed(changed) => Some(Ok(changed)),
            Reply::Refused { kind, detail } => Some(Err(Refusal { kind, detail })),
            Reply::Status { .. } | Reply::Closed | Reply::NotHeld => None,
        };
        self.seek(&Control::Change { connection: connection.to_owned(), user, add, remove }, changed).await
    }

    async fn change_here(
        &self,
        connection: &str,
        user: Option<&str>,
        add: &[Wanted],
        remove: &[String],
    ) -> Reply {
        match self.desk.change(connection, user, add, remove).await {
            Ok(Some(changed)) => Reply::Changed(changed),
            Ok(None) => Reply::NotHeld,
            Err(refused) => Reply::Refused { kind: refused.kind(), detail: refused.to_string() },
        }
    }

    /// Asks all replicas, and gives what the one that holds the connection says.
    async fn seek<T>(&self, control: &Control, answer: impl Fn(Reply) -> Option<T>) -> Found<T> {
        let known = self.others().len() + 1;
        let replies = self.gather(control, self.enough(known)).await;
        let heard = replies.len();
        match replies.into_iter().find_map(answer) {
            Some(answer) => Found::Done(answer),
            // This replica's own answer is among them where the bus works; once it has been there for a while, it is known anyhow.
            None if heard >= known || (known == 1 && !self.is_new()) => Found::Unknown,
            None => Found::Undecided,
        }
    }

    /// How many answers there can be. A newcomer does not know yet how many others there are, and waits for all that come.
    fn enough(&self, known: usize) -> usize {
        if self.is_new() { usize::MAX } else { known }
    }

    /// Whether there may be replicas that it has not heard of yet.
    fn is_new(&self) -> bool {
        self.since.elapsed() < HERE
    }

    async fn gather(&self, control: &Control, enough: usize) -> Vec<Reply> {
        self.bus.gather(control, enough, WAIT).await.unwrap_or_else(|error| {
            debug!(%error, "cannot ask the other replicas");
            Vec::new()
        })
    }

    async fn say(&self, control: &Control) {
        if let Err(error) = self.bus.tell(control).await {
            debug!(%error, "cannot tell the other replicas");
        }
    }

    /// Listens, says that this replica is there until it goes away, and goes on to answer for what it still holds.
    /// Listening comes first: those who hear of a newcomer answer at once, and must be heard.
    async fn belong(&self, soft: &CancellationToken) {
        let mut state = self.bus.state();
        loop {
            match self.bus.questions().await {
                Ok(questions) => self.listen(questions, soft).await,
                Err(error) => debug!(%error, "cannot listen to the other replicas yet"),
            }
            // Once the bus is there, so are we.
            drop(timeout(HERE / 3, state.changed()).await);
        }
    }

    async fn listen(&self, mut questions: mpsc::Receiver<Question>, soft: &CancellationToken) {
        let mut ticks = interval(HERE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leaving = false;
        loop {
            tokio::select! {
                question = questions.recv() => match question {
                    Some(question) => self.hear(question).await,
                    None => return,
                },
                _ = ticks.tick(), if !leaving => self.say_here().await,
                () = soft.cancelled(), if !leaving => {
                    leaving = true;
                    self.say(&Control::Leaving { replica: self.replica.to_string() }).await;
                }
            }
        }
    }

    async fn say_here(&self) {
        self.say(&Control::Here { replica: self.replica.to_string() }).await;
    }

    async fn hear(&self, question: Question) {
        let Question { control, reply } = question;
        if let Control::Here { replica } = control {
            if self.meet(replica) {
                self.say_here().await;
            }
        } else if let Some(answer) = self.take(control).await {
            // Whoever asked may have given up.
            drop(reply.send(answer));
        }
    }

    /// Takes note of a replica that says it is there; true where it was not known.
    fn meet(&self, replica: String) -> bool {
        *replica != *self.replica && self.others.lock().insert(replica, Instant::now()).is_none()
    }

    async fn take(&self, control: Control) -> Option<Reply> {
        match control {
            Control::Here { .. } => None,
            Control::Leaving { replica } => {
                self.others.lock().remove(&replica);
                None
            }
            Control::Status { user } => Some(Reply::Status {
                replica: self.replica.to_string(),
                connections: self.connections.list(user.as_deref()),
            }),
            Control::Close { connection, user } => {
                let closed = self.connections.close(&connection, user.as_deref());
                Some(if closed { Reply::Closed } else { Reply::NotHeld })
            }
            Control::Change { connection, user, add, remove } => {
                Some(self.change_here(&connection, user.as_deref(), &add, &remove).await)
            }
        }
    }

    /// The other replicas that are there.
    fn others(&self) -> Vec<String> {
        let now = Instant::now();
        let mut others = self.others.lock();
        others.retain(|_, heard| now < *heard + GONE);
        others.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use promcast_proto::tick::{Interval, Tick};
    use promcast_proto::topic::Datasource;
    use promcast_runtime::bus::Limits;
    use promcast_runtime::bus::embedded::Embedded;
    use promcast_runtime::clock::Clock;

    use super::*;
    use crate::auth::Sight;
    use crate::connections::{self, Opening, Roster};
    use crate::hub::{self, Hub};
    use crate::metrics::Metrics;
    use crate::scope::{Labels, Scope};

    fn limits() -> connections::Limits {
        connections::Limits { all: 10, user: 10, user_topics: 10, subscriptions: 32 }
    }

    fn replica(bus: &Arc<dyn Bus>, name: &str, tasks: &Tasks) -> Fleet {
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let connections = Connections::new(limits(), metrics.clone());
        let limits = hub::Limits { ticks: 32, bytes: 1 << 20, lag: 10, linger: Duration::from_secs(15) };
        let settings =
            hub::Settings { limits, query_timeout: Duration::from_secs(10), update_bytes: 1 << 20 };
        let clock = Clock::starting_at(Tick::from_millis(1_764_000_000_000));
        let hub = Hub::new(bus.clone(), clock, tasks.clone(), settings, metrics);
        let desk =
            Desk::new(Scope::new([Datasource::default()], Labels::default()), hub, connections.clone());
        Fleet::start(bus.clone(), connections, desk, name.to_owned(), tasks)
    }

    fn opening(id: &str, user: Option<&str>) -> Opening {
        let (roster, signal, opened) = (Roster::default(), Arc::default(), Tick::MIN);
        Opening { id: id.to_owned(), user: user.map(Into::into), sight: Sight::All, opened, roster, signal }
    }

    #[tokio::test(start_paused = true)]
    async fn any_replica_changes_the_connections_of_all() {
        let bus: Arc<dyn Bus> = Arc::new(Embedded::new(Limits::default()));
        let tasks = Tasks::default();
        let (one, two) = (replica(&bus, "one", &tasks), replica(&bus, "two", &tasks));
        tokio::time::sleep(HERE * 2).await;
        let held = two.connections.open(opening("c", Some("ann"))).unwrap();
        let wanted = |query: &str| Wanted {
            id: "a".to_owned(),
            query: query.to_owned(),
            interval: Interval::from_secs(5).unwrap(),
            datasource: Datasource::default(),
            after: None,
        };
        let change = async |user: &str, query: &str| {
            one.change("c", Some(user.to_owned()), vec![wanted(query)], Vec::new()).await
        };
        let Found::Done(Ok(changed)) = change("ann", "up").await else { panic!("not changed") };
        assert_eq!((changed.added.len(), held.changes().len()), (1, 1));
        let Found::Done(Err(refusal)) = change("ann", "up{").await else { panic!("not refused") };
        assert_eq!(refusal.kind, problem::Type::InvalidQuery);
        assert_eq!(change("ben", "up").await, Found::Unknown, "somebody else's connection was changed");
        assert!(held.changes().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn any_replica_tells_and_closes_the_connections_of_all() {
        let bus: Arc<dyn Bus> = Arc::new(Embedded::new(Limits::default()));
        let tasks = Tasks::default();
        let (one, two) = (replica(&bus, "one", &tasks), replica(&bus, "two", &tasks));
        tokio::time::sleep(HERE * 2).await;
        let held = two.connections.open(opening("c", None)).unwrap();

        let status = one.status(None).await;
        assert_eq!((status.known, status.replicas.len()), (2, 2));
        assert_eq!(status.replicas["two"][0].id, "c");
        assert_eq!(one.close("d", None).await, Found::Unknown);
        assert_eq!(one.close("c", None).await, Found::Done(()));
        assert!(held.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_replica_that_does_not_answer_is_missed_and_later_forgotten() {
        let bus: Arc<dyn Bus> = Arc::new(Embedded::new(Limits::default()));
        let tasks = Tasks::default();
        let one = replica(&bus, "one", &tasks);
        tokio::time::sleep(HERE).await;
        bus.tell(&Control::Here { replica: "mute".to_owned() }).await.unwrap();
        tokio::time::sleep(HERE).await;
        let status = one.status(None).await;
        assert_eq!((status.known, status.replicas.len()), (2, 1));
        assert_eq!(one.close("d", None).await, Found::Undecided);
        tokio::time::sleep(GONE).await;
        assert_eq!(one.status(None).await.known, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_replica_that_leaves_is_forgotten_at_once() {
        let bus: Arc<dyn Bus> = Arc::new(Embedded::new(Limits::default()));
        let (staying, leaving) = (Tasks::default(), Tasks::default());
        let one = replica(&bus, "one", &staying);
        let _two = replica(&bus, "two", &leaving);
        tokio::time::sleep(HERE).await;
        leaving.soft().cancel();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(one.status(None).await.known, 1);
    }
}
