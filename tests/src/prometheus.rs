//! A real Prometheus: what Promcast streams must be what this answers.

use promcast_proto::tick::Tick;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::http;
use crate::process::{Process, Signal};
use crate::programs::sum;
use crate::wait::{PATIENCE, until};
use crate::write::{self, Sample, TimeSeries, WriteRequest};

/// Where it listens. Not 127.0.0.1, whose ports clients take: its port must be free again when it comes back.
const HOST: &str = "127.0.0.2";

/// Labels of the pod that an exporter runs in.
const EXPORTER: &str = "{namespace: gpu-monitoring, pod: dcgm-exporter-0, container: dcgm-exporter}";

/// A Prometheus with an empty database.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    folder: TempDir,
    address: String,
    http: reqwest::Client,
}

impl Prometheus {
    /// Starts one that scrapes `targets` each second as job `gpu`, as a ServiceMonitor has it: the exporter's pod is in `namespace`
    /// and `pod`, and those whose pods have the GPUs are in `exported_namespace` and `exported_pod`.
    ///
    /// # Panics
    /// Where Prometheus is not installed or does not start.
    pub async fn start(targets: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs: [{{job_name: gpu, static_configs: [{{targets: {targets:?}, labels: {EXPORTER}}}]}}]\n"
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).expect("a file can be written");
        let (process, address) = spawn(&folder, &format!("{HOST}:0")).await;
        Self { process, folder, address, http: http::client() }
    }

    /// Starts one that scrapes nothing and holds what `samples` says, in the OpenMetrics format with timestamps.
    ///
    /// # Panics
    /// Where Prometheus or promtool is not installed or does not start, or the text is not OpenMetrics.
    pub async fn holding(samples: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("prometheus.yml"), "{}").expect("a file can be written");
        std::fs::write(path("samples"), samples).expect("a file can be written");
        let mut command = Command::new("promtool");
        command.args(["tsdb", "create-blocks-from", "openmetrics"]).args([path("samples"), path("data")]);
        let mut promtool = Process::spawn("promtool", &mut command);
        let status = promtool.exit(PATIENCE).await;
        assert!(status.success(), "promtool: {}", promtool.output());
        let (process, address) = spawn(&folder, &format!("{HOST}:0")).await;
        Self { process, folder, address, http: http::client() }
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its whole answer to an instant query at `tick`.
    pub async fn query(&self, query: &str, tick: Tick) -> Value {
        let request = self
            .http
            .get(format!("{}/api/v1/query", self.url()))
            .query(&[("query", query), ("time", &tick.as_seconds())]);
        http::send(request).await.json()
    }

    /// Its whole answer to a range query at these ticks.
    pub async fn query_range(&self, query: &str, from: Tick, to: Tick, step: u16) -> Value {
        let request = self.http.get(format!("{}/api/v1/query_range", self.url())).query(&[
            ("query", query),
            ("start", &from.as_seconds()),
            ("end", &to.as_seconds()),
            ("step", &step.to_string()),
        ]);
        http::send(request).await.json()
    }

    /// Returns once `query` has a result that is not empty.
    pub async fn has(&self, query: &str) {
        until(&format!("{query} in Prometheus"), PATIENCE, || async {
            let answer = self.query(query, crate::wait::now()).await;
            answer["data"]["result"].as_array().is_some_and(|result| !result.is_empty()).then_some(())
        })
        .await;
    }

    /// Writes a sample for each second in `[from, to]`; the value is the second itself. Samples of the future make
    /// an evaluation the same whenever it is made: no scrape can come in between.
    pub async fn write(&self, name: &str, labels: &[(&str, &str)], from: Tick, to: Tick) {
        let sample = |timestamp: i64| Sample { value: second(timestamp), timestamp };
        let samples = (from.millis()..=to.millis()).step_by(1000).map(sample).collect();
        let labels = write::labels(name, labels);
        self.send(WriteRequest { timeseries: vec![TimeSeries { labels, samples, histograms: Vec::new() }] })
            .await;
    }

    /// Writes a native histogram for each second in `[from, to]`.
    pub async fn write_histogram(&self, name: &str, from: Tick, to: Tick) {
        let histograms = (from.millis()..=to.millis())
            .step_by(1000)
            .zip(1..)
            .map(|(timestamp, observations)| write::histogram(timestamp, observations))
            .collect();
        let labels = write::labels(name, &[]);
        self.send(WriteRequest { timeseries: vec![TimeSeries { labels, samples: Vec::new(), histograms }] })
            .await;
    }

    async fn send(&self, request: WriteRequest) {
        let request = self
            .http
            .post(format!("{}/api/v1/write", self.url()))
            .header("Content-Encoding", "snappy")
            .header("Content-Type", "application/x-protobuf")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0")
            .body(write::encode(&request));
        let answer = http::send(request).await;
        assert!(answer.status < 300, "remote write: {} {}", answer.status, answer.body);
    }

    /// How many instant queries it has answered, by its own count.
    pub async fn queries(&self) -> u64 {
        self.answered("/api/v1/query").await
    }

    /// How many range queries it has answered, by its own count.
    pub async fn range_queries(&self) -> u64 {
        self.answered("/api/v1/query_range").await
    }

    async fn answered(&self, path: &str) -> u64 {
        let exposition = http::get(&format!("{}/metrics", self.url())).await.body;
        let handler = format!(r#"handler="{path}""#);
        let ours: String =
            exposition.lines().filter(|line| line.contains(&handler)).collect::<Vec<_>>().join("\n");
        let count = sum(&ours, "prometheus_http_requests_total");
        // A count of requests is a whole number far below 2^53; a sum of none is a negative zero.
        format!("{:.0}", count.abs()).parse().expect("a count")
    }

    /// Stops it in order: nobody answers at its address any more.
    pub async fn stop(&mut self) {
        self.process.signal(Signal::TERM);
        self.process.exit(PATIENCE).await;
    }

    /// Starts it again, with its data, at the same address.
    pub async fn restart(&mut self) {
        let (process, address) = spawn(&self.folder, &self.address).await;
        (self.process, self.address) = (process, address);
    }
}

fn second(millis: i64) -> f64 {
    // Exact: seconds since the epoch are far below 2^53.
    f64::from(u32::try_from(millis / 1000).unwrap_or(u32::MAX))
}

async fn spawn(folder: &TempDir, listen: &str) -> (Process, String) {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", path("prometheus.yml")))
        .arg(format!("--storage.tsdb.path={}", path("data")))
        .arg(format!("--web.listen-address={listen}"))
        .args(["--web.enable-remote-write-receiver", "--enable-feature=native-histograms"]);
    let process = Process::spawn("prometheus", &mut command);
    let find = |line: &str| Some(line.split_once(r#"msg="Listening on" address="#)?.1.trim().to_owned());
    let address = process.line("its address", find).await;
    let ready = format!("http://{address}/-/ready");
    until("Prometheus is ready", PATIENCE, || async {
        (http::get(&ready).await.status == 200).then_some(())
    })
    .await;
    (process, address)
}

/// A result with its series in an order of their own: Prometheus promises none.
pub fn canonical(data: &Value) -> Value {
    let mut data = data.clone();
    let series = matches!(data["resultType"].as_str(), Some("vector" | "matrix"));
    if let (true, Some(series)) = (series, data["result"].as_array_mut()) {
        series.sort_by_cached_key(|one| one["metric"].to_string());
    }
    data
}
