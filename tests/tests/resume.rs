//! A client that comes back misses nothing and gets nothing twice; where that cannot be, a gap says what is lost.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use e2e::process::Signal;
use e2e::stack::{Bus, Stack};
use e2e::stream::{Event, Stream};
use e2e::ticks;
use e2e::wait::{PATIENCE, clock_reaches, now};
use promcast_proto::tick::Tick;

const QUERY: &str = "DCGM_FI_DEV_GPU_UTIL";

#[tokio::test]
async fn from_the_gateway_itself() {
    let stack = Stack::start(Bus::Embedded, &[]).await;
    let mut witness = Stream::open(stack.gateway(), QUERY, 5).await;
    let seen = witness.updates(4).await;
    let mut back = Stream::resume(stack.gateway(), QUERY, 5, id(&seen[0])).await;
    assert_eq!(back.outcome(), "resumed", "{}", back.connected.text);
    let again = back.updates(4).await;
    assert_eq!(texts(&again[..3]), texts(&seen[1..]), "what was missed, byte for byte");
    ticks::assert_unbroken(ticks::grid(back.topic(), 5), &ticks::of(&again));
    assert_eq!(again[3].text, witness.update().await.text, "then live");
}

#[tokio::test]
async fn by_parameter_as_by_header() {
    let stack = Stack::start(Bus::Embedded, &[]).await;
    let seen = Stream::open(stack.gateway(), QUERY, 5).await.updates(2).await;
    let parameters = [("query", QUERY), ("interval", "5"), ("last_event_id", id(&seen[0]))];
    let mut back = Stream::with(stack.gateway(), &parameters, None).await;
    assert_eq!(back.outcome(), "resumed", "{}", back.connected.text);
    assert_eq!(back.update().await.text, seen[1].text);
}

#[tokio::test]
async fn on_another_gateway_and_after_a_restart() {
    let mut stack = Stack::start(Bus::Nats, &[]).await;
    stack.promcast.add_gateway().await;
    let mut stream = Stream::open(&stack.promcast.gateways[0], QUERY, 5).await;
    let mut seen = stream.updates(3).await;
    drop(stream);
    let mut elsewhere = Stream::resume(&stack.promcast.gateways[1], QUERY, 5, id(&seen[0])).await;
    assert_eq!(elsewhere.outcome(), "resumed", "{}", elsewhere.connected.text);
    let again = elsewhere.updates(3).await;
    assert_eq!(texts(&again[..2]), texts(&seen[1..]), "what was missed, byte for byte");
    seen.push(again[2].clone());
    // Both die without a word. Nobody asks for the ticks that fall between, so they are evaluated late.
    for gateway in &mut stack.promcast.gateways {
        gateway.process.kill().await;
    }
    let died = now();
    clock_reaches(died.plus_millis(7_000)).await;
    stack.promcast.gateways.clear();
    stack.promcast.add_gateway().await;
    let reborn = now();
    let mut back = Stream::resume(stack.gateway(), QUERY, 5, id(&seen[0])).await;
    assert_eq!(back.outcome(), "resumed", "{}", back.connected.text);
    let history = back.updates(3).await;
    assert_eq!(texts(&history), texts(&seen[1..]), "from the history on the bus");
    let mut ticks = ticks::of(&history);
    while ticks.last().is_none_or(|last| *last < reborn.plus_millis(5_000)) {
        ticks.push(back.update().await.tick());
    }
    ticks::assert_unbroken(ticks::grid(back.topic(), 5), &ticks);
    assert!(ticks.iter().any(|tick| *tick > died && *tick < reborn), "a tick fell between: {ticks:?}");
}

