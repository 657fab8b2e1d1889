//! History and what is live are one: no hole, no overlap, and each point is what a range query over the whole time gives.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::dashboard::{self, Panel};
use e2e::http;
use e2e::stack::{Bus, Promcast, Stack};
use e2e::stream::Stream;
use e2e::ticks;
use e2e::upstream::{Reply, Upstream};
use e2e::wait::{PATIENCE, now};
use promcast_proto::tick::Tick;
use serde_json::Value;

use points::{Points, add, tick};

#[path = "backfill/limits.rs"]
mod limits;
#[path = "backfill/points.rs"]
mod points;
#[path = "backfill/repair.rs"]
mod repair;
#[path = "backfill/dashboard.rs"]
mod whole_dashboard;

const EMPTY: &str = r#"{"resultType":"matrix","result":[]}"#;

async fn with(stack: &Stack, query: &str, backfill: &str, id: Option<&str>) -> Stream {
    let parameters = [("query", query), ("interval", "5"), ("backfill", backfill)];
    Stream::with(stack.gateway(), &parameters, id).await
}

/// A stack whose Prometheus has twenty minutes of samples, and some to come.
async fn stack(bus: Bus) -> Stack {
    let stack = Stack::start(bus, &[]).await;
    let (from, to) = (now().plus_millis(-1_200_000), now().plus_millis(300_000));
    for host in ["a", "b"] {
        stack.prometheus.write("e2e_seconds", &[("gpu", "0"), ("host", host)], from, to).await;
    }
    stack
}

async fn is_one_range_query(bus: Bus) {
    let stack = stack(bus).await;
    for query in [
        "e2e_seconds",
        "sum(rate(e2e_seconds[1m]))",
        "avg_over_time(DCGM_FI_DEV_GPU_TEMP[10s] offset 10s)",
        "1 / 0",
    ] {
        let mut stream = with(&stack, query, "15m", None).await;
        let history = stream.next("backfill").await;
        let (from, to) = (tick(&history, "from"), tick(&history, "to"));
        assert_eq!(
            history.id.as_deref(),
            Some(to.to_string().as_str()),
            "{query}: a client that breaks off now goes on there"
        );
        assert_eq!(ticks::grid(stream.topic(), 5).count(from.plus_millis(-1), to), 180, "{query}");
        let mut points = Points::new();
        add(&mut points, &history.data["data"]);
        let updates = stream.updates(3).await;
        for update in &updates {
            add(&mut points, &update.data["data"]);
        }
        let mut all = vec![to];
        all.extend(ticks::of(&updates));
        ticks::assert_unbroken(ticks::grid(stream.topic(), 5), &all);
        let last = *all.last().expect("an update");
        let answer = stack.prometheus.query_range(query, from, last, 5).await;
        let mut expected = Points::new();
        add(&mut expected, &answer["data"]);
        assert_eq!(points, expected, "{query}");
    }
}

#[tokio::test]
async fn history_and_updates_are_one_range_query_with_the_embedded_bus() {
    is_one_range_query(Bus::Embedded).await;
}

#[tokio::test]
async fn history_and_updates_are_one_range_query_over_nats() {
    is_one_range_query(Bus::Nats).await;
}

#[tokio::test]
async fn who_resumes_within_the_history_of_the_bus_needs_none() {
    let stack = stack(Bus::Nats).await;
    let seen = with(&stack, "e2e_seconds", "15m", None).await.until("metric-update", PATIENCE).await;
    let id = seen.last().and_then(|event| event.id.clone());
    let mut back = with(&stack, "e2e_seconds", "15m", id.as_deref()).await;
    assert_eq!(back.outcome(), "resumed");
    back.updates(2).await;
}

#[tokio::test]
async fn those_who_open_together_cost_one_range_query() {
    let stack = stack(Bus::Nats).await;
    let before = stack.prometheus.range_queries().await;
    let mut streams = Vec::new();
    for _ in 0..40 {
        streams.push(with(&stack, "e2e_seconds", "15m", None).await);
    }
    let mut spans = std::collections::BTreeSet::new();
    for stream in &mut streams {
        let history = stream.next("backfill").await;
        spans.insert((tick(&history, "from"), tick(&history, "to")));
    }
    let asked = stack.prometheus.range_queries().await - before;
    // A tick may have come due meanwhile, and then there are two histories.
    assert!(spans.len() <= 2 && asked <= 2, "{asked} range queries for {spans:?}");
}

#[tokio::test]
async fn history_that_cannot_be_had_is_told_and_what_is_live_goes_on() {
    let upstream = Upstream::start_timed(|query, time| match (query, time) {
        ("slow", "") => Reply { delay: Duration::from_secs(6), ..Reply::data(EMPTY) },
        ("failing", "") => {
            Reply::body(422, r#"{"status":"error","errorType":"execution","error":"too many samples"}"#)
        }
        (_, "") => Reply::data(EMPTY),
        _ => Reply::eight_gpus(),
    })
    .await;
    let promcast = Promcast::start(Bus::Embedded, &upstream.url(), &[]).await;
    let panels = ["slow", "failing", "quick"].map(|query| Panel {
        id: String::new(),
        query: query.to_owned(),
        interval: 5,
    });
    let mut parameters = dashboard::parameters(&panels);
    parameters.push(("backfill", "15m".to_owned()));
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut stream = Stream::with(promcast.gateway(), &parameters, None).await;
    let topics: Vec<_> = (0..3)
        .map(|place| {
            stream.connected.data["subscriptions"][place]["topic"].as_str().expect("a topic").to_owned()
        })
        .collect();
    let mut kinds: BTreeMap<String, Vec<(String, Tick)>> = BTreeMap::new();
    while topics.iter().any(|topic| kinds.get(topic).is_none_or(|kinds| kinds.len() < 3)) {
        let event = stream.next_within(PATIENCE).await.expect("the stream goes on");
        if event.kind == "error" {
            assert_eq!(
                (event.code(), &event.data["during"]),
                ("upstream_execution", &Value::from("backfill")),
                "{event:?}"
            );
        }
        let topic = event.data["topic"].as_str().expect("a topic").to_owned();
        kinds.entry(topic).or_default().push((event.kind, event.at));
    }
    let first = |topic: usize| kinds[&topics[topic]][0].clone();
    assert_eq!(
        (first(0).0.as_str(), first(1).0.as_str(), first(2).0.as_str()),
        ("backfill", "error", "backfill")
    );
    for topic in &topics {
        assert!(kinds[topic][1..].iter().all(|(kind, _)| kind == "metric-update"), "{kinds:?}");
    }
    // The quick one has its history and an update long before the slow one has anything.
    assert!(kinds[&topics[2]][1].1.plus_millis(3_000) < first(0).1, "{kinds:?}");
}

#[tokio::test]
async fn what_is_added_to_a_connection_has_its_history_too() {
    let stack = stack(Bus::Embedded).await;
    let mut stream = with(&stack, "e2e_seconds", "5m", None).await;
    stream.next("backfill").await;
    let connection = stream.connected.data["connection_id"].as_str().expect("an id").to_owned();
    let panel = Panel { id: "sum".to_owned(), query: "sum(e2e_seconds)".to_owned(), interval: 15 };
    let answer: http::Answer = dashboard::change(stack.gateway(), &connection, &[panel], &["0"]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    stream.until("subscriptions", PATIENCE).await;
    let history = stream.next("backfill").await;
    assert_eq!(
        (&history.data["interval"], stream.next("metric-update").await.tick()),
        (&Value::from(15), tick(&history, "to").plus_millis(15_000))
    );
}
