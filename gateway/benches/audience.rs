//! Connections that read topics, without sockets: all that the fan-out path does from an update to the bytes of each.
//!
//! How a connection is put together stands in this file alone: where the path changes, this is what follows.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use promcast_gateway::auth::Sight;
use promcast_gateway::connections::{Connections, Limits, Opening, Roster};
use promcast_gateway::hub::{self, Hub, Signal};
use promcast_gateway::metrics::Metrics;
use promcast_gateway::scope::{Grant, Labels, Scope};
use promcast_gateway::sse::{Coding, Format, Parts, Rhythm, Stream, event};
use promcast_gateway::subscribe::{Desk, wishes};
use promcast_proto::body::Body;
use promcast_proto::control::Wanted;
use promcast_proto::tick::{Grid, Interval, Tick};
use promcast_proto::topic::{Datasource, Topic};
use promcast_proto::update::{Outcome, Update};
use promcast_runtime::bus::embedded::Embedded;
use promcast_runtime::bus::{self, Bus};
use promcast_runtime::clock::Clock;
use promcast_runtime::lifecycle::Tasks;
use tokio::runtime::{Builder, Runtime};

const START: Tick = Tick::MIN;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The most subscriptions of a connection.
const TOPICS_MAX: usize = 32;

/// Connections that all read the same topics at 5 s. Time stands but where it is said.
pub(crate) struct Audience {
    runtime: Runtime,
    bus: Arc<dyn Bus>,
    clock: Clock,
    topics: Vec<Topic>,
    streams: Vec<Stream>,
    _tasks: Tasks,
}

impl Audience {
    /// So many connections of so many topics each, which have read their first events.
    pub(crate) fn new(connections: usize, topics: usize, format: Format) -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let inside = runtime.enter();
        let bus: Arc<dyn Bus> = Arc::new(Embedded::new(bus::Limits::default()));
        let clock = Clock::starting_at(START.plus_millis(1_764_000_000_000));
        let metrics = Metrics::new(&prometheus::Registry::new()).expect("metrics");
        let tasks = Tasks::default();
        let places = Connections::new(limits(connections), metrics.clone());
        let hub = Hub::new(bus.clone(), clock.clone(), tasks.clone(), settings(), metrics.clone());
        let desk = Desk::new(Scope::new([Datasource::default()], Labels::default()), hub, places.clone());
        let wanted: Vec<_> = (0..topics).map(wanted).collect();
        let grants = runtime.block_on(desk.grants(&Sight::All, &wanted)).expect("good queries");
        let open = |number: usize| {
            let (joined, connection, signal) = join(&desk, &places, &clock, number, &wanted, &grants);
            Stream::new(Parts {
                connection,
                joined,
                places: topics,
                hello: hello(&clock, format),
                format,
                traced: false,
                coding: Coding::Identity,
                backfill: None,
                signal,
                vigil: None,
                rhythm: Arc::new(Rhythm { heartbeat: DAY, comment: DAY, lifetime: DAY, drain: DAY }),
                clock: clock.clone(),
                metrics: metrics.clone(),
            })
        };
        let streams = (0..connections).map(open).collect();
        let topics = grants.iter().map(|grant| grant.topic().clone()).collect();
        drop(inside);
        let mut audience = Self { runtime, bus, clock, topics, streams, _tasks: tasks };
        audience.pass(Duration::from_millis(1));
        audience.arrive(b"{}");
        audience.read();
        audience
    }

    /// Five seconds pass, and the next update of each topic is at the hub, which has told all connections.
    pub(crate) fn publish(&self, json: &[u8]) {
        self.pass(Duration::from_millis(4_999));
        self.arrive(json);
    }

    /// The update of each topic's current tick arrives, within a millisecond.
    fn arrive(&self, json: &[u8]) {
        let body = Body::pack(json.to_vec()).expect("a body");
        self.runtime.block_on(async {
            for topic in &self.topics {
                let tick = grid(topic).at_or_before(self.clock.now());
                let outcome = Outcome::Result(body.clone());
                let update = Update { key: topic.key(), tick, took_ms: 1, outcome };
                self.bus.publish(topic.datasource(), &update).await.expect("the bus takes it");
            }
        });
        self.pass(Duration::from_millis(1));
    }

    /// Time goes on once all tasks have nothing left to do.
    fn pass(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    /// Whatever each connection sends now; how many pieces that were.
    pub(crate) fn read(&mut self) -> usize {
        let _inside = self.runtime.enter();
        let mut context = Context::from_waker(Waker::noop());
        let mut pieces = 0;
        for stream in &mut self.streams {
            while let Poll::Ready(Some(piece)) = stream.next(&mut context, stream.now()) {
                std::hint::black_box(piece);
                pieces += 1;
            }
        }
        pieces
    }
}

fn join(
    desk: &Desk,
    places: &Connections,
    clock: &Clock,
    number: usize,
    wanted: &[Wanted],
    grants: &[Grant],
) -> (Vec<promcast_gateway::connections::Joined>, promcast_gateway::connections::Connection, Arc<Signal>) {
    let signal = Arc::new(Signal::default());
    let (roster, diff) = Roster::of_request(&wishes(wanted, grants), TOPICS_MAX).expect("places");
    let joined = desk.join(diff.joined, wanted, grants, &signal);
    let (id, opened) = (number.to_string(), clock.now());
    let opening = Opening { id, user: None, sight: Sight::All, opened, roster, signal: signal.clone() };
    (joined, places.open(opening).expect("a place"), signal)
}

fn wanted(place: usize) -> Wanted {
    Wanted {
        id: place.to_string(),
        query: format!("DCGM_FI_DEV_POWER_USAGE{{gpu=\"{place}\"}}"),
        interval: five_seconds(),
        datasource: Datasource::default(),
        after: None,
    }
}

fn five_seconds() -> Interval {
    Interval::from_secs(5).expect("an interval of the contract")
}

fn grid(topic: &Topic) -> Grid {
    Grid::new(topic.key().phase(), five_seconds())
}

fn hello(clock: &Clock, format: Format) -> event::Connected {
    event::Connected {
        connection_id: "c".to_owned(),
        replica: "r".to_owned(),
        server_time: clock.now(),
        heartbeat_seconds: DAY.as_secs(),
        format,
        subscriptions: Vec::new(),
    }
}

fn limits(connections: usize) -> Limits {
    Limits { all: connections, user: connections, user_topics: TOPICS_MAX, subscriptions: TOPICS_MAX }
}

fn settings() -> hub::Settings {
    let limits = hub::Limits { ticks: 32, bytes: 8 << 20, lag: 10, linger: Duration::from_secs(15) };
    hub::Settings { limits, query_timeout: Duration::from_secs(10), update_bytes: 8 << 20 }
}
