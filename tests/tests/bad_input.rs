//! What a client gets wrong is told in a problem document that says what to change; limits say when to come back.
#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::time::Duration;

use e2e::http::{self, Answer};
use e2e::programs::Gateway;
use e2e::raw::Raw;
use e2e::stream::{PATH, Stream};
use e2e::upstream::{Reply, Upstream};
use e2e::wait::{PATIENCE, now, until};
use reqwest::Method;

/// An upstream that knows one answer.
async fn upstream() -> Upstream {
    Upstream::start(|_| Reply::data(r#"{"resultType":"vector","result":[]}"#)).await
}

/// A request that cannot be served.
struct Case {
    parameters: &'static [(&'static str, &'static str)],
    kind: &'static str,
    status: u16,
    /// What the detail must speak of.
    says: &'static [&'static str],
}

const fn case(
    parameters: &'static [(&'static str, &'static str)],
    kind: &'static str,
    says: &'static [&'static str],
) -> Case {
    Case { parameters, kind, status: 400, says }
}

const CASES: &[Case] = &[
    case(&[], "invalid-query", &["query"]),
    case(&[("interval", "5")], "invalid-query", &["query"]),
    case(&[("query", "")], "invalid-query", &["query"]),
    case(&[("query", "   ")], "invalid-query", &["query"]),
    case(&[("query", "sum(up"), ("interval", "5")], "invalid-query", &["character 7"]),
    case(&[("query", "up up")], "invalid-query", &["character"]),
    case(&[("query", "rate(up)")], "invalid-query", &[]),
    case(&[("query", "up{gpu=~\"(\"}")], "invalid-query", &[]),
    case(&[("query", "up"), ("interval", "4")], "invalid-parameter", &["interval", "5", "300", "4"]),
    case(&[("query", "up"), ("interval", "301")], "invalid-parameter", &["interval", "5", "300", "301"]),
    case(&[("query", "up"), ("interval", "0")], "invalid-parameter", &["interval", "5", "300"]),
    case(&[("query", "up"), ("interval", "-5")], "invalid-parameter", &["interval", "5", "300"]),
    case(&[("query", "up"), ("interval", "5.5")], "invalid-parameter", &["interval", "5", "300"]),
    case(&[("query", "up"), ("interval", "abc")], "invalid-parameter", &["interval", "abc", "5", "300"]),
    case(&[("query", "up"), ("interval", "")], "invalid-parameter", &["interval", "5", "300"]),
    case(
        &[("query", "up"), ("interval", "99999999999999999999")],
        "invalid-parameter",
        &["interval", "5", "300"],
    ),
    case(
        &[("query", "up"), ("interval", "5"), ("interval", "5")],
        "invalid-parameter",
        &["interval", "once"],
    ),
    case(
        &[("query", "up"), ("query", "down"), ("interval", "5"), ("interval", "6"), ("interval", "7")],
        "invalid-parameter",
        &["interval", "3 times", "2 queries"],
    ),
    case(
        &[("query", "up"), ("query", " up"), ("interval", "5"), ("interval", "15")],
        "invalid-parameter",
        &["same query", "shorter"],
    ),
    case(&[("query", "up"), ("query", "up{")], "invalid-query", &["`1`", "character"]),
    case(
        &[("query", "up"), ("format", "json"), ("format", "json")],
        "invalid-parameter",
        &["format", "once"],
    ),
    case(&[("query", "up"), ("format", "json")], "invalid-parameter", &["format", "compact"]),
    case(&[("query", "up"), ("backfill", "soon")], "invalid-parameter", &["backfill", "15m"]),
    case(
        &[("query", "up"), ("backfill", "1000d")],
        "invalid-parameter",
        &["backfill", "2000 points", "8h 20m"],
    ),
    case(&[("query", "up"), ("intervall", "5")], "invalid-parameter", &["intervall"]),
    case(&[("query", "up"), ("datasource", "elsewhere")], "unknown-datasource", &["elsewhere"]),
    case(&[("query", "up"), ("datasource", "no such name!")], "unknown-datasource", &[]),
    case(&[("query", "up"), ("last_event_id", "yesterday")], "invalid-cursor", &["id"]),
    case(&[("query", "up"), ("last_event_id", "-1")], "invalid-cursor", &["id"]),
    case(&[("query", "up"), ("last_event_id", "999999999999999")], "invalid-cursor", &[]),
    case(&[("query", "up"), ("last_event_id", "midc26ts.0.7ps.")], "invalid-cursor", &[]),
];

