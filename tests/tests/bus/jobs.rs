//! The promises about jobs, as functions that hold for any kind of bus.

use std::time::Duration;

use e2e::wait::{PATIENCE, within};
use promcast_runtime::bus::{Accepted, Limits};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::rig::{Kind, job, other_datasource, passed, take, topic, try_take, worker};

const ACK_WAIT: Duration = Duration::from_secs(1);

/// Long enough for a job to come that is there to be had, short against [`ACK_WAIT`].
const SOON: Duration = Duration::from_millis(400);

fn limits() -> Limits {
    Limits { ack_wait: ACK_WAIT, ..Limits::default() }
}

pub(crate) async fn a_second_ask_for_a_tick_is_a_duplicate<K: Kind>() {
    let rig = K::start(limits()).await;
    assert_eq!(rig.bus.ask(&job(1, 5), 0).await.unwrap(), Accepted::Queued);
    assert_eq!(rig.other.ask(&job(1, 5), 0).await.unwrap(), Accepted::Duplicate);
    take(&mut worker(&rig.bus).await).await.done().await.unwrap();
    assert_eq!(rig.other.ask(&job(1, 5), 0).await.unwrap(), Accepted::Duplicate);
    assert_eq!(rig.other.ask(&job(1, 5), 1).await.unwrap(), Accepted::Queued);
    assert_eq!(rig.bus.ask(&job(1, 5), 1).await.unwrap(), Accepted::Duplicate);
}

pub(crate) async fn a_duplicate_is_forgotten_after_a_while<K: Kind>() {
    let rig = K::start(Limits { job_dedupe: ACK_WAIT, ..limits() }).await;
    assert_eq!(rig.bus.ask(&job(1, 5), 0).await.unwrap(), Accepted::Queued);
    take(&mut worker(&rig.bus).await).await.done().await.unwrap();
    assert_eq!(rig.bus.ask(&job(1, 5), 0).await.unwrap(), Accepted::Duplicate);
    let asked = Instant::now();
    while rig.bus.ask(&job(1, 5), 0).await.unwrap() == Accepted::Duplicate {
        assert!(asked.elapsed() < ACK_WAIT * 4);
        sleep(ACK_WAIT / 10).await;
    }
    assert!(asked.elapsed() > ACK_WAIT / 2);
}

pub(crate) async fn a_topic_is_busy_until_its_job_is_done<K: Kind>() {
    let rig = K::start(limits()).await;
    assert_eq!(rig.bus.ask(&job(1, 5), 0).await.unwrap(), Accepted::Queued);
    assert_eq!(rig.other.ask(&job(1, 10), 0).await.unwrap(), Accepted::Busy);
    assert_eq!(rig.other.ask(&job(2, 10), 0).await.unwrap(), Accepted::Queued);
    let mut worker = worker(&rig.other).await;
    let taken = take(&mut worker).await;
    assert_eq!(taken.job(), &job(1, 5));
    assert_eq!(rig.bus.ask(&job(1, 10), 0).await.unwrap(), Accepted::Busy);
    taken.done().await.unwrap();
    assert_eq!(rig.bus.ask(&job(1, 10), 0).await.unwrap(), Accepted::Queued);
}

pub(crate) async fn a_job_that_is_done_does_not_come_again<K: Kind>() {
    let rig = K::start(limits()).await;
    rig.bus.ask(&job(1, 5), 0).await.unwrap();
    let mut worker = worker(&rig.other).await;
    take(&mut worker).await.done().await.unwrap();
    assert!(try_take(&mut worker, ACK_WAIT * 2).await.is_none());
}

pub(crate) async fn a_worker_that_waits_gets_the_job<K: Kind>() {
    let rig = K::start(limits()).await;
    let mut worker = worker(&rig.other).await;
    let (taken, asked) = tokio::join!(take(&mut worker), async {
        sleep(SOON).await;
        rig.bus.ask(&job(1, 5), 0).await.unwrap();
        Instant::now()
    });
    assert_eq!(taken.job(), &job(1, 5));
    assert!(asked.elapsed() < SOON);
}

