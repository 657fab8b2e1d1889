//! How a stream begins and how it stays alive: at once, with all that a client needs to know, and never silent for long.

use std::collections::HashSet;
use std::time::Duration;

use e2e::programs::Gateway;
use e2e::raw::Raw;
use e2e::stream::{PATH, Stream};
use e2e::ticks;
use e2e::upstream::{Reply, Upstream};
use e2e::wait::{PATIENCE, now};
use serde_json::json;

const EMPTY: &str = r#"{"resultType":"vector","result":[]}"#;

#[tokio::test]
async fn it_says_at_once_what_it_is() {
    let upstream = Upstream::start(|_| Reply { delay: Duration::from_secs(4), ..Reply::data(EMPTY) }).await;
    let gateway = Gateway::start(&["--prometheus-url", &upstream.url(), "--replica", "blue"]).await;
    let before = now();
    let parameters = [("query", "sum ( up{ gpu='0' } )")];
    let mut stream = Stream::with(&gateway, &parameters, None).await;
    let connected = stream.connected.clone();
    assert!(connected.at.since(before) < 2_000, "before the query is answered, not after");
    assert_eq!(connected.id, None, "nothing has been delivered yet");
    assert!(stream.retry.is_some_and(|retry| (500..=30_000).contains(&retry)), "retry: {:?}", stream.retry);
    let data = &connected.data;
    let id = data["connection_id"].as_str().unwrap_or_default();
    assert!(id.len() == 36 && id.as_bytes()[14] == b'7', "{id:?} is no UUID of version 7");
    assert_eq!((&data["replica"], &data["heartbeat_seconds"]), (&json!("blue"), &json!(30)), "{data}");
    let skew = data["server_time"].as_i64().map(|time| time - connected.at.millis());
    assert!(skew.is_some_and(|skew| skew.abs() < 2_000), "{data}");
    let topic = stream.topic().to_owned();
    let subscription = json!({
        "id": "0", "topic": topic, "query": "sum ( up{ gpu='0' } )", "datasource": "default", "interval": 15,
        "resume": {"outcome": "live"},
    });
    assert_eq!(data["subscriptions"], json!([subscription]));
    let current = ticks::grid(&topic, 15).at_or_before(before);
    let update = stream.update().await;
    assert_eq!(update.tick(), current, "the current tick comes first, without waiting for the next");
    assert!(
        update.data["took_ms"].as_u64().is_some_and(|took| (3_900..9_000).contains(&took)),
        "{}",
        update.text
    );
    assert_eq!(
        Stream::open(&gateway, r#"sum(up{gpu="0"})"#, 5).await.topic(),
        topic,
        "one query in two spellings"
    );
    assert_ne!(Stream::open(&gateway, r#"sum(up{gpu="1"})"#, 5).await.topic(), topic);
}

#[tokio::test]
async fn headers() {
    let upstream = Upstream::start(|_| Reply::data(EMPTY)).await;
    let flags = ["--prometheus-url", &upstream.url(), "--http-allowed-origins", "https://dash.example.com"];
    let gateway = Gateway::start(&flags).await;
    let request = || gateway.http.get(gateway.url(PATH)).query(&[("query", "up")]);
    let stream = Stream::try_send(request().header("X-Request-Id", "abc-1")).await.expect("a stream");
    let header =
        |name: &str| stream.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("cache-control"), "no-cache, no-transform");
    assert_eq!(header("x-accel-buffering"), "no");
    assert_eq!(header("x-request-id"), "abc-1");
    for (origin, allowed) in [("https://dash.example.com", true), ("https://evil.example.com", false)] {
        let stream = Stream::try_send(request().header("Origin", origin)).await.expect("a stream");
        let named =
            stream.headers.get("access-control-allow-origin").map(reqwest::header::HeaderValue::as_bytes);
        assert_eq!(named, allowed.then_some(origin.as_bytes()), "{origin}");
    }
}

#[tokio::test]
async fn a_request_is_known_by_its_name_in_the_log() {
    let upstream = Upstream::start(|_| Reply::data(EMPTY)).await;
    let gateway = Gateway::start(&["--prometheus-url", &upstream.url()]).await;
    let open = |name: &str| {
        let request = gateway.http.get(gateway.url(PATH)).query(&[("query", "up")]);
        Stream::try_send(request.header("X-Request-Id", name))
    };
    let _named = open("abc-1").await.expect("a stream");
    let logged = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        (line["fields"]["message"] == "stream opened").then(|| line["span"].clone())
    };
    let span = gateway.process.line("that a stream was opened", logged).await;
    assert_eq!((&span["request.id"], &span["http.route"]), (&"abc-1".into(), &PATH.into()), "{span}");
    // One that would flood the log is replaced.
    let flooding = open(&"x".repeat(1_000)).await.expect("a stream");
    let given = flooding.headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    assert_eq!(given.len(), 36, "{given}");
}

#[tokio::test]
async fn clients_are_told_to_come_back_at_different_times() {
    let upstream = Upstream::start(|_| Reply::data(EMPTY)).await;
    let gateway = Gateway::start(&["--prometheus-url", &upstream.url()]).await;
    let mut delays = HashSet::new();
    for _ in 0..20 {
        delays.insert(Stream::open(&gateway, "up", 5).await.retry);
    }
    assert!(delays.len() > 5, "{delays:?}");
}

#[tokio::test]
async fn it_is_never_silent_for_long() {
    let upstream = Upstream::start(|_| Reply::data(EMPTY)).await;
    let url = upstream.url();
    let flags = ["--prometheus-url", &url, "--stream-heartbeat", "3s", "--stream-comment", "1s"];
    let gateway = Gateway::start(&flags).await;
    let mut stream = Stream::open(&gateway, "up", 300).await;
    assert_eq!(stream.connected.data["heartbeat_seconds"], 3);
    stream.update().await;
    let mut last = stream.connected.at;
    for _ in 0..3 {
        let heartbeat = stream.any().await.expect("an event");
        assert_eq!((heartbeat.kind.as_str(), &heartbeat.id), ("heartbeat", &None), "{}", heartbeat.text);
        let time = heartbeat.data["server_time"].as_i64().unwrap_or_default();
        assert!((time - heartbeat.at.millis()).abs() < 2_000, "{}", heartbeat.text);
        assert!((1_500..6_000).contains(&heartbeat.at.since(last)), "every three seconds");
        last = heartbeat.at;
    }
    let mut raw = Raw::stream(&gateway, 64 * 1024, "up", 300).await;
    let mut received = String::new();
    let deadline = now().plus_millis(i64::try_from(PATIENCE.as_millis()).expect("a short time"));
    while !received.contains("\n:") {
        assert!(now() < deadline, "no comment in {received:?}");
        received.push_str(&String::from_utf8_lossy(&raw.read(4096).await));
    }
}
