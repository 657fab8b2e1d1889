//! The bus between gateways and pollers, as a port: [`embedded`] inside one process, [`nats`] between many.
//!
//! Both keep the same promises, and one conformance suite holds them to it:
//!
//! - **Jobs** are a work queue. A job that was accepted is delivered to one worker at a time until one acknowledges
//!   it, is delivered again when its worker falls silent, and is forgotten once it is too old to matter. A topic has
//!   at most one job that is queued or being worked on.
//! - **Updates** are a log with memory. The first update of a topic and tick is stored and handed to every
//!   subscriber; a second one is refused. The last few of each topic can be read again.
//! - **Asks** are questions with an answer, and are kept nowhere: one poller that is there answers, in its time or not at all.
//! - Where the caller is in a span of a trace (`crate::trace`), jobs and updates carry that along, beside their payload.
//! - Nothing is queued while the bus is out of reach: calls fail, and [`State`] says so.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use promcast_proto::ask::{Answer, Ask};
use promcast_proto::control::{Control, Reply};
use promcast_proto::job::Job;
use promcast_proto::tick::Tick;
use promcast_proto::topic::{Address, Datasource};
use promcast_proto::update::Update;
use tokio::sync::{mpsc, oneshot, watch};

use crate::trace::Context;

pub mod embedded;
mod feed;
mod line;
pub mod nats;

/// How many updates of one topic may wait for its subscriber before the bus drops the subscription's newest and
/// raises [`Event::Lost`]. A topic has an update every five seconds at the most; 64 is minutes of sleep.
pub const SUBSCRIPTION_BUFFER: usize = 64;

/// What the bus keeps, and for how long. The same on both buses, so that behaviour does not depend on which one runs.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Results, and apart from them errors, kept of each topic.
    pub history: usize,
    /// How long an update is kept at most.
    pub history_age: Duration,
    /// Within this time a second update of the same topic and tick is refused.
    pub update_dedupe: Duration,
    /// How long a job may wait or be worked on before it is forgotten.
    pub job_age: Duration,
    /// Within this time a second job with the same topic, tick and attempt is refused.
    pub job_dedupe: Duration,
    /// A worker that has been silent for so long is taken for dead: its job is delivered again.
    pub ack_wait: Duration,
    /// How often a job is delivered before it is given up. Its topic stays busy until [`Limits::job_age`] is over.
    pub deliveries: u32,
    /// Jobs of one datasource that may be worked on at once in the whole installation.
    pub in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            history: 16,
            history_age: Duration::from_secs(15 * 60),
            update_dedupe: Duration::from_secs(2 * 60),
            job_age: Duration::from_secs(20),
            job_dedupe: Duration::from_secs(20),
            ack_wait: Duration::from_secs(3),
            deliveries: 3,
            in_flight: 256,
        }
    }
}

/// Whether the bus can be used, and how often it has been (re)connected: a rise of `generation` means that updates
/// may have been missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Nothing where the bus is usable, else why it is not, in words for an operator.
    pub trouble: Option<String>,
    /// Rises by one with each connection made.
    pub generation: u64,
}

impl State {
    /// Whether calls can be expected to succeed.
    pub fn is_up(&self) -> bool {
        self.trouble.is_none()
    }
}

/// What became of a job that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is in the queue.
    Queued,
    /// A job of the same topic, tick and attempt was handed in before, by whomever. Its update may already be there.
    Duplicate,
    /// Another job of the topic is queued or being worked on. Ask again when that is done.
    Busy,
}

/// What became of an update that was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is in the log, and on its way to the subscribers.
    New,
    /// The topic has an update of that tick; this one goes nowhere.
    Duplicate,
}

/// Why a call failed. The caller may try again; whether the first try had an effect is not known, and does not
/// matter: jobs and updates are told apart by topic and tick.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus is out of reach at the moment.
    #[error("the bus is not connected")]
    Disconnected,
    /// The bus did not answer in time, or refused.
    #[error("the bus did not {action}: {reason}")]
    Failed {
        /// What was asked of it.
        action: &'static str,
        /// What it said.
        reason: String,
    },
    /// No poller of the datasource is there, or none answered in time. Asks alone come to this.
    #[error("no poller answered")]
    Unanswered,
    /// A stream or consumer is missing or differs from what this release needs.
    #[error("the bus is not set up: {0}; run `promcast-gateway init`")]
    NotSetUp(String),
    /// What came from the bus, or was to go there, is not a message of this release.
    #[error("wire")]
    Wire(#[from] promcast_proto::envelope::Error),
}

/// What a subscriber of a topic gets.
#[derive(Debug)]
pub enum Event {
    /// The next update, as a rule in the order of publication, and the span that sent it.
    Update(Update, Option<Context>),
    /// Updates may have been lost on the way here; [`Bus::history`] still has them.
    Lost,
}

/// Control messages that may wait for their reader; more are dropped, which those who ask notice.
pub const CONTROL_BUFFER: usize = 64;

