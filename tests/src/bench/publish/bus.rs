//! Publishing as a poller does: updates of ticks on the bus, one after the other, faster than time goes.
//!
//! A gateway takes an update of a tick that is not due yet, because another gateway's clock may be ahead. So a topic can have
//! any number of updates a second: those of its next ticks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use promcast_proto::body::Body;
use promcast_proto::tick::{Grid, Interval, Tick};
use promcast_proto::topic::{Datasource, Key, Topic};
use promcast_proto::update::{Outcome, Update};
use promcast_runtime::bus::Bus;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Publisher, Template, body};
use crate::wait::now;

/// Seconds from tick to tick of what is measured: the longest there is, so that time itself brings few.
pub const INTERVAL: u16 = 300;

/// Events that may be on their way to the bus.
const QUEUE: usize = 4096;

/// A topic that is fed.
#[derive(Clone, Debug)]
pub struct Feed {
    topic: Topic,
    grid: Grid,
    first: Tick,
    template: Template,
}

impl Feed {
    /// The topic of a query. Its first event is of the tick that a stream which begins now waits for.
    ///
    /// # Panics
    /// Never: the interval is one of the contract.
    pub fn new(query: &str, template: Template) -> Self {
        let topic = Topic::new(Datasource::default(), query.to_owned());
        let interval = Interval::from_secs(INTERVAL).expect("an interval of the contract");
        let grid = Grid::new(topic.key().phase(), interval);
        let first = grid.at_or_before(now());
        Self { topic, grid, first, template }
    }

    /// The key of the topic.
    pub fn key(&self) -> Key {
        self.topic.key()
    }

    /// The tick of the event of this number.
    pub fn tick(&self, number: u32) -> Tick {
        self.grid.step(self.first, number.into())
    }

    fn update(&self, number: u32) -> Option<Update> {
        update(self.key(), self.tick(number), body(&self.template, number))
    }
}

/// An update with a body that is rendered already.
pub fn update(key: Key, tick: Tick, json: Vec<u8>) -> Option<Update> {
    Some(Update { key, tick, took_ms: 3, outcome: Outcome::Result(Body::pack(json).ok()?) })
}

/// The publisher: hands updates to a task that publishes them.
#[derive(Debug)]
pub struct OverBus {
    feeds: Vec<Feed>,
    updates: mpsc::Sender<Update>,
    failed: Arc<AtomicU64>,
    _task: JoinSet<()>,
}

impl OverBus {
    /// One that publishes the events of these topics, a topic for each channel. Called in a runtime, which publishes while the
    /// client has a thread of its own.
    pub fn new(bus: Arc<dyn Bus>, feeds: Vec<Feed>) -> Self {
        let (updates, queue) = mpsc::channel(QUEUE);
        let failed = Arc::<AtomicU64>::default();
        let mut task = JoinSet::new();
        task.spawn(publish(bus, queue, failed.clone()));
        Self { feeds, updates, failed, _task: task }
    }
}

impl Publisher for OverBus {
    fn publish(&mut self, channel: usize, number: u32) {
        let update = self.feeds.get(channel).and_then(|feed| feed.update(number));
        let sent = update.is_some_and(|update| self.updates.try_send(update).is_ok());
        if !sent {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn trouble(&self) -> Option<String> {
        let failed = self.failed.load(Ordering::Relaxed);
        (failed > 0).then(|| format!("{failed} updates could not be published"))
    }
}

async fn publish(bus: Arc<dyn Bus>, mut queue: mpsc::Receiver<Update>, failed: Arc<AtomicU64>) {
    let datasource = Datasource::default();
    let mut under_way = JoinSet::new();
    while let Some(update) = queue.recv().await {
        let (bus, datasource, failed) = (bus.clone(), datasource.clone(), failed.clone());
        // Nobody waits for the bus to confirm one before the next is sent; they are sent in this order all the same.
        under_way.spawn(async move {
            if bus.publish(&datasource, &update).await.is_err() {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        });
        while under_way.try_join_next().is_some() {}
    }
}
