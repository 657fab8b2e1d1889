//! The history of a whole dashboard on one connection, each panel at its own interval.

use std::collections::BTreeMap;

use e2e::dashboard::{self, Panel};
use e2e::stack::{Bus, Stack};
use e2e::stream::Stream;
use e2e::ticks;
use e2e::wait::{PATIENCE, now};
use promcast_proto::tick::Tick;

use crate::points::{Points, add, tick};

/// What one panel has seen.
#[derive(Default)]
struct Seen {
    points: Points,
    ticks: Vec<Tick>,
    first: Option<Tick>,
}

/// Beside the panels of dashboards: native histograms, numbers that are none, and series that come and go.
const MORE: [&str; 4] =
    ["e2e_latency", "(e2e_seconds - e2e_seconds) / 0", "e2e_seconds / 0", "{__name__=~\"e2e_(early|late)\"}"];

/// A Prometheus with samples of these: of some that have ended, and of some that begin while the test runs.
async fn stack() -> Stack {
    let stack = Stack::start(Bus::Nats, &[]).await;
    let at = |seconds: i64| now().plus_millis(seconds * 1000);
    stack.prometheus.write("e2e_seconds", &[("gpu", "0")], at(-900), at(120)).await;
    stack.prometheus.write_histogram("e2e_latency", at(-600), at(120)).await;
    stack.prometheus.write("e2e_early", &[("gpu", "0")], at(-600), at(-330)).await;
    stack.prometheus.write("e2e_late", &[("gpu", "1")], at(8), at(120)).await;
    stack
}

#[tokio::test]
async fn history_and_updates_of_each_panel_are_one_range_query() {
    let stack = stack().await;
    let ready = "rate(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION[10s] offset 10s)";
    stack.prometheus.has(ready).await;
    let mut panels = dashboard::panels(&[5, 15, 10]);
    // The last one's result is a range vector, of which there is no history.
    panels.pop();
    panels.extend(MORE.map(|query| Panel { id: String::new(), query: query.to_owned(), interval: 5 }));
    let mut parameters = dashboard::parameters(&panels);
    parameters.push(("backfill", "10m".to_owned()));
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut stream = Stream::with(stack.gateway(), &parameters, None).await;
    let topics: Vec<_> = (0..panels.len())
        .map(|place| {
            stream.connected.data["subscriptions"][place]["topic"].as_str().expect("a topic").to_owned()
        })
        .collect();
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    while topics.iter().any(|topic| seen.get(topic).is_none_or(|seen| seen.ticks.len() < 3)) {
        let event = stream.next_within(PATIENCE).await.expect("the stream goes on");
        let seen = seen.entry(event.data["topic"].as_str().expect("a topic").to_owned()).or_default();
        match event.kind.as_str() {
            "backfill" => {
                assert!(seen.ticks.is_empty(), "history came after what is live, or twice: {event:?}");
                seen.first = Some(tick(&event, "from"));
                seen.ticks.push(tick(&event, "to"));
            }
            "metric-update" => seen.ticks.push(event.tick()),
            _ => panic!("{event:?}"),
        }
        add(&mut seen.points, &event.data["data"]);
    }
    for (panel, topic) in panels.iter().zip(&topics) {
        let (seen, grid) = (&seen[topic], ticks::grid(topic, panel.interval));
        let (first, last) = (seen.first.expect("a history"), *seen.ticks.last().expect("ticks"));
        ticks::assert_unbroken(grid, &seen.ticks);
        assert_eq!(
            grid.count(first.plus_millis(-1), seen.ticks[0]),
            u64::from(600 / panel.interval),
            "{}",
            panel.query
        );
        let answer = stack.prometheus.query_range(&panel.query, first, last, panel.interval).await;
        let mut expected = Points::new();
        add(&mut expected, &answer["data"]);
        assert!(!expected.is_empty(), "{} has no points", panel.query);
        assert_eq!(seen.points, expected, "{}", panel.query);
    }
}
