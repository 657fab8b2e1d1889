//! History in the place of a gap: as far as it was asked for, whatever took the ticks from the bus.

use std::time::Duration;

use e2e::stack::{Bus, Promcast, Stack};
use e2e::stream::Stream;
use e2e::ticks;
use e2e::upstream::{Reply, Upstream};
use e2e::wait::now;

use crate::points::{Points, add, tick};
use crate::{stack, with};

#[tokio::test]
async fn a_gap_is_filled_as_far_as_history_was_asked_for() {
    let stack = stack(Bus::Nats).await;
    let topic = Stream::open(stack.gateway(), "e2e_seconds", 5).await.topic().to_owned();
    let grid = ticks::grid(&topic, 5);
    let left = grid.at_or_before(now().plus_millis(-900_000));
    let mut back = with(&stack, "e2e_seconds", "1h", Some(&left.to_string())).await;
    assert_eq!(back.outcome(), "gap", "{}", back.connected.text);
    let history = back.next("backfill").await;
    assert_eq!(tick(&history, "from"), grid.step(left, 1), "from where it left on");
    let mut seen = vec![tick(&history, "to")];
    seen.extend(ticks::of(&back.updates(3).await));
    ticks::assert_unbroken(grid, &seen);

    let mut back = with(&stack, "e2e_seconds", "10m", Some(&left.to_string())).await;
    let gap = back.next("gap").await;
    let history = back.next("backfill").await;
    assert_eq!(tick(&gap, "from"), grid.step(left, 1), "what is too old is told");
    assert_eq!(gap.data["missed"].as_u64(), Some(grid.count(left, tick(&gap, "to"))), "{}", gap.text);
    assert_eq!(tick(&history, "from"), grid.step(tick(&gap, "to"), 1), "{}", history.text);
    assert_eq!(grid.count(tick(&gap, "to"), tick(&history, "to")), 120, "{}", history.text);
}

/// An outage of the bus that is longer than what is kept, and asked for again, of a topic.
#[tokio::test]
async fn what_an_outage_took_is_filled_once_the_bus_is_back() {
    let mut stack = Stack::start(Bus::Nats, &["--stream-history", "2"]).await;
    stack.prometheus.has("DCGM_FI_DEV_GPU_UTIL offset 10s").await;
    let query = "DCGM_FI_DEV_GPU_UTIL offset 10s";
    let mut stream = with(&stack, query, "5m", None).await;
    let history = stream.next("backfill").await;
    let first = tick(&history, "from");
    let (mut points, mut seen) = (Points::new(), vec![tick(&history, "to")]);
    add(&mut points, &history.data["data"]);
    for update in stream.updates(2).await {
        add(&mut points, &update.data["data"]);
        seen.push(update.tick());
    }
    let nats = stack.promcast.nats.as_mut().expect("a nats-server");
    nats.kill().await;
    // Time has to pass here: the outage itself is what is tested.
    tokio::time::sleep(Duration::from_secs(26)).await;
    nats.restart().await;
    let back = now();
    let (grid, mut filled) = (ticks::grid(stream.topic(), 5), 0);
    while seen.last().is_none_or(|last| *last < back.plus_millis(10_000)) {
        let event = stream.next_within(e2e::wait::PATIENCE).await.expect("the stream goes on");
        match event.kind.as_str() {
            "metric-update" => seen.push(event.tick()),
            "backfill" => {
                let (from, to) = (tick(&event, "from"), tick(&event, "to"));
                filled += grid.count(from.plus_millis(-1), to);
                seen.extend(grid.between(from.plus_millis(-1), to));
            }
            _ => panic!("{event:?}"),
        }
        add(&mut points, &event.data["data"]);
    }
    assert!(filled >= 2, "the outage was shorter than what is kept");
    ticks::assert_unbroken(grid, &seen);
    let last = *seen.last().expect("ticks");
    let mut expected = Points::new();
    add(&mut expected, &stack.prometheus.query_range(query, first, last, 5).await["data"]);
    assert_eq!(points, expected);
}

#[tokio::test]
async fn where_the_history_cannot_be_had_the_gap_is_told() {
    let upstream = Upstream::start_timed(|_, time| match time {
        "" => Reply::body(422, r#"{"status":"error","errorType":"execution","error":"too many samples"}"#),
        _ => Reply::eight_gpus(),
    })
    .await;
    let promcast = Promcast::start(Bus::Embedded, &upstream.url(), &[]).await;
    let topic = Stream::open(promcast.gateway(), "up", 5).await.topic().to_owned();
    let grid = ticks::grid(&topic, 5);
    let left = grid.at_or_before(now().plus_millis(-900_000));
    let parameters = [("query", "up"), ("interval", "5"), ("backfill", "1h")];
    let mut back = Stream::with(promcast.gateway(), &parameters, Some(&left.to_string())).await;
    let gap = back.next("gap").await;
    assert_eq!(
        (tick(&gap, "from"), gap.data["reason"].as_str()),
        (grid.step(left, 1), Some("history_expired"))
    );
    assert_eq!(gap.data["missed"].as_u64(), Some(grid.count(left, tick(&gap, "to"))), "{}", gap.text);
    let mut seen = vec![tick(&gap, "to")];
    seen.extend(ticks::of(&back.updates(2).await));
    ticks::assert_unbroken(grid, &seen);
}
