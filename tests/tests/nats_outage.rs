//! The bus dies and comes back: streams stay open, and the ticks of the outage come late, once, in order.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use e2e::stack::{Bus, Stack};
use e2e::stream::{Event, Stream};
use e2e::wait::{PATIENCE, now, until};
use e2e::{http, ticks};
use promcast_proto::tick::Tick;

/// How long nobody answers at the bus's address: two ticks at least fall in it.
const DOWN: Duration = Duration::from_secs(11);

#[tokio::test]
async fn streams_outlive_the_bus() {
    let mut stack = Stack::start(Bus::Nats, &[]).await;
    let mut streams = Vec::new();
    for query in ["DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_GPU_UTIL"] {
        streams.push((Vec::new(), Stream::open(stack.gateway(), query, 5).await));
    }
    for (seen, stream) in &mut streams {
        seen.extend(stream.updates(2).await);
    }
    let ready = stack.gateway().admin("/-/ready");
    let nats = stack.promcast.nats.as_mut().expect("a nats-server");
    nats.kill().await;
    let died = now();
    until("readiness follows the bus down", PATIENCE, || status(&ready, 503)).await;
    // Time has to pass here: the outage itself is what is tested.
    tokio::time::sleep(DOWN).await;
    let back = now();
    nats.restart().await;
    for (seen, stream) in &mut streams {
        while seen.last().is_none_or(|last: &Event| last.tick() < back.plus_millis(10_000)) {
            seen.push(stream.update().await);
        }
        let grid = ticks::grid(stream.topic(), 5);
        ticks::assert_unbroken(grid, &ticks::of(seen));
        assert_outage_was_made_up_for(seen, died, back);
    }
    until("readiness follows the bus up", PATIENCE, || status(&ready, 200)).await;
}

#[tokio::test]
async fn streams_outlive_a_bus_that_freezes() {
    let stack = Stack::start(Bus::Nats, &[]).await;
    let mut stream = Stream::open(stack.gateway(), "DCGM_FI_DEV_GPU_UTIL", 5).await;
    let mut seen = stream.updates(2).await;
    // Connections stay open, and nobody answers on them: only silence tells.
    let nats = stack.promcast.nats.as_ref().expect("a nats-server");
    nats.pause().await;
    let froze = now();
    tokio::time::sleep(DOWN).await;
    let back = now();
    nats.resume();
    while seen.last().is_none_or(|last| last.tick() < back.plus_millis(10_000)) {
        seen.push(stream.update().await);
    }
    ticks::assert_unbroken(ticks::grid(stream.topic(), 5), &ticks::of(&seen));
    assert_outage_was_made_up_for(&seen, froze, back);
}

async fn status(url: &str, status: u16) -> Option<()> {
    (http::get(url).await.status == status).then_some(())
}

fn assert_outage_was_made_up_for(seen: &[Event], died: Tick, back: Tick) {
    let during: Vec<_> = seen.iter().filter(|event| event.tick() > died && event.tick() < back).collect();
    assert!(during.len() >= 2, "{} ticks fell in the outage", during.len());
    assert!(during.iter().all(|event| event.at >= back), "a tick of the outage came while there was no bus");
    let last = seen.last().expect("updates");
    assert!(
        last.delay() < Duration::from_millis(2500),
        "after the outage ticks still come {:?} late",
        last.delay()
    );
}
