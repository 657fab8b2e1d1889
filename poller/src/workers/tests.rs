//! Jobs through a real bus to a real server and back.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use promcast_proto::ask::{Answer, Ask};
use promcast_proto::code::ErrorCode;
use promcast_proto::control::{Control, Reply};
use promcast_proto::job::Job;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Address;
use promcast_proto::update::Outcome;
use promcast_runtime::bus::embedded::Embedded;
use promcast_runtime::bus::{Accepted, Asked, Event, Limits, Question, State, Stored, Subscription};
use promcast_runtime::lifecycle::Lifecycle;
use tokio::sync::{Semaphore, mpsc, watch};

use super::*;
use crate::stub::{Stub, UP, say};

const NOW: Tick = Tick::MIN;

fn job(query: &str) -> Job {
    Job { datasource: Name::default(), query: query.to_owned(), tick: NOW, timeout_ms: 10_000 }
}

fn embedded() -> Arc<dyn Bus> {
    Arc::new(Embedded::new(Limits::default()))
}

/// Workers on this bus, and the life that ends them.
fn start(bus: &Arc<dyn Bus>, toml: &str) -> Lifecycle {
    let nothing: [(&str, &str); 0] = [];
    let document: toml::Table = toml::from_str(toml).unwrap();
    let builder = <Datasources as conf::Conf>::conf_builder().args(["x"]).env(nothing);
    let datasources = builder.doc("x", document).try_parse().unwrap();
    let lifecycle = Lifecycle::new(Duration::from_secs(20)).unwrap();
    let registry = ::prometheus::Registry::new();
    let clock = Clock::starting_at(NOW);
    let workers = Workers::start(bus, &datasources, &clock, &registry, lifecycle.tasks()).unwrap();
    assert_eq!(workers.datasources(), [Name::default()]);
    lifecycle
}

fn section(stub: &Stub, more: &str) -> String {
    format!("[datasource.default]\nurl = 'http://{}'\n{more}", stub.address)
}

/// Asks for a job and hands out where its update will come.
async fn ask(bus: &Arc<dyn Bus>, query: &str) -> Subscription {
    let job = job(query);
    let updates = bus.subscribe(job.topic().address()).await.unwrap();
    assert_eq!(bus.ask(&job, 0).await.unwrap(), Accepted::Queued);
    updates
}

async fn next(updates: &mut Subscription) -> Update {
    match updates.next().await {
        Some(Event::Update(update, _)) => update,
        other => panic!("{other:?}"),
    }
}

/// A server whose answers wait for a permit, and the number of those that wait at once.
struct Gated {
    stub: Stub,
    gate: Arc<Semaphore>,
    waiting: watch::Receiver<usize>,
}

async fn gated() -> Gated {
    let gate = Arc::new(Semaphore::new(0));
    let (count, waiting) = watch::channel(0);
    let (count, inner) = (Arc::new(count), Arc::clone(&gate));
    let stub = Stub::playing(move |_| {
        let (gate, count) = (Arc::clone(&inner), Arc::clone(&count));
        Box::pin(async move {
            count.send_modify(|count| *count += 1);
            gate.acquire().await.unwrap().forget();
            count.send_modify(|count| *count -= 1);
            say(200, UP)
        })
    })
    .await;
    Gated { stub, gate, waiting }
}

#[tokio::test]
async fn a_job_is_answered_on_the_bus_and_acknowledged() {
    let (bus, stub) = (embedded(), Stub::saying(200, UP).await);
    let _lifecycle = start(&bus, &section(&stub, ""));
    let update = next(&mut ask(&bus, "up").await).await;
    assert!(matches!(update.outcome, Outcome::Result(_)));
    assert_eq!(bus.history(job("up").topic().address(), Tick::MIN).await.unwrap(), [update]);
    // The topic's place in the queue becomes free: its next tick can be asked for.
    let later = Job { tick: NOW.plus_millis(5_000), ..job("up") };
    while bus.ask(&later, 0).await.unwrap() == Accepted::Busy {
        tokio::task::yield_now().await;
    }
    let first = |asked: &&crate::stub::Asked| asked.form[1] == ("time".to_owned(), NOW.as_seconds());
    assert_eq!(stub.asked().iter().filter(first).count(), 1);
}

#[tokio::test]
async fn a_failure_is_an_update_too() {
    let (bus, stub) = (embedded(), Stub::saying(400, "nonsense").await);
    let _lifecycle = start(&bus, &section(&stub, ""));
    let update = next(&mut ask(&bus, "up").await).await;
    let Outcome::Failure(failure) = update.outcome else { panic!("{update:?}") };
    assert_eq!(failure.code, ErrorCode::Malformed);
}

#[tokio::test]
async fn no_more_queries_run_at_once_than_allowed_and_the_rest_waits_on_the_bus() {
    let (bus, mut gated) = (embedded(), gated().await);
    let _lifecycle = start(&bus, &section(&gated.stub, "max_concurrent = 2"));
    let mut topics = Vec::new();
    for query in ["a", "b", "c", "d", "e"] {
        topics.push(ask(&bus, query).await);
    }
    gated.waiting.wait_for(|waiting| *waiting == 2).await.unwrap();
    // What this poller has no room for is there for another.
    let other = bus.jobs(&Name::default()).await.unwrap().next().await.unwrap();
    other.release().await.unwrap();
    assert_eq!(gated.stub.asked().len(), 2);
    gated.gate.add_permits(5);
    for updates in &mut topics {
        next(updates).await;
    }
    assert_eq!(gated.stub.asked().len(), 5);
}

