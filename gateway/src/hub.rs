//! The hub: one timeline, one bus subscription and one ticker for each topic, however many connections read it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use promcast_proto::tick::{Grid, Interval, Tick};
use promcast_proto::topic::Key;
use promcast_runtime::bus::Bus;
use promcast_runtime::clock::Clock;
use promcast_runtime::lifecycle::Tasks;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::scope::Grant;
use crate::sse::Frame;

mod signal;
mod ticker;
mod timeline;
mod topic;

pub use signal::{Lane, Lanes, Note, Signal};
pub use timeline::{Gap, Limits, Next, Now, Reader, Resume};

use topic::Topic;

/// What the hub is told about its work.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How much of each topic is kept.
    pub limits: Limits,
    /// How long a query may run.
    pub query_timeout: Duration,
    /// The most bytes of JSON in an update.
    pub update_bytes: usize,
}

/// The topics of this replica. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

struct Shared {
    bus: Arc<dyn Bus>,
    clock: Clock,
    tasks: Tasks,
    settings: Settings,
    metrics: Metrics,
    topics: Mutex<HashMap<Key, Arc<Topic>>>,
}

/// One subscription's hold on a topic: while it lives, the topic ticks at its interval.
pub struct Feed {
    shared: Arc<Shared>,
    topic: Arc<Topic>,
    interval: Interval,
    listener: u64,
    reader: Reader,
}

impl Hub {
    /// A hub on this bus.
    pub fn new(bus: Arc<dyn Bus>, clock: Clock, tasks: Tasks, settings: Settings, metrics: Metrics) -> Self {
        Self(Arc::new(Shared { bus, clock, tasks, settings, metrics, topics: Mutex::default() }))
    }

    /// Joins the topic of a grant: after the tick `after` where the caller has seen it before, else from the current
    /// tick on. `signal` is raised at `place` whenever there may be something to read.
    pub fn attach(
        &self,
        grant: &Grant,
        interval: Interval,
        after: Option<Tick>,
        signal: Arc<Signal>,
        place: u8,
    ) -> (Feed, Resume) {
        let shared = &self.0;
        let mut topics = shared.topics.lock();
        let topic = topics.entry(grant.topic().key()).or_insert_with(|| {
            let topic = Arc::new(Topic::new(grant.topic().clone(), shared.settings.limits));
            shared.metrics.topics.inc();
            // Others may read a topic until the very end of a drain.
            let ticker = ticker::run(shared.clone(), topic.clone());
            shared.tasks.background().spawn("topic", ticker);
            topic
        });
        let (listener, reader, resume) = topic.attach(interval, after, signal, place, shared.now());
        let feed = Feed { shared: shared.clone(), topic: topic.clone(), interval, listener, reader };
        (feed, resume)
    }

    /// The update of a topic that is here for the tick `at`, or the newest, with its tick. Nothing where the topic is not streamed
    /// from this replica.
    pub fn arrived(&self, key: Key, at: Option<Tick>) -> Option<(Tick, Frame)> {
        let topic = self.0.topics.lock().get(&key).cloned()?;
        topic.frame(at)
    }
}

impl Shared {
    fn now(&self) -> Now {
        Now { wall: self.clock.now(), mono: Instant::now() }
    }

    /// Takes a topic out that nobody uses. False where somebody joined in the meantime.
    fn retire(&self, topic: &Topic) -> bool {
        let mut topics = self.topics.lock();
        let unused = topic.is_unused(self.now());
        if unused {
            topics.remove(&topic.key());
            self.metrics.topics.dec();
        }
        unused
    }
}

impl Feed {
    /// Reads on. Where there is nothing yet, the signal is raised when there may be.
    pub fn read(&mut self, now: Now) -> Next {
        self.topic.next(&mut self.reader, now)
    }

    /// Up to which tick it has been read; what is live begins with the next one.
    pub fn read_up_to(&self) -> Tick {
        self.reader.last()
    }

    /// The topic.
    pub fn topic(&self) -> &promcast_proto::topic::Topic {
        self.topic.topic()
    }

    /// Its ticks.
    pub fn grid(&self) -> Grid {
        Grid::new(self.topic.key().phase(), self.interval)
    }

    /// The topic's key.
    pub fn key(&self) -> Key {
        self.topic.key()
    }

    /// The interval.
    pub fn interval(&self) -> Interval {
        self.interval
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.topic.detach(self.interval, self.listener, self.shared.now());
    }
}
