//! Many streams on one connection of HTTP/2: each comes, goes and lags by itself.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use e2e::programs::Gateway;
use e2e::stream::{PATH, Stream};
use e2e::ticks;
use e2e::upstream::{Reply, Upstream};
use e2e::wait::{PATIENCE, until, within};
use futures_util::StreamExt;
use reqwest::{Client, RequestBuilder, Version};

const STREAMS: usize = 10;

/// Those that stay when others go.
const LEFT: f64 = 5.0;

/// What the client grants each stream, and all of them.
const WINDOW: u32 = 64 * 1024;
const WINDOW_OF_ALL: u32 = 16 * 1024 * 1024;

/// Bytes of a large result: more than a window.
const LARGE: usize = 300 * 1024;

/// Ticks that a stream may lag, and those after which it surely lags.
const LAG: &str = "2";
const TICKS: usize = 6;

fn client() -> Client {
    let builder = Client::builder().no_proxy().http2_prior_knowledge();
    let builder = builder.http2_initial_stream_window_size(WINDOW);
    builder.http2_initial_connection_window_size(WINDOW_OF_ALL).build().expect("a client")
}

fn request(client: &Client, gateway: &Gateway, query: &str) -> RequestBuilder {
    client.get(gateway.url(PATH)).query(&[("query", query), ("interval", "5")])
}

async fn open(client: &Client, gateway: &Gateway, query: &str) -> Stream {
    Stream::try_send(request(client, gateway, query)).await.expect("a stream")
}

fn sockets(gateway: &Gateway) -> usize {
    let pid = gateway.process.pid();
    let own = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the gateway's files");
    own.filter(|file| {
        let target = file.as_ref().ok().and_then(|file| std::fs::read_link(file.path()).ok());
        target.is_some_and(|target| target.to_string_lossy().starts_with("socket:"))
    })
    .count()
}

#[tokio::test]
async fn streams_come_and_go_alone() {
    let upstream = Upstream::of_one_sample().await;
    let gateway = Gateway::start(&["--prometheus-url", &upstream.url()]).await;
    let client = client();
    let mut streams = vec![open(&client, &gateway, "up").await];
    let before = sockets(&gateway);
    for number in 1..STREAMS {
        streams.push(open(&client, &gateway, &format!("up + {number}")).await);
    }
    assert!(sockets(&gateway) < before + STREAMS - 1, "each stream has a connection of its own");
    let mut seen = Vec::new();
    for stream in &mut streams {
        seen.push(stream.updates(2).await);
    }
    // Their client resets them, and goes on with the others.
    streams.truncate(STREAMS / 2);
    until("the places of those that went are free", PATIENCE, || async {
        (gateway.metric("sse_active_connections").await == LEFT).then_some(())
    })
    .await;
    streams.push(open(&client, &gateway, "up").await);
    for (stream, seen) in streams.iter_mut().zip(&mut seen).take(STREAMS / 2) {
        seen.extend(stream.updates(2).await);
        ticks::assert_unbroken(ticks::grid(stream.topic(), 5), &ticks::of(seen));
    }
    streams.last_mut().expect("a stream").updates(2).await;
}

#[tokio::test]
async fn one_that_is_not_read_holds_up_no_other_and_is_told_what_it_lost() {
    let padding = "x".repeat(LARGE);
    let large =
        format!(r#"{{"resultType":"vector","result":[{{"metric":{{"p":"{padding}"}},"value":[0,"1"]}}]}}"#);
    let small = r#"{"resultType":"vector","result":[]}"#;
    let answer = move |query: &str| Reply::data(if query == "large" { &large } else { small });
    let upstream = Upstream::start(answer).await;
    let gateway = Gateway::start(&["--prometheus-url", &upstream.url(), "--stream-lag", LAG]).await;
    let client = client();
    let unread = within("an answer", PATIENCE, request(&client, &gateway, "large").send()).await;
    let unread = unread.expect("an answer");
    assert_eq!((unread.version(), unread.status().as_u16()), (Version::HTTP_2, 200));
    let mut other = open(&client, &gateway, "small").await;
    let seen = other.updates(TICKS).await;
    ticks::assert_unbroken(ticks::grid(other.topic(), 5), &ticks::of(&seen));
    // The first one is of the tick that was current when the stream began.
    assert!(seen.iter().skip(1).all(|update| update.delay() < Duration::from_secs(2)), "{seen:?}");
    let (mut bytes, mut text) = (unread.bytes_stream(), Vec::new());
    let told = async {
        while !String::from_utf8_lossy(&text).contains(r#""reason":"slow_consumer""#) {
            text.extend(bytes.next().await.expect("the stream goes on").expect("bytes"));
        }
    };
    within("what was lost is told", PATIENCE, told).await;
    assert_eq!(String::from_utf8_lossy(&text).matches("event: gap\n").count(), 1);
    other.update().await;
}
