//! `bench-e2e [delay|viewers|gateways]…`: through a real Prometheus and a real NATS: the delay from tick to socket by
//! part, and what the upstream and the bus are asked as viewers and gateways become more.
#![expect(clippy::expect_used, reason = "a program for a developer's terminal")]

use std::process::ExitCode;
use std::time::Duration;

use e2e::journey::{self, PARTS, Way};
use e2e::measure::report::{Report, Table};
use e2e::measure::{number, percentile};
use e2e::otlp::Receiver;
use e2e::part::Crowd;
use e2e::prometheus::Prometheus;
use e2e::rig::{Cores, Rig};
use e2e::sim::Sim;
use tokio::time::sleep;

/// Seconds from tick to tick: the shortest.
const INTERVAL: u16 = 5;

/// Everything where the kernel puts it: no core is anybody's own.
const CORES: Cores = Cores { gateway: "0-1023", poller: "0-1023", other: "0-1023" };

/// Two ticks pass after the clients came, before anything is measured.
const SETTLING: Duration = Duration::from_secs(2 * INTERVAL as u64);

/// Ticks that are measured, of each part of the benchmark.
const DELAY_TICKS: u64 = 8;
const VIEWER_TICKS: u64 = 4;
const GATEWAY_TICKS: u64 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |what: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == what);
    let sim = Sim::with_flags(&["--gpus", "8"]).await;
    let prometheus = Prometheus::start(&[sim.target()]).await;
    prometheus.has("DCGM_FI_DEV_GPU_UTIL").await;
    let mut report = Report::new("bench-e2e");
    if wanted("delay") {
        for topics in [10, 1] {
            delay(&mut report, &prometheus, topics).await;
        }
    }
    if wanted("viewers") {
        viewers(&mut report, &prometheus).await;
    }
    if wanted("gateways") {
        gateways(&mut report, &prometheus).await;
    }
    report.notes.push(format!(
        "ticks every {INTERVAL} s; updates of eight GPUs; all programs share the machine's cores."
    ));
    report.finish()
}

/// From the tick to the sockets of 1,000 clients, by part.
async fn delay(report: &mut Report, prometheus: &Prometheus, topics: usize) {
    let receiver = Receiver::start().await;
    let endpoint = receiver.endpoint();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "500")];
    let rig = Rig::start(CORES, &prometheus.url(), &variables).await;
    let crowd = Crowd { connections: 1_000, topics: 1, of: topics, interval: INTERVAL };
    let clients = rig.clients(crowd).await;
    sleep(SETTLING).await;
    clients.read().await;
    ticks(DELAY_TICKS).await;
    let read = clients.read().await;
    // Spans come in batches.
    sleep(Duration::from_secs(2)).await;
    let ways = journey::ways(&receiver.spans(), &read.updates);
    assert!(
        ways.len() * 10 >= read.updates.len() * 9,
        "{} of {} updates have all their spans",
        ways.len(),
        read.updates.len()
    );
    let title = format!(
        "Tick to socket, {} clients of {topics} topics, {} updates read: ms",
        crowd.connections,
        ways.len()
    );
    let mut table = Table::new(&title, &["part", "p50", "p99", "largest"]);
    let mut row = |name: &str, of: &dyn Fn(&Way) -> f64| {
        let mut sorted: Vec<f64> = ways.iter().map(of).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |p: f64| percentile(&sorted, p);
        table.row(vec![
            name.to_owned(),
            format!("{:.2}", at(50.0)),
            format!("{:.2}", at(99.0)),
            format!("{:.2}", at(100.0)),
        ]);
        at(99.0)
    };
    for (part, name) in PARTS.iter().enumerate() {
        row(name, &|way| way[part]);
    }
    row("all", &|way| way.iter().sum());
    let own = row("all without the query", &journey::own);
    report.tables.push(table);
    report.goal(&format!("tick to socket without the query, p99, ms, {topics} topics"), own, 20.0);
}

/// What the upstream is asked as one query has more and more viewers.
async fn viewers(report: &mut Report, prometheus: &Prometheus) {
    let title = "Queries to Prometheus as the viewers of one query become more";
    let mut table = Table::new(title, &["viewers", "ticks", "queries", "updates read"]);
    let mut most: f64 = 0.0;
    for connections in [1, 100, 1_000, 10_000] {
        let rig = Rig::start(CORES, &prometheus.url(), &[]).await;
        let clients = rig.clients(Crowd { connections, topics: 1, of: 1, interval: INTERVAL }).await;
        sleep(SETTLING).await;
        clients.read().await;
        let before = prometheus.queries().await;
        ticks(VIEWER_TICKS).await;
        let queries = prometheus.queries().await - before;
        let updates = clients.read().await.updates.len();
        table.row(vec![
            connections.to_string(),
            VIEWER_TICKS.to_string(),
            queries.to_string(),
            updates.to_string(),
        ]);
        let extra = i64::try_from(queries).expect("few") - i64::try_from(VIEWER_TICKS).expect("few");
        most = most.max(number(usize::try_from(extra.unsigned_abs()).expect("few")));
    }
    report.tables.push(table);
    report.goal("queries more or less than ticks, 1 to 10,000 viewers", most, 1.0);
}

/// What upstream and bus are asked as gateways become more that stream the same.
async fn gateways(report: &mut Report, prometheus: &Prometheus) {
    // No divisor in common with the numbers of gateways: each gateway streams all of them.
    const TOPICS: usize = 21;
    let title = format!("{TOPICS} topics streamed by several gateways");
    let head = [
        "gateways",
        "viewers of each",
        "queries per tick and topic",
        "into NATS, KB/s",
        "out of NATS, KB/s",
        "out for each gateway, KB/s",
    ];
    let mut table = Table::new(&title, &head);
    let mut out = Vec::new();
    for (count, viewers) in [(1, 200), (1, 2_000), (2, 200), (4, 200)] {
        let mut rig = Rig::start(CORES, &prometheus.url(), &[]).await;
        for _ in 1..count {
            rig.add_gateway().await;
        }
        let crowd = Crowd { connections: count * viewers, topics: 1, of: TOPICS, interval: INTERVAL };
        let clients = rig.clients(crowd).await;
        sleep(SETTLING).await;
        clients.read().await;
        let (before, asked) = (rig.costs().await, prometheus.queries().await);
        ticks(GATEWAY_TICKS).await;
        let (after, queries) = (rig.costs().await, prometheus.queries().await - asked);
        let each = number(usize::try_from(queries).expect("few"))
            / number(TOPICS)
            / (after.seconds_since(&before) / f64::from(INTERVAL));
        let (into, from) = (
            after.rate(&before, |costs| costs.into_nats) / 1e3,
            after.rate(&before, |costs| costs.out_of_nats) / 1e3,
        );
        let number_of = |count: usize| count.to_string();
        table.row(vec![
            number_of(count),
            number_of(viewers),
            format!("{each:.2}"),
            format!("{into:.1}"),
            format!("{from:.1}"),
            format!("{:.1}", from / number(count)),
        ]);
        report.goal(
            &format!("queries per tick and topic, {count} gateways, {viewers} viewers of each"),
            each,
            1.05,
        );
        out.push(from);
    }
    report.tables.push(table);
    report.goal("bus traffic of 10 times the viewers, times that of one", out[1] / out[0], 1.1);
    report.goal("bus traffic of 4 gateways, times that of one", out[3] / out[0], 4.4);
}

async fn ticks(count: u64) {
    sleep(Duration::from_secs(count * u64::from(INTERVAL))).await;
}
