//! `bench-bus [GATEWAYS…]`: what 10,000 topics at 15 s cost the bus with one, two and four gateways (or so many) that all
//! stream all of them.
//!
//! Each gateway is a process with as many clients, which a process of their own reads; so is the poller, and nats-server
//! tells by its monitoring what went in and out. Every topic is evaluated once per tick however many gateways ask.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program for a developer's terminal")]

use std::time::Duration;

use e2e::http;
use e2e::nats::Nats;
use e2e::process::Process;
use e2e::programs::{Gateway, Poller, run};
use e2e::stream::PATH;
use e2e::upstream::{Reply, Upstream};
use e2e::wait::until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Topics, each streamed by every gateway.
const TOPICS: usize = 10_000;

/// Seconds from tick to tick: the default.
const INTERVAL: u32 = 15;

/// Seconds over which is measured: four ticks of each topic.
const MEASURED: u32 = 4 * INTERVAL;

/// Gateways in each round.
const ROUNDS: [usize; 3] = [1, 2, 4];

/// Opening may take so long, and what it leaves to be done as long again: each stream is checked, and each topic asked
/// for at once.
const OPENING: Duration = Duration::from_secs(300);

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, address] = arguments.as_slice()
        && mode == "--clients"
    {
        return clients(address).await;
    }
    println!(
        "| gateways | evaluations/s | events/s | into NATS, KB/s | out of NATS, KB/s | CPU of NATS | of the poller | \
         of each gateway | updates within 250 ms of their tick | in time after all were opened at once |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    let asked: Vec<usize> =
        arguments.iter().map(|count| count.parse().expect("a number of gateways")).collect();
    for gateways in if asked.is_empty() { ROUNDS.to_vec() } else { asked } {
        round(gateways).await;
    }
    println!(
        "\n{TOPICS} topics at {INTERVAL} s over {MEASURED} s, about 2 KB each; CPU in percent of one core."
    );
}

async fn round(count: usize) {
    let upstream = Upstream::start(|_| Reply::eight_gpus()).await;
    let nats = Nats::start_with("http: \"127.0.0.2:-1\"").await;
    let (code, output) =
        run("promcast-gateway", &["--auth-mode", "none", "--bus-url", nats.url(), "init"]).await;
    assert_eq!(code, Some(0), "{output}");
    let poller = Poller::start(&["--bus-url", nats.url(), "--prometheus-url", &upstream.url()]).await;
    let mut gateways = Vec::new();
    let mut audiences = Vec::new();
    for _ in 0..count {
        let (rate, most) = ("1000000", (TOPICS + 10).to_string());
        let flags = ["--bus-url", nats.url(), "--stream-open-rate", rate, "--stream-open-burst", rate];
        let gateway = Gateway::start(&[&flags[..], &["--stream-max-connections", &most]].concat()).await;
        let mut command = Command::new("/proc/self/exe");
        audiences.push(Process::spawn("the clients", command.args(["--clients", gateway.address()])));
        gateways.push(gateway);
    }
    until("all streams are open", OPENING, || async {
        (open(&gateways).await >= count * TOPICS).then_some(())
    })
    .await;
    let opened = Instant::now();
    while !in_time(&nats, &poller, &gateways, &upstream).await && opened.elapsed() < OPENING {}
    let settled = opened.elapsed().as_secs();
    let before = Reading::take(&nats, &poller, &gateways, &upstream).await;
    sleep(Duration::from_secs(u64::from(MEASURED))).await;
    let after = Reading::take(&nats, &poller, &gateways, &upstream).await;
    assert_eq!(open(&gateways).await, count * TOPICS, "streams ended");
    println!("{} {settled} s |", after.row(&before, count));
}