pub(crate) async fn a_silent_worker_loses_its_job<K: Kind>() {
    let rig = K::start(limits()).await;
    rig.bus.ask(&job(1, 5), 0).await.unwrap();
    let lost = take(&mut worker(&rig.bus).await).await;
    let since = Instant::now();
    let again = take(&mut worker(&rig.other).await).await;
    assert_eq!(again.job(), lost.job());
    assert!(since.elapsed() > ACK_WAIT * 8 / 10, "{:?}", since.elapsed());
    assert!(since.elapsed() < ACK_WAIT * 3, "{:?}", since.elapsed());
    // Done counts, whoever says it.
    lost.done().await.unwrap();
    assert_eq!(rig.bus.ask(&job(1, 10), 0).await.unwrap(), Accepted::Queued);
    again.done().await.unwrap();
    assert_eq!(
        rig.bus.ask(&job(1, 15), 0).await.unwrap(),
        Accepted::Busy,
        "another job is not touched by it"
    );
}

pub(crate) async fn progress_keeps_a_job<K: Kind>() {
    let rig = K::start(limits()).await;
    rig.bus.ask(&job(1, 5), 0).await.unwrap();
    let kept = take(&mut worker(&rig.bus).await).await;
    let mut rival = worker(&rig.other).await;
    let work = async {
        for _ in 0..10 {
            sleep(ACK_WAIT / 4).await;
            kept.progress().await.unwrap();
        }
    };
    tokio::select! {
        _ = rival.next() => panic!("another worker got the job"),
        () = work => {}
    }
    kept.done().await.unwrap();
    assert!(try_take(&mut rival, ACK_WAIT * 2).await.is_none());
}

pub(crate) async fn a_job_given_back_goes_to_another_at_once<K: Kind>() {
    let rig = K::start(limits()).await;
    rig.bus.ask(&job(1, 5), 0).await.unwrap();
    let taken = take(&mut worker(&rig.bus).await).await;
    let mut rival = worker(&rig.other).await;
    let (again, released) = tokio::join!(take(&mut rival), async {
        sleep(SOON / 4).await;
        taken.release().await.unwrap();
        Instant::now()
    });
    assert_eq!(again.job(), &job(1, 5));
    assert!(released.elapsed() < SOON, "{:?}", released.elapsed());
}

pub(crate) async fn who_waits_gets_the_job_of_who_falls_silent<K: Kind>() {
    let rig = K::start(limits()).await;
    let mut waiting = JoinSet::new();
    for mut worker in [worker(&rig.bus).await, worker(&rig.other).await] {
        waiting.spawn(async move { take(&mut worker).await.job().clone() });
    }
    sleep(SOON / 4).await;
    rig.bus.ask(&job(1, 5), 0).await.unwrap();
    let since = Instant::now();
    assert_eq!(waiting.join_next().await.unwrap().unwrap(), job(1, 5));
    assert!(since.elapsed() < SOON);
    assert_eq!(waiting.join_next().await.unwrap().unwrap(), job(1, 5));
    assert!(since.elapsed() > ACK_WAIT * 8 / 10, "{:?}", since.elapsed());
    assert!(since.elapsed() < ACK_WAIT * 3, "{:?}", since.elapsed());
}

pub(crate) async fn no_more_are_worked_on_than_the_limit<K: Kind>() {
    let rig = K::start(Limits { in_flight: 2, ack_wait: ACK_WAIT * 5, ..limits() }).await;
    for n in 0..3 {
        rig.bus.ask(&job(n, 5), 0).await.unwrap();
    }
    let (mut here, mut there) = (worker(&rig.bus).await, worker(&rig.other).await);
    let first = take(&mut here).await;
    let _second = take(&mut there).await;
    assert!(try_take(&mut here, SOON).await.is_none());
    passed(&rig.bus).await;
    let (third, ()) = tokio::join!(take(&mut there), async {
        sleep(SOON / 4).await;
        first.done().await.unwrap();
    });
    assert_eq!(third.job(), &job(2, 5));
}

