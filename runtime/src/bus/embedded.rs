//! The bus inside one process: the same promises as over NATS, from memory, with no task of its own.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use promcast_proto::ask::{Answer, Ask};
use promcast_proto::control::{Control, Reply};
use promcast_proto::job::Job;
use promcast_proto::tick::Tick;
use promcast_proto::topic::{Address, Datasource, Key};
use promcast_proto::update::Update;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::asks::Pollers;
use self::log::Log;
use self::queue::{Queue, Serial};
use super::feed::{self, Feed};
use super::{
    Accepted, Asked, Bus, CONTROL_BUFFER, Delivery, Error, Guard, Jobs, Limits, Question, State, Stored,
    Subscription,
};
use crate::trace::Context;

mod asks;
mod log;
mod queue;
mod window;

/// A bus for a gateway that runs its poller inside. What it keeps ends with the process.
pub struct Embedded {
    limits: Limits,
    state: watch::Sender<State>,
    board: Arc<Mutex<Board>>,
    lanes: Mutex<HashMap<Datasource, Arc<Lane>>>,
    gateways: Mutex<Vec<mpsc::Sender<Question>>>,
    pollers: Pollers,
}

/// The log and who listens to it, under one lock: an update is in the history when, and in the order in which, it is
/// handed out.
struct Board {
    log: Log,
    feeds: HashMap<Key, Vec<Listener>>,
    last: u64,
}

struct Listener {
    id: u64,
    feed: Feed,
}

/// The queue of one datasource and who waits for it.
struct Lane {
    queue: Mutex<Queue>,
    wake: Notify,
}

impl Embedded {
    /// An empty bus. It is always up.
    pub fn new(limits: Limits) -> Self {
        let log = Log::new(&limits);
        let board = Arc::new(Mutex::new(Board { log, feeds: HashMap::new(), last: 0 }));
        let state = watch::Sender::new(State { trouble: None, generation: 1 });
        Self {
            limits,
            state,
            board,
            lanes: Mutex::default(),
            gateways: Mutex::default(),
            pollers: Pollers::default(),
        }
    }

    /// Hands a control message to whoever reads them.
    fn say(&self, control: &Control) -> Vec<oneshot::Receiver<Reply>> {
        let mut gateways = self.gateways.lock();
        gateways.retain(|gateway| !gateway.is_closed());
        let say_to = |gateway: &mpsc::Sender<Question>| {
            let (reply, answer) = oneshot::channel();
            gateway.try_send(Question { control: control.clone(), reply }).is_ok().then_some(answer)
        };
        gateways.iter().filter_map(say_to).collect()
    }

