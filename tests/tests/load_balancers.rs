//! nginx and HAProxy, configured as in `deploy/load-balancer`, in front of two gateways: nothing is held back, nobody
//! sees the error of a gateway that goes away, and what the gateways know of clients stays true.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use e2e::http;
use e2e::load_balancer::{Kind, LoadBalancer};
use e2e::process::Signal;
use e2e::programs::Gateway;
use e2e::stack::{Bus, Promcast};
use e2e::stream::{PATH, Stream};
use e2e::ticks;
use e2e::upstream::{Reply, Upstream};
use e2e::wait::{PATIENCE, now, until};
use promcast_proto::tick::Tick;
use serde_json::Value;

/// What a load balancer that waits for more bytes, or for the next write to fail, does not keep: updates come every 5 s
/// here, and a silent stream has a byte every 15 s.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Milliseconds that Linux holds back a small segment that is sent with `MSG_MORE` (200, by tcp(7)), with some to spare:
/// what comes sooner was not sent so. A busy machine can make one update this late, not each.
const CORKED: i64 = 150;

#[tokio::test]
async fn an_event_reaches_the_client_as_soon_as_the_gateway_sends_it() {
    let large = "x".repeat(300_000);
    let upstream = Upstream::start(move |query| match query {
        "large" => Reply::data(&format!(
            r#"{{"resultType":"vector","result":[{{"metric":{{"a":"{large}"}},"value":[1,"1"]}}]}}"#
        )),
        _ => Reply::data(r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}"#),
    })
    .await;
    let promcast = two_gateways(Bus::Embedded, &upstream, &[]).await;
    let balancers = [start(Kind::Nginx, &promcast).await, start(Kind::Haproxy, &promcast).await];
    let mut pairs = Vec::new();
    for (kind, balancer) in Kind::ALL.into_iter().zip(&balancers) {
        for query in ["small", "large"] {
            let through = Stream::at(&balancer.url(), query, 5, None).await;
            let said = Tick::from_millis(through.connected.data["server_time"].as_i64().unwrap());
            assert!(through.connected.at.since(said) < millis(AT_ONCE), "{kind:?}: {:?}", through.connected);
            let direct = Stream::open(serving(&promcast, &through).await, query, 5).await;
            pairs.push((format!("{kind:?}, {query} updates"), direct, through));
        }
    }
    for (what, mut direct, mut through) in pairs {
        let mut late = Vec::new();
        for _ in 0..3 {
            let (there, here) = (direct.update().await, through.update().await);
            assert_eq!(there.text, here.text, "{what}");
            late.push(here.at.since(there.at));
        }
        // The first may have been there already when the second stream was opened.
        let live = &late[1..];
        assert!(live.iter().all(|late| *late < millis(AT_ONCE)), "{what} are late by {late:?} ms");
        assert!(live.iter().any(|late| *late < CORKED), "{what} are late by {late:?} ms");
    }
}

