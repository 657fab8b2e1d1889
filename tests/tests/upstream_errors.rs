//! Whatever an upstream does wrong is told by a stable code at each tick, and what it warns of is passed on.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use e2e::programs::Gateway;
use e2e::stream::Stream;
use e2e::ticks;
use e2e::upstream::{Reply, Upstream};
use futures_util::future::join_all;
use promcast_proto::tick::Tick;

/// Long enough for everything here but the upstream that is meant to be too slow.
const QUERY_TIMEOUT: &str = "2s";

const EMPTY: &str = r#"{"resultType":"vector","result":[]}"#;

/// What each query leads to: the answer is chosen by the name of the metric.
const FAULTS: &[(&str, &str, bool)] = &[
    ("bad_data", "upstream_bad_data", false),
    ("execution", "upstream_execution", false),
    ("timeout", "upstream_timeout", true),
    ("canceled", "upstream_canceled", true),
    ("internal", "upstream_internal", true),
    ("crash", "upstream_internal", true),
    ("too_slow", "upstream_timeout", true),
    ("unauthorized", "upstream_unauthorized", true),
    ("forbidden", "upstream_unauthorized", true),
    ("cut", "upstream_malformed", true),
    ("page", "upstream_malformed", true),
    ("nothing", "upstream_malformed", true),
    ("other_json", "upstream_malformed", true),
    ("too_large", "result_too_large", false),
    ("too_many_series", "result_too_many_series", false),
];

fn faulty(query: &str) -> Reply {
    let error = |status, kind: &str| {
        Reply::body(
            status,
            &format!(r#"{{"status":"error","errorType":"{kind}","error":"the words of {kind}"}}"#),
        )
    };
    match query {
        "bad_data" => error(400, "bad_data"),
        "execution" => error(422, "execution"),
        "timeout" => error(503, "timeout"),
        "canceled" => error(503, "canceled"),
        "internal" => error(500, "internal"),
        "crash" => Reply::body(500, "panic"),
        "too_slow" => Reply { delay: Duration::from_secs(20), ..Reply::data(EMPTY) },
        "unauthorized" => Reply::body(401, "who are you?"),
        "forbidden" => Reply::body(403, "not you"),
        "cut" => Reply { cut: true, ..Reply::data(EMPTY) },
        "page" => Reply::body(200, "<!doctype html><title>Log in</title>"),
        "nothing" => Reply::body(200, ""),
        "other_json" => Reply::body(200, r#"{"status":"success"}"#),
        "too_large" => Reply::data(&format!(
            r#"{{"resultType":"vector","result":[{{"metric":{{"a":"{}"}},"value":[0,"1"]}}]}}"#,
            "x".repeat(4 << 20)
        )),
        "too_many_series" => Reply::data(&format!(
            r#"{{"resultType":"vector","result":[{}]}}"#,
            vec![r#"{"metric":{},"value":[0,"1"]}"#; 10_001].join(",")
        )),
        _ => Reply::data(EMPTY),
    }
}

#[tokio::test]
async fn each_fault_has_its_code() {
    // A datasource that fails is left alone for a moment, so each fault has one of its own.
    join_all(FAULTS.iter().map(|(query, code, retryable)| is_told(query, code, *retryable))).await;
}

async fn is_told(query: &str, code: &str, retryable: bool) {
    let upstream = Upstream::start(faulty).await;
    let flags = ["--prometheus-url", &upstream.url(), "--stream-query-timeout", QUERY_TIMEOUT];
    let gateway = Gateway::start(&flags).await;
    let mut stream = Stream::open(&gateway, query, 5).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let error = stream.next("error").await;
        assert_eq!(error.code(), code, "{query}: {}", error.text);
        assert_eq!(error.data["retryable"], retryable, "{query}: {}", error.text);
        let message = error.data["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty() && message.len() < 2_000, "{query}: {message:?}");
        assert!(!message.contains("127.0.0.1"), "{query}: {message:?} names the upstream's address");
        seen.push(error);
    }
    ticks::assert_unbroken(ticks::grid(stream.topic(), 5), &ticks::of(&seen));
}

#[tokio::test]
async fn one_that_wants_less_is_left_alone_and_asked_again_later() {
    for status in [429, 503] {
        let refusals = AtomicU32::new(2);
        let upstream = Upstream::start(move |_| {
            let refuse =
                refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            if refuse.is_ok() { Reply::body(status, "not now") } else { Reply::data(EMPTY) }
        })
        .await;
        let gateway = Gateway::start(&["--prometheus-url", &upstream.url()]).await;
        let mut stream = Stream::open(&gateway, "up", 5).await;
        let seen = stream.until("metric-update", Duration::from_secs(60)).await;
        let (update, errors) = seen.split_last().expect("an update");
        assert!(!errors.is_empty(), "{status}: {}", update.text);
        for error in errors {
            assert_eq!(error.code(), "upstream_overloaded", "{status}: {}", error.text);
            assert_eq!(error.data["retryable"], true, "{status}: {}", error.text);
        }
        ticks::assert_unbroken(ticks::grid(stream.topic(), 5), &ticks::of(&seen));
    }
}

#[tokio::test]
async fn warnings_and_infos_are_passed_on() {
    let upstream = Upstream::start(|query| match query {
        "warned" => Reply::body(
            200,
            &format!(r#"{{"status":"success","data":{EMPTY},"warnings":["a \"store\" is away"],"infos":["not a counter"]}}"#),
        ),
        _ => Reply::data(EMPTY),
    })
    .await;
    let gateway = Gateway::start(&["--prometheus-url", &upstream.url()]).await;
    let update = Stream::open(&gateway, "warned", 5).await.update().await;
    assert_eq!(update.data["warnings"], serde_json::json!(["a \"store\" is away"]), "{}", update.text);
    assert_eq!(update.data["infos"], serde_json::json!(["not a counter"]), "{}", update.text);
    let update = Stream::open(&gateway, "plain", 5).await.update().await;
    for member in ["warnings", "infos"] {
        assert!(update.data.get(member).is_none(), "{}", update.text);
    }
}

#[tokio::test]
async fn a_query_slower_than_its_interval_leaves_no_tick_untold() {
    let upstream = Upstream::start(|_| Reply { delay: Duration::from_secs(7), ..Reply::data(EMPTY) }).await;
    let gateway = Gateway::start(&["--prometheus-url", &upstream.url()]).await;
    let mut stream = Stream::open(&gateway, "slow", 5).await;
    let grid = ticks::grid(stream.topic(), 5);
    let first = stream.update().await;
    let mut expected = grid.step(first.tick(), 1);
    let (mut updates, mut gaps) = (0, 0);
    while updates < 4 {
        let event = stream.next_within(Duration::from_secs(30)).await.expect("the stream goes on");
        match event.kind.as_str() {
            "metric-update" => {
                assert_eq!(event.tick(), expected, "{}", event.text);
                updates += 1;
                expected = grid.step(expected, 1);
            }
            kind => {
                assert_eq!((kind, &event.data["reason"]), ("gap", &"upstream_slow".into()), "{}", event.text);
                assert_eq!(event.data["from"].as_i64(), Some(expected.millis()), "{}", event.text);
                gaps += 1;
                expected = grid.step(Tick::from_millis(event.data["to"].as_i64().expect("a tick")), 1);
            }
        }
    }
    assert!(gaps > 0, "five seconds of every seven are lost somewhere");
    assert!(upstream.asked() <= 7, "one query at a time, not {} in all", upstream.asked());
}
