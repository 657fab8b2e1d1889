//! Any order of start, and anything missing at the start: a program waits, says for what, and becomes ready by itself.

use std::time::Duration;

use e2e::http;
use e2e::kube_api::{Account, Call, Fault, KubeApi};
use e2e::nats::Nats;
use e2e::oidc::{AUDIENCE, Issuer, Mood};
use e2e::process::Process;
use e2e::programs::{Gateway, Poller, command, run};
use e2e::prometheus::Prometheus;
use e2e::sim::Sim;
use e2e::stream::{PATH, Stream};
use e2e::upstream::Upstream;
use e2e::wait::{PATIENCE, until};

/// What a program says for so long as it is not ready, once it says so for this reason.
async fn waits_for(ready: &str, reason: &str) -> String {
    until(&format!("{ready} says `{reason}`"), PATIENCE, || async {
        let answer = http::get(ready).await;
        (answer.status == 503 && answer.body.contains(reason)).then_some(answer.body)
    })
    .await
}

async fn is_ready(ready: &str) {
    until(&format!("{ready} says yes"), PATIENCE, || async {
        (http::get(ready).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn gateway_poller_nats_streams_and_prometheus_may_start_in_this_order() {
    let sim = Sim::start().await;
    let mut prometheus = Prometheus::start(&[sim.target()]).await;
    let mut nats = Nats::start().await;
    let (upstream, bus) = (prometheus.url(), ["--bus-url".to_owned(), nats.url().to_owned()]);
    let bus = bus.each_ref().map(String::as_str);
    prometheus.stop().await;
    nats.kill().await;
    nats.wipe();

    // Neither has anything that it needs, and both run.
    let gateway =
        Gateway::start_unready(&[&bus[..], &["--auth-mode", "none", "--datasources", "default"]].concat())
            .await;
    let mut poller = command("promcast-poller");
    poller.args(bus).args(["--prometheus-url", &upstream, "--admin-listen", "127.0.0.1:0"]);
    let poller = Poller::start_unready(&mut poller).await;
    let [of_gateway, of_poller] = [gateway.admin("/-/ready"), poller.admin("/-/ready")];
    for (program, ready, healthy) in [
        ("promcast-gateway", &of_gateway, gateway.admin("/-/healthy")),
        ("promcast-poller", &of_poller, poller.admin("/-/healthy")),
    ] {
        let told = waits_for(ready, "bus: ").await;
        assert!(told.contains("not connected") || told.contains("refused"), "{program} says {told}");
        assert_eq!(http::get(&healthy).await.status, 200, "{program} is not to be restarted for that");
    }
    // A viewer may come before any of it. What is not there yet is no error.
    let mut stream = Stream::open(&gateway, "DCGM_FI_DEV_GPU_UTIL", 5).await;
    assert_eq!(stream.connected.kind, "connected");

    nats.restart().await;
    for ready in [&of_gateway, &of_poller] {
        waits_for(ready, "run `promcast-gateway init`").await;
    }
    assert_eq!(
        run("promcast-gateway", &[&bus[..], &["--auth-mode", "none", "init"]].concat()).await.0,
        Some(0)
    );
    for ready in [&of_gateway, &of_poller] {
        is_ready(ready).await;
    }
    // No Prometheus: each tick says so, and both stay ready.
    assert_eq!(stream.next("error").await.code(), "upstream_unreachable");
    for ready in [&of_gateway, &of_poller] {
        assert_eq!(http::get(ready).await.status, 200);
    }
    prometheus.restart().await;
    // Ticks of the time before may have failed as well.
    let events = stream.until("metric-update", PATIENCE).await;
    assert_eq!(events.last().unwrap().data["data"]["resultType"], "vector");
}

#[tokio::test]
async fn init_waits_for_nats() {
    let mut nats = Nats::start().await;
    nats.kill().await;
    let arguments = ["--auth-mode", "none", "--bus-url", nats.url(), "init"];
    let mut init = Process::spawn("init", command("promcast-gateway").args(arguments));
    // It says nothing while it waits; that it goes on waiting is what is tested.
    assert!(
        tokio::time::timeout(Duration::from_secs(2), init.exit(PATIENCE)).await.is_err(),
        "{}",
        init.output()
    );
    nats.restart().await;
    assert!(init.exit(PATIENCE).await.success(), "{}", init.output());
}

#[tokio::test]
async fn an_issuer_that_comes_later_lets_people_in_later() {
    let (upstream, issuer) = (Upstream::of_one_sample().await, Issuer::start().await);
    issuer.feel(Mood::Down);
    let (url, prometheus) = (issuer.url(), upstream.url());
    let flags = [
        ["--auth-mode", "jwt"],
        ["--auth-jwt-issuer", &url],
        ["--auth-jwt-audience", AUDIENCE],
        ["--auth-jwt-namespaces-claim", "namespaces"],
        ["--prometheus-url", &prometheus],
    ];
    // Ready: another replica could do no better.
    let gateway = Gateway::guarded(flags.as_flattened()).await;
    let open = async || {
        let request = gateway.http.get(gateway.url(PATH)).query(&[("query", "up"), ("interval", "5")]);
        Stream::try_send(request.bearer_auth(issuer.token("ann", &["a"]))).await
    };
    let refused = open().await.unwrap_err();
    assert_eq!(
        (refused.status, refused.json()["type"].as_str()),
        (503, Some("urn:promcast:problem:unavailable"))
    );
    assert!(
        gateway.process.output().contains(&url),
        "the log says for whom it waits:\n{}",
        gateway.process.output()
    );
    issuer.feel(Mood::Well);
    let mut stream = until("the gateway has the keys", PATIENCE, || async { open().await.ok() }).await;
    stream.update().await;
}

#[tokio::test]
async fn an_api_server_that_comes_later_lets_people_in_later() {
    let (upstream, api) = (Upstream::of_one_sample().await, KubeApi::start([Account::admin("root")]).await);
    let (kubeconfig, prometheus) = (api.kubeconfig(), upstream.url());
    api.fail(Call::Token, Fault::Hang);
    let flags = [
        ["--auth-mode", "kubernetes"],
        ["--auth-kubernetes-kubeconfig", kubeconfig.to_str().unwrap()],
        ["--prometheus-url", &prometheus],
    ];
    let gateway = Gateway::guarded(flags.as_flattened()).await;
    let open = async || {
        let request = gateway.http.get(gateway.url(PATH)).query(&[("query", "up"), ("interval", "5")]);
        Stream::try_send(request.bearer_auth("root-token")).await
    };
    assert_eq!(open().await.unwrap_err().status, 503);
    api.heal();
    let mut stream = until("the API server answers", PATIENCE, || async { open().await.ok() }).await;
    stream.update().await;
}
