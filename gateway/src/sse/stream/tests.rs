//! Streams over time, on the embedded bus and with paused time: what is sent, when, and how it ends.

use http_body_util::BodyExt;
use promcast_proto::body::Body;
use promcast_proto::control::Wanted;
use promcast_proto::cursor::Cursor;
use promcast_proto::tick::{Grid, Interval, Tick};
use promcast_proto::topic::{Datasource, Topic};
use promcast_proto::update::{Outcome, Update};
use promcast_runtime::bus::embedded::Embedded;
use promcast_runtime::bus::{self, Bus};
use promcast_runtime::lifecycle::Tasks;

use super::*;
use crate::auth::Sight;
use crate::connections::{Connections, Limits, Opening, Pressure, Roster};
use crate::hub::{self, Hub};
use crate::scope::{Labels, Scope};
use crate::sse;
use crate::subscribe::{self, Desk};

const START: i64 = 1_764_000_000_000;

/// A hub without a poller: updates come when a test publishes them.
struct Bench {
    bus: Arc<dyn Bus>,
    desk: Desk,
    clock: Clock,
    metrics: Metrics,
    connections: Connections,
    tasks: Tasks,
    pressure: Arc<Pressure>,
    started: Instant,
}

impl Bench {
    fn new() -> Self {
        let bus: Arc<dyn Bus> = Arc::new(Embedded::new(bus::Limits::default()));
        let clock = Clock::starting_at(Tick::from_millis(START));
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let limits = hub::Limits { ticks: 32, bytes: 1 << 20, lag: 10, linger: Duration::from_secs(15) };
        let settings =
            hub::Settings { limits, query_timeout: Duration::from_secs(10), update_bytes: 1 << 20 };
        let tasks = Tasks::default();
        let hub = Hub::new(bus.clone(), clock.clone(), tasks.clone(), settings, metrics.clone());
        let limits = Limits { all: 1, user: 1, user_topics: 1, subscriptions: 32 };
        let connections = Connections::new(limits, metrics.clone());
        tasks.spawn("farewell", connections.clone().leave_with(tasks.soft().clone()));
        let scope = Scope::new([Datasource::default()], Labels::default());
        let desk = Desk::new(scope, hub, connections.clone());
        let (pressure, started) = (Arc::default(), Instant::now());
        Self { bus, desk, clock, metrics, connections, tasks, pressure, started }
    }

    /// A stream of these queries at 5 s.
    async fn stream(&self, queries: &[&str]) -> sse::Body {
        let signal = Arc::new(Signal::default());
        let wanted: Vec<_> =
            queries.iter().enumerate().map(|(place, query)| wanted(&place.to_string(), query)).collect();
        let grants = self.desk.grants(&Sight::All, &wanted).await.unwrap();
        let (roster, diff) = Roster::of_request(&subscribe::wishes(&wanted, &grants), 32).unwrap();
        let opening = Opening {
            id: "c".to_owned(),
            user: None,
            sight: Sight::All,
            opened: self.clock.now(),
            roster,
            signal: signal.clone(),
        };
        let joined = self.desk.join(diff.joined, &wanted, &grants, &signal);
        let stream = Stream::new(Parts {
            connection: self.connections.open(opening).unwrap(),
            joined,
            places: queries.len(),
            hello: event::Connected {
                connection_id: "c".to_owned(),
                replica: "r".to_owned(),
                server_time: self.clock.now(),
                heartbeat_seconds: 30,
                format: Format::Prometheus,
                subscriptions: Vec::new(),
            },
            format: Format::Prometheus,
            traced: false,
            coding: Coding::Identity,
            backfill: None,
            signal,
            vigil: None,
            rhythm: Arc::new(Rhythm {
                heartbeat: Duration::from_secs(30),
                comment: Duration::from_secs(15),
                lifetime: Duration::from_secs(1800),
                drain: Duration::from_secs(20),
            }),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        });
        sse::Body::new(stream, self.pressure.clone())
    }

    /// Publishes the current tick of a query, and says which that is.
    async fn publish(&self, query: &str) -> Tick {
        self.publish_json(query, b"{}".to_vec()).await
    }