pub(crate) async fn a_job_is_given_up_and_frees_its_topic_when_too_old<K: Kind>() {
    let age = ACK_WAIT * 4;
    let rig = K::start(Limits { job_age: age, job_dedupe: age, deliveries: 2, ..limits() }).await;
    let asked = Instant::now();
    rig.bus.ask(&job(1, 5), 0).await.unwrap();
    let mut worker = worker(&rig.bus).await;
    drop(take(&mut worker).await);
    drop(take(&mut worker).await);
    assert!(try_take(&mut worker, ACK_WAIT * 3 / 2).await.is_none(), "delivered a third time");
    while rig.bus.ask(&job(1, 10), 0).await.unwrap() == Accepted::Busy {
        assert!(asked.elapsed() < age * 2, "the topic is stuck");
        sleep(ACK_WAIT / 10).await;
    }
    assert!(asked.elapsed() > age * 8 / 10);
    assert_eq!(take(&mut worker).await.job(), &job(1, 10));
}

pub(crate) async fn a_job_that_nobody_took_is_forgotten<K: Kind>() {
    let rig = K::start(Limits { job_age: ACK_WAIT, job_dedupe: ACK_WAIT, ..limits() }).await;
    rig.bus.ask(&job(1, 5), 0).await.unwrap();
    sleep(ACK_WAIT * 5 / 2).await;
    assert!(try_take(&mut worker(&rig.bus).await, SOON).await.is_none());
}

pub(crate) async fn a_wait_that_is_dropped_takes_no_job<K: Kind>() {
    let rig = K::start(Limits { ack_wait: ACK_WAIT * 10, ..limits() }).await;
    let mut impatient = worker(&rig.bus).await;
    for n in 0..10 {
        assert!(try_take(&mut impatient, SOON / 20).await.is_none());
        passed(&rig.bus).await;
        rig.bus.ask(&job(n, 5), 0).await.unwrap();
        let taken = try_take(&mut worker(&rig.other).await, SOON).await.expect("the job is to be had");
        assert_eq!(taken.job(), &job(n, 5));
        taken.done().await.unwrap();
    }
}

pub(crate) async fn the_oldest_comes_first<K: Kind>() {
    let rig = K::start(limits()).await;
    for n in 0..10 {
        rig.bus.ask(&job(n, 5), 0).await.unwrap();
    }
    let mut worker = worker(&rig.other).await;
    for n in 0..10 {
        let taken = take(&mut worker).await;
        assert_eq!(taken.job(), &job(n, 5));
        taken.done().await.unwrap();
    }
}

pub(crate) async fn two_workers_share_one_queue<K: Kind>() {
    const JOBS: usize = 60;
    let rig = K::start(limits()).await;
    let mut workers = JoinSet::new();
    for mut worker in [worker(&rig.bus).await, worker(&rig.other).await] {
        workers.spawn(async move {
            let mut done = Vec::new();
            while let Some(taken) = try_take(&mut worker, ACK_WAIT * 3).await {
                done.push(taken.job().topic().key());
                // The work itself: while one is at it, the other takes the next.
                sleep(Duration::from_millis(2)).await;
                taken.done().await.unwrap();
            }
            done
        });
    }
    for n in 0..JOBS {
        rig.bus.ask(&job(n, 5), 0).await.unwrap();
        tokio::task::yield_now().await;
    }
    let shares = within("the workers", PATIENCE, workers.join_all()).await;
    assert!(shares.iter().all(|share| !share.is_empty()), "one did nothing");
    let mut done = shares.concat();
    done.sort_unstable();
    let mut asked: Vec<_> = (0..JOBS).map(|n| topic(n).key()).collect();
    asked.sort_unstable();
    assert_eq!(done, asked, "each job once");
}

pub(crate) async fn a_queue_holds_the_jobs_of_one_datasource<K: Kind>() {
    let rig = K::start(limits()).await;
    rig.bus.ask(&job(1, 5), 0).await.unwrap();
    let mut elsewhere = rig.other.jobs(&other_datasource()).await.unwrap();
    assert!(try_take(&mut elsewhere, SOON).await.is_none());
    take(&mut worker(&rig.other).await).await.done().await.unwrap();
}
