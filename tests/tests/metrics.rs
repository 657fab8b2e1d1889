//! What the programs tell of themselves on `/metrics`.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use e2e::http;
use e2e::kube_api::{Account, KubeApi};
use e2e::nats::Nats;
use e2e::oidc::{AUDIENCE, Issuer};
use e2e::process::Process;
use e2e::programs::{Gateway, Poller, ahead, command, run, sum};
use e2e::stack::{Bus, Promcast};
use e2e::stream::Stream;
use e2e::upstream::Upstream;
use e2e::wait::{PATIENCE, until};
use tokio::process::Command;

async fn exposition(url: &str) -> String {
    http::get(url).await.body
}

/// Has promtool judge an exposition.
async fn check(exposition: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics");
    std::fs::write(&path, exposition).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "exec promtool check metrics < \"$0\""]).arg(&path);
    let mut promtool = Process::spawn("promtool", &mut command);
    let status = promtool.exit(PATIENCE).await;
    let complaints = promtool.output();
    assert!(status.success() && complaints.is_empty(), "promtool: {complaints}");
}

#[tokio::test]
async fn promtool_has_nothing_to_say_of_the_metrics_of_either_program() {
    let upstream = Upstream::of_one_sample().await;
    let promcast = Promcast::start(Bus::Nats, &upstream.url(), &[]).await;
    Stream::open(promcast.gateway(), "up", 5).await.update().await;
    for url in [promcast.gateway().admin("/metrics"), promcast.pollers[0].admin("/metrics")] {
        let exposition = exposition(&url).await;
        for name in ["promcast_build_info", "process_resident_memory_bytes", "process_start_time_seconds"] {
            assert!(sum(&exposition, name) > 0.0, "{name}:\n{exposition}");
        }
        check(&exposition).await;
    }
}

#[tokio::test]
async fn how_late_an_update_reaches_a_client_and_how_a_stream_ends_is_told() {
    let upstream = Upstream::of_one_sample().await;
    let promcast = Promcast::start(Bus::Embedded, &upstream.url(), &[]).await;
    let gateway: &Gateway = promcast.gateway();
    let mut stream = Stream::open(gateway, "up", 5).await;
    // The first is of a tick before the client came, and says nothing of how late things are.
    stream.update().await;
    assert_eq!(gateway.metric("promcast_gateway_delivery_seconds_count").await, 0.0);
    let second = stream.update().await;
    assert_eq!(gateway.metric("promcast_gateway_delivery_seconds_count").await, 1.0);
    let told = gateway.metric("promcast_gateway_delivery_seconds_sum").await;
    assert!(told <= second.delay().as_secs_f64(), "{told} s, and it was read after {:?}", second.delay());
    assert_eq!(gateway.metric("promcast_gateway_topic_viewers_sum").await, 2.0);
    let all = exposition(&gateway.admin("/metrics")).await;
    let part = |part: &str, what: &str| {
        let name = format!("promcast_gateway_delivery_part_seconds_{what}");
        sum(
            &all.lines()
                .filter(|line| line.contains(&format!("part=\"{part}\"")))
                .collect::<Vec<_>>()
                .join("\n"),
            &name,
        )
    };
    assert_eq!(["query", "bus", "hub", "write"].map(|name| part(name, "count")), [2.0, 2.0, 1.0, 0.0]);
    let until_here = sum(&all, "promcast_gateway_update_lateness_seconds_sum");
    let parts = part("query", "sum") + part("bus", "sum");
    assert!((until_here - parts).abs() < 0.001, "{until_here} s until it was here, and {parts} s in parts");
    assert_eq!(sum(&all, "promcast_gateway_tick_lateness_seconds_count"), 2.0);
    // The second tick was asked for when the newest result was that of the first.
    assert_eq!(sum(&all, "promcast_gateway_data_age_seconds_count"), 1.0);
    let age = sum(&all, "promcast_gateway_data_age_seconds_sum");
    assert!((5.0..6.0).contains(&age), "the first was {age} s old");
    let id = stream.connected.data["connection_id"].as_str().unwrap().to_owned();
    let ended = async |code: &str| {
        let all = exposition(&gateway.admin("/metrics")).await;
        all.contains(&format!("promcast_gateway_streams_ended_total{{code=\"{code}\"}} 1"))
    };
    let close = gateway.http.delete(gateway.url(&format!("{}/{id}", e2e::stream::PATH)));
    assert!((200..300).contains(&http::send(close).await.status));
    until("the end of a stream that was closed", PATIENCE, || async {
        ended("closed_by_request").await.then_some(())
    })
    .await;
    drop(Stream::open(gateway, "up", 5).await);
    until("the end of a stream whose client left", PATIENCE, || async {
        ended("client_gone").await.then_some(())
    })
    .await;
}