    async fn publish_json(&self, query: &str, json: Vec<u8>) -> Tick {
        let topic = Topic::new(Datasource::default(), query.to_owned());
        let grid = Grid::new(topic.key().phase(), Interval::from_secs(5).unwrap());
        let tick = grid.at_or_before(self.clock.now());
        let outcome = Outcome::Result(Body::pack(json).unwrap());
        let update = Update { key: topic.key(), tick, took_ms: 1, outcome };
        self.bus.publish(topic.datasource(), &update).await.unwrap();
        tick
    }

    fn seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}

fn wanted(id: &str, query: &str) -> Wanted {
    let (id, query, interval) = (id.to_owned(), query.to_owned(), Interval::from_secs(5).unwrap());
    Wanted { id, query, interval, datasource: Datasource::default(), after: None }
}

/// The next bytes as text, or nothing at the end of the stream.
async fn next(stream: &mut sse::Body) -> Option<String> {
    let frame = stream.frame().await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_every_15_seconds() {
    let bench = Bench::new();
    let mut stream = bench.stream(&["up"]).await;
    let hello = next(&mut stream).await.unwrap();
    assert!(hello.starts_with("retry: ") && hello.contains("\nevent: connected\ndata: {"), "{hello}");
    let mut heard = Vec::new();
    while heard.len() < 4 {
        heard.push((next(&mut stream).await.unwrap(), bench.seconds()));
    }
    let beat =
        |seconds: i64| format!("event: heartbeat\ndata: {{\"server_time\":{}}}\n\n", START + seconds * 1000);
    assert_eq!(heard, [(":\n\n".to_owned(), 15), (beat(30), 30), (":\n\n".to_owned(), 45), (beat(60), 60)]);
}

#[tokio::test(start_paused = true)]
async fn an_update_is_sent_as_soon_as_it_is_there_and_moves_the_next_comment() {
    let bench = Bench::new();
    let mut stream = bench.stream(&["up"]).await;
    next(&mut stream).await;
    let publish = async {
        let tick = bench.publish("up").await;
        tokio::time::sleep(Duration::from_secs(6)).await;
        (tick, bench.publish("up").await)
    };
    let ((first, second), update) = tokio::join!(publish, next(&mut stream));
    assert_eq!(update.unwrap(), format!("event: metric-update\ndata: {{}}\nid: {first}\n\n"));
    let update = next(&mut stream).await.unwrap();
    assert_eq!(update, format!("event: metric-update\ndata: {{}}\nid: {second}\n\n"));
    assert_eq!(bench.seconds(), 6);
    assert_eq!(next(&mut stream).await.unwrap(), ":\n\n");
    assert_eq!(bench.seconds(), 21);
}

#[tokio::test(start_paused = true)]
async fn an_update_that_cannot_be_used_is_told_and_not_asked_for_again() {
    let bench = Bench::new();
    let mut stream = bench.stream(&["up"]).await;
    next(&mut stream).await;
    let tick = bench.publish_json("up", vec![b' '; (1 << 20) + 1]).await;
    let event = next(&mut stream).await.unwrap();
    assert!(event.starts_with("event: error\n") && event.ends_with(&format!("\nid: {tick}\n\n")), "{event}");
    assert!(event.contains(r#""code":"result_too_large""#) && event.contains("limit of 1048576"), "{event}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(bench.metrics.repairs.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn several_subscriptions_have_one_exact_cursor() {
    let bench = Bench::new();
    let mut stream = bench.stream(&["up", "down"]).await;
    next(&mut stream).await;
    let second = bench.publish("down").await;
    assert_eq!(next(&mut stream).await.unwrap(), "event: metric-update\ndata: {}\n");
    let id = Cursor::new([None, Some(second)]).encode().unwrap();
    assert_eq!(next(&mut stream).await.unwrap(), format!("id: {id}\n\n"));
    let first = bench.publish("up").await;
    next(&mut stream).await.unwrap();
    let id = Cursor::new([Some(first), Some(second)]).encode().unwrap();
    assert_eq!(next(&mut stream).await.unwrap(), format!("id: {id}\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_and_the_others_go_on() {
    let bench = Bench::new();
    let mut stream = bench.stream(&["up", "down"]).await;
    next(&mut stream).await;
    let first = bench.publish("up").await;
    next(&mut stream).await.unwrap();
    next(&mut stream).await.unwrap();
    let (add, remove) = ([wanted("x", "left"), wanted("y", "up")], ["1".to_owned(), "none".to_owned()]);
    let changed = bench.desk.change("c", None, &add, &remove).await.unwrap().unwrap();
    assert_eq!((changed.added.len(), changed.removed.as_slice()), (2, &["1".to_owned()][..]));
    let told = next(&mut stream).await.unwrap();
    assert!(told.starts_with("event: subscriptions\ndata: {\"added\":[{\"id\":\"x\""), "{told}");
    bench.publish("down").await;
    let third = bench.publish("left").await;
    assert_eq!(next(&mut stream).await.unwrap(), "event: metric-update\ndata: {}\n");
    let id = Cursor::new([Some(first), None, Some(third)]).encode().unwrap();
    assert_eq!(next(&mut stream).await.unwrap(), format!("id: {id}\n\n"), "what was removed is not read");
    assert_eq!(bench.connections.list(None)[0].subscriptions.len(), 3);
    assert!(bench.desk.change("d", None, &add, &[]).await.unwrap().is_none(), "there is no such connection");
    bench.desk.change("c", None, &[wanted("z", "up{")], &remove).await.unwrap_err();
    bench.desk.change("c", None, &[wanted("x", "another")], &["0".to_owned()]).await.unwrap_err();
    assert_eq!(
        bench.connections.list(None)[0].subscriptions.len(),
        3,
        "a refused change was carried out in part"
    );
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_the_stream_within_its_window() {
    let bench = Bench::new();
    let mut stream = bench.stream(&["up"]).await;
    next(&mut stream).await;
    bench.tasks.soft().cancel();
    let last = loop {
        let event = next(&mut stream).await.unwrap();
        if event != ":\n\n" {
            break event;
        }
    };
    assert!(last.contains("event: shutdown\ndata: {\"code\":\"draining\",\"reconnect\":true,"), "{last}");
    assert!(bench.seconds() <= 20);
    assert_eq!(next(&mut stream).await, None);
    assert_eq!(bench.metrics.active_connections.get(), 1);
    drop(stream);
    assert_eq!(bench.metrics.active_connections.get(), 0);
    next(&mut bench.stream(&["up"]).await).await.expect("the place is free again");
}

#[tokio::test(start_paused = true)]
async fn a_stream_lives_no_longer_than_its_lifetime() {
    let bench = Bench::new();
    let mut stream = bench.stream(&["up"]).await;
    let mut last = String::new();
    while let Some(event) = next(&mut stream).await {
        last = event;
    }
    assert!(last.contains("\"code\":\"max_lifetime\",\"reconnect\":true"), "{last}");
    assert!((1440..=1800).contains(&bench.seconds()), "{}", bench.seconds());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_somebody_closes_says_so_and_does_not_ask_to_come_back() {
    let bench = Bench::new();
    let mut stream = bench.stream(&["up"]).await;
    next(&mut stream).await;
    assert!(!bench.connections.close("another", None));
    assert!(bench.connections.close("c", None));
    let last = next(&mut stream).await.unwrap();
    assert!(last.contains("\"code\":\"closed_by_request\",\"reconnect\":false"), "{last}");
    assert_eq!(next(&mut stream).await, None);
    drop(stream);
    assert!(bench.connections.list(None).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_blocked_client_gets_nothing_until_its_socket_takes_bytes_again() {
    let bench = Bench::new();
    let mut stream = bench.stream(&["up"]).await;
    next(&mut stream).await;
    bench.pressure.set(true);
    let tick = bench.publish("up").await;
    let blocked = tokio::time::timeout(Duration::from_secs(60), next(&mut stream)).await;
    assert!(blocked.is_err(), "{blocked:?}");
    let free = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.pressure.set(false);
    };
    let (event, ()) = tokio::join!(next(&mut stream), free);
    assert!(event.unwrap().ends_with(&format!("id: {tick}\n\n")));
}
