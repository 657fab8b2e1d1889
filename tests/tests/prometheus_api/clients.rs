//! Clients that know Prometheus and nothing of the gateway: promtool, libraries in Rust and Python, and requests as dashboards
//! send them.

use std::collections::BTreeSet;
use std::path::Path;

use e2e::http;
use e2e::process::Process;
use e2e::stack::{Bus, Promcast};
use e2e::wait::PATIENCE;
use prometheus_http_query::{Client, Selector};
use serde_json::Value;
use tokio::process::Command;

use crate::rig::{ROOM, Rig, holding_all, sorted};

const TIME: i64 = e2e::tenants::TIME;

#[tokio::test]
async fn promtool_reads_the_same() {
    let prometheus = holding_all().await;
    let promcast = Promcast::start(Bus::Embedded, &prometheus.url(), &ROOM).await;
    let (gateway, upstream) = (promcast.gateway().url(""), prometheus.url());
    let (start, time) = ((TIME - 300).to_string(), TIME.to_string());
    let (from, at) = (format!("--start={start}"), format!("--time={time}"));
    let to = format!("--end={time}");
    let calls: [&[&str]; 8] = [
        &["instant", &at, "%", "container_memory_bytes"],
        &["instant", &at, "%", "DCGM_FI_DEV_GPU_UTIL[2m]"],
        &["instant", &at, "%", "1 + 1"],
        &["range", &from, &to, "--step=1m", "%", "max by (gpu) (DCGM_FI_DEV_GPU_UTIL)"],
        &["series", &from, &to, "--match=up", "--match={gpu=\"0\"}", "%"],
        &["labels", &from, &to, "%", "namespace"],
        &["labels", &from, &to, "%", "__name__"],
        &["instant", &at, "%", "up * on (namespace) kube_pod_info"],
    ];
    for call in calls {
        let (ours, theirs) = tokio::join!(promtool(call, &gateway), promtool(call, &upstream));
        assert_eq!(ours, theirs, "{call:?}");
        assert!(!ours.1.is_empty(), "{call:?}");
    }
}

/// How it ended, and the lines that it printed.
async fn promtool(call: &[&str], url: &str) -> (Option<i32>, BTreeSet<String>) {
    let call = call.iter().map(|&word| if word == "%" { url } else { word });
    let mut process = Process::spawn("promtool", Command::new("promtool").arg("query").args(call));
    let status = process.exit(PATIENCE).await;
    (status.code(), process.output().lines().map(|line| line.trim_end_matches(',').to_owned()).collect())
}

#[tokio::test]
async fn a_library_in_rust_reads_what_is_the_callers() {
    let rig = Rig::start().await;
    let mut headers = reqwest::header::HeaderMap::new();
    let token = rig.issuer.token("ann", &["team-a"]);
    headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    http::client();
    let http = reqwest::Client::builder().no_proxy().default_headers(headers).build().unwrap();
    let client = Client::from(http, &rig.gateway.url("")).unwrap();

    let instant = client.query("sum by (gpu) (DCGM_FI_DEV_GPU_UTIL)").at(TIME).post().await.unwrap();
    assert_eq!(instant.data().as_vector().unwrap().len(), 3);
    let range = client.query_range("up", TIME - 300, TIME, 60.0).get().await.unwrap();
    assert_eq!(range.data().as_matrix().unwrap()[0].samples().len(), 6);
    let up = Selector::new().metric("up");
    let series = client.series([&up]).unwrap().start(TIME - 300).end(TIME).get().await.unwrap();
    assert_eq!(series.len(), 1, "{series:?}");
    assert_eq!(client.label_values("namespace").get().await.unwrap(), ["nvidia-gpu-operator", "team-a"]);
    assert!(client.label_names().get().await.unwrap().contains(&"exported_pod".to_owned()));
    assert!(client.metric_metadata().get().await.unwrap().is_empty());
    assert!(client.build_information().await.unwrap().version().starts_with("2."));
    let error = client.query("up{").get().await.unwrap_err().to_string();
    assert!(error.contains("invalid parameter"), "{error}");
}