    fn lane(&self, datasource: &Datasource) -> Arc<Lane> {
        let mut lanes = self.lanes.lock();
        if let Some(lane) = lanes.get(datasource) {
            return Arc::clone(lane);
        }
        let queue = Mutex::new(Queue::new(self.limits.clone()));
        let lane = Arc::new(Lane { queue, wake: Notify::new() });
        lanes.insert(datasource.clone(), Arc::clone(&lane));
        lane
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Board {
    fn publish(&mut self, update: &Update) -> Stored {
        let stored = self.log.publish(update, Instant::now());
        if stored == Stored::New
            && let Some(listeners) = self.feeds.get_mut(&update.key)
        {
            let trace = Context::current();
            for listener in listeners {
                listener.feed.update(update.clone(), trace.clone());
            }
        }
        stored
    }

    fn listen(&mut self, key: Key, feed: Feed) -> u64 {
        self.last += 1;
        self.feeds.entry(key).or_default().push(Listener { id: self.last, feed });
        self.last
    }

    fn leave(&mut self, key: Key, id: u64) {
        if let Some(listeners) = self.feeds.get_mut(&key) {
            listeners.retain(|listener| listener.id != id);
            if listeners.is_empty() {
                self.feeds.remove(&key);
            }
        }
    }
}

#[async_trait]
impl Bus for Embedded {
    fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    fn system(&self) -> &'static str {
        "promcast_embedded"
    }

    async fn ask(&self, job: &Job, attempt: u32) -> Result<Accepted, Error> {
        let lane = self.lane(&job.datasource);
        let accepted = lane.queue.lock().ask(job, attempt, Instant::now());
        if accepted == Accepted::Queued {
            lane.wake.notify_one();
        }
        Ok(accepted)
    }

    async fn jobs(&self, datasource: &Datasource) -> Result<Box<dyn Jobs>, Error> {
        Ok(Box::new(Worker { lane: self.lane(datasource) }))
    }

    async fn publish(&self, _: &Datasource, update: &Update) -> Result<Stored, Error> {
        Ok(self.board.lock().publish(update))
    }

    async fn subscribe(&self, address: &Address) -> Result<Subscription, Error> {
        let (feed, events) = feed::channel();
        let key = address.key;
        let id = self.board.lock().listen(key, feed);
        let board = Arc::clone(&self.board);
        Ok(Subscription::new(events, Guard::new(move || board.lock().leave(key, id))))
    }

    async fn tell(&self, control: &Control) -> Result<(), Error> {
        drop(self.say(control));
        Ok(())
    }

    async fn gather(&self, control: &Control, enough: usize, wait: Duration) -> Result<Vec<Reply>, Error> {
        let mut replies = Vec::new();
        let until = Instant::now() + wait;
        for answer in self.say(control) {
            if replies.len() < enough
                && let Ok(Ok(reply)) = timeout_at(until, answer).await
            {
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    async fn questions(&self) -> Result<mpsc::Receiver<Question>, Error> {
        let (questions, reader) = mpsc::channel(CONTROL_BUFFER);
        self.gateways.lock().push(questions);
        Ok(reader)
    }

    async fn consult(&self, ask: &Ask) -> Result<Answer, Error> {
        self.pollers.consult(ask).await
    }

    async fn asks(&self, datasource: &Datasource) -> Result<mpsc::Receiver<Asked>, Error> {
        Ok(self.pollers.join(datasource))
    }

    async fn history(&self, address: &Address, since: Tick) -> Result<Vec<Update>, Error> {
        let mut kept = self.board.lock().log.history(address.key, Instant::now());
        kept.retain(|update| update.tick >= since);
        Ok(kept)
    }
}

struct Worker {
    lane: Arc<Lane>,
}

impl Lane {
    /// A job, or until when it is of no use to look again unless somebody wakes us.
    fn take(self: &Arc<Self>) -> Result<Taken, Option<Instant>> {
        let mut queue = self.queue.lock();
        let idle = queue.is_idle();
        let Some((serial, job)) = queue.take(Instant::now()) else { return Err(queue.deadline()) };
        if idle {
            // Those who wait fell asleep when no worker could fall silent; now one can.
            self.wake.notify_waiters();
        }
        let trace = queue.trace(serial);
        Ok(Taken { lane: Arc::clone(self), serial, job, trace })
    }
}

#[async_trait]
impl Jobs for Worker {
    async fn next(&mut self) -> Result<Box<dyn Delivery>, Error> {
        loop {
            let woken = self.lane.wake.notified();
            let deadline = match self.lane.take() {
                Ok(taken) => return Ok(Box::new(taken)),
                Err(deadline) => deadline,
            };
            tokio::select! {
                () = woken => {}
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {}
            }
        }
    }
}

struct Taken {
    lane: Arc<Lane>,
    serial: Serial,
    job: Job,
    trace: Option<Context>,
}

#[async_trait]
impl Delivery for Taken {
    fn job(&self) -> &Job {
        &self.job
    }

    fn trace(&self) -> Option<&Context> {
        self.trace.as_ref()
    }

    async fn progress(&self) -> Result<(), Error> {
        self.lane.queue.lock().progress(self.serial, Instant::now());
        Ok(())
    }

    async fn done(self: Box<Self>) -> Result<(), Error> {
        self.lane.queue.lock().done(self.serial);
        // A place to work is free again.
        self.lane.wake.notify_one();
        Ok(())
    }

    async fn release(self: Box<Self>) -> Result<(), Error> {
        self.lane.queue.lock().release(self.serial, Instant::now());
        self.lane.wake.notify_one();
        Ok(())
    }
}