#[tokio::test]
async fn parameters() {
    let upstream = upstream().await;
    let gateway = start(&upstream, &["--stream-open-rate", "1000", "--stream-open-burst", "1000"]).await;
    for case in CASES {
        let answer = http::send(gateway.http.get(gateway.url(PATH)).query(case.parameters)).await;
        assert_problem(&answer, case.kind, case.status, &format!("{:?}", case.parameters));
        let detail = detail(&answer);
        for says in case.says {
            assert!(detail.contains(says), "{:?}: {detail:?} does not say {says:?}", case.parameters);
        }
    }
    assert_eq!(upstream.asked(), 0, "nothing of this reached Prometheus");
}

#[tokio::test]
async fn a_query_has_at_most_1000_characters() {
    let upstream = upstream().await;
    let gateway = start(&upstream, &[]).await;
    // Characters, not bytes: this is twice as many bytes.
    let fits = format!("\"{}\"", "é".repeat(998));
    Stream::open(&gateway, &fits, 5).await;
    let long = format!("\"{}\"", "é".repeat(999));
    let answer = http::send(gateway.http.get(gateway.url(PATH)).query(&[("query", &long)])).await;
    assert_problem(&answer, "invalid-query", 400, "1001 characters");
    assert!(detail(&answer).contains("1000"), "{}", detail(&answer));
}

#[tokio::test]
async fn a_parse_error_names_its_position() {
    let upstream = upstream().await;
    let gateway = start(&upstream, &[]).await;
    for (query, position) in [("sum(up))", 8), ("up{a=\"b\"} + ", 12), ("up @@ 5", 5)] {
        let answer = http::send(gateway.http.get(gateway.url(PATH)).query(&[("query", query)])).await;
        assert_problem(&answer, "invalid-query", 400, query);
        let named = answer.json()["position"].as_u64();
        assert!(named.is_some_and(|named| named <= position), "{query}: {}", answer.body);
    }
}

#[tokio::test]
async fn methods_paths_and_forms() {
    let upstream = upstream().await;
    let gateway = start(&upstream, &[]).await;
    let stream = format!("{}?query=up", gateway.url(PATH));
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let answer = http::send(gateway.http.request(method.clone(), &stream)).await;
        assert_problem(&answer, "method-not-allowed", 405, method.as_str());
        assert!(answer.header("allow").contains("GET"), "{method}: Allow: {:?}", answer.header("allow"));
    }
    for path in ["/api/v1/metrics/streams", "/api/v1/metrics/stream/", "/nothing"] {
        assert_problem(&http::get(&gateway.url(path)).await, "not-found", 404, path);
    }
    for accept in ["application/json", "text/html", "text/event-stream;q=0"] {
        let answer = http::send(gateway.http.get(&stream).header("Accept", accept)).await;
        assert_problem(&answer, "not-acceptable", 406, accept);
        assert!(detail(&answer).contains("text/event-stream"), "{}", detail(&answer));
    }
    for accept in ["*/*", "text/*", "text/html, text/event-stream;q=0.5", "TEXT/Event-Stream"] {
        let opened = Stream::try_send(gateway.http.get(&stream).header("Accept", accept)).await;
        assert!(opened.is_ok(), "Accept: {accept}: {:?}", opened.err());
    }
}

#[tokio::test]
async fn a_last_event_id_is_input_like_any_other() {
    let upstream = upstream().await;
    let gateway = start(&upstream, &[]).await;
    let long = "9".repeat(500);
    for id in ["yesterday", "-1", "1.2.3", "🦀", "999999999999999", "0x10", &long] {
        let request =
            gateway.http.get(gateway.url(PATH)).query(&[("query", "up")]).header("Last-Event-ID", id);
        let answer = http::send(request).await;
        assert_problem(&answer, "invalid-cursor", 400, id);
        assert!(detail(&answer).len() < 300, "{id:?}: the answer repeats what was sent");
    }
    // An hour of silence until that tick comes would be worse than a refusal.
    let ahead = now().plus_millis(3_600_000).to_string();
    let request = gateway.http.get(gateway.url(PATH)).query(&[("query", "up"), ("last_event_id", &ahead)]);
    let answer = http::send(request).await;
    assert_problem(&answer, "invalid-cursor", 400, "an id of the future");
}

#[tokio::test]
async fn large_requests() {
    let upstream = upstream().await;
    let gateway = start(&upstream, &[]).await;
    let head = format!("GET {PATH}?query=up HTTP/1.1\r\nHost: gateway\r\n");
    let headers = format!("{head}X-Large: {}\r\nConnection: close\r\n\r\n", "x".repeat(64 * 1024));
    assert_raw(&gateway, &headers, "431", "headers-too-large").await;
    let line = format!(
        "GET {PATH}?query={} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n",
        "x".repeat(48 * 1024)
    );
    assert_raw(&gateway, &line, "414", "uri-too-long").await;
    for broken in
        ["\r\n\r\n\r\n", "GET\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\r\n\r\n", "GET / HTTP/1.1\r\nNo colon\r\n\r\n"]
    {
        Raw::send(&gateway, 64 * 1024, broken.as_bytes()).await.read_to_end(PATIENCE).await;
    }
    Stream::open(&gateway, "up", 5).await;
}

