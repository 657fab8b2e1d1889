//! How much history one may have, in points and in bytes, and what is said to who wants more.

use e2e::dashboard::{self, Panel};
use e2e::http;
use e2e::stack::{Bus, Promcast};
use e2e::stream::{Event, PATH, Stream};
use e2e::upstream::{Reply, Upstream};
use e2e::wait::PATIENCE;

/// An upstream whose history has some kilobytes.
async fn promcast(flags: &[&str]) -> (Upstream, Promcast) {
    let upstream = Upstream::start_timed(|_, time| match time {
        "" => {
            let series =
                |gpu: u32| format!(r#"{{"metric":{{"gpu":"{gpu}"}},"values":[[1764000000.007,"1"]]}}"#);
            let result: Vec<_> = (0..100).map(series).collect();
            Reply::data(&format!(r#"{{"resultType":"matrix","result":[{}]}}"#, result.join(",")))
        }
        _ => Reply::eight_gpus(),
    })
    .await;
    let promcast = Promcast::start(Bus::Embedded, &upstream.url(), flags).await;
    (upstream, promcast)
}

async fn open(promcast: &Promcast, interval: &str, backfill: &str) -> Result<Stream, http::Answer> {
    let gateway = promcast.gateway();
    let parameters = [("query", "up"), ("interval", interval), ("backfill", backfill)];
    Stream::try_send(gateway.http.get(gateway.url(PATH)).query(&parameters)).await
}

/// Fails unless it says that a history cannot be had, and what to do about it.
fn assert_too_large(event: &Event, says: &[&str]) {
    assert_eq!((event.kind.as_str(), event.code()), ("error", "result_too_large"), "{}", event.text);
    assert_eq!((&event.data["during"], &event.data["retryable"]), (&"backfill".into(), &false.into()));
    let message = event.data["message"].as_str().unwrap_or_default();
    assert!(says.iter().all(|say| message.contains(say)), "{message}");
}

#[tokio::test]
async fn points_are_counted_before_anything_is_asked() {
    let (upstream, promcast) = promcast(&["--stream-backfill-points", "60"]).await;
    let detail = |refused: Result<Stream, http::Answer>| {
        let answer = refused.expect_err("a refusal");
        assert_eq!(answer.status, 400, "{}", answer.body);
        answer.json()["detail"].as_str().unwrap_or_default().to_owned()
    };
    let told = detail(open(&promcast, "5", "301s").await);
    assert!(told.contains("60 points") && told.contains("up to 5m"), "{told}");
    let told = detail(open(&promcast, "5", "0s").await);
    assert!(told.contains("more than nothing"), "{told}");
    assert_eq!(upstream.asked(), 0);
    open(&promcast, "5", "5m").await.expect("a stream").next("backfill").await;

    // What is added later may have a shorter interval, and so more points in the same time.
    let mut stream = open(&promcast, "15", "15m").await.expect("a stream");
    stream.next("backfill").await;
    let connection = stream.connected.data["connection_id"].as_str().expect("an id").to_owned();
    let quick = Panel { id: "quick".to_owned(), query: "sum(up)".to_owned(), interval: 5 };
    let answer = dashboard::change(promcast.gateway(), &connection, &[quick], &["0"]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    stream.until("subscriptions", PATIENCE).await;
    assert_too_large(&stream.next("error").await, &["180 ticks", "limit of 60", "ask for less time"]);
    stream.updates(2).await;
}

#[tokio::test]
async fn bytes_are_counted_and_what_is_live_goes_on() {
    let (_upstream, promcast) = promcast(&["--stream-backfill-bytes", "2000"]).await;
    let mut stream = open(&promcast, "5", "5m").await.expect("a stream");
    assert_too_large(&stream.next("error").await, &["bytes", "limit of 2000", "select less"]);
    stream.updates(2).await;
}
