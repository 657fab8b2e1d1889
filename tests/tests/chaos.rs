//! One fault after the other on an installation with two hundred viewers, whose whole logs are read: no tick missing, none twice,
//! order kept, every loss told, and nothing later than the fault allows.
#![expect(clippy::print_stdout, reason = "what viewers noticed is worth reading")]

use std::time::Duration;

use e2e::chaos::fault::Fault;
use e2e::chaos::rig::{DRAIN, Rig, Servers, VIEWERS};
use e2e::chaos::verdict::{Verdict, judge};
use e2e::nats::cluster::Cluster;
use e2e::wait::now;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Who is hit, and when. `make chaos` tries others.
const SEED: u64 = 7;

/// Inflicts a fault on an installation with one NATS server, goes on for three intervals, and judges.
async fn survive(fault: Fault) -> Verdict {
    survive_on(Rig::start().await, fault).await
}

async fn survive_on(mut rig: Rig, fault: Fault) -> Verdict {
    let from = now();
    fault.inflict(&mut rig, &mut StdRng::seed_from_u64(SEED)).await;
    let until = now().plus_millis(15_000);
    rig.reach(until).await;
    let verdict = judge(&rig.journals(), (from, until), fault.allowed());
    assert!(verdict.complaints.is_empty(), "{}: {verdict}", fault.name());
    println!("{}: {verdict}", fault.name());
    verdict
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_is_killed() {
    survive(Fault::KillGateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_are_replaced_one_after_the_other() {
    let verdict = survive(Fault::RollGateways).await;
    // All viewers are with the second gateway when it goes. Slots at either end of a second may be partly in it, and
    // viewers come back after 1 to 1.25 s, so what ended in 1.25 s may begin again within one.
    let share = VIEWERS / usize::try_from(DRAIN.as_secs()).expect("a short drain");
    assert!(verdict.ended_in_a_second <= share + 2, "{verdict}");
    assert!(verdict.opened_in_a_second <= share * 5 / 4 + 2, "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poller_is_killed() {
    survive(Fault::KillPoller).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poller_freezes() {
    survive(Fault::FreezePoller).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poller_leaves() {
    survive(Fault::TermPoller).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_is_killed() {
    survive(Fault::KillNats).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_of_nats_is_lost() {
    survive(Fault::WipeNats).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_is_cut_off() {
    survive(Fault::CutGateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_falls_silent() {
    survive(Fault::SilenceGateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_slow() {
    survive(Fault::DelayGateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poller_joins_and_one_leaves() {
    survive(Fault::JoinAndLeave).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_is_ahead() {
    let verdict = survive(Fault::ClockAhead).await;
    assert!(verdict.earliest > Duration::from_secs(1), "the clock was not ahead: {verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_is_slow() {
    survive(Fault::SlowUpstream).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_of_three_nats_servers_is_killed() {
    let rig = Rig::start_over(Servers::Three(Cluster::start().await)).await;
    survive_on(rig, Fault::KillLeader).await;
}
