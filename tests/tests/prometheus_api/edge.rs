//! What the gateway itself says on these paths, in the form that clients of Prometheus understand.

use e2e::http::{self, Answer};
use e2e::programs::Gateway;
use e2e::upstream::Upstream;

use crate::rig::{Rig, Way};

fn is_said(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let document = answer.json();
    assert_eq!((document["status"].as_str(), document["errorType"].as_str()), (Some("error"), Some(kind)));
    assert!(document["error"].as_str().is_some_and(|error| !error.is_empty()), "{document}");
}

#[tokio::test]
async fn who_is_not_known_is_told_so_on_each_path() {
    let rig = Rig::start().await;
    for path in ["query", "query_range", "labels", "label/a/values", "series", "metadata", "status/buildinfo"]
    {
        let url = rig.gateway.url(&format!("/api/v1/{path}"));
        let nothing = http::get(&url).await;
        is_said(&nothing, 401, "unauthorized");
        assert_eq!(nothing.header("www-authenticate"), r#"Bearer realm="promcast""#);
        let bad = http::send(rig.gateway.http.get(&url).bearer_auth("no-token")).await;
        is_said(&bad, 401, "unauthorized");
        assert!(bad.header("www-authenticate").contains("invalid_token"));
    }
    let nobody = rig.issuer.token("ann", &[]);
    is_said(&rig.gateway(&nobody, Way::Url, "query", &[("query", "up")]).await, 403, "forbidden");
    // Any caller may know what the upstream is.
    let ann = rig.issuer.token("ann", &["team-a"]);
    let build = rig.gateway(&ann, Way::Url, "status/buildinfo", &[]).await;
    assert_eq!(build.json(), rig.upstream(Way::Url, "status/buildinfo", &[]).await.json());
}

#[tokio::test]
async fn what_cannot_be_done_is_told_in_prometheus_form() {
    let upstream = Upstream::of_one_sample().await;
    let gateway = Gateway::start(&["--prometheus-url", &upstream.url()]).await;
    let get = async |path: &str| http::get(&gateway.url(path)).await;
    is_said(&get("/api/v1/query?query=up&datasource=elsewhere").await, 400, "bad_data");
    is_said(&get("/api/v1/query?query=up&datasource=a.b").await, 400, "bad_data");
    is_said(&get("/api/v1/query?query=up&lookback_delta=1m").await, 400, "bad_data");
    is_said(&get("/api/v1/query?query=up&time=-5").await, 400, "bad_data");
    is_said(&get(&format!("/api/v1/query?query={}", "x".repeat(1001))).await, 400, "bad_data");
    is_said(&get(&format!("/api/v1/query?query={}", "x".repeat(40_000))).await, 414, "bad_data");
    let url = gateway.url("/api/v1/query");
    let put = http::send(gateway.http.put(&url)).await;
    is_said(&put, 405, "bad_data");
    assert_eq!(put.header("allow"), "GET,HEAD,POST");
    let large = gateway.http.post(&url).form(&[("query", "x".repeat(70_000))]);
    is_said(&http::send(large).await, 413, "too_large_entry");
    // Elsewhere problems are as they were.
    let elsewhere = get("/api/v1/nothing").await;
    assert_eq!(elsewhere.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn reads_have_a_limit_of_their_own_for_each_address() {
    let upstream = Upstream::of_one_sample().await;
    let flags = ["--prometheus-url", &upstream.url(), "--http-read-rate", "1", "--http-read-burst", "20"];
    let gateway = Gateway::start(&flags).await;
    let mut refused = None;
    for at in 0..30 {
        let answer = http::get(&gateway.url("/api/v1/query?query=up")).await;
        if answer.status != 200 {
            assert!(at >= 20, "the burst was {at}");
            refused.get_or_insert(answer);
        }
    }
    let refused = refused.unwrap();
    is_said(&refused, 429, "too_many_requests");
    assert!(!refused.header("retry-after").is_empty());
    // The other calls are not touched by it.
    assert_eq!(http::get(&gateway.url("/api/v1/metrics/stream/status")).await.status, 200);
}

#[tokio::test]
async fn pages_of_allowed_origins_can_read() {
    let upstream = Upstream::of_one_sample().await;
    let origin = "https://dash.example.com";
    let flags = ["--prometheus-url", &upstream.url(), "--http-allowed-origins", origin];
    let gateway = Gateway::start(&flags).await;
    let asked = |name: &'static str| {
        let request = gateway.http.post(gateway.url("/api/v1/query")).form(&[("query", "up")]);
        http::send(request.header("origin", name))
    };
    assert_eq!(asked(origin).await.header("access-control-allow-origin"), origin);
    assert_eq!(asked("https://evil.example.com").await.header("access-control-allow-origin"), "");
}

/// A form can be sent by any page of the web, with the cookies of whoever looks at it.
#[tokio::test]
async fn a_cookie_counts_from_pages_that_may_use_it() {
    let upstream = Upstream::of_one_sample().await;
    let issuer = e2e::oidc::Issuer::start().await;
    let (url, prometheus) = (issuer.url(), upstream.url());
    let flags = [
        ["--auth-mode", "jwt"],
        ["--auth-jwt-issuer", &url],
        ["--auth-jwt-audience", e2e::oidc::AUDIENCE],
        ["--auth-jwt-namespaces-claim", "namespaces"],
        ["--auth-cookie", "session"],
        ["--prometheus-url", &prometheus],
    ];
    let gateway = Gateway::guarded(flags.as_flattened()).await;
    let cookie = format!("session={}", issuer.token("ann", &["team-a"]));
    let own = format!("http://{}", gateway.address());
    for (origin, status) in [(own.as_str(), 200), ("https://evil.example.com", 403), ("null", 403)] {
        let request = gateway.http.post(gateway.url("/api/v1/query")).form(&[("query", "up")]);
        let answer = http::send(request.header("cookie", &cookie).header("origin", origin)).await;
        assert_eq!(answer.status, status, "{origin}: {}", answer.body);
    }
}
