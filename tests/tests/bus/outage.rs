//! NATS goes away and comes back: calls fail at once, and everything that waits goes on by itself.

use std::time::Duration;

use e2e::nats::Nats as Server;
use e2e::process::Signal;
use e2e::wait::{PATIENCE, within};
use promcast_proto::tick::Tick;
use promcast_runtime::bus::{Error, Limits};
use tokio::time::Instant;

use crate::rig::{
    address, connect, history, init, is_in_trouble, is_up, job, next, options, publish, result, subscribe,
    take, worker,
};

/// Against a bus that is down, a call fails in much less than this.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Who waits goes on because the connection is back, and not because a wait ran out: those take five seconds and more.
const ON_ITS_OWN: Duration = Duration::from_secs(3);

#[tokio::test]
async fn everything_goes_on_after_the_server_was_killed() {
    let mut server = Server::start().await;
    init(&server, &Limits::default()).await;
    let (bus, other) = (connect(&options(&server)).await, connect(&options(&server)).await);
    assert_eq!((is_up(&bus).await, is_up(&other).await), (1, 1));
    let mut live = subscribe(&bus, 1).await;
    publish(&other, &result(1, 5)).await;
    assert_eq!(next(&mut live).await, Some(5));
    let mut waiting = worker(&other).await;
    let waiting = tokio::spawn(async move { take(&mut waiting).await.job().clone() });

    server.kill().await;
    let trouble = is_in_trouble(&bus, "not connected to nats://127.0.0.2:").await;
    is_in_trouble(&other, "not connected").await;
    assert!(!trouble.contains("looking for"), "{trouble}");
    let since = Instant::now();
    let (update, job) = (result(1, 10), job(1, 15));
    let datasource = job.datasource.clone();
    assert!(matches!(other.publish(&datasource, &update).await, Err(Error::Disconnected)));
    assert!(matches!(bus.ask(&job, 0).await, Err(Error::Disconnected)));
    assert!(matches!(bus.history(job.topic().address(), Tick::MIN).await, Err(Error::Disconnected)));
    assert!(matches!(bus.subscribe(job.topic().address()).await, Err(Error::Disconnected)));
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());

    server.restart().await;
    assert_eq!((is_up(&bus).await, is_up(&other).await), (2, 2));
    assert_eq!(next(&mut live).await, None, "a loss is told");
    assert_eq!(history(&bus, 1).await, [5], "what was stored is there, what failed was not kept for later");
    publish(&other, &update).await;
    assert_eq!(next(&mut live).await, Some(10), "the subscription goes on");
    bus.ask(&job, 0).await.unwrap();
    assert_eq!(within("the job", ON_ITS_OWN, waiting).await.unwrap(), job, "the worker goes on");
}

#[tokio::test]
async fn a_job_in_hand_survives_the_server() {
    let mut server = Server::start().await;
    init(&server, &Limits { ack_wait: Duration::from_secs(1), ..Limits::default() }).await;
    let bus = connect(&options(&server)).await;
    is_up(&bus).await;
    bus.ask(&job(1, 5), 0).await.unwrap();
    let mut worker = worker(&bus).await;
    let taken = take(&mut worker).await;
    server.kill().await;
    is_in_trouble(&bus, "not connected").await;
    assert!(matches!(taken.done().await, Err(Error::Disconnected)));
    server.restart().await;
    is_up(&bus).await;
    let again = take(&mut worker).await;
    assert_eq!(again.job(), &job(1, 5));
    again.done().await.unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_move_holds_nobody_for_long() {
    let server = Server::start().await;
    init(&server, &Limits::default()).await;
    let bus = connect(&options(&server)).await;
    is_up(&bus).await;
    server.pause().await;
    let since = Instant::now();
    let (job, update, address) = (job(1, 5), result(1, 5), address(1));
    let (published, asked, read) = tokio::join!(
        bus.publish(&job.datasource, &update),
        bus.ask(&job, 0),
        bus.history(&address, Tick::MIN)
    );
    assert!(published.is_err() && asked.is_err() && read.is_err());
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
    server.resume();
    is_up(&bus).await;
    // The first try may have had its effect; either way the update is there now.
    publish(&bus, &result(1, 5)).await;
    assert_eq!(history(&bus, 1).await, [5]);
}

#[tokio::test]
async fn a_server_that_comes_later_is_found() {
    let mut server = Server::start().await;
    init(&server, &Limits::default()).await;
    server.kill().await;
    let bus = connect(&options(&server)).await;
    let trouble = is_in_trouble(&bus, "refused").await;
    assert!(trouble.contains(server.url()), "{trouble}");
    server.restart().await;
    assert_eq!(is_up(&bus).await, 1);
}

/// Long enough that a server which shuts down would keep its connections until after the test.
const SLOW_SHUTDOWN: &str = "lame_duck_duration: \"60s\"\nlame_duck_grace_period: \"20s\"\n";

#[tokio::test]
async fn a_server_that_shuts_down_is_left_for_another() {
    let (leaving, mut staying) = (Server::start_with(SLOW_SHUTDOWN).await, Server::start().await);
    init(&leaving, &Limits::default()).await;
    init(&staying, &Limits::default()).await;
    // With the other one down there is no doubt which it connects to.
    staying.kill().await;
    let mut both = options(&leaving);
    both.servers.extend(options(&staying).servers);
    let bus = connect(&both).await;
    assert_eq!(is_up(&bus).await, 1);
    staying.restart().await;
    let mut state = bus.state();
    let since = Instant::now();
    leaving.process().signal(Signal::USR2);
    let left = state.wait_for(|state| state.is_up() && state.generation > 1);
    within("another connection", PATIENCE, left).await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    publish(&bus, &result(1, 5)).await;
}
