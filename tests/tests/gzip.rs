//! Compressed streams are whole: each is one gzip member to its end, whoever writes it, and says what a plain one says.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Read;

use e2e::http;
use e2e::programs::Gateway;
use e2e::raw::Raw;
use e2e::stream::{PATH, Stream};
use e2e::upstream::{Reply, Upstream};
use e2e::wait::{PATIENCE, within};
use flate2::read::GzDecoder;
use futures_util::StreamExt;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use reqwest::{Client, Response};

const QUERIES: &str = "?query=up&query=down&interval=5";

async fn gateway(flags: &[&str]) -> (Upstream, Gateway) {
    let upstream = Upstream::start(|_| Reply::eight_gpus()).await;
    let gateway = Gateway::start(&[&["--prometheus-url", &upstream.url()], flags].concat()).await;
    (upstream, gateway)
}

async fn open(client: &Client, gateway: &Gateway) -> Response {
    let request = client.get(gateway.url(&format!("{PATH}{QUERIES}"))).header(ACCEPT_ENCODING, "gzip");
    within("an answer", PATIENCE, request.send()).await.expect("an answer")
}

/// Reads a stream until four updates are in it, closes it by request, and gives all of it.
async fn whole(client: &Client, gateway: &Gateway) -> String {
    let response = open(client, gateway).await;
    assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    let (mut chunks, mut wire) = (response.bytes_stream(), Vec::new());
    let mut closed = false;
    while let Some(chunk) = within("more of the stream", PATIENCE * 2, chunks.next()).await {
        wire.extend_from_slice(&chunk.expect("a stream that does not break off"));
        let mut text = String::new();
        // It has not ended yet, so the reader says that there should be more.
        GzDecoder::new(&*wire).read_to_string(&mut text).ok();
        if !closed && text.matches("event: metric-update").count() >= 4 {
            let id = text.split("\"connection_id\":\"").nth(1).and_then(|rest| rest.split('"').next());
            let url = gateway.url(&format!("{PATH}/{}", id.expect("an id")));
            assert_eq!(http::send(client.delete(url)).await.status, 204);
            closed = true;
        }
    }
    let mut text = String::new();
    GzDecoder::new(&*wire).read_to_string(&mut text).expect("one member, with its checksum");
    text
}

#[tokio::test]
async fn a_stream_is_one_member_to_its_end() {
    let (_upstream, shards) = gateway(&[]).await;
    let (_other, library) = gateway(&["--http-shards", "0"]).await;
    let h2 = Client::builder().no_proxy().http2_prior_knowledge().build().expect("a client");
    let h1 = http::client();
    let (one, two, three) = tokio::join!(whole(&h1, &shards), whole(&h1, &library), whole(&h2, &shards));
    for text in [one, two, three] {
        assert!(text.contains("closed_by_request"), "{text}");
        // Cursors of the connection's own stand between the shared parts.
        let ids = text.lines().filter(|line| line.starts_with("id: ")).count();
        assert!(ids >= 4, "{text}");
    }
}

#[tokio::test]
async fn who_does_not_take_it_or_is_not_to_get_it_has_a_plain_stream() {
    let (_upstream, on) = gateway(&[]).await;
    let (_other, off) = gateway(&["--stream-gzip", "false"]).await;
    let mut stream = Stream::open(&on, "up", 5).await;
    stream.update().await;
    let response = open(&http::client(), &off).await;
    assert!(!response.headers().contains_key(CONTENT_ENCODING));
    assert_eq!(response.headers()[VARY], "accept-encoding");
    let first = within("bytes", PATIENCE, response.bytes_stream().next()).await;
    assert!(first.expect("a stream").expect("bytes").starts_with(b"retry: "));
}

#[tokio::test]
async fn a_head_is_answered_with_a_head() {
    let (_upstream, gateway) = gateway(&[]).await;
    let request = format!("HEAD {PATH}?query=up HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n");
    let mut raw = Raw::send(&gateway, 64 * 1024, request.as_bytes()).await;
    let answer = String::from_utf8(raw.read_to_end(PATIENCE).await).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n") && !answer.contains("event:"), "{answer}");
}
