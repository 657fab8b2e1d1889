//! `bench-polling [TOPICS]`: 10,000 topics (or so many) at 15 s through one poller on a core of its own.
//!
//! Gateway, NATS, the upstream and the clients share another core. The upstream answers at once, with 2 KB, and tells how
//! late each query was and how busy it was itself.
#![expect(clippy::expect_used, reason = "a program for a developer's terminal")]

use std::process::ExitCode;
use std::time::Duration;

use e2e::measure::report::{Report, Table};
use e2e::measure::{cpu_time, number, percentile};
use e2e::part::{Asked, Crowd, Part, Read, Seen};
use e2e::rig::{Cores, Costs, Rig};
use tokio::time::{Instant, sleep};

/// Seconds from tick to tick: the default.
const INTERVAL: u16 = 15;

/// Seconds over which is measured: four ticks of each topic.
const MEASURED: u64 = 60;

/// Topics on one connection: as many as there may be.
const TOPICS_EACH: usize = 32;

/// The poller has one to itself.
const CORES: Cores = Cores { gateway: "1", poller: "0", other: "1" };

/// What opening leaves to be done may take so long.
const SETTLING: Duration = Duration::from_secs(75);

#[tokio::main]
async fn main() -> ExitCode {
    let topics = std::env::args().nth(1).map_or(10_000, |count| count.parse().expect("a number of topics"));
    let topics = usize::next_multiple_of(topics, TOPICS_EACH);
    let upstream = Part::upstream(CORES.other, 8).await;
    let rig = Rig::start(CORES, &upstream.url(), &[]).await;
    let crowd =
        Crowd { connections: topics / TOPICS_EACH, topics: TOPICS_EACH, of: topics, interval: INTERVAL };
    let clients = rig.clients(crowd).await;
    settle(&upstream, topics).await;
    upstream.asked().await;
    clients.read().await;
    let parts = || [&upstream, &clients].map(|part| cpu_time(part.process.pid()));
    let (before, parts_before) = (rig.costs().await, parts());
    sleep(Duration::from_secs(MEASURED)).await;
    let (after, parts_after) = (rig.costs().await, parts());
    let seconds = after.seconds_since(&before);
    let share = |part: usize| 100.0 * (parts_after[part] - parts_before[part]).as_secs_f64() / seconds;
    let shares = [share(0), share(1)];
    let (asked, read) = (upstream.asked().await, clients.read().await);
    report(topics, &Measured { before, after, shares, asked, read }).finish()
}

/// Waits until what opening left to be done is done: for an interval, each query came in time.
async fn settle(upstream: &Part, topics: usize) {
    let began = Instant::now();
    upstream.asked().await;
    while began.elapsed() < SETTLING {
        sleep(Duration::from_secs(u64::from(INTERVAL))).await;
        let asked = upstream.asked().await;
        let in_time = asked.lateness.iter().filter(|late| **late < 250.0).count();
        if asked.lateness.len() * 10 >= topics * 9 && in_time * 100 >= asked.lateness.len() * 99 {
            return;
        }
    }
}

struct Measured {
    before: Costs,
    after: Costs,
    /// Of the upstream and of the clients.
    shares: [f64; 2],
    asked: Asked,
    read: Read,
}

fn report(topics: usize, measured: &Measured) -> Report {
    let Measured { before, after, shares, asked, read } = measured;
    let seconds = after.seconds_since(before);
    let evaluations = number(asked.lateness.len());
    let mut updates: Vec<f64> = read.updates.iter().map(Seen::delay).collect();
    updates.sort_by(f64::total_cmp);
    let poller = after.share(before, |costs| costs.poller);
    let mut report = Report::new("bench-polling");
    report.tables.push(delays(&asked.lateness, &updates));
    let mut table = Table::new("Share of a core, %", &["poller", "NATS", "gateway", "upstream", "clients"]);
    let gateway = after.share(before, |costs| costs.gateways);
    let all = [poller, after.share(before, |costs| costs.nats), gateway, shares[0], shares[1]];
    table.row(all.map(|share| format!("{share:.1}")).to_vec());
    report.tables.push(table);
    report.tables.push(costs(topics, evaluations, measured));

    report.goal("lateness of a query, p99, ms", percentile(&asked.lateness, 99.0), 250.0);
    report.goal("the poller's share of its core, %", poller, 60.0);
    let answering = percentile(&asked.answering, 99.0) / 1e3;
    report.goal("the upstream's own answer, p99, ms: it is not the bottleneck", answering, 5.0);
    let due = number(topics) * seconds / f64::from(INTERVAL);
    report.goal("ticks without a query, %", 100.0 * (1.0 - evaluations / due).max(0.0), 1.0);
    report.notes.push(format!(
        "{topics} topics at {INTERVAL} s over {seconds:.0} s, answers of 2 KB; the poller alone on a core, all others together on another."
    ));
    report
}

fn delays(queries: &[f64], updates: &[f64]) -> Table {
    let mut table = Table::new("Delay after the tick, ms", &["of", "p50", "p99", "p99.9", "largest"]);
    for (name, sorted) in [("the query, at the upstream", queries), ("the update, at a client", updates)] {
        let at = |p: f64| format!("{:.1}", percentile(sorted, p));
        table.row(vec![name.to_owned(), at(50.0), at(99.0), at(99.9), at(100.0)]);
    }
    table
}

fn costs(topics: usize, evaluations: f64, measured: &Measured) -> Table {
    let Measured { before, after, .. } = measured;
    let head = [
        "topics",
        "evaluations/s",
        "poller, µs of CPU",
        "NATS, µs of CPU",
        "gateway, µs of CPU",
        "into NATS, bytes",
        "out of NATS, bytes",
        "messages in",
        "messages out",
        "poller, MB of memory",
    ];
    let mut table = Table::new("For each evaluation", &head);
    let rate = evaluations / after.seconds_since(before);
    // One percent of a core is 10,000 µs in each second.
    let micros = |of: fn(&Costs) -> Duration| format!("{:.0}", 1e4 * after.share(before, of) / rate);
    let each = |of: fn(&Costs) -> f64| after.rate(before, of) / rate;
    table.row(vec![
        topics.to_string(),
        format!("{rate:.0}"),
        micros(|costs| costs.poller),
        micros(|costs| costs.nats),
        micros(|costs| costs.gateways),
        format!("{:.0}", each(|costs| costs.into_nats)),
        format!("{:.0}", each(|costs| costs.out_of_nats)),
        format!("{:.1}", each(|costs| costs.messages_in)),
        format!("{:.1}", each(|costs| costs.messages_out)),
        format!("{:.1}", megabytes(after.poller_resident)),
    ]);
    table
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^53 bytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