#[tokio::test]
async fn how_far_a_clock_is_from_that_of_nats_is_told() {
    let (upstream, nats) = (Upstream::of_one_sample().await, Nats::start().await);
    let bus = ["--bus-url", nats.url()];
    assert_eq!(
        run("promcast-gateway", &[&bus[..], &["--auth-mode", "none", "init"]].concat()).await.0,
        Some(0)
    );
    for (seconds, mut command) in [(0.0, command("promcast-poller")), (2.0, ahead("promcast-poller", 2))] {
        command.args(bus).args(["--prometheus-url", &upstream.url(), "--admin-listen", "127.0.0.1:0"]);
        let poller = Poller::of(&mut command).await;
        let skew = sum(&exposition(&poller.admin("/metrics")).await, "promcast_bus_clock_skew_seconds");
        assert!(
            (skew - seconds).abs() < 0.5,
            "a clock that is {seconds} s ahead is told to be {skew} s ahead"
        );
    }
}

/// What the reference has of a metric.
struct Described {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
    programs: BTreeSet<&'static str>,
}

/// Adds the metrics of an exposition.
fn describe(all: &mut BTreeMap<String, Described>, program: &'static str, exposition: &str) {
    let text = |prefix: &str, name: &str| {
        let start = format!("# {prefix} {name} ");
        exposition.lines().find_map(|line| line.strip_prefix(&start)).unwrap().to_owned()
    };
    let named = exposition.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    for name in named.filter_map(|line| line.split(' ').next()) {
        let described = all.entry(name.to_owned()).or_insert_with(|| Described {
            kind: text("TYPE", name),
            help: text("HELP", name),
            labels: BTreeSet::new(),
            programs: BTreeSet::new(),
        });
        described.programs.insert(program);
        let samples = exposition.lines().filter(|line| line.starts_with(name));
        for labels in samples.filter_map(|line| Some(line.split_once('{')?.1.split_once('}')?.0)) {
            let names = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
            described.labels.extend(names.filter(|name| name != "le"));
        }
    }
}

fn table(all: &BTreeMap<String, Described>) -> String {
    let mut table = "\
# Metrics

All metrics of both programs, at `/metrics` of their admin listeners. Lists of label values are closed, or names from the
configuration: never a query, a topic or a client. This page is made by a test from what the programs tell
(`cargo test -p e2e --test metrics -- --ignored`), and another test fails when it is stale.

| metric | type | labels | program | |
|---|---|---|---|---|
"
    .to_owned();
    for (name, Described { kind, help, labels, programs }) in all {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let programs: Vec<_> = programs.iter().copied().collect();
        let (labels, programs) = (labels.join(", "), programs.join(", "));
        table.push_str(&format!("| `{name}` | {kind} | {labels} | {programs} | {help} |\n"));
    }
    table
}

/// The metrics of every way to run the programs: over NATS with users of an issuer, and alone with those of a Kubernetes cluster.
async fn reference() -> String {
    let (upstream, nats, issuer) =
        (Upstream::of_one_sample().await, Nats::start().await, Issuer::start().await);
    let bus = ["--bus-url", nats.url()];
    let init = [&bus[..], &["--auth-mode", "none", "init"]].concat();
    assert_eq!(run("promcast-gateway", &init).await.0, Some(0));
    let poller = Poller::start(&[&bus[..], &["--prometheus-url", &upstream.url()]].concat()).await;
    let url = issuer.url();
    let jwt = [
        ["--auth-mode", "jwt"],
        ["--auth-jwt-issuer", &url],
        ["--auth-jwt-audience", AUDIENCE],
        ["--auth-jwt-namespaces-claim", "namespaces"],
        ["--datasources", "default"],
        bus,
    ];
    let gateway = Gateway::guarded(jwt.as_flattened()).await;
    let api = KubeApi::start([Account::admin("root")]).await;
    let (kubeconfig, prometheus) = (api.kubeconfig(), upstream.url());
    let kubernetes = [
        ["--auth-mode", "kubernetes"],
        ["--auth-kubernetes-kubeconfig", kubeconfig.to_str().unwrap()],
        ["--prometheus-url", &prometheus],
    ];
    let alone = Gateway::guarded(kubernetes.as_flattened()).await;
    let polled = until("the depth of the queue", PATIENCE, || async {
        let told = exposition(&poller.admin("/metrics")).await;
        told.contains("promcast_bus_jobs_taken").then_some(told)
    })
    .await;
    let mut all = BTreeMap::new();
    describe(&mut all, "poller", &polled);
    for gateway in [&gateway, &alone] {
        let told = exposition(&gateway.admin("/metrics")).await;
        // The poller inside tells what a poller tells.
        let lines = told.lines().filter(|line| !line.contains("promcast_poller_"));
        describe(&mut all, "gateway", &lines.collect::<Vec<_>>().join("\n"));
    }
    table(&all)
}

fn page() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md")
}

#[tokio::test]
async fn the_reference_of_metrics_is_what_the_programs_tell() {
    let written = std::fs::read_to_string(page()).unwrap_or_default();
    assert!(written == reference().await, "docs/metrics.md is stale: write it anew, as it says itself");
}

#[tokio::test]
#[ignore = "writes docs/metrics.md instead of checking it"]
async fn write_the_reference_of_metrics() {
    std::fs::write(page(), reference().await).unwrap();
}