/// Whether, for an interval, the updates came in time: what opening left to be done is done.
async fn in_time(nats: &Nats, poller: &Poller, gateways: &[Gateway], upstream: &Upstream) -> bool {
    let before = Reading::take(nats, poller, gateways, upstream).await;
    sleep(Duration::from_secs(u64::from(INTERVAL))).await;
    let after = Reading::take(nats, poller, gateways, upstream).await;
    after.in_time - before.in_time > 0.99 * (after.updates - before.updates)
}

async fn open(gateways: &[Gateway]) -> usize {
    let mut open = 0.0;
    for gateway in gateways {
        open += gateway.metric("sse_active_connections").await;
    }
    format!("{open:.0}").parse().expect("a count")
}

/// Everything that is counted, at one moment.
struct Reading {
    at: Instant,
    evaluations: f64,
    events: f64,
    in_time: f64,
    updates: f64,
    in_bytes: f64,
    out_bytes: f64,
    nats: Duration,
    poller: Duration,
    gateways: Duration,
}

impl Reading {
    async fn take(nats: &Nats, poller: &Poller, gateways: &[Gateway], upstream: &Upstream) -> Self {
        let bytes = http::get(&format!("{}/varz", nats.monitoring())).await.json();
        let mut reading = Self {
            at: Instant::now(),
            evaluations: number(upstream.asked()),
            events: 0.0,
            in_time: 0.0,
            updates: 0.0,
            in_bytes: bytes["in_bytes"].as_f64().expect("a count"),
            out_bytes: bytes["out_bytes"].as_f64().expect("a count"),
            nats: nats.process().processor_time(),
            poller: poller.process.processor_time(),
            gateways: gateways.iter().map(|gateway| gateway.process.processor_time()).sum(),
        };
        for gateway in gateways {
            let metrics = http::get(&gateway.admin("/metrics")).await.body;
            let value = |line: &str| {
                let found =
                    metrics.lines().find_map(|each| each.strip_prefix(line)?.trim().parse::<f64>().ok());
                found.unwrap_or_default()
            };
            reading.events += value(r#"sse_messages_sent_total{event="update"}"#);
            reading.in_time += value(r#"promcast_gateway_update_lateness_seconds_bucket{le="0.25"}"#);
            reading.updates += value("promcast_gateway_update_lateness_seconds_count");
        }
        reading
    }

    fn row(&self, before: &Self, count: usize) -> String {
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        let rate = |after: f64, before: f64| (after - before) / seconds;
        let cpu = |after: Duration, before: Duration| 100.0 * (after - before).as_secs_f64() / seconds;
        format!(
            "| {count} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} % | {:.0} % | {:.0} % | {:.1} % |",
            rate(self.evaluations, before.evaluations),
            rate(self.events, before.events),
            rate(self.in_bytes, before.in_bytes) / 1e3,
            rate(self.out_bytes, before.out_bytes) / 1e3,
            cpu(self.nats, before.nats),
            cpu(self.poller, before.poller),
            cpu(self.gateways, before.gateways) / number(count as u64),
            100.0 * (self.in_time - before.in_time) / (self.updates - before.updates),
        )
    }
}

fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).expect("a count below 2^32"))
}

/// Opens a stream for each topic and reads whatever comes.
async fn clients(address: &str) {
    let mut readers = JoinSet::new();
    for topic in 0..TOPICS {
        let mut socket = TcpStream::connect(address).await.expect("a connection");
        let request = format!(
            "GET {PATH}?query=DCGM_FI_DEV_GPU_UTIL%7Bgpu%3D%22{topic}%22%7D&interval={INTERVAL} HTTP/1.1\r\n\
             Host: {address}\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).await.expect("a request can be sent");
        readers.spawn(async move {
            let mut buffer = vec![0; 4 * 1024];
            while socket.read(&mut buffer).await.unwrap_or(0) > 0 {}
        });
        // The accept queue of a listener is short.
        if topic % 100 == 99 {
            sleep(Duration::from_millis(100)).await;
        }
    }
    while readers.join_next().await.is_some() {}
}