/// What a gateway says, or asks, and the way back. Who has no answer drops it.
#[derive(Debug)]
pub struct Question {
    /// What it says.
    pub control: Control,
    /// Takes the answer. Nobody may be waiting for one.
    pub reply: oneshot::Sender<Reply>,
}

/// Asks that may wait for one poller to take them; it declines what comes beyond, and another one is asked.
pub const ASK_BUFFER: usize = 64;

/// What a poller is asked, and the way back. Where it drops the latter another poller is asked.
#[derive(Debug)]
pub struct Asked {
    /// The ask.
    pub ask: Ask,
    /// Takes the answer. It is closed once nobody waits for one any more, as far as that is known here.
    pub reply: oneshot::Sender<Answer>,
}

/// The live updates of one topic. Dropping it ends the subscription.
pub struct Subscription {
    events: mpsc::Receiver<Event>,
    _guard: Guard,
}

/// Runs what ends a subscription or gives a place back when it is dropped.
pub(crate) struct Guard(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Guard {
    pub(crate) fn new(end: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

impl Subscription {
    pub(crate) fn new(events: mpsc::Receiver<Event>, guard: Guard) -> Self {
        Self { events, _guard: guard }
    }

    /// The next event; nothing once the bus is gone for good. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// One job in the hands of a worker. Dropped without [`Delivery::done`], it is delivered again after
/// [`Limits::ack_wait`].
#[async_trait]
pub trait Delivery: Send + Sync {
    /// The job.
    fn job(&self) -> &Job;
    /// The span that asked for it.
    fn trace(&self) -> Option<&Context>;
    /// Says that the work goes on: the wait for a sign of life starts anew.
    async fn progress(&self) -> Result<(), Error>;
    /// The work is done; its update is stored. Returns once the bus knows.
    async fn done(self: Box<Self>) -> Result<(), Error>;
    /// Gives the job back for another worker to take at once. It counts as one of [`Limits::deliveries`] all the same.
    async fn release(self: Box<Self>) -> Result<(), Error>;
}

/// The queue of one datasource, seen by one worker.
#[async_trait]
pub trait Jobs: Send {
    /// The next job, waiting for one as long as it takes, through outages too. Takes no job from the queue before it
    /// is called, and keeps none when the call is dropped (such a job is delivered again, to this worker or another).
    async fn next(&mut self) -> Result<Box<dyn Delivery>, Error>;
}

/// The bus. Handles are cheap to clone behind an `Arc`; calls may run side by side.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Whether the bus can be used, now and whenever that changes.
    fn state(&self) -> watch::Receiver<State>;

    /// What carries the messages, by the name that traces call it.
    fn system(&self) -> &'static str;

    /// Asks for an evaluation. `attempt` tells repeated asks for one tick apart: 0 the first time, and 1, 2, … where an
    /// earlier ask led to nothing.
    async fn ask(&self, job: &Job, attempt: u32) -> Result<Accepted, Error>;

    /// Opens the queue of a datasource for one worker.
    async fn jobs(&self, datasource: &Datasource) -> Result<Box<dyn Jobs>, Error>;

    /// Publishes the update of a job.
    async fn publish(&self, datasource: &Datasource, update: &Update) -> Result<Stored, Error>;

    /// The updates of a topic from now on: from the moment at which a later call of this handle is answered, at the
    /// latest.
    async fn subscribe(&self, address: &Address) -> Result<Subscription, Error>;

    /// Says something to all gateways that are there, this one included. Whether anybody hears it is not known.
    async fn tell(&self, control: &Control) -> Result<(), Error>;

    /// Asks all gateways that are there, this one included, until `enough` have answered or `wait` is over.
    async fn gather(&self, control: &Control, enough: usize, wait: Duration) -> Result<Vec<Reply>, Error>;

    /// What gateways say and ask from now on. Dropping it ends that.
    async fn questions(&self) -> Result<mpsc::Receiver<Question>, Error>;

    /// Asks any one poller of the ask's datasource. Another one is asked where the first is silent for a second. No answer is
    /// waited for three seconds longer than the ask allows.
    ///
    /// # Errors
    ///
    /// [`Error::Unanswered`] at once where no poller is there, and later where none answered.
    async fn consult(&self, ask: &Ask) -> Result<Answer, Error>;

    /// What is asked of this poller from now on. Dropping it ends that. Asks must be taken as they come, however long their answers
    /// take: a poller that leaves them lying counts as silent.
    async fn asks(&self, datasource: &Datasource) -> Result<mpsc::Receiver<Asked>, Error>;

    /// What the bus still has of a topic's ticks from `since` on, by rising tick. To miss nothing, subscribe first, then read this.
    /// It is read for every topic that somebody joins: what is asked for should be no more than what is missing. Where many read at
    /// once it may be the newest alone.
    async fn history(&self, address: &Address, since: Tick) -> Result<Vec<Update>, Error>;
}
