//! Pollers die and freeze: another one does their work, and no viewer misses a tick.

use std::time::Duration;

use e2e::process::Signal;
use e2e::programs::sum;
use e2e::sim::METRICS;
use e2e::stack::{Bus, Promcast, Stack};
use e2e::stream::{Event, Stream};
use e2e::upstream::{Reply, Upstream};
use e2e::wait::{PATIENCE, now, until};
use e2e::{http, ticks};
use promcast_proto::tick::Tick;

/// Seconds until the bus gives a silent poller's job to another: three, and as many again for what is around it.
const TAKEOVER_MS: i64 = 6_000;

struct Viewer {
    stream: Stream,
    seen: Vec<Event>,
}

impl Viewer {
    /// Reads up to the first tick at or after `until`.
    async fn read(&mut self, until: Tick) {
        while self.seen.last().is_none_or(|last| last.tick() < until) {
            self.seen.push(self.stream.update().await);
        }
    }
}

#[tokio::test]
async fn another_one_takes_over_from_a_dead_one() {
    let (mut stack, mut viewers) = two_pollers().await;
    stack.promcast.pollers[0].process.kill().await;
    all_reach(&mut viewers, now().plus_millis(10_000)).await;
    stack.promcast.add_poller().await;
    all_reach(&mut viewers, now().plus_millis(5_000)).await;
    assert_nothing_missed(&viewers);
    stack.promcast.pollers[1].process.signal(Signal::TERM);
    let status = stack.promcast.pollers[1].process.exit(PATIENCE).await;
    assert!(status.success(), "a poller that is told to go ends well: {status}");
    all_reach(&mut viewers, now().plus_millis(5_000)).await;
    assert_nothing_missed(&viewers);
}

#[tokio::test]
async fn another_one_takes_over_from_a_frozen_one() {
    let (stack, mut viewers) = two_pollers().await;
    // Frozen with whatever it holds: its connections stay open and say nothing.
    stack.promcast.pollers[0].process.signal(Signal::STOP);
    all_reach(&mut viewers, now().plus_millis(15_000)).await;
    stack.promcast.pollers[0].process.signal(Signal::CONT);
    all_reach(&mut viewers, now().plus_millis(10_000)).await;
    assert_nothing_missed(&viewers);
}

/// Two pollers at work for some viewers.
async fn two_pollers() -> (Stack, Vec<Viewer>) {
    let mut stack = Stack::start(Bus::Nats, &[]).await;
    stack.promcast.add_poller().await;
    let mut viewers = Vec::new();
    for query in METRICS {
        viewers.push(Viewer { stream: Stream::open(stack.gateway(), query, 5).await, seen: Vec::new() });
    }
    all_reach(&mut viewers, now().plus_millis(5_000)).await;
    (stack, viewers)
}

fn assert_nothing_missed(viewers: &[Viewer]) {
    for viewer in viewers {
        ticks::assert_unbroken(ticks::grid(viewer.stream.topic(), 5), &ticks::of(&viewer.seen));
        for event in &viewer.seen[1..] {
            let late = event.at.since(event.tick());
            assert!(late < TAKEOVER_MS, "tick {} came {late} ms late", event.tick());
        }
    }
}

#[tokio::test]
async fn with_none_at_all_ticks_wait_for_the_next_one() {
    let mut stack = Stack::start(Bus::Nats, &[]).await;
    let mut viewer = Viewer { stream: Stream::open(stack.gateway(), METRICS[0], 5).await, seen: Vec::new() };
    viewer.read(now()).await;
    let mut poller = stack.promcast.pollers.pop().expect("a poller");
    poller.process.kill().await;
    let died = now();
    e2e::wait::clock_reaches(died.plus_millis(12_000)).await;
    let before = viewer.seen.len();
    stack.promcast.add_poller().await;
    viewer.read(now().plus_millis(6_000)).await;
    ticks::assert_unbroken(ticks::grid(viewer.stream.topic(), 5), &ticks::of(&viewer.seen));
    assert!(viewer.seen.len() - before >= 3, "the ticks of the outage, and one more");
}

#[tokio::test]
async fn the_depth_of_the_queue_is_shown() {
    let slow =
        || Reply { delay: Duration::from_secs(4), ..Reply::data(r#"{"resultType":"vector","result":[]}"#) };
    let upstream = Upstream::start(move |_| slow()).await;
    let promcast = Promcast::start(Bus::Nats, &upstream.url(), &["--stream-open-burst", "100"]).await;
    let mut streams = Vec::new();
    // A poller runs 16 queries at once.
    for number in 0..40 {
        streams.push(Stream::open(promcast.gateway(), &format!("vector({number})"), 5).await);
    }
    let metrics = promcast.pollers[0].admin("/metrics");
    let depth = async || {
        let exposition = http::get(&metrics).await.body;
        (sum(&exposition, "promcast_bus_jobs_waiting"), sum(&exposition, "promcast_bus_jobs_taken"))
    };
    until("jobs wait while others are worked on", PATIENCE, || async {
        let (waiting, taken) = depth().await;
        (waiting >= 1.0 && (1.0..=16.0).contains(&taken)).then_some(())
    })
    .await;
    drop(streams);
    until("the queue is empty when nobody asks", 2 * PATIENCE, || async {
        (depth().await == (0.0, 0.0)).then_some(())
    })
    .await;
}

async fn all_reach(viewers: &mut [Viewer], until: Tick) {
    for viewer in viewers {
        viewer.read(until).await;
    }
}