async fn assert_raw(gateway: &Gateway, request: &str, status: &str, kind: &str) {
    let mut raw = Raw::send(gateway, 64 * 1024, request.as_bytes()).await;
    let answer = String::from_utf8_lossy(&raw.read_to_end(PATIENCE).await).into_owned();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer:?}");
    assert!(answer.contains(&format!("urn:promcast:problem:{kind}")), "{kind}: {answer:?}");
}

#[tokio::test]
async fn a_full_replica_says_so_and_takes_others_later() {
    let upstream = upstream().await;
    let gateway = start(&upstream, &["--stream-max-connections", "2"]).await;
    let first = Stream::open(&gateway, "up", 5).await;
    let mut second = Stream::open(&gateway, "up", 5).await;
    let request = || gateway.http.get(gateway.url(PATH)).query(&[("query", "up")]);
    let mut waits = HashSet::new();
    for _ in 0..20 {
        let answer = http::send(request()).await;
        assert_problem(&answer, "at-capacity", 503, "the third of two");
        waits.insert(retry_after(&answer));
    }
    assert!(waits.len() > 1, "twenty clients are told to come back at once, after {waits:?} s");
    drop(first);
    until("a place is free again", PATIENCE, || async { Stream::try_send(request()).await.ok() }).await;
    second.update().await;
}

#[tokio::test]
async fn an_address_that_opens_too_many_streams_is_told_to_wait() {
    let upstream = upstream().await;
    let gateway = start(&upstream, &["--stream-open-rate", "1", "--stream-open-burst", "3"]).await;
    let request = || gateway.http.get(gateway.url(PATH)).query(&[("query", "up")]);
    let mut opened = Vec::new();
    let refused = loop {
        match Stream::try_send(request()).await {
            Ok(stream) => opened.push(stream),
            Err(answer) => break answer,
        }
        assert!(opened.len() < 10, "nobody was refused");
    };
    assert!(opened.len() >= 3, "the burst is three, {} were opened", opened.len());
    assert_problem(&refused, "rate-limited", 429, "a stream over the rate");
    let wait = Duration::from_secs(retry_after(&refused));
    assert!((1..=60).contains(&wait.as_secs()), "{wait:?}");
    until("the rate lets one in again", PATIENCE, || async { Stream::try_send(request()).await.ok() }).await;
    for stream in &mut opened {
        stream.update().await;
    }
}

#[tokio::test]
async fn a_query_that_would_break_the_parser_never_reaches_it() {
    let upstream = upstream().await;
    let gateway = start(&upstream, &[]).await;
    for query in ["x[1e30]", "x offset 1e30", "x offset -NaN", "\"\\é\""] {
        let answer = http::send(gateway.http.get(gateway.url(PATH)).query(&[("query", query)])).await;
        assert_problem(&answer, "invalid-query", 400, query);
    }
    assert_eq!(upstream.asked(), 0);
    Stream::open(&gateway, "up", 5).await.update().await;
    let output = gateway.process.output();
    assert_eq!(output.matches("\"a panic\"").count(), 0, "{output}");
    for line in output.lines() {
        assert!(line.starts_with('{') && line.ends_with('}'), "not a line of the log: {line}");
    }
}

async fn start(upstream: &Upstream, flags: &[&str]) -> Gateway {
    Gateway::start(&[&["--prometheus-url", &upstream.url()], flags].concat()).await
}

fn assert_problem(answer: &Answer, kind: &str, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    let problem = answer.json();
    assert_eq!(problem["type"], format!("urn:promcast:problem:{kind}"), "{what}: {}", answer.body);
    assert_eq!(problem["status"], status, "{what}: {}", answer.body);
    for member in ["title", "detail"] {
        assert!(
            problem[member].as_str().is_some_and(|text| !text.is_empty()),
            "{what}: no {member}: {}",
            answer.body
        );
    }
}

fn detail(answer: &Answer) -> String {
    answer.json()["detail"].as_str().unwrap_or_default().to_owned()
}

fn retry_after(answer: &Answer) -> u64 {
    match answer.header("retry-after").parse() {
        Ok(seconds) => seconds,
        Err(_) => panic!("Retry-After: {:?}", answer.header("retry-after")),
    }
}
