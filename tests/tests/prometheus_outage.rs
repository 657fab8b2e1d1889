//! Prometheus goes away and comes back: each tick says so, the stream goes on, and the gateway stays ready.

use std::time::Duration;

use e2e::stack::{Bus, Stack};
use e2e::stream::{Event, Stream};
use e2e::wait::{PATIENCE, clock_reaches, now};
use e2e::{http, ticks};
use tokio::task::JoinSet;

/// How long nobody answers at Prometheus's address.
const DOWN_MS: i64 = 20_000;

#[tokio::test]
async fn with_the_embedded_bus() {
    each_tick_tells(Bus::Embedded).await;
}

#[tokio::test]
async fn over_nats() {
    each_tick_tells(Bus::Nats).await;
}

async fn each_tick_tells(bus: Bus) {
    let mut stack = Stack::start(bus, &[]).await;
    let mut stream = Stream::open(stack.gateway(), "DCGM_FI_DEV_GPU_UTIL", 5).await;
    let ready = stack.gateway().admin("/-/ready");
    let mut watcher = JoinSet::new();
    watcher.spawn(async move {
        loop {
            let answer = http::get(&ready).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    });
    let mut seen = stream.updates(2).await;
    // Right after a tick, so that the next one meets a Prometheus that is quite gone, or quite back.
    stack.prometheus.stop().await;
    let died = now();
    while seen.last().is_none_or(|last| last.tick() < died.plus_millis(DOWN_MS)) {
        let error = stream.next("error").await;
        assert_unreachable(&error);
        seen.push(error);
    }
    stack.prometheus.restart().await;
    let back = now();
    seen.extend(stream.updates(3).await);
    ticks::assert_unbroken(ticks::grid(stream.topic(), 5), &ticks::of(&seen));
    let errors = seen.iter().filter(|event| event.kind == "error").count();
    assert!(errors >= 4, "{errors} ticks failed in {} ms", back.since(died));
    clock_reaches(now().plus_millis(500)).await;
    let broken = tokio::time::timeout(Duration::ZERO, watcher.join_next()).await;
    assert!(broken.is_err(), "the gateway was not ready all the time: {broken:?}");
}

fn assert_unreachable(error: &Event) {
    assert_eq!(error.code(), "upstream_unreachable", "{}", error.text);
    assert_eq!(error.data["retryable"], true, "{}", error.text);
    assert_eq!(error.id.as_deref(), Some(error.tick().to_string().as_str()));
    let message = error.data["message"].as_str().unwrap_or_default();
    assert!(
        !message.is_empty() && !message.contains("127.0.0.2"),
        "{message:?} names the upstream's address"
    );
    assert!(error.delay() < PATIENCE, "the error of {} came {:?} late", error.tick(), error.delay());
}
