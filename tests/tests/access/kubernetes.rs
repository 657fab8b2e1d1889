//! Tokens that a Kubernetes API server knows: what is seen, and that streams end when a right does.

use std::time::Duration;

use e2e::kube_api::{Account, Call, Fault, KubeApi, access_review};
use e2e::programs::Gateway;
use e2e::stream::{PATH, Stream};
use e2e::upstream::Upstream;
use k8s_openapi::api::authorization::v1::SubjectAccessReviewStatus;

use crate::rig::{Seen, problem, upstream};

/// Long enough for a few looks at what is kept for a second.
const SOON: Duration = Duration::from_secs(30);

async fn start(accounts: Vec<Account>, flags: &[&str]) -> (KubeApi, Gateway, Upstream, Seen) {
    let api = KubeApi::start(accounts).await;
    let (upstream, seen) = upstream().await;
    let (kubeconfig, prometheus) = (api.kubeconfig(), upstream.url());
    let own = [
        ["--auth-mode", "kubernetes"],
        ["--auth-kubernetes-kubeconfig", kubeconfig.to_str().unwrap()],
        ["--auth-kubernetes-identity-for", "1s"],
        ["--auth-kubernetes-allowed-for", "1s"],
        ["--auth-recheck", "1s"],
        ["--prometheus-url", &prometheus],
    ];
    let gateway = Gateway::guarded(&[own.as_flattened(), flags].concat()).await;
    (api, gateway, upstream, seen)
}

async fn open(gateway: &Gateway, token: &str, namespaces: &[&str]) -> Result<Stream, e2e::http::Answer> {
    let mut parameters = vec![("query", "up"), ("interval", "5")];
    parameters.extend(namespaces.iter().map(|name| ("namespace", *name)));
    Stream::try_send(gateway.http.get(gateway.url(PATH)).query(&parameters).bearer_auth(token)).await
}

#[tokio::test]
async fn what_may_be_seen_is_asked_of_the_api_server() {
    let accounts = vec![Account::new("ann", &["team-a", "team-b"]), Account::admin("root")];
    let (_api, gateway, _upstream, seen) = start(accounts, &[]).await;
    open(&gateway, "ann-token", &["team-b"]).await.unwrap().update().await;
    open(&gateway, "root-token", &[]).await.unwrap().update().await;
    let asked: Vec<_> = seen.lock().unwrap().iter().cloned().collect();
    assert_eq!(asked, ["up", r#"up{namespace="team-b"}"#]);

    let must_name = open(&gateway, "ann-token", &[]).await.unwrap_err();
    assert_eq!((must_name.status, problem(&must_name).as_str()), (400, "invalid-parameter"));
    assert!(must_name.body.contains("namespace=NAME"), "{}", must_name.body);
    let foreign = open(&gateway, "ann-token", &["team-a", "team-c"]).await.unwrap_err();
    assert_eq!((foreign.status, problem(&foreign).as_str()), (403, "forbidden"));
    assert_eq!(open(&gateway, "nobody-token", &["team-a"]).await.unwrap_err().status, 401);
}

#[tokio::test]
async fn a_right_that_is_taken_away_ends_the_streams_it_opened() {
    let (api, gateway, _upstream, _) = start(vec![Account::new("ann", &["team-a"])], &[]).await;
    let mut stream = open(&gateway, "ann-token", &["team-a"]).await.unwrap();
    stream.update().await;
    let denied = SubjectAccessReviewStatus { allowed: false, ..SubjectAccessReviewStatus::default() };
    api.fail(Call::Access, Fault::Body(access_review(denied)));
    let last = stream.until("shutdown", SOON).await.pop().unwrap();
    assert_eq!(last.code(), "access_revoked", "{}", last.text);
    assert_eq!(last.data["reconnect"], false);
    assert_eq!(open(&gateway, "ann-token", &["team-a"]).await.unwrap_err().status, 403);
}

#[tokio::test]
async fn while_the_api_server_is_down_nobody_is_let_in_and_streams_live_for_their_time() {
    let flags = ["--auth-unconfirmed", "8s"];
    let (mut api, gateway, _upstream, _) = start(vec![Account::new("ann", &["team-a"])], &flags).await;
    let mut stream = open(&gateway, "ann-token", &["team-a"]).await.unwrap();
    stream.update().await;
    api.stop().await;
    let end = stream.until("shutdown", SOON).await;
    let last = end.last().unwrap();
    assert_eq!((last.code(), &last.data["reconnect"]), ("access_unconfirmed", &true.into()), "{}", last.text);
    assert!(end.iter().any(|event| event.kind == "metric-update"), "the stream lived on for a while");
    let answer = open(&gateway, "ann-token", &["team-a"]).await.unwrap_err();
    assert_eq!((answer.status, problem(&answer).as_str()), (503, "unavailable"));
}
