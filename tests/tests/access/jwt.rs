//! Tokens of an issuer: what is let in, what is seen, and when it ends.

use std::time::Duration;

use e2e::http;
use e2e::oidc::{Mood, forge};
use e2e::stream::PATH;
use e2e::wait::now;
use serde_json::{Value, json};

use crate::rig::{Rig, problem};

#[tokio::test]
async fn a_tenant_sees_its_namespaces_and_nothing_else() {
    let rig = Rig::start(&[]).await;
    let token = rig.issuer.token("ann", &["team-b", "team-a"]);
    let mut stream = rig.open(&token, &[("query", "sum(up)"), ("interval", "5")]).await.unwrap();
    stream.update().await;
    assert_eq!(rig.asked(), [r#"sum(up{namespace=~"team-a|team-b"})"#]);
    assert_eq!(stream.connected.data["subscriptions"][0]["query"], "sum(up)", "as it was given");

    let narrowed = [("query", "sum(up)"), ("interval", "5"), ("namespace", "team-a")];
    rig.open(&token, &narrowed).await.unwrap().update().await;
    assert!(rig.asked().contains(&r#"sum(up{namespace="team-a"})"#.to_owned()), "{:?}", rig.asked());

    // Unknown or somebody else's: nobody can tell from the answer.
    let refused = |namespace| {
        let parameters = [("query", "up"), ("namespace", namespace)];
        let (rig, token) = (&rig, &token);
        async move { rig.open(token, &parameters).await.unwrap_err() }
    };
    let (foreign, unknown) = (refused("team-c").await, refused("no-such").await);
    assert_eq!((foreign.status, problem(&foreign).as_str()), (403, "forbidden"));
    assert_eq!(foreign.json(), unknown.json());
    let by_query = rig.open(&token, &[("query", r#"up{namespace="team-c"}"#)]).await.unwrap_err();
    assert_eq!(by_query.json(), unknown.json());
}

#[tokio::test]
async fn topics_are_shared_by_those_who_see_the_same() {
    let rig = Rig::start(&[]).await;
    let mut topics = Vec::new();
    for (user, namespaces) in [("ann", &["a", "b"][..]), ("ben", &["b", "a"]), ("cid", &["a"])] {
        let stream = rig.open(&rig.issuer.token(user, namespaces), &[("query", "up")]).await.unwrap();
        topics.push(stream.topic().to_owned());
    }
    let all = rig.open(&rig.admin(), &[("query", "up")]).await.unwrap();
    assert_eq!(topics[0], topics[1]);
    assert_ne!(topics[0], topics[2]);
    assert!(!topics.iter().any(|topic| topic == all.topic()));
}

#[tokio::test]
async fn who_sees_everything_asks_what_they_typed() {
    let rig = Rig::start(&[]).await;
    rig.open(&rig.admin(), &[("query", "sum(up)"), ("interval", "5")]).await.unwrap().update().await;
    assert_eq!(rig.asked(), ["sum(up)"]);
}

#[tokio::test]
async fn what_does_not_count_is_401_and_reaches_nobody() {
    let rig = Rig::start(&[]).await;
    let good = rig.issuer.claims("ann", &["a"]);
    let changed = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        rig.issuer.sign(&claims)
    };
    let seconds = now().millis() / 1000;
    let token = rig.issuer.sign(&good);
    let (head, rest) = token.split_once('.').unwrap();
    for (what, token) in [
        ("expired", changed("exp", json!(seconds - 100))),
        ("not yet valid", changed("nbf", json!(seconds + 100))),
        ("for another service", changed("aud", json!("grafana"))),
        ("by another issuer", changed("iss", json!("https://evil.example.com"))),
        ("by an unknown key", forge("key-99", &good)),
        ("by a key of the same name", forge("key-1", &good)),
        ("truncated", token[..token.len() - 4].to_owned()),
        ("unsigned", format!("eyJhbGciOiJub25lIn0.{rest}")),
        ("without its body", head.to_owned()),
        ("no token", "abc".to_owned()),
        // The gateway takes 32 KB of headers; what is larger never gets to be looked at.
        ("large", "a".repeat(30_000)),
    ] {
        let answer = rig.open(&token, &[("query", "up")]).await.unwrap_err();
        assert_eq!((answer.status, problem(&answer).as_str()), (401, "unauthenticated"), "{what}");
        assert_eq!(
            answer.header("www-authenticate"),
            r#"Bearer realm="promcast", error="invalid_token""#,
            "{what}"
        );
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(detail, "the token does not count here, or no longer; get a new one", "{what}");
    }
    let none = Box::pin(http::send(rig.request(&[("query", "up")]))).await;
    assert_eq!((none.status, none.header("www-authenticate")), (401, r#"Bearer realm="promcast""#));
    let basic = http::send(rig.request(&[("query", "up")]).basic_auth("ann", Some("x"))).await;
    assert_eq!(basic.status, 401);
    let in_url = http::send(rig.request(&[("query", "up"), ("access_token", &token)])).await;
    assert_eq!(in_url.status, 400, "a token in a URL");
    let nobodys = rig.open(&rig.issuer.token("ann", &[]), &[("query", "up")]).await.unwrap_err();
    assert_eq!((nobodys.status, problem(&nobodys).as_str()), (403, "forbidden"));
    assert_eq!(rig.upstream.asked(), 0, "{:?}", rig.asked());
    for secret in [token.as_str(), rest, "access_token"] {
        assert!(!rig.gateway.process.output().contains(secret), "a token is in the log");
    }
    assert!(rig.gateway.metric("promcast_gateway_refused_tokens_total").await >= 10.0);
}

#[tokio::test]
async fn a_stream_ends_when_its_token_does() {
    let rig = Rig::start(&["--auth-jwt-leeway", "0s"]).await;
    let mut claims = rig.issuer.claims("ann", &["a"]);
    claims["exp"] = json!(now().millis() / 1000 + 4);
    let token = rig.issuer.sign(&claims);
    let mut stream = rig.open(&token, &[("query", "up"), ("interval", "5")]).await.unwrap();
    let last = stream.rest().await.pop().unwrap();
    assert_eq!((last.kind.as_str(), last.code()), ("shutdown", "token_expired"), "{}", last.text);
    assert_eq!(last.data["reconnect"], false);
    assert!(last.at.millis() / 1000 >= claims["exp"].as_i64().unwrap());
    assert_eq!(rig.open(&token, &[("query", "up")]).await.unwrap_err().status, 401);
}

#[tokio::test]
async fn without_keys_nobody_is_let_in_and_nobody_is_thrown_out() {
    let rig = Rig::start(&["--auth-recheck", "1s", "--auth-unconfirmed", "1h"]).await;
    let token = rig.issuer.token("ann", &["a"]);
    let mut stream = rig.open(&token, &[("query", "up"), ("interval", "5")]).await.unwrap();
    stream.update().await;
    rig.issuer.feel(Mood::Down);
    // A new key of an issuer that is down: whether the token counts is not known.
    let answer = rig.open(&forge("key-2", &rig.issuer.claims("ben", &["a"])), &[("query", "up")]).await;
    let answer = answer.unwrap_err();
    assert_eq!((answer.status, problem(&answer).as_str()), (503, "unavailable"));
    assert!(answer.headers.contains_key("retry-after"));
    stream.updates(2).await;
}

#[tokio::test]
async fn connections_are_listed_and_closed_by_whose_they_are() {
    let rig = Rig::start(&[]).await;
    let tokens = ["ann", "ben"].map(|user| rig.issuer.token(user, &["a"]));
    let mut streams = Vec::new();
    for token in &tokens {
        streams.push(rig.open(token, &[("query", "up")]).await.unwrap());
    }
    let list = async |token: &str| {
        let request = rig.gateway.http.get(rig.gateway.url(&format!("{PATH}/status"))).bearer_auth(token);
        let users = http::send(request).await.json()["connections"].as_array().unwrap().clone();
        users.iter().map(|held| held["user"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(&tokens[0]).await, ["ann"]);
    assert_eq!(list(&rig.admin()).await.len(), 2);
    let close = async |token: &str, stream: &e2e::stream::Stream| {
        let id = stream.connected.data["connection_id"].as_str().unwrap();
        let request = rig.gateway.http.delete(rig.gateway.url(&format!("{PATH}/{id}")));
        http::send(request.bearer_auth(token)).await
    };
    let foreign = close(&tokens[0], &streams[1]).await;
    assert_eq!((foreign.status, problem(&foreign).as_str()), (404, "not-found"), "as if unknown");
    assert_eq!(close(&tokens[0], &streams[0]).await.status, 204);
    assert_eq!(close(&rig.admin(), &streams[1]).await.status, 204);
    for stream in &mut streams {
        let end = stream.until("shutdown", Duration::from_secs(30)).await;
        assert_eq!(end.last().unwrap().code(), "closed_by_request");
    }
    let unknown = http::send(rig.gateway.http.get(rig.gateway.url(&format!("{PATH}/status")))).await;
    assert_eq!(unknown.status, 401);
}
