//! Many queries on one connection: each panel sees what Prometheus says at each of its ticks, whatever becomes of the others.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::time::Duration;

use e2e::dashboard::{self, Journal, Panel, panels};
use e2e::http;
use e2e::process::Signal;
use e2e::programs::Gateway;
use e2e::prometheus::canonical;
use e2e::stack::{Bus, Promcast, Stack};
use e2e::stream::{Event, PATH, Stream};
use e2e::ticks;
use e2e::upstream::{Reply, Upstream};
use e2e::wait::{PATIENCE, now};
use promcast_proto::cursor::Cursor;
use promcast_proto::tick::Tick;
use serde_json::{Value, json};

/// A query that Prometheus takes and cannot carry out.
const FAILING: &str = "DCGM_FI_DEV_GPU_UTIL * on () group_left () DCGM_FI_DEV_GPU_UTIL";

fn id(stream: &Stream) -> &str {
    stream.connected.data["connection_id"].as_str().expect("an id")
}

fn panel(id: &str, query: &str, interval: u16) -> Panel {
    Panel { id: id.to_owned(), query: query.to_owned(), interval }
}

#[tokio::test]
async fn twenty_panels_equal_prometheus_at_every_tick() {
    let stack = Stack::start(Bus::Nats, &[]).await;
    let panels = panels(&[5]);
    // The first tick is up to five seconds old, and the steps of a subquery are ten seconds apart.
    stack.prometheus.has("DCGM_FI_DEV_GPU_UTIL offset 26s").await;
    let mut stream = dashboard::open(stack.gateway(), &panels, None).await;
    let mut journal = Journal::default();
    journal.read(&mut stream, |journal| journal.has(3, 5)).await;
    journal.assert_unbroken();
    let subscriptions = stream.connected.data["subscriptions"].as_array().expect("a list").clone();
    assert_eq!(subscriptions.len(), 20);
    for (subscription, panel) in subscriptions.iter().zip(&panels) {
        assert_eq!(subscription["query"], *panel.query);
        let topic = subscription["topic"].as_str().expect("a topic");
        for update in journal.of(topic) {
            let answer = stack.prometheus.query(&panel.query, update.tick()).await;
            let (seen, said) = (canonical(&update.data["data"]), canonical(&answer["data"]));
            assert_eq!(seen, said, "{} at {}", panel.query, update.tick());
            assert_ne!(
                seen["result"],
                json!([]),
                "a panel that shows nothing proves nothing: {}",
                panel.query
            );
        }
    }
}

/// The cursor of somebody who has seen everything up to two ticks ago: that is ten seconds for one panel, and ten minutes for another.
/// With it, what each topic has to begin with.
async fn two_ticks_ago(gateway: &Gateway, panels: &[Panel]) -> (String, Vec<(String, Tick)>) {
    let stream = dashboard::open(gateway, panels, None).await;
    let subscriptions = stream.connected.data["subscriptions"].as_array().expect("a list");
    let grids = subscriptions.iter().zip(panels).map(|(subscription, panel)| {
        let topic = subscription["topic"].as_str().expect("a topic");
        (topic.to_owned(), ticks::grid(topic, panel.interval))
    });
    let seen: Vec<_> =
        grids.map(|(topic, grid)| (topic, grid, grid.step(grid.at_or_before(now()), -2))).collect();
    let cursor = Cursor::new(seen.iter().map(|(_, _, tick)| Some(*tick))).encode().expect("a cursor");
    (cursor, seen.into_iter().map(|(topic, grid, tick)| (topic, grid.step(tick, 1))).collect())
}

