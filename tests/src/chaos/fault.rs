//! The faults: what is done to the installation, and what viewers may notice of it.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::path::Condition;
use super::rig::Rig;
use crate::http;
use crate::nats::cluster::Part;
use crate::process::Signal;
use crate::programs::sum;
use crate::wait::{PATIENCE, until};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL for a gateway, which comes back after some seconds.
    KillGateway,
    /// SIGTERM for one gateway after the other.
    RollGateways,
    /// SIGKILL for a poller, which comes back after some seconds.
    KillPoller,
    /// SIGSTOP for a poller, SIGCONT after 20 s.
    FreezePoller,
    /// SIGTERM for a poller, which comes back after some seconds.
    TermPoller,
    /// SIGKILL for nats-server, which is down for 5 s.
    KillNats,
    /// The same, and its store is wiped meanwhile; an operator runs `init`.
    WipeNats,
    /// The connections of a gateway to NATS are reset for 15 s.
    CutGateway,
    /// The way of a gateway to NATS is silent for 30 s, and no end is told.
    SilenceGateway,
    /// The way of a gateway to NATS is slow for 15 s.
    DelayGateway,
    /// A third poller joins, and then one leaves.
    JoinAndLeave,
    /// The clock of a gateway is two seconds ahead.
    ClockAhead,
    /// An upstream answers after nine seconds.
    SlowUpstream,
    /// SIGKILL for the one of three NATS servers that leads the updates, which comes back after some seconds.
    KillLeader,
}

/// How long queries of the slow upstream run while a poller is hit, so that it is hit at work.
const BUSY: Duration = Duration::from_secs(2);

/// What viewers may notice of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// How late a tick may come.
    pub late: Duration,
    /// How late where the upstream is the slow one.
    pub late_of_slow: Duration,
    /// Whether streams may end.
    pub reconnect: bool,
    /// Whether those of the slow upstream may be told that ticks passed while a query ran.
    pub stretched: bool,
}

impl Fault {
    /// Every fault of an installation with one NATS server.
    pub const ALL: [Self; 13] = [
        Self::KillGateway,
        Self::RollGateways,
        Self::KillPoller,
        Self::FreezePoller,
        Self::TermPoller,
        Self::KillNats,
        Self::WipeNats,
        Self::CutGateway,
        Self::SilenceGateway,
        Self::DelayGateway,
        Self::JoinAndLeave,
        Self::ClockAhead,
        Self::SlowUpstream,
    ];

    /// What it is called in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::KillGateway => "SIGKILL a gateway",
            Self::RollGateways => "rolling SIGTERM of both gateways",
            Self::KillPoller => "SIGKILL a poller",
            Self::FreezePoller => "SIGSTOP a poller for 20 s",
            Self::TermPoller => "SIGTERM a poller",
            Self::KillNats => "SIGKILL nats-server, 5 s down",
            Self::WipeNats => "SIGKILL nats-server, its store wiped",
            Self::CutGateway => "a gateway cut off from NATS for 15 s",
            Self::SilenceGateway => "a silent link to NATS for 30 s",
            Self::DelayGateway => "a link to NATS with 300 ms each way for 15 s",
            Self::JoinAndLeave => "a third poller joins, one leaves",
            Self::ClockAhead => "a gateway's clock 2 s ahead",
            Self::SlowUpstream => "9 s answers at a 5 s interval",
            Self::KillLeader => "SIGKILL the leader of three nats-servers",
        }
    }

    /// What viewers may notice.
    pub fn allowed(self) -> Allowed {
        let late = Duration::from_secs(match self {
            // On time, as a machine that also runs two hundred viewers has it.
            Self::TermPoller | Self::JoinAndLeave | Self::SlowUpstream => 1,
            // The clock itself makes nothing late; the restarts that set it cost a reconnect each.
            Self::DelayGateway | Self::ClockAhead => 3,
            Self::KillPoller | Self::FreezePoller => 5,
            // A retry of up to three seconds, and what the load balancer needs to notice.
            Self::KillGateway | Self::RollGateways => 6,
            // The outage, and ten seconds after it.
            Self::KillNats => 5 + 10,
            Self::KillLeader => 15,
            Self::WipeNats => 10 + 10,
            Self::CutGateway => 15 + 10,
            Self::SilenceGateway => 30 + 10,
        });
        let slow = self == Self::SlowUpstream;
        Allowed {
            late,
            late_of_slow: if slow { Duration::from_secs(20) } else { late + BUSY },
            reconnect: matches!(self, Self::KillGateway | Self::RollGateways | Self::ClockAhead),
            stretched: slow,
        }
    }

    /// Does it, and puts everything back. Who is hit and when is by the dice.
    pub async fn inflict(self, rig: &mut Rig, dice: &mut StdRng) {
        let number = dice.random_range(0..2);
        // Anywhere in an interval.
        sleep(Duration::from_millis(dice.random_range(0..5_000))).await;
        match self {
            Self::KillGateway => {
                rig.gateways[number].gateway.process.kill().await;
                some_seconds(dice).await;
                rig.restart_gateway(number).await;
            }
            Self::RollGateways => roll(rig, dice).await,
            Self::KillPoller => {
                until_busy(rig, number).await;
                rig.pollers.remove(number).process.kill().await;
                some_seconds(dice).await;
                rig.add_poller().await;
            }
            Self::FreezePoller => {
                until_busy(rig, number).await;
                let poller = &rig.pollers[number].process;
                poller.signal(Signal::STOP);
                sleep(Duration::from_secs(20)).await;
                poller.signal(Signal::CONT);
            }
            Self::TermPoller => {
                until_busy(rig, number).await;
                term_poller(rig, number).await;
                some_seconds(dice).await;
                rig.add_poller().await;
            }
            Self::KillNats => {
                rig.nats().kill().await;
                sleep(Duration::from_secs(5)).await;
                rig.nats().restart().await;
            }
            Self::KillLeader => kill_leader(rig, dice).await,
            Self::WipeNats => wipe(rig).await,
            Self::CutGateway => impair(rig, number, Condition::Cut, 15).await,
            Self::SilenceGateway => impair(rig, number, Condition::Silent, 30).await,
            Self::DelayGateway => impair(rig, number, Condition::Open(Duration::from_millis(300)), 15).await,
            Self::JoinAndLeave => join_and_leave(rig, number).await,
            Self::ClockAhead => put_clock_ahead(rig, number).await,
            Self::SlowUpstream => {
                rig.set_delay(Duration::from_secs(9));
                sleep(Duration::from_secs(40)).await;
            }
        }
        rig.set_delay(Duration::ZERO);
    }
}