#[tokio::test]
async fn a_library_in_python_reads_the_same() {
    let rig = Rig::start().await;
    let (gateway, upstream) = (rig.gateway.url(""), rig.prometheus.url());
    let (ours, theirs) = tokio::join!(python(&gateway, Some(rig.admin())), python(&upstream, None));
    assert_eq!(ours, theirs);
    assert_eq!(ours["connected"], true);
    assert_eq!(ours["data"].as_array().unwrap().len(), 24, "{ours}");
    let tenant = python(&gateway, Some(rig.issuer.token("ann", &["team-a"]))).await;
    assert_eq!(tenant["data"].as_array().unwrap().len(), 6, "{tenant}");
}

async fn python(url: &str, token: Option<String>) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = folder.join("../.build/venv/bin/python");
    assert!(python.exists(), "run `deploy/local/install.sh python` first");
    let mut command = Command::new(python);
    command.arg(folder.join("clients/prometheus_api.py")).args([url, &TIME.to_string()]).args(token);
    let mut process = Process::spawn("prometheus_api.py", &mut command);
    process.exit(PATIENCE).await;
    let output = process.output();
    let line = output.lines().find(|line| line.starts_with('{'));
    let mut read: Value = serde_json::from_str(line.unwrap_or_else(|| panic!("{output}"))).unwrap();
    for list in ["instant", "range", "data"] {
        read[list].as_array_mut().unwrap().sort_by_key(Value::to_string);
    }
    read
}

/// What Grafana's and Perses' datasources send: a health check, panels as forms, variables, and parameters that only some
/// upstreams know.
#[tokio::test]
async fn dashboards_ask_as_they_do_of_prometheus() {
    let prometheus = holding_all().await;
    let promcast = Promcast::start(Bus::Embedded, &prometheus.url(), &ROOM).await;
    let client = http::client();
    let both = async |path: &str, body: &str, query_string: &str| {
        let of = |base: String| {
            let url = format!("{base}/api/v1/{path}{query_string}");
            let kind = ("content-type", "application/x-www-form-urlencoded");
            let request = if body.is_empty() {
                client.get(url)
            } else {
                client.post(url).body(body.to_owned()).header(kind.0, kind.1)
            };
            http::send(request.header("x-dashboard-uid", "abc").header("x-grafana-org-id", "1"))
        };
        let (ours, theirs) = tokio::join!(of(promcast.gateway().url("")), of(prometheus.url()));
        assert_eq!(
            (ours.status, sorted(&ours)),
            (theirs.status, sorted(&theirs)),
            "{path} {body} {query_string}"
        );
        assert_eq!(ours.status, 200, "{}", ours.body);
    };
    both("query", "query=1%2B1&time=1700000000.123", "").await;
    both(
        "query_range",
        "end=1700000000&query=sum+by+%28gpu%29+%28DCGM_FI_DEV_GPU_UTIL%29&start=1699999100&step=15",
        "",
    )
    .await;
    both(
        "query_range",
        "end=1700000000.000&query=up&start=1699999100.000&step=15.000&timeout=60s",
        "?stats=",
    )
    .await;
    both("query", "query=topk%283%2C+up%29&time=1700000000", "").await;
    both("labels", "match%5B%5D=%7B__name__%3D%22up%22%7D&start=1699999100&end=1700000000", "").await;
    both("labels", "", "?start=1699999100&end=1700000000&limit=40000").await;
    both("label/__name__/values", "", "?start=1699999100.0&end=1700000000.0&limit=40000").await;
    both("label/gpu/values", "", "?match%5B%5D=DCGM_FI_DEV_GPU_UTIL&start=1699999100&end=1700000000").await;
    both("series", "match%5B%5D=up&start=1699999100&end=1700000000&limit=40000", "").await;
    both("metadata", "", "?limit=5000").await;
    both("status/buildinfo", "", "").await;
}