#[tokio::test]
async fn resuming_elsewhere_misses_nothing_and_repeats_nothing_of_any_panel() {
    let mut stack = Stack::start(Bus::Nats, &[]).await;
    stack.promcast.add_gateway().await;
    let mut panels = panels(&[5, 15, 5, 300]);
    panels.pop();
    panels.push(panel("failing", FAILING, 5));
    let (cursor, first) = two_ticks_ago(stack.gateway(), &panels).await;
    let mut journal = Journal::default();
    journal.last_id = Some(cursor);
    for (hop, ticks) in [3, 5, 7, 8].into_iter().enumerate() {
        let gateway = &stack.promcast.gateways[(hop + 1) % 2];
        let mut stream = dashboard::open(gateway, &panels, journal.last_id.as_deref()).await;
        let outcomes: Vec<_> = (0..20)
            .map(|place| stream.connected.data["subscriptions"][place]["resume"]["outcome"].clone())
            .collect();
        assert!(outcomes.iter().all(|outcome| outcome == "resumed"), "{outcomes:?}");
        // The longest interval has the two ticks that were missed at once, and the next after the test.
        journal
            .read(&mut stream, |journal| {
                journal.has(ticks, 5) && journal.has(ticks / 3, 15) && journal.has(2, 300)
            })
            .await;
        if hop == 1 {
            // The next one comes back after ticks that nobody streamed.
            drop(stream);
            e2e::wait::clock_reaches(now().plus_millis(6_000)).await;
        }
    }
    journal.assert_unbroken();
    for (topic, first) in first {
        assert_eq!(journal.of(&topic).first().map(Event::tick), Some(first), "{topic}");
    }
    // Before the first scrape there is nothing on which it could fail.
    let fails = |topic: &str| journal.of(topic).last().is_some_and(|event| event.kind == "error");
    let failing = journal.topics().filter(|(topic, _)| fails(topic)).count();
    assert_eq!(failing, 1, "one query fails, and no other");
}

#[tokio::test]
async fn a_gateway_that_dies_takes_no_tick_of_any_panel_with_it() {
    let mut stack = Stack::start(Bus::Nats, &[]).await;
    stack.promcast.add_gateway().await;
    let panels = panels(&[5, 15]);
    let mut journal = Journal::default();
    let mut stream = dashboard::open(&stack.promcast.gateways[0], &panels, None).await;
    journal.read(&mut stream, |journal| journal.has(2, 5)).await;
    stack.promcast.gateways[0].process.signal(Signal::KILL);
    while let Some(event) = stream.next_within(PATIENCE).await {
        journal.note(event);
    }
    let mut stream = dashboard::open(&stack.promcast.gateways[1], &panels, journal.last_id.as_deref()).await;
    journal.read(&mut stream, |journal| journal.has(5, 5)).await;
    journal.assert_unbroken();
}