async fn roll(rig: &mut Rig, dice: &mut StdRng) {
    for number in 0..2 {
        rig.term_gateway(number).await;
        rig.restart_gateway(number).await;
        some_seconds(dice).await;
    }
}

async fn kill_leader(rig: &mut Rig, dice: &mut StdRng) {
    rig.cluster().settled().await;
    let leader = rig.cluster().leader(Part::Stream("RESULTS")).await;
    rig.cluster().kill(leader).await;
    some_seconds(dice).await;
    rig.cluster().restart(leader).await;
    rig.cluster().settled().await;
}

async fn put_clock_ahead(rig: &mut Rig, number: usize) {
    rig.term_gateway(number).await;
    rig.restart_gateway_ahead(number, 2).await;
    sleep(Duration::from_secs(20)).await;
    rig.term_gateway(number).await;
    rig.restart_gateway(number).await;
}

/// Returns while this poller runs a query that will run for a while.
async fn until_busy(rig: &Rig, number: usize) {
    rig.set_delay(BUSY);
    let metrics = rig.pollers[number].admin("/metrics");
    until("the poller is at work", PATIENCE, || async {
        let running = sum(&http::get(&metrics).await.body, "promcast_poller_queries_in_flight");
        (running > 0.0).then_some(())
    })
    .await;
}

/// Something is wrong with the way of a gateway to NATS for so many seconds.
async fn impair(rig: &Rig, number: usize, condition: Condition, seconds: u64) {
    let path = rig.gateways[number].path.as_ref().expect("a way to one server");
    path.set(condition);
    let over = sleep(Duration::from_secs(seconds));
    if !matches!(condition, Condition::Open(_)) {
        // Nobody tells of a silent link: it must be noticed within 15 s.
        rig.readiness(number, 503, Duration::from_secs(15)).await;
    }
    over.await;
    path.set(Condition::Open(Duration::ZERO));
    rig.readiness(number, 200, PATIENCE).await;
}

/// Between two and eight.
async fn some_seconds(dice: &mut StdRng) {
    sleep(Duration::from_millis(dice.random_range(2_000..8_000))).await;
}

async fn term_poller(rig: &mut Rig, number: usize) {
    let mut poller = rig.pollers.remove(number);
    poller.process.signal(Signal::TERM);
    let status = poller.process.exit(PATIENCE).await;
    assert!(status.success(), "a poller that is told to go ends well: {status}");
}

/// The store is lost: gateways say so until somebody has run `init`.
async fn wipe(rig: &mut Rig) {
    rig.nats().kill().await;
    rig.nats().wipe();
    sleep(Duration::from_secs(5)).await;
    rig.nats().restart().await;
    let url = rig.gateways[0].gateway.admin("/-/ready");
    until("a gateway says that a stream is missing", PATIENCE, || async {
        let answer = http::get(&url).await;
        (answer.status == 503 && answer.body.contains("run `promcast-gateway init`")).then_some(())
    })
    .await;
    rig.init().await;
    rig.readiness(0, 200, PATIENCE).await;
}

/// Over a minute, Prometheus sees no more queries than it would without.
async fn join_and_leave(rig: &mut Rig, number: usize) {
    let (before, began) = (rig.prometheus.queries().await, tokio::time::Instant::now());
    sleep(Duration::from_secs(20)).await;
    rig.add_poller().await;
    sleep(Duration::from_secs(20)).await;
    term_poller(rig, number).await;
    tokio::time::sleep_until(began + Duration::from_secs(60)).await;
    let (asked, necessary) = (rig.prometheus.queries().await - before, 12 * rig.queries_per_tick());
    assert!(asked * 20 <= necessary * 21, "{asked} queries in a minute, where {necessary} are necessary");
}
