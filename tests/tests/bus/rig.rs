//! The two buses, each as a test sees it: two handles, as two processes would have, on one fresh bus.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use e2e::nats::Nats as Server;
use e2e::wait::{PATIENCE, within};
use promcast_proto::body::Body;
use promcast_proto::code::ErrorCode;
use promcast_proto::job::Job;
use promcast_proto::tick::Tick;
use promcast_proto::topic::{Address, Datasource, Topic};
use promcast_proto::update::{Failure, Outcome, Update};
use promcast_runtime::bus::embedded::Embedded;
use promcast_runtime::bus::nats::{self, Nats, Options};
use promcast_runtime::bus::{Bus, Delivery, Event, Jobs, Limits, Stored, Subscription};
use promcast_runtime::lifecycle::Tasks;
use prometheus::Registry;

/// One bus, reached in two ways.
pub(crate) struct Rig {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) other: Arc<dyn Bus>,
    _keep: Box<dyn Any>,
}

/// A kind of bus.
pub(crate) trait Kind {
    async fn start(limits: Limits) -> Rig;
}

pub(crate) struct InProcess;

impl Kind for InProcess {
    async fn start(limits: Limits) -> Rig {
        let bus: Arc<dyn Bus> = Arc::new(Embedded::new(limits));
        Rig { other: Arc::clone(&bus), bus, _keep: Box::new(()) }
    }
}

pub(crate) struct OverNats;

impl Kind for OverNats {
    async fn start(limits: Limits) -> Rig {
        let server = Server::start().await;
        init(&server, &limits).await;
        let (bus, other) = (connect(&options(&server)).await, connect(&options(&server)).await);
        is_up(&bus).await;
        is_up(&other).await;
        Rig { bus, other, _keep: Box::new(server) }
    }
}

pub(crate) fn options(server: &Server) -> Options {
    Options::new(vec![server.url().parse().unwrap()])
}

/// What an operator does once.
pub(crate) async fn init(server: &Server, limits: &Limits) {
    nats::init(&options(server), limits, &[Datasource::default(), other_datasource()], 1).await.unwrap();
}

pub(crate) async fn connect(options: &Options) -> Arc<dyn Bus> {
    Arc::new(Nats::connect(options, &Registry::new(), &Tasks::default()).await.unwrap())
}

pub(crate) async fn is_up(bus: &Arc<dyn Bus>) -> u64 {
    let mut state = bus.state();
    let up = within("the bus is up", PATIENCE, state.wait_for(|state| state.is_up())).await;
    up.unwrap().generation
}

/// Returns the trouble once there is some that says `text`.
pub(crate) async fn is_in_trouble(bus: &Arc<dyn Bus>, text: &str) -> String {
    let mut state = bus.state();
    let told = |trouble: &Option<String>| trouble.as_ref().is_some_and(|trouble| trouble.contains(text));
    let trouble = within(
        &format!("trouble with {text:?}; last state: {:?}", state.borrow().clone()),
        PATIENCE,
        state.wait_for(|state| told(&state.trouble)),
    )
    .await;
    trouble.unwrap().trouble.clone().unwrap_or_default()
}

pub(crate) fn other_datasource() -> Datasource {
    "cluster-b".parse().unwrap()
}

pub(crate) fn topic(n: usize) -> Topic {
    Topic::new(Datasource::default(), format!("up{{n=\"{n}\"}}"))
}

pub(crate) fn address(n: usize) -> Address {
    topic(n).address().clone()
}

pub(crate) fn job(n: usize, tick: i64) -> Job {
    let topic = topic(n);
    Job {
        datasource: topic.datasource().clone(),
        query: topic.query().to_owned(),
        tick: Tick::from_millis(tick),
        timeout_ms: 1000,
    }
}

pub(crate) fn result(n: usize, tick: i64) -> Update {
    let body = Body::pack(format!("{{\"tick\":{tick}}}").into_bytes()).unwrap();
    Update { key: topic(n).key(), tick: Tick::from_millis(tick), took_ms: 1, outcome: Outcome::Result(body) }
}

pub(crate) fn failure(n: usize, tick: i64) -> Update {
    let failure = Failure { code: ErrorCode::BadData, message: "on purpose".to_owned() };
    Update { outcome: Outcome::Failure(failure), ..result(n, tick) }
}

pub(crate) async fn publish(bus: &Arc<dyn Bus>, update: &Update) -> Stored {
    bus.publish(&Datasource::default(), update).await.unwrap()
}

/// A subscription of which it is certain that the server has it: the history is asked for after it, on one connection.
pub(crate) async fn subscribe(bus: &Arc<dyn Bus>, n: usize) -> Subscription {
    let subscription = bus.subscribe(&address(n)).await.unwrap();
    passed(bus).await;
    subscription
}

/// Returns once the server has taken note of everything this handle did before, such as dropping a wait for a job.
pub(crate) async fn passed(bus: &Arc<dyn Bus>) {
    history(bus, 0).await;
}

pub(crate) async fn history(bus: &Arc<dyn Bus>, n: usize) -> Vec<i64> {
    let updates = bus.history(&address(n), Tick::MIN).await.unwrap();
    updates.iter().map(|update| update.tick.millis()).collect()
}

/// The tick of the next event; nothing where it tells of a loss.
pub(crate) async fn next(subscription: &mut Subscription) -> Option<i64> {
    match within("the next event", PATIENCE, subscription.next()).await {
        Some(Event::Update(update, _)) => Some(update.tick.millis()),
        Some(Event::Lost) => None,
        None => panic!("the subscription ended"),
    }
}

pub(crate) async fn worker(bus: &Arc<dyn Bus>) -> Box<dyn Jobs> {
    bus.jobs(&Datasource::default()).await.unwrap()
}

pub(crate) async fn take(worker: &mut Box<dyn Jobs>) -> Box<dyn Delivery> {
    within("a job", PATIENCE, worker.next()).await.unwrap()
}

/// A job, where one is to be had within `patience`.
pub(crate) async fn try_take(worker: &mut Box<dyn Jobs>, patience: Duration) -> Option<Box<dyn Delivery>> {
    tokio::time::timeout(patience, worker.next()).await.ok().map(Result::unwrap)
}