#[tokio::test]
async fn a_live_connection_is_changed_from_any_replica() {
    let mut stack = Stack::start(Bus::Nats, &[]).await;
    stack.promcast.add_gateway().await;
    let [one, two] = &stack.promcast.gateways[..] else { panic!("two gateways") };
    let mut all = panels(&[5]);
    let more = all.split_off(3);
    let mut stream = dashboard::open(one, &all, None).await;
    let connection = id(&stream).to_owned();
    let mut journal = Journal::default();
    journal.read(&mut stream, |journal| journal.has(1, 5)).await;

    let answer = dashboard::change(two, &connection, &more[..2], &["1"]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let told = loop {
        let event = stream.next_within(PATIENCE).await.expect("the stream goes on");
        if event.kind == "subscriptions" {
            break event;
        }
        journal.note(event);
    };
    let answer = answer.json();
    assert_eq!((&answer["added"], &answer["removed"]), (&told.data["added"], &told.data["removed"]));
    assert_eq!((&told.data["removed"], &told.data["added"][1]["id"]), (&json!(["1"]), &json!(more[1].id)));
    let removed = stream.connected.data["subscriptions"][1]["topic"].as_str().expect("a topic").to_owned();
    let before = journal.of(&removed).len();
    journal.subscribed(&told.data["added"]);
    let added = told.data["added"][0]["topic"].as_str().expect("a topic");
    journal.read(&mut stream, |journal| journal.of(added).len() >= 3).await;
    assert_eq!(journal.of(&removed).len(), before, "what was removed is streamed still");
    journal.assert_unbroken();

    // The same once more is no error and no change; a mistake in a part of it leaves all as it is.
    let again = dashboard::change(one, &connection, &more[..2], &["1"]).await;
    assert_eq!((again.status, &again.json()["removed"]), (200, &json!([])), "{}", again.body);
    let half =
        dashboard::change(two, &connection, &[panel("good", "up", 5), panel("bad", "up{", 5)], &["0"]).await;
    assert_eq!(
        (half.status, &half.json()["type"]),
        (400, &json!("urn:promcast:problem:invalid-query")),
        "{}",
        half.body
    );
    let status = http::get(&two.url("/api/v1/metrics/stream/status")).await.json();
    let held = status["connections"][0]["subscriptions"].as_array().expect("a list").clone();
    let ids: Vec<_> = held.iter().map(|held| held["id"].clone()).collect();
    assert_eq!(ids, [json!("0"), json!("2"), json!(more[0].id), json!(more[1].id)], "{status}");

    // A browser that reconnects comes with its first URL: what that names goes on, and the rest is added again.
    let last_id = journal.last_id.clone();
    drop(stream);
    let mut back = dashboard::open(two, &all, last_id.as_deref()).await;
    let outcomes: Vec<_> = (0..3)
        .map(|place| back.connected.data["subscriptions"][place]["resume"]["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["resumed", "live", "resumed"]);
    let first = back.connected.data["subscriptions"][0]["topic"].as_str().expect("a topic").to_owned();
    let seen = journal.of(&first).len();
    let mut rest = Journal::default();
    rest.read(&mut back, |rest| rest.of(&first).len() >= 2).await;
    let ticks: Vec<_> = journal.of(&first).iter().chain(rest.of(&first)).cloned().collect();
    assert_eq!(ticks.len(), seen + rest.of(&first).len());
    ticks::assert_unbroken(ticks::grid(&first, 5), &ticks::of(&ticks));
}

#[tokio::test]
async fn a_slow_query_and_one_that_fails_hold_back_nobody() {
    let upstream = Upstream::start(|query| match query {
        "slow" => Reply { delay: Duration::from_secs(4), ..Reply::eight_gpus() },
        "failing" => Reply::body(422, r#"{"status":"error","errorType":"execution","error":"many-to-many"}"#),
        _ => Reply::eight_gpus(),
    })
    .await;
    let promcast = Promcast::start(Bus::Embedded, &upstream.url(), &[]).await;
    let panels = [panel("a", "slow", 5), panel("b", "failing", 5), panel("c", "quick", 5)];
    let mut stream = dashboard::open(promcast.gateway(), &panels, None).await;
    let topic = |place: usize| {
        stream.connected.data["subscriptions"][place]["topic"].as_str().expect("a topic").to_owned()
    };
    let (slow, quick) = (topic(0), topic(2));
    let mut journal = Journal::default();
    journal.read(&mut stream, |journal| journal.has(3, 5)).await;
    journal.assert_unbroken();
    // The first may be of a tick that was long due.
    let late = |topic: &str| journal.of(topic)[1..].iter().map(Event::delay).max().expect("updates");
    assert!(
        late(&slow) >= Duration::from_secs(4) && late(&quick) < Duration::from_secs(2),
        "{:?}",
        late(&quick)
    );
}

/// A poller has sixteen places. So many queries would take more than twice of that for themselves.
#[tokio::test]
async fn more_slow_queries_than_a_poller_has_places_for_hold_back_nobody() {
    let upstream = Upstream::start(|query| match query {
        "quick" => Reply::eight_gpus(),
        _ => Reply { delay: Duration::from_secs(6), ..Reply::eight_gpus() },
    })
    .await;
    let promcast = Promcast::start(Bus::Nats, &upstream.url(), &[]).await;
    let slow = (0..31).map(|number| panel("", &format!("slow_{number}"), 5));
    let panels: Vec<_> = slow.chain([panel("", "quick", 5)]).collect();
    let mut stream = dashboard::open(promcast.gateway(), &panels, None).await;
    let quick = stream.connected.data["subscriptions"][31]["topic"].as_str().expect("a topic").to_owned();
    let mut seen = Vec::new();
    while seen.len() < 9 {
        // Ticks that came due while a slow query ran are told as lost.
        let event = stream.next_within(PATIENCE).await.expect("the stream goes on");
        if event.data["topic"] == *quick {
            assert_eq!(event.kind, "metric-update", "{event:?}");
            seen.push(event);
        }
    }
    ticks::assert_unbroken(ticks::grid(&quick, 5), &ticks::of(&seen));
    // That they are slow is known when each has run once.
    let late: Vec<_> = seen[5..].iter().map(Event::delay).collect();
    assert!(late.iter().all(|late| *late < Duration::from_secs(2)), "{late:?}");
}

#[tokio::test]
async fn a_body_says_the_same_as_a_query_string_and_more() {
    let upstream = Upstream::of_one_sample().await;
    let promcast = Promcast::start(Bus::Embedded, &upstream.url(), &[]).await;
    let gateway = promcast.gateway();
    let post = |body: Value| {
        gateway.http.post(gateway.url(PATH)).header("Content-Type", "application/json").body(body.to_string())
    };
    let body = json!({"subscriptions": [
        {"id": "gpu", "query": "up", "interval": 5},
        {"id": "again", "query": "sum(up)", "interval": 7},
        {"id": "same", "query": " up # the same", "interval": 5},
    ]});
    let mut stream = Stream::try_send(post(body)).await.expect("a stream");
    let subscriptions = stream.connected.data["subscriptions"].clone();
    assert_eq!((&subscriptions[0]["id"], &subscriptions[2]["id"]), (&json!("gpu"), &json!("same")));
    assert_eq!(subscriptions[0]["topic"], subscriptions[2]["topic"]);
    let mut journal = Journal::default();
    journal.read(&mut stream, |journal| journal.has(3, 7)).await;
    journal.assert_unbroken();

    let after: Vec<_> =
        journal.topics().map(|(topic, _)| (topic.to_owned(), journal.of(topic)[0].tick())).collect();
    let tick = |place: usize| {
        let topic = subscriptions[place]["topic"].as_str().expect("a topic");
        after.iter().find(|(known, _)| known == topic).map(|(_, tick)| tick.millis())
    };
    let body = json!({"subscriptions": [
        {"query": "sum(up)", "interval": 7, "after": tick(1)},
        {"query": "up", "interval": 5, "after": tick(0)},
    ]});
    let mut back = Stream::try_send(post(body)).await.expect("a stream");
    let mut rest = Journal::default();
    rest.read(&mut back, |rest| rest.has(2, 7)).await;
    for (topic, first) in after {
        let grid = rest
            .topics()
            .find(|(known, _)| *known == topic)
            .map(|(topic, interval)| ticks::grid(topic, interval.secs()));
        let seen = std::iter::once(first).chain(ticks::of(rest.of(&topic))).collect::<Vec<_>>();
        ticks::assert_unbroken(grid.expect("a topic"), &seen);
    }
}

#[tokio::test]
async fn what_cannot_be_on_one_connection_is_refused_with_what_to_change() {
    let upstream = Upstream::of_one_sample().await;
    let promcast =
        Promcast::start(Bus::Embedded, &upstream.url(), &["--stream-max-subscriptions", "3"]).await;
    let gateway = promcast.gateway();
    let many = panels(&[5]);
    let refused = async |panels: &[Panel]| {
        let request = gateway.http.get(gateway.url(PATH)).query(&dashboard::parameters(panels));
        let answer = Stream::try_send(request).await.expect_err("a refusal");
        (answer.status, answer.json()["detail"].as_str().unwrap_or_default().to_owned())
    };
    let (status, detail) = refused(&many[..4]).await;
    assert!(status == 400 && detail.contains("at most 3"), "{detail}");
    let (status, detail) = refused(&[panel("", "up", 5), panel("", "up ", 15)]).await;
    assert!(status == 400 && detail.contains("different intervals"), "{detail}");
    let (status, detail) = refused(&[panel("", "up", 5), panel("", "up{", 5)]).await;
    assert!(status == 400 && detail.contains("subscription `1`"), "{detail}");

    let stream = dashboard::open(gateway, &many[..3], None).await;
    let full = dashboard::change(gateway, id(&stream), &many[3..4], &[]).await;
    assert!(full.status == 400 && full.body.contains("at most 3"), "{}", full.body);
    let swap = dashboard::change(gateway, id(&stream), &many[3..5], &["0", "1"]).await;
    assert_eq!(swap.status, 200, "{}", swap.body);
    let unknown = dashboard::change(gateway, "019aafcf-0000-7000-8000-000000000000", &many[..1], &[]).await;
    assert_eq!(unknown.status, 404);
    let no_json = http::send(gateway.http.post(gateway.url(PATH)).body("{}")).await;
    assert_eq!(no_json.status, 415);
    let large = gateway
        .http
        .post(gateway.url(PATH))
        .header("Content-Type", "application/json")
        .body(" ".repeat(300_000));
    assert_eq!(http::send(large).await.status, 413);
}
