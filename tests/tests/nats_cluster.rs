//! Three NATS servers: their leaders die, they are restarted one by one, and two of three are away for a while.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use e2e::http;
use e2e::nats::cluster::{Cluster, NODES, Part};
use e2e::programs::{self, Gateway, Poller};
use e2e::prometheus::Prometheus;
use e2e::sim::{METRICS, Sim};
use e2e::stream::{Event, Stream};
use e2e::ticks;
use e2e::wait::{PATIENCE, now, until};
use promcast_proto::tick::Tick;

/// How late a tick may come when a leader dies: the others need some four seconds to choose the next one.
const LATE_MS: i64 = 15_000;

/// How long too few servers are up: a tick at least falls in it.
const NO_MAJORITY: Duration = Duration::from_secs(8);

#[tokio::test]
async fn two_gateways_that_ask_for_the_same_tick_at_once_are_no_failure() {
    let stack = Stack::start().await;
    let mut viewers = stack.viewers().await;
    all_reach(&mut viewers, now().plus_millis(20_000)).await;
    for gateway in &stack.gateways {
        let failed = gateway.metric("promcast_gateway_asks_total{outcome=\"failed\"}").await;
        assert!(failed < 0.5, "{failed} asks failed");
    }
    assert_nothing_missed(&viewers, LATE_MS);
}

#[tokio::test]
async fn no_tick_is_lost_when_the_leader_of_the_updates_dies() {
    a_leader_dies(Part::Stream("RESULTS")).await;
}

#[tokio::test]
async fn no_tick_is_lost_when_the_leader_of_the_jobs_dies() {
    a_leader_dies(Part::Stream("JOBS")).await;
}

#[tokio::test]
async fn no_tick_is_lost_when_the_leader_of_the_consumer_dies() {
    a_leader_dies(Part::Consumer("JOBS", "pollers-default")).await;
}

async fn a_leader_dies(part: Part<'_>) {
    let mut stack = Stack::start().await;
    let mut viewers = stack.viewers().await;
    let leader = stack.cluster.leader(part).await;
    stack.cluster.kill(leader).await;
    all_reach(&mut viewers, now().plus_millis(20_000)).await;
    assert_ne!(stack.cluster.leader(part).await, leader, "the dead do not lead");
    let back = now();
    stack.cluster.restart(leader).await;
    stack.cluster.settled().await;
    all_reach(&mut viewers, now().plus_millis(10_000)).await;
    assert_nothing_missed(&viewers, LATE_MS);
    assert_on_time_since(&viewers, back);
}

#[tokio::test]
async fn no_tick_is_lost_when_the_servers_are_restarted_one_by_one() {
    let mut stack = Stack::start().await;
    let mut viewers = stack.viewers().await;
    for node in 0..NODES {
        stack.cluster.retire(node).await;
        stack.cluster.restart(node).await;
        stack.cluster.settled().await;
    }
    all_reach(&mut viewers, now().plus_millis(10_000)).await;
    assert_nothing_missed(&viewers, LATE_MS);
}

#[tokio::test]
async fn no_tick_is_lost_when_the_servers_are_ended_one_by_one() {
    let mut stack = Stack::start().await;
    let mut viewers = stack.viewers().await;
    for node in 0..NODES {
        stack.cluster.terminate(node).await;
        stack.cluster.restart(node).await;
        stack.cluster.settled().await;
    }
    all_reach(&mut viewers, now().plus_millis(10_000)).await;
    assert_nothing_missed(&viewers, LATE_MS);
}

#[tokio::test]
async fn without_a_majority_gateways_are_not_ready_and_afterwards_every_tick_comes() {
    let mut stack = Stack::start().await;
    let mut viewers = stack.viewers().await;
    // The one that is left leads the updates: it goes on to answer, and can store nothing.
    let left = stack.cluster.leader(Part::Stream("RESULTS")).await;
    let dead: Vec<_> = (0..NODES).filter(|node| *node != left).collect();
    for node in &dead {
        stack.cluster.kill(*node).await;
    }
    let died = now();
    for gateway in &stack.gateways {
        until("the gateway says why it is not ready", PATIENCE, || async {
            let told = not_ready(gateway).await?;
            ["has lost its majority", "has no leader"]
                .iter()
                .any(|reason| told.contains(reason))
                .then_some(())
        })
        .await;
    }
    // Time has to pass here: the outage itself is what is tested.
    tokio::time::sleep(NO_MAJORITY).await;
    let back = now();
    for node in &dead {
        stack.cluster.restart(*node).await;
    }
    stack.cluster.settled().await;
    for gateway in &stack.gateways {
        until("the gateway is ready again", PATIENCE, || async {
            not_ready(gateway).await.is_none().then_some(())
        })
        .await;
    }
    all_reach(&mut viewers, now().plus_millis(10_000)).await;
    assert_nothing_missed(&viewers, back.since(died) + 2 * LATE_MS);
    for viewer in &viewers {
        let during = viewer.seen.iter().filter(|event| event.tick() > died && event.tick() < back);
        assert_ne!(during.count(), 0, "no tick fell in the outage");
    }
}