#[tokio::test]
async fn streams_spread_over_both_gateways() {
    let upstream = Upstream::of_one_sample().await;
    let promcast = two_gateways(Bus::Embedded, &upstream, &[]).await;
    for kind in Kind::ALL {
        let balancer = start(kind, &promcast).await;
        let mut streams = Vec::new();
        let mut held = HashMap::new();
        for _ in 0..6 {
            let stream = Stream::at(&balancer.url(), "up", 300, None).await;
            *held.entry(stream.replica().to_owned()).or_insert(0) += 1;
            streams.push(stream);
        }
        assert_eq!(held.values().copied().collect::<Vec<_>>(), [3, 3], "{kind:?}: {held:?}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_is_noticed_before_the_next_byte_is_sent() {
    let upstream = Upstream::of_one_sample().await;
    let promcast = two_gateways(Bus::Embedded, &upstream, &[]).await;
    for kind in Kind::ALL {
        let balancer = start(kind, &promcast).await;
        let mut streams = Vec::new();
        for _ in 0..4 {
            streams.push(Stream::at(&balancer.url(), "up", 300, None).await);
        }
        assert_eq!(open(&promcast).await, 4.0, "{kind:?}");
        drop(streams);
        let what = format!("no stream is left behind {kind:?}");
        until(&what, AT_ONCE, || async { (open(&promcast).await == 0.0).then_some(()) }).await;
    }
}

#[tokio::test]
async fn a_full_gateway_is_passed_over_and_two_full_ones_say_when_to_come_back() {
    let upstream = Upstream::of_one_sample().await;
    let promcast = two_gateways(Bus::Embedded, &upstream, &["--stream-max-connections", "2"]).await;
    let [full, free] = &promcast.gateways[..] else { panic!("two gateways") };
    let here = [Stream::open(full, "up", 300).await, Stream::open(full, "up", 300).await];
    for kind in Kind::ALL {
        let balancer = start(kind, &promcast).await;
        let refused = full.metric("sse_connection_errors_total").await;
        // The load balancer knows of no stream on the full one, so that is where it asks first.
        let mut streams = Vec::new();
        for _ in 0..2 {
            streams.push(Stream::at(&balancer.url(), "up", 300, None).await);
        }
        assert!(streams.iter().all(|stream| stream.replica() != here[0].replica()), "{kind:?}");
        assert!(
            full.metric("sse_connection_errors_total").await > refused,
            "{kind:?}: nobody was passed over"
        );
        for _ in 0..3 {
            let answer = http::get(&format!("{}{PATH}?query=up", balancer.url())).await;
            assert_eq!(answer.status, 503, "{kind:?}: {answer:?}");
            assert_eq!(answer.json()["type"], "urn:promcast:problem:at-capacity", "{kind:?}: {answer:?}");
            assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|wait| wait > 0), "{answer:?}");
        }
        streams.pop();
        let request = || http::client().get(format!("{}{PATH}?query=up", balancer.url()));
        let what = format!("{kind:?} finds the place that is free again");
        until(&what, AT_ONCE, || async { Stream::try_send(request()).await.ok() }).await;
        drop(streams);
        until("the gateway is empty", PATIENCE, || async {
            (free.metric("sse_active_connections").await == 0.0).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn the_gateway_knows_the_client_whatever_that_claims_and_the_request_keeps_its_id() {
    let upstream = Upstream::of_one_sample().await;
    let flags =
        ["--http-trusted-proxies", "127.0.0.1/32", "--stream-open-rate", "1", "--stream-open-burst", "3"];
    let promcast = two_gateways(Bus::Embedded, &upstream, &flags).await;
    for (kind, [address, other]) in Kind::ALL.into_iter().zip([[11, 12], [13, 14]]) {
        let balancer = start(kind, &promcast).await;
        let url = format!("{}{PATH}?query=up&interval=300", balancer.url());
        let (liar, other) = (client_at(address), client_at(other));
        let request = |id: &str, forged: u8| {
            let headers = liar.get(&url).header("X-Forwarded-For", format!("192.0.2.{forged}"));
            headers.header("Forwarded", format!("for=192.0.2.{forged}")).header("X-Request-Id", id)
        };
        let id = format!("given-by-the-client-of-{kind:?}");
        let stream = Stream::try_send(request(&id, 0)).await.unwrap();
        assert_eq!(stream.headers["x-request-id"], id, "{kind:?}");
        let logged = until("the stream in the log", PATIENCE, || async {
            promcast.gateways.iter().find_map(|gateway| logged_address(gateway, &id))
        })
        .await;
        assert_eq!(logged, format!("127.0.0.{address}"), "{kind:?}");
        // Each gateway has a bucket of three for this address; a new forged address each time is no way round.
        let mut opened = vec![stream];
        let refused = loop {
            match Stream::try_send(request("another", u8::try_from(opened.len()).unwrap())).await {
                Ok(stream) => opened.push(stream),
                Err(answer) => break answer,
            }
            assert!(opened.len() < 30, "{kind:?}: nobody was refused");
        };
        assert_eq!(refused.status, 429, "{kind:?}: {refused:?}");
        assert!(Stream::try_send(other.get(&url)).await.is_ok(), "{kind:?}: another client is let in");
    }
}

#[tokio::test]
async fn a_large_request_gets_the_answer_of_the_gateway() {
    let upstream = Upstream::of_one_sample().await;
    let promcast = two_gateways(Bus::Embedded, &upstream, &[]).await;
    let large = "x".repeat(31_000);
    let ask = async |base: &str| {
        let url = format!("{base}{PATH}?query={large}");
        let answer = http::send(http::client().get(url).header("X-Large", &large)).await;
        (answer.status, answer.json()["type"].clone())
    };
    let right = ask(&promcast.gateway().url("")).await;
    assert_eq!(right, (400, Value::from("urn:promcast:problem:invalid-query")));
    for kind in Kind::ALL {
        assert_eq!(ask(&start(kind, &promcast).await.url()).await, right, "{kind:?}");
    }
}

#[tokio::test]
async fn a_reload_keeps_open_streams() {
    let upstream = Upstream::of_one_sample().await;
    let promcast = two_gateways(Bus::Embedded, &upstream, &[]).await;
    for kind in Kind::ALL {
        let balancer = start(kind, &promcast).await;
        let mut stream = Stream::at(&balancer.url(), "up", 5, None).await;
        let mut seen = stream.updates(1).await;
        balancer.reload().await;
        until("a stream of the new workers", PATIENCE, || async {
            let request = http::client().get(format!("{}{PATH}?query=up", balancer.url()));
            Stream::try_send(request).await.ok()
        })
        .await;
        seen.extend(stream.updates(2).await);
        ticks::assert_unbroken(ticks::grid(stream.topic(), 5), &ticks::of(&seen));
    }
}

#[tokio::test]
async fn nginx_sends_newcomers_to_the_other_gateway_while_one_drains() {
    drain(Kind::Nginx).await;
}

#[tokio::test]
async fn haproxy_sends_newcomers_to_the_other_gateway_while_one_drains() {
    drain(Kind::Haproxy).await;
}

async fn drain(kind: Kind) {
    let upstream = Upstream::of_one_sample().await;
    let mut promcast = two_gateways(Bus::Nats, &upstream, &["--stream-drain", "10s"]).await;
    let balancer = start(kind, &promcast).await;
    let Few { mut stream, leaving, staying, _others } = few(&balancer, &promcast).await;
    let mut seen = stream.updates(2).await;
    // Streams that keep it draining for a while.
    let mut direct = Vec::new();
    for _ in 0..10 {
        direct.push(Stream::open(&promcast.gateways[leaving], "up", 300).await);
    }
    promcast.gateways[leaving].process.signal(Signal::TERM);
    until("it drains", PATIENCE, || async {
        let ready = promcast.gateways[leaving].admin("/-/ready");
        (http::get(&ready).await.status == 503).then_some(())
    })
    .await;
    // By what the load balancer counts it has the fewest streams, so without a word of its own each would go there.
    let mut newcomers = Vec::new();
    for _ in 0..4 {
        newcomers.push(Stream::at(&balancer.url(), "up", 300, None).await);
    }
    assert!(newcomers.iter().all(|newcomer| newcomer.replica() == staying), "{kind:?}: not all on {staying}");
    let mut rest = stream.rest().await;
    let shutdown = rest.pop().unwrap();
    assert_eq!((shutdown.kind.as_str(), shutdown.code()), ("shutdown", "draining"), "{}", shutdown.text);
    seen.extend(rest);
    let last = seen.last().and_then(|update| update.id.clone()).unwrap();
    let mut back = Stream::at(&balancer.url(), "up", 5, Some(&last)).await;
    assert_eq!((back.replica(), back.outcome()), (staying.as_str(), "resumed"), "{}", back.connected.text);
    seen.extend(back.updates(2).await);
    ticks::assert_unbroken(ticks::grid(back.topic(), 5), &ticks::of(&seen));
    let status = promcast.gateways[leaving].process.exit(PATIENCE).await;
    assert!(status.success(), "{status}");
    // Nobody listens there any more.
    let after = Stream::at(&balancer.url(), "up", 300, None).await;
    assert_eq!(after.replica(), staying, "{kind:?}");
}

#[tokio::test]
async fn nginx_sends_clients_of_a_killed_gateway_to_the_other() {
    kill(Kind::Nginx).await;
}

#[tokio::test]
async fn haproxy_sends_clients_of_a_killed_gateway_to_the_other() {
    kill(Kind::Haproxy).await;
}

async fn kill(kind: Kind) {
    let upstream = Upstream::of_one_sample().await;
    let mut promcast = two_gateways(Bus::Nats, &upstream, &[]).await;
    let balancer = start(kind, &promcast).await;
    let Few { mut stream, leaving, staying, _others } = few(&balancer, &promcast).await;
    let mut seen = stream.updates(1).await;
    promcast.gateways[leaving].process.kill().await;
    let killed = now();
    let rest = stream.rest().await;
    assert!(now().since(killed) < millis(AT_ONCE), "{kind:?} tells its client late");
    assert!(rest.iter().all(|event| event.kind == "metric-update"), "{rest:?}");
    seen.extend(rest);
    let last = seen.last().and_then(|update| update.id.clone()).unwrap();
    // By what the load balancer counts the dead one has the fewest streams.
    let mut back = Stream::at(&balancer.url(), "up", 5, Some(&last)).await;
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(Stream::at(&balancer.url(), "up", 300, None).await);
    }
    assert!(others.iter().all(|other| other.replica() == staying), "{kind:?}: not all on {staying}");
    assert_eq!((back.replica(), back.outcome()), (staying.as_str(), "resumed"), "{}", back.connected.text);
    seen.extend(back.updates(2).await);
    ticks::assert_unbroken(ticks::grid(back.topic(), 5), &ticks::of(&seen));
}

/// A stream of 5 s on the gateway with fewer streams.
struct Few {
    stream: Stream,
    leaving: usize,
    staying: String,
    _others: Vec<Stream>,
}

async fn few(balancer: &LoadBalancer, promcast: &Promcast) -> Few {
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(Stream::at(&balancer.url(), "up", 5, None).await);
    }
    let names = [replica(&promcast.gateways[0]).await, replica(&promcast.gateways[1]).await];
    let on_first = streams.iter().filter(|stream| stream.replica() == names[0]).count();
    assert!(on_first == 1 || on_first == 2, "{on_first} of three streams are on the first gateway");
    let leaving = usize::from(on_first == 2);
    let place = streams.iter().position(|stream| stream.replica() == names[leaving]).unwrap();
    let stream = streams.remove(place);
    Few { stream, leaving, staying: names[1 - leaving].clone(), _others: streams }
}

async fn two_gateways(bus: Bus, upstream: &Upstream, flags: &[&str]) -> Promcast {
    let mut promcast = Promcast::start(bus, &upstream.url(), flags).await;
    promcast.add_gateway().await;
    promcast
}

async fn start(kind: Kind, promcast: &Promcast) -> LoadBalancer {
    LoadBalancer::start(kind, [&promcast.gateways[0], &promcast.gateways[1]]).await
}

/// The name of a gateway, which its streams tell.
async fn replica(gateway: &Gateway) -> String {
    Stream::open(gateway, "up", 300).await.replica().to_owned()
}

/// The gateway that a stream came from, one of two.
async fn serving<'a>(promcast: &'a Promcast, stream: &Stream) -> &'a Gateway {
    let first = replica(&promcast.gateways[0]).await;
    &promcast.gateways[usize::from(stream.replica() != first)]
}

/// Streams that all gateways hold.
async fn open(promcast: &Promcast) -> f64 {
    let mut open = 0.0;
    for gateway in &promcast.gateways {
        open += gateway.metric("sse_active_connections").await;
    }
    open
}

/// The client's address that a gateway logged with the stream of this request id.
fn logged_address(gateway: &Gateway, request_id: &str) -> Option<String> {
    gateway.process.output().lines().find_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let fields = &line["fields"];
        let right = line["span"]["request.id"] == request_id;
        right.then(|| fields["client.address"].as_str().map(str::to_owned)).flatten()
    })
}

/// A client with an address of its own.
fn client_at(last: u8) -> reqwest::Client {
    let address = IpAddr::from([127, 0, 0, last]);
    reqwest::Client::builder().no_proxy().local_address(address).build().unwrap()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}