#[tokio::test]
async fn a_query_that_takes_longer_than_the_bus_waits_is_run_once() {
    let limits = Limits { ack_wait: Duration::from_millis(1_300), ..Limits::default() };
    let bus: Arc<dyn Bus> = Arc::new(Embedded::new(limits));
    let stub = Stub::playing(|_| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(3_200)).await;
            say(200, UP)
        })
    })
    .await;
    let _lifecycle = start(&bus, &section(&stub, ""));
    next(&mut ask(&bus, "up").await).await;
    assert_eq!(stub.asked().len(), 1);
}

#[tokio::test]
async fn on_the_soft_token_what_runs_is_finished_and_nothing_more_is_taken() {
    let (bus, mut gated) = (embedded(), gated().await);
    let lifecycle = start(&bus, &section(&gated.stub, ""));
    let mut running = ask(&bus, "running").await;
    gated.waiting.wait_for(|waiting| *waiting == 1).await.unwrap();
    lifecycle.tasks().soft().cancel();
    let end = async {
        // The loop must have seen the token before the next job comes.
        tokio::task::yield_now().await;
        let _late = ask(&bus, "late").await;
        gated.gate.add_permits(1);
        next(&mut running).await
    };
    let (code, update) = tokio::join!(lifecycle.run(), end);
    assert_eq!(code, ExitCode::SUCCESS);
    assert!(matches!(update.outcome, Outcome::Result(_)));
    assert_eq!(gated.stub.asked().len(), 1);
    let left = bus.jobs(&Name::default()).await.unwrap().next().await.unwrap();
    assert_eq!(left.job().query, "late");
}

/// A bus that is away for the first few calls of `publish` and of `jobs`.
struct Flaky {
    bus: Arc<dyn Bus>,
    refusals: AtomicUsize,
    closed: AtomicUsize,
}

fn refuse(left: &AtomicUsize) -> Result<(), bus::Error> {
    match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
        Ok(_) => Err(bus::Error::Disconnected),
        Err(_) => Ok(()),
    }
}

#[async_trait]
impl Bus for Flaky {
    fn state(&self) -> watch::Receiver<State> {
        self.bus.state()
    }

    fn system(&self) -> &'static str {
        self.bus.system()
    }

    async fn ask(&self, job: &Job, attempt: u32) -> Result<Accepted, bus::Error> {
        self.bus.ask(job, attempt).await
    }

    async fn jobs(&self, datasource: &Name) -> Result<Box<dyn Jobs>, bus::Error> {
        refuse(&self.closed)?;
        self.bus.jobs(datasource).await
    }

    async fn publish(&self, datasource: &Name, update: &Update) -> Result<Stored, bus::Error> {
        refuse(&self.refusals)?;
        self.bus.publish(datasource, update).await
    }

    async fn subscribe(&self, address: &Address) -> Result<Subscription, bus::Error> {
        self.bus.subscribe(address).await
    }

    async fn history(&self, address: &Address, since: Tick) -> Result<Vec<Update>, bus::Error> {
        self.bus.history(address, since).await
    }

    async fn tell(&self, control: &Control) -> Result<(), bus::Error> {
        self.bus.tell(control).await
    }

    async fn gather(
        &self,
        control: &Control,
        enough: usize,
        wait: Duration,
    ) -> Result<Vec<Reply>, bus::Error> {
        self.bus.gather(control, enough, wait).await
    }

    async fn consult(&self, ask: &Ask) -> Result<Answer, bus::Error> {
        self.bus.consult(ask).await
    }

    async fn asks(&self, datasource: &Name) -> Result<mpsc::Receiver<Asked>, bus::Error> {
        self.bus.asks(datasource).await
    }

    async fn questions(&self) -> Result<mpsc::Receiver<Question>, bus::Error> {
        self.bus.questions().await
    }
}

#[tokio::test]
async fn a_bus_that_goes_away_for_a_moment_loses_no_update_and_costs_no_second_query() {
    let (refusals, closed) = (AtomicUsize::new(3), AtomicUsize::new(1));
    let bus: Arc<dyn Bus> = Arc::new(Flaky { bus: embedded(), refusals, closed });
    let stub = Stub::saying(200, UP).await;
    let _lifecycle = start(&bus, &section(&stub, ""));
    next(&mut ask(&bus, "up").await).await;
    assert_eq!(stub.asked().len(), 1);
}

#[tokio::test]
async fn nothing_starts_without_a_datasource_or_with_a_broken_one() {
    let (bus, clock, tasks) = (embedded(), Clock::system(), Tasks::default());
    let start = |datasources: &Datasources| {
        Workers::start(&bus, datasources, &clock, &::prometheus::Registry::new(), &tasks)
            .unwrap_err()
            .to_string()
    };
    let nothing: [(&str, &str); 0] = [];
    let none = <Datasources as conf::Conf>::conf_builder().args(["x"]).env(nothing).try_parse().unwrap();
    assert!(start(&none).contains("--prometheus-url"));
    let builder = <Datasources as conf::Conf>::conf_builder().args(["x"]).env(nothing);
    let document: toml::Table =
        toml::from_str("[datasource.b]\nurl = 'http://b'\nbearer_token_file = '/does/not/exist'").unwrap();
    let told = start(&builder.doc("x", document).try_parse().unwrap());
    assert!(
        told.starts_with("datasource b cannot be used: cannot read /does/not/exist: No such file"),
        "{told}"
    );
}
