//! Connections on several replicas: any of them tells all, closes each, and says when a replica did not answer.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use e2e::http;
use e2e::process::Signal;
use e2e::stack::{Bus, Promcast};
use e2e::stream::{PATH, Stream};
use e2e::upstream::Upstream;
use e2e::wait::{PATIENCE, until};
use serde_json::Value;

async fn two_gateways() -> (Upstream, Promcast) {
    let upstream = Upstream::of_one_sample().await;
    let mut promcast = Promcast::start(Bus::Nats, &upstream.url(), &[]).await;
    promcast.add_gateway().await;
    for gateway in &promcast.gateways {
        let status = gateway.url("/api/v1/metrics/stream/status");
        until("both replicas are known", PATIENCE, || async {
            let status = http::get(&status).await.json();
            (status["replicas_known"] == 2 && status["replicas_answered"] == 2).then_some(())
        })
        .await;
    }
    (upstream, promcast)
}

fn id(stream: &Stream) -> &str {
    stream.connected.data["connection_id"].as_str().unwrap()
}

#[tokio::test]
async fn any_replica_lists_and_closes_the_connections_of_all() {
    let (_upstream, promcast) = two_gateways().await;
    let [one, two] = &promcast.gateways[..] else { panic!("two gateways") };
    let mut stream = Stream::open(one, "up", 5).await;
    let update = stream.update().await;

    let status = http::get(&two.url("/api/v1/metrics/stream/status")).await.json();
    let connections = status["connections"].as_array().unwrap();
    assert_eq!(connections.len(), 1, "{status}");
    assert_eq!(connections[0]["connection_id"], id(&stream));
    assert_eq!(connections[0]["replica"], stream.connected.data["replica"]);
    assert_eq!(connections[0]["subscriptions"][0]["topic"], stream.topic());
    assert!(connections[0]["subscriptions"][0]["last_tick"].as_i64().unwrap() >= update.tick().millis());

    let connection = two.url(&format!("{PATH}/{}", id(&stream)));
    let closed = http::send(two.http.delete(&connection)).await;
    assert_eq!((closed.status, closed.body.as_str()), (204, ""));
    // A tick may have come in between.
    let events = stream.until("shutdown", PATIENCE).await;
    let last = events.last().unwrap();
    assert_eq!(last.code(), "closed_by_request");
    assert_eq!(last.data["reconnect"], Value::Bool(false));
    until("the connection is gone", PATIENCE, || async {
        (http::send(two.http.delete(&connection)).await.status == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_not_whole_says_so() {
    let (_upstream, promcast) = two_gateways().await;
    let [one, two] = &promcast.gateways[..] else { panic!("two gateways") };
    let stream = Stream::open(one, "up", 5).await;
    one.process.signal(Signal::STOP);

    let status = http::get(&two.url("/api/v1/metrics/stream/status")).await.json();
    assert_eq!((&status["replicas_known"], &status["replicas_answered"]), (&2.into(), &1.into()), "{status}");
    let connection = two.url(&format!("{PATH}/{}", id(&stream)));
    let undecided = http::send(two.http.delete(&connection)).await;
    assert_eq!(undecided.status, 503);
    assert!(!undecided.header("retry-after").is_empty());

    until("the silent replica is forgotten", PATIENCE, || async {
        let status = http::get(&two.url("/api/v1/metrics/stream/status")).await.json();
        (status["replicas_known"] == 1).then_some(())
    })
    .await;
    one.process.signal(Signal::CONT);
}

#[tokio::test]
async fn what_is_no_connection_is_not_found() {
    let upstream = Upstream::of_one_sample().await;
    let promcast = Promcast::start(Bus::Embedded, &upstream.url(), &[]).await;
    let gateway = promcast.gateway();
    for id in ["x", "019aafcf-0000-7000-8000-000000000000", "..%2Fquery"] {
        let answer = http::send(gateway.http.delete(gateway.url(&format!("{PATH}/{id}")))).await;
        assert_eq!(answer.status, 404, "{id}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{id}");
    }
}
