//! A thousand viewers of one query cost Prometheus what one costs: one request per tick.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use e2e::stack::{Bus, Stack};
use e2e::stream::{Event, Stream};
use e2e::ticks;
use e2e::wait::now;
use promcast_proto::tick::Tick;

/// Viewers in all.
const VIEWERS: usize = 1000;

/// Ticks over which requests are counted.
const TICKS: usize = 3;

const QUERY: &str = "avg by (gpu) (DCGM_FI_DEV_GPU_UTIL)";

const FLAGS: &[&str] =
    &["--stream-max-connections", "1100", "--stream-open-rate", "100000", "--stream-open-burst", "100000"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_embedded_bus() {
    one_request_per_tick(Bus::Embedded, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_nats_and_two_gateways() {
    one_request_per_tick(Bus::Nats, 2).await;
}

async fn one_request_per_tick(bus: Bus, gateways: usize) {
    let mut stack = Stack::start(bus, FLAGS).await;
    while stack.promcast.gateways.len() < gateways {
        stack.promcast.add_gateway().await;
    }
    let mut streams = Vec::with_capacity(VIEWERS);
    for gateway in stack.promcast.gateways.iter().cycle().take(VIEWERS) {
        streams.push(Stream::open(gateway, QUERY, 5).await);
    }
    let grid = ticks::grid(streams[0].topic(), 5);
    let first = grid.next_after(now());
    let before = after_tick(&mut streams, first).await;
    let asked = stack.prometheus.queries().await;
    assert!(now() < grid.step(first, 1), "the machine is too slow to count between two ticks");
    let mut last = before;
    for step in 1..=TICKS {
        let tick = grid.step(first, i64::try_from(step).expect("few ticks"));
        last = after_tick(&mut streams, tick).await;
    }
    assert_eq!(stack.prometheus.queries().await - asked, TICKS as u64);
    assert!(last.iter().all(|event| event.text == last[0].text), "the bytes are the same for everyone");
}

/// The update of `tick` on each stream.
async fn after_tick(streams: &mut [Stream], tick: Tick) -> Vec<Event> {
    let mut events = Vec::with_capacity(streams.len());
    for stream in streams {
        loop {
            let update = stream.update().await;
            assert!(update.tick() <= tick, "{tick} was skipped");
            if update.tick() == tick {
                events.push(update);
                break;
            }
        }
    }
    events
}
