//! What a browser's own `EventSource` can show: a ticket in the URL, or a cookie.

use e2e::http;
use e2e::stream::{PATH, Stream};

use crate::rig::{Rig, problem};

async fn ticket(rig: &Rig, token: &str, parameters: &[(&str, &str)]) -> http::Answer {
    let request = rig.gateway.http.post(rig.gateway.url(&format!("{PATH}/ticket"))).query(parameters);
    http::send(request.bearer_auth(token)).await
}

#[tokio::test]
async fn a_ticket_opens_the_stream_that_it_is_for() {
    let rig = Rig::start(&[]).await;
    let token = rig.issuer.token("ann", &["a", "b"]);
    let given = ticket(&rig, &token, &[("query", "up"), ("namespace", "a")]).await;
    assert_eq!((given.status, given.header("cache-control")), (200, "no-store"), "{}", given.body);
    assert_eq!(given.json()["expires_in"], 30);
    let ticket_text = given.json()["ticket"].as_str().unwrap().to_owned();
    let parameters = [("query", "up"), ("interval", "5"), ("ticket", &ticket_text)];
    Stream::try_send(rig.request(&parameters)).await.unwrap().update().await;
    assert_eq!(rig.asked(), [r#"up{namespace="a"}"#]);

    for parameters in [
        vec![("query", "down"), ("ticket", ticket_text.as_str())],
        vec![("query", "up"), ("ticket", "abc")],
        vec![("query", "up"), ("ticket", &ticket_text[1..])],
    ] {
        let answer = http::send(rig.request(&parameters)).await;
        assert_eq!(answer.status, 401, "{parameters:?}");
    }
    let wider =
        http::send(rig.request(&[("query", "up"), ("ticket", &ticket_text), ("namespace", "b")])).await;
    assert_eq!((wider.status, problem(&wider).as_str()), (403, "forbidden"));
    assert!(!rig.gateway.process.output().contains(&ticket_text), "a ticket is in the log");
}

#[tokio::test]
async fn a_ticket_is_for_all_queries_of_a_dashboard() {
    let rig = Rig::start(&[]).await;
    let token = rig.issuer.token("ann", &["a"]);
    let queries = [("query", "up"), ("query", "sum(up)"), ("interval", "5")];
    let given = ticket(&rig, &token, &queries).await.json()["ticket"].as_str().unwrap().to_owned();
    let with_ticket = |queries: &[(&'static str, &'static str)]| {
        let queries = queries.iter().map(|(name, value)| (*name, (*value).to_owned()));
        queries.chain([("ticket", given.clone())]).collect::<Vec<_>>()
    };
    let mut stream =
        Stream::try_send(rig.gateway.http.get(rig.gateway.url(PATH)).query(&with_ticket(&queries)))
            .await
            .unwrap();
    stream.updates(2).await;
    assert_eq!(rig.asked(), [r#"sum(up{namespace="a"})"#, r#"up{namespace="a"}"#]);
    for other in [&queries[..1], &[queries[1], queries[0]], &[queries[0], queries[1], ("query", "max(up)")]] {
        let answer = http::send(rig.gateway.http.get(rig.gateway.url(PATH)).query(&with_ticket(other))).await;
        assert_eq!(answer.status, 401, "{other:?}");
    }
}

#[tokio::test]
async fn a_ticket_needs_a_token_and_a_query_that_may_be_seen() {
    let rig = Rig::start(&[]).await;
    let token = rig.issuer.token("ann", &["a"]);
    let bare = rig.gateway.http.post(rig.gateway.url(&format!("{PATH}/ticket"))).query(&[("query", "up")]);
    assert_eq!(http::send(bare).await.status, 401);
    let foreign = ticket(&rig, &token, &[("query", r#"up{namespace="b"}"#)]).await;
    assert_eq!(foreign.status, 403);
    assert_eq!(ticket(&rig, &token, &[("query", "sum(")]).await.status, 400);
}

#[tokio::test]
async fn a_cookie_counts_from_pages_that_may_stream() {
    let flags = ["--auth-cookie", "session", "--http-allowed-origins", "https://dash.example.com"];
    let rig = Rig::start(&flags).await;
    let cookie = format!("theme=dark; session={}", rig.issuer.token("ann", &["a"]));
    let ask = |origin: Option<&str>| {
        let request = rig.request(&[("query", "up")]).header("Cookie", &cookie);
        match origin {
            Some(origin) => request.header("Origin", origin),
            None => request,
        }
    };
    let stream = Stream::try_send(ask(Some("https://dash.example.com"))).await.unwrap();
    let allowed = stream.headers.get("access-control-allow-credentials").map(|value| value.as_bytes());
    assert_eq!(allowed, Some(&b"true"[..]));
    Stream::try_send(ask(None)).await.unwrap();
    let evil = http::send(ask(Some("https://evil.example.com"))).await;
    assert_eq!((evil.status, problem(&evil).as_str()), (403, "forbidden"));
}
