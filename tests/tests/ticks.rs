//! Over a minute every viewer sees every tick once, in order, in time; a slower viewer of the same query is free.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use e2e::stack::{Bus, Stack};
use e2e::stream::Stream;
use e2e::ticks;
use e2e::wait::now;
use promcast_proto::tick::Tick;

/// Viewers at the shortest interval.
const VIEWERS: usize = 20;

/// Ticks of five seconds in a minute, and the one at the start.
const TICKS: usize = 13;

/// How late a tick may be. An evaluation takes milliseconds; the rest is for a machine that runs other tests too.
const LATE: Duration = Duration::from_millis(2500);

const QUERY: &str = "max by (gpu) (DCGM_FI_DEV_GPU_TEMP)";

#[tokio::test]
async fn with_the_embedded_bus() {
    every_tick_once(Bus::Embedded).await;
}

#[tokio::test]
async fn over_nats() {
    every_tick_once(Bus::Nats).await;
}

async fn every_tick_once(bus: Bus) {
    let stack = Stack::start(bus, &[]).await;
    let gateway = stack.gateway();
    let asked = stack.prometheus.queries().await;
    let opened = now();
    let mut slow = Stream::open(gateway, QUERY, 15).await;
    let mut fast = Vec::new();
    for _ in 0..VIEWERS {
        fast.push(Stream::open(gateway, QUERY, 5).await);
    }
    let grid = ticks::grid(slow.topic(), 5);
    let current = grid.at_or_before(opened);
    let mut bytes = BTreeMap::<Tick, String>::new();
    let mut seen = |tick: Tick, text: &str| {
        let known = bytes.entry(tick).or_insert_with(|| text.to_owned());
        assert_eq!(known, text, "two viewers got different bytes for {tick}");
    };
    for stream in &mut fast {
        let updates = stream.updates(TICKS).await;
        ticks::assert_unbroken(grid, &ticks::of(&updates));
        let first = updates[0].tick();
        assert!(first >= current, "the first update is of {first}, before the current tick {current}");
        assert!(
            first <= grid.step(current, 1),
            "the first update is of {first}, the current tick was {current}"
        );
        for update in &updates {
            seen(update.tick(), &update.text);
        }
        for update in &updates[1..] {
            assert!(update.delay() < LATE, "{} came {:?} late", update.tick(), update.delay());
        }
    }
    let updates = slow.updates(TICKS / 3).await;
    let slower = ticks::grid(slow.topic(), 15);
    ticks::assert_unbroken(slower, &ticks::of(&updates));
    assert_eq!(updates[0].tick(), slower.at_or_before(opened), "the current tick comes at once");
    for update in &updates {
        seen(update.tick(), &update.text);
    }
    // Asked for between two ticks, or the next one could be in it already.
    let distinct: BTreeSet<_> = bytes.keys().copied().collect();
    let last = *distinct.last().expect("ticks were seen");
    assert!(now() < grid.step(last, 1), "the machine is too slow to count between two ticks");
    assert_eq!(
        stack.prometheus.queries().await - asked,
        distinct.len() as u64,
        "one request for each of {distinct:?}"
    );
}