#[tokio::test]
async fn init_waits_for_servers_that_are_still_finding_each_other_and_may_run_twice_at_once() {
    let cluster = Cluster::start_unsettled().await;
    let (first, second) = tokio::join!(init(&cluster, "3"), init(&cluster, "3"));
    for (code, output) in [first, second] {
        assert_eq!(code, Some(0), "{output}");
    }
    cluster.settled().await;
    let (code, output) = init(&cluster, "3").await;
    assert_eq!(code, Some(0), "{output}");
}

#[tokio::test]
async fn init_brings_streams_with_one_copy_to_three_while_they_are_in_use() {
    let mut stack = Stack::start_with("1").await;
    let mut viewers = stack.viewers().await;
    let (first, second) = tokio::join!(init(&stack.cluster, "3"), init(&stack.cluster, "3"));
    for (code, output) in [first, second] {
        assert_eq!(code, Some(0), "{output}");
    }
    stack.cluster.settled().await;
    // Streams that get more copies take nothing for some seconds.
    all_reach(&mut viewers, now().plus_millis(5_000)).await;
    // Only a stream that really has other copies outlives this.
    let leader = stack.cluster.leader(Part::Stream("RESULTS")).await;
    stack.cluster.kill(leader).await;
    all_reach(&mut viewers, now().plus_millis(20_000)).await;
    assert_nothing_missed(&viewers, LATE_MS);
}

/// Two gateways and two pollers on three NATS servers, with the deployed users.
struct Stack {
    gateways: Vec<Gateway>,
    _pollers: Vec<Poller>,
    cluster: Cluster,
    _prometheus: Prometheus,
    _sim: Sim,
}

impl Stack {
    async fn start() -> Self {
        let stack = Self::start_with("3").await;
        stack.cluster.settled().await;
        stack
    }

    async fn start_with(replicas: &str) -> Self {
        let sim = Sim::start().await;
        let prometheus = Prometheus::start(&[sim.target()]).await;
        prometheus.has("DCGM_FI_DEV_GPU_UTIL").await;
        let cluster = Cluster::start().await;
        let (code, output) = init(&cluster, replicas).await;
        assert_eq!(code, Some(0), "init: {output}");
        let (mut gateways, mut pollers) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let url = prometheus.url();
            pollers.push(Poller::start(&with(&cluster.flags("poller"), &["--prometheus-url", &url])).await);
            let flags = cluster.flags("gateway");
            gateways.push(Gateway::start(&with(&flags, &["--datasources", "default"])).await);
        }
        Self { gateways, _pollers: pollers, cluster, _prometheus: prometheus, _sim: sim }
    }

    /// A viewer of each query on each gateway, with the first updates seen.
    async fn viewers(&self) -> Vec<Viewer> {
        let mut viewers = Vec::new();
        for gateway in &self.gateways {
            for query in METRICS {
                viewers.push(Viewer { stream: Stream::open(gateway, query, 5).await, seen: Vec::new() });
            }
        }
        all_reach(&mut viewers, now().plus_millis(5_000)).await;
        viewers
    }
}

fn with<'a>(flags: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    flags.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

async fn init(cluster: &Cluster, replicas: &str) -> (Option<i32>, String) {
    let flags = cluster.flags("init");
    let more = ["--auth-mode", "none", "--bus-replicas", replicas, "init"];
    programs::run_within("promcast-gateway", &with(&flags, &more), 2 * PATIENCE).await
}

/// Why a gateway is not ready; nothing where it is.
async fn not_ready(gateway: &Gateway) -> Option<String> {
    let answer = http::get(&gateway.admin("/-/ready")).await;
    (answer.status == 503).then_some(answer.body)
}

struct Viewer {
    stream: Stream,
    seen: Vec<Event>,
}

/// Reads until each viewer has seen a tick at or after `until`. Nothing but updates may come.
async fn all_reach(viewers: &mut [Viewer], until: Tick) {
    for viewer in viewers {
        while viewer.seen.last().is_none_or(|last| last.tick() < until) {
            let next = viewer.stream.next_within(2 * PATIENCE).await.expect("the stream stays open");
            assert_eq!(next.kind, "metric-update", "{next:?}");
            viewer.seen.push(next);
        }
    }
}

fn assert_nothing_missed(viewers: &[Viewer], late_ms: i64) {
    for viewer in viewers {
        ticks::assert_unbroken(ticks::grid(viewer.stream.topic(), 5), &ticks::of(&viewer.seen));
        for event in viewer.seen.iter().skip(1) {
            let late = event.at.since(event.tick());
            assert!(late < late_ms, "tick {} came {late} ms late", event.tick());
        }
    }
}

/// A server that comes back is noticed by nobody.
fn assert_on_time_since(viewers: &[Viewer], since: Tick) {
    let events = viewers.iter().flat_map(|viewer| &viewer.seen).filter(|event| event.tick() > since);
    for event in events {
        let late = event.at.since(event.tick());
        assert!(late < 2_500, "tick {} came {late} ms late after the server was back", event.tick());
    }
}
