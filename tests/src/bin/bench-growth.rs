//! `bench-growth [connections|topics|series|replicas]…`: how processor time and memory grow with each, the laws that fit, and
//! pictures in `docs/images`.
//!
//! The gateways have a core to themselves; NATS, poller, upstream and clients share the other one.
#![expect(clippy::expect_used, reason = "a program for a developer's terminal")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use e2e::growth::Curve;
use e2e::measure::number;
use e2e::measure::report::Report;
use e2e::part::{Crowd, Part};
use e2e::rig::{Cores, Costs, Rig};
use tokio::time::sleep;

const CORES: Cores = Cores { gateway: "0", poller: "1", other: "1" };

/// Seconds from tick to tick, where it matters little.
const QUICK: u16 = 5;

/// Where it is the default's cost that matters.
const USUAL: u16 = 15;

/// Topics on one connection: as many as there may be.
const TOPICS_EACH: usize = 32;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |what: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == what);
    let mut report = Report::new("bench-growth");
    if wanted("connections") {
        tell(&mut report, &connections().await);
    }
    if wanted("topics") {
        tell(&mut report, &topics().await);
    }
    if wanted("series") {
        tell(&mut report, &series().await);
    }
    if wanted("replicas") {
        tell(&mut report, &replicas().await);
    }
    report.notes.push("CPU in ms of one core per tick of everything; memory is resident, in MB.".to_owned());
    report.finish()
}

fn tell(report: &mut Report, curve: &Curve) {
    curve.tell(report);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images");
    for (unit, title) in [("ms", "Processor time per tick"), ("MB", "Memory")] {
        if curve.costs.iter().any(|cost| cost.name.ends_with(unit)) {
            let file = folder.join(format!("growth-{}-{}.svg", curve.name, unit.to_lowercase()));
            std::fs::write(file, curve.picture(title, unit)).expect("a picture can be written");
        }
    }
}

/// What some ticks cost, after some that do not count.
struct Cost {
    before: Costs,
    after: Costs,
    interval: u16,
}

impl Cost {
    async fn of(rig: &Rig, clients: &Part, interval: u16, settle: u16, measure: u16) -> Self {
        let ticks = |count: u16| sleep(Duration::from_secs(u64::from(count * interval)));
        ticks(settle).await;
        clients.read().await;
        let before = rig.costs().await;
        ticks(measure).await;
        let after = rig.costs().await;
        clients.read().await;
        Self { before, after, interval }
    }

    /// Milliseconds of processor time for each tick.
    fn millis(&self, of: impl Fn(&Costs) -> Duration) -> f64 {
        10.0 * self.after.share(&self.before, of) * f64::from(self.interval)
    }

    /// Megabytes at the end.
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^53 bytes")]
    fn megabytes(&self, of: impl Fn(&Costs) -> u64) -> f64 {
        of(&self.after) as f64 / 1e6
    }
}

async fn connections() -> Curve {
    let mut curve = Curve::new(
        "connections",
        "connections, all of one topic at 5 s, 2 KB",
        &["gateway, ms", "gateway, MB"],
    );
    for connections in [100, 1_000, 3_000, 10_000] {
        let upstream = Part::upstream(CORES.other, 8).await;
        let rig = Rig::start(CORES, &upstream.url(), &[]).await;
        let clients = rig.clients(Crowd { connections, topics: 1, of: 1, interval: QUICK }).await;
        let cost = Cost::of(&rig, &clients, QUICK, 1, 3).await;
        let costs = [cost.millis(|costs| costs.gateways), cost.megabytes(|costs| costs.gateways_resident)];
        curve.point(number(connections), &costs);
    }
    curve
}

async fn topics() -> Curve {
    let names = ["gateway, ms", "poller, ms", "NATS, ms", "gateway, MB", "poller, MB", "NATS, MB"];
    let mut curve =
        Curve::new("topics", "topics at 15 s, 32 on a connection, each with one reader, 2 KB", &names);
    for topics in [320, 1_600, 9_600] {
        let upstream = Part::upstream(CORES.other, 8).await;
        let rig = Rig::start(CORES, &upstream.url(), &[]).await;
        let connections = topics / TOPICS_EACH;
        let clients =
            rig.clients(Crowd { connections, topics: TOPICS_EACH, of: topics, interval: USUAL }).await;
        let cost = Cost::of(&rig, &clients, USUAL, 1, 1).await;
        curve.point(
            number(topics),
            &[
                cost.millis(|costs| costs.gateways),
                cost.millis(|costs| costs.poller),
                cost.millis(|costs| costs.nats),
                cost.megabytes(|costs| costs.gateways_resident),
                cost.megabytes(|costs| costs.poller_resident),
                cost.megabytes(|costs| costs.nats_resident),
            ],
        );
    }
    curve
}

async fn series() -> Curve {
    let names = ["gateway, ms", "poller, ms", "gateway, MB", "poller, MB"];
    let mut curve =
        Curve::new("series", "series in each of 10 topics at 5 s, 10 connections of each", &names);
    for series in [8, 64, 512, 3_000] {
        let upstream = Part::upstream(CORES.other, series).await;
        let rig = Rig::start(CORES, &upstream.url(), &[]).await;
        let clients = rig.clients(Crowd { connections: 100, topics: 1, of: 10, interval: QUICK }).await;
        let cost = Cost::of(&rig, &clients, QUICK, 1, 2).await;
        curve.point(
            number(series),
            &[
                cost.millis(|costs| costs.gateways),
                cost.millis(|costs| costs.poller),
                cost.megabytes(|costs| costs.gateways_resident),
                cost.megabytes(|costs| costs.poller_resident),
            ],
        );
    }
    curve
}

async fn replicas() -> Curve {
    let names = ["all gateways, ms", "NATS, ms", "poller, ms", "all gateways, MB"];
    let mut curve = Curve::new(
        "replicas",
        "gateways that all stream the same 96 topics at 5 s to 30 connections each",
        &names,
    );
    for count in [1, 2, 4] {
        let upstream = Part::upstream(CORES.other, 8).await;
        let mut rig = Rig::start(CORES, &upstream.url(), &[]).await;
        for _ in 1..count {
            rig.add_gateway().await;
        }
        // The topics of connections repeat after three; connections go to the gateways in turn.
        let crowd =
            Crowd { connections: 30 * count, topics: TOPICS_EACH, of: 3 * TOPICS_EACH, interval: QUICK };
        let clients = rig.clients(crowd).await;
        let cost = Cost::of(&rig, &clients, QUICK, 1, 2).await;
        curve.point(
            number(count),
            &[
                cost.millis(|costs| costs.gateways),
                cost.millis(|costs| costs.nats),
                cost.millis(|costs| costs.poller),
                cost.megabytes(|costs| costs.gateways_resident),
            ],
        );
    }
    curve
}