#[tokio::test]
async fn too_late() {
    let stack = Stack::start(Bus::Embedded, &[]).await;
    let topic = Stream::open(stack.gateway(), QUERY, 5).await.topic().to_owned();
    let grid = ticks::grid(&topic, 5);
    let long_ago = grid.at_or_before(now().plus_millis(-3_600_000));
    let opened = now();
    let mut back = Stream::resume(stack.gateway(), QUERY, 5, &long_ago.to_string()).await;
    assert_eq!(back.outcome(), "gap", "{}", back.connected.text);
    let gap = back.next("gap").await;
    let tick = |name: &str| Tick::from_millis(gap.data[name].as_i64().expect("a tick"));
    let (from, to) = (tick("from"), tick("to"));
    assert_eq!(from, grid.step(long_ago, 1), "{}", gap.text);
    assert_eq!(gap.data["missed"].as_u64(), Some(grid.count(long_ago, to)), "{}", gap.text);
    assert_eq!(gap.data["reason"], "history_expired", "{}", gap.text);
    assert_eq!(gap.id.as_deref(), Some(to.to_string().as_str()), "{}", gap.text);
    let resume = &back.connected.data["subscriptions"][0]["resume"];
    assert_eq!((&resume["from"], &resume["to"]), (&gap.data["from"], &gap.data["to"]), "{resume}");
    let mut ticks = vec![to];
    while ticks.last().is_none_or(|last| *last < opened) {
        ticks.push(back.update().await.tick());
    }
    // No hole and no overlap from the gap to what is live.
    ticks::assert_unbroken(grid, &ticks);
}

#[tokio::test]
async fn a_topic_lingers_for_its_viewer() {
    let stack = Stack::start(Bus::Embedded, &["--stream-linger", "15s"]).await;
    let mut stream = Stream::open(stack.gateway(), QUERY, 5).await;
    let seen = stream.updates(2).await;
    drop(stream);
    let asked = stack.prometheus.queries().await;
    let left = now();
    let grid = ticks::grid(seen[0].data["topic"].as_str().unwrap_or_default(), 5);
    let missed = grid.next_after(left);
    clock_reaches(missed.plus_millis(2_500)).await;
    assert_eq!(stack.prometheus.queries().await - asked, 1, "the tick was evaluated in its time, for nobody");
    let mut back = Stream::resume(stack.gateway(), QUERY, 5, id(&seen[1])).await;
    assert_eq!(back.outcome(), "resumed", "{}", back.connected.text);
    let again = back.updates(2).await;
    assert_eq!(again[0].tick(), missed);
    ticks::assert_unbroken(grid, &[seen[1].tick(), again[0].tick(), again[1].tick()]);
}

#[tokio::test]
async fn a_topic_that_nobody_wants_is_not_asked_for() {
    let stack = Stack::start(Bus::Embedded, &["--stream-linger", "1s"]).await;
    let mut stream = Stream::open(stack.gateway(), QUERY, 5).await;
    let last = stream.updates(2).await[1].tick();
    drop(stream);
    clock_reaches(last.plus_millis(4_000)).await;
    let asked = stack.prometheus.queries().await;
    clock_reaches(last.plus_millis(18_000)).await;
    assert_eq!(stack.prometheus.queries().await, asked, "it is still evaluated");
}

#[tokio::test]
async fn a_drain_hands_clients_over_without_loss() {
    let mut stack = Stack::start(Bus::Nats, &["--stream-drain", "2s"]).await;
    stack.promcast.add_gateway().await;
    let mut stream = Stream::open(&stack.promcast.gateways[0], QUERY, 5).await;
    let mut seen = stream.updates(2).await;
    stack.promcast.gateways[0].process.signal(Signal::TERM);
    let mut rest = stream.rest().await;
    let shutdown = rest.pop().expect("an event");
    assert_eq!((shutdown.kind.as_str(), shutdown.code()), ("shutdown", "draining"), "{}", shutdown.text);
    seen.extend(rest);
    let last = seen.last().map(id).expect("an update");
    let mut back = Stream::resume(&stack.promcast.gateways[1], QUERY, 5, last).await;
    seen.extend(back.updates(2).await);
    ticks::assert_unbroken(ticks::grid(back.topic(), 5), &ticks::of(&seen));
    let status = stack.promcast.gateways[0].process.exit(PATIENCE + Duration::from_secs(5)).await;
    assert!(status.success(), "{status}");
}

fn id(event: &Event) -> &str {
    event.id.as_deref().expect("an update has an id")
}

fn texts(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.text.as_str()).collect()
}
