//! Many who ask the same at once are one question upstream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::http;
use e2e::stack::{Bus, Promcast};
use e2e::upstream::{Reply, Upstream};
use futures_util::future::join_all;

use crate::rig::ROOM;

const SAMPLE: &str = r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}"#;

/// Long enough for all callers to come while the first one is asked for.
fn slow() -> Reply {
    Reply { delay: Duration::from_secs(1), ..Reply::data(SAMPLE) }
}

#[tokio::test]
async fn fifty_equal_calls_are_one_query() {
    for bus in [Bus::Embedded, Bus::Nats] {
        let upstream = Upstream::start(|_| slow()).await;
        let promcast = Promcast::start(bus, &upstream.url(), &ROOM).await;
        let client = http::client();
        // Spellings of one query are equal calls too, as a stream's are.
        let spellings = ["sum(up)", " sum( up )"];
        for time in [Some("1700000000"), None] {
            let before = upstream.asked();
            let calls = (0..50).map(|at| {
                let parameters = [("query", Some(spellings[at % 2])), ("time", time)];
                let parameters: Vec<_> =
                    parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                http::send(client.get(promcast.gateway().url("/api/v1/query")).query(&parameters))
            });
            for answer in join_all(calls).await {
                assert_eq!(answer.body, format!(r#"{{"status":"success","data":{SAMPLE}}}"#));
            }
            assert_eq!(upstream.asked() - before, 1, "{bus:?} {time:?}");
        }
        let other = client.get(promcast.gateway().url("/api/v1/query?query=sum(up)&time=1700000001"));
        http::send(other).await;
        assert_eq!(upstream.asked(), 3, "another time is another question");
    }
}

/// More panels than a poller answers at once: they wait, and none of them fails.
#[tokio::test]
async fn a_dashboard_that_is_opened_gets_an_answer_for_each_panel() {
    for bus in [Bus::Embedded, Bus::Nats] {
        let delay = Duration::from_millis(100);
        let upstream = Upstream::start(move |_| Reply { delay, ..Reply::data(SAMPLE) }).await;
        let promcast = Promcast::start(bus, &upstream.url(), &[]).await;
        let client = http::client();
        let panels = (0..40).map(|panel| {
            let url = promcast.gateway().url(&format!("/api/v1/query?query=panel_{panel}&time=1700000000"));
            http::send(client.get(url))
        });
        for answer in join_all(panels).await {
            assert_eq!(answer.status, 200, "{bus:?}: {}", answer.body);
        }
        assert_eq!(upstream.asked(), 40, "{bus:?}");
    }
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = well.clone();
    let upstream = Upstream::start(move |_| {
        let refusal = r#"{"status":"error","errorType":"execution","error":"too much at once"}"#;
        if is_well.load(Ordering::Relaxed) { Reply::data(SAMPLE) } else { Reply::body(422, refusal) }
    });
    let upstream = upstream.await;
    let promcast = Promcast::start(Bus::Embedded, &upstream.url(), &ROOM).await;
    let url = promcast.gateway().url("/api/v1/query?query=up&time=1700000000");
    let refused = http::get(&url).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.body, r#"{"status":"error","errorType":"execution","error":"too much at once"}"#);
    well.store(true, Ordering::Relaxed);
    assert_eq!(http::get(&url).await.status, 200);
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_the_others_an_answer() {
    let upstream = Upstream::start(|_| slow()).await;
    let promcast = Promcast::start(Bus::Embedded, &upstream.url(), &ROOM).await;
    let url = promcast.gateway().url("/api/v1/query?query=up&time=1700000000");
    let client = http::client();
    let first = client.get(&url).timeout(Duration::from_millis(500)).send();
    let second = http::send(client.get(&url));
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_err());
    assert_eq!(second.status, 200, "{}", second.body);
}
