//! The bus over NATS: jobs in a JetStream work queue, updates in a JetStream log that is republished to subscribers.
//!
//! Nothing outside this module names the client library.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use promcast_proto::ask::{Answer, Ask};
use promcast_proto::control::{Control, Reply};
use promcast_proto::envelope;
use promcast_proto::job::Job;
use promcast_proto::tick::Tick;
use promcast_proto::topic::{Address, Datasource};
use promcast_proto::update::Update;
use prometheus::Registry;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::api::Ack;
use self::control::Relay;
use self::jobs::Worker;
use self::link::Link;
use self::metrics::Metrics;
pub use self::options::{Login, Options, Server};
pub use self::setup::init;
use self::signals::Signals;
use self::topic::{Forward, Known};
use super::line::Line;
use super::{Accepted, Asked, Bus, CONTROL_BUFFER, Guard, Jobs, Question, State, Stored, Subscription, feed};
use crate::lifecycle::Tasks;

mod api;
mod asks;
mod control;
mod history;
mod jobs;
mod link;
mod metrics;
mod options;
mod setup;
mod signals;
mod subject;
mod topic;
mod trace;
mod turn;

/// Why the bus cannot be had, or set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A server's address is no such.
    #[error("not the address of a NATS server: {0}; use nats://host:port")]
    Address(String),
    /// A file with credentials or certificates cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// No server answers, or none takes us in.
    #[error("cannot connect to {servers}: {reason}")]
    Connect {
        /// The servers that were tried.
        servers: String,
        /// What the last one said.
        reason: String,
    },
    /// The server lacks what we need.
    #[error("{0}")]
    TooOld(String),
    /// A stream or consumer cannot be created or updated.
    #[error("cannot set up {what}: {reason}")]
    Setup {
        /// The stream or consumer.
        what: String,
        /// What the server said.
        reason: String,
    },
    /// The metrics are registered already.
    #[error("cannot register the metrics of the bus")]
    Metrics(#[from] prometheus::Error),
}

/// A connection to NATS that mends itself.
pub struct Nats {
    link: Arc<Link>,
    tasks: Tasks,
    subscribers: Arc<Mutex<Subscribers>>,
    /// Ends the tasks of this bus when it is dropped.
    gone: DropGuard,
}

/// How far each live subscription knows its topic.
type Subscribers = HashMap<Address, Vec<Weak<Known>>>;

impl Nats {
    /// A bus that connects, and stays connected, in the background: [`Bus::state`] tells how that goes. Servers that
    /// are too old and streams that are missing are trouble there too, and looked at again until they are well.
    ///
    /// The state is followed until the program is told to end ([`Tasks::soft`]); calls work for longer.
    ///
    /// # Errors
    ///
    /// Options that cannot work: no server, a file that cannot be read.
    pub async fn connect(options: &Options, registry: &Registry, tasks: &Tasks) -> Result<Self, Error> {
        let signals = Signals::new(Metrics::new(registry)?, options.servers_text());
        let client_options = signals.attach(options.for_client().await?).retry_on_initial_connect();
        let client = client_options
            .connect(options.addresses()?.as_slice())
            .await
            .map_err(|error| Error::Connect { servers: options.servers_text(), reason: error.to_string() })?;
        let link = Link::new(client, signals);
        let gone = CancellationToken::new();
        let (followed, dropped) = (Arc::clone(&link), gone.clone());
        let soft = tasks.soft().clone();
        tasks.spawn("bus.follow", async move {
            tokio::select! {
                () = link::follow(followed, dropped) => {}
                () = soft.cancelled() => {}
            }
        });
        Ok(Self { link, tasks: tasks.clone(), subscribers: Arc::default(), gone: gone.drop_guard() })
    }

    /// Notes a subscriber, so that the history which it reads counts as known to it.
    fn enter(&self, address: &Address) -> (Arc<Known>, Guard) {
        let known = Arc::new(Known::default());
        self.subscribers.lock().entry(address.clone()).or_default().push(Arc::downgrade(&known));
        let (subscribers, address, me) =
            (Arc::clone(&self.subscribers), address.clone(), Arc::downgrade(&known));
        let leave = move || {
            let mut subscribers = subscribers.lock();
            if let Some(others) = subscribers.get_mut(&address) {
                others.retain(|other| !other.ptr_eq(&me));
                if others.is_empty() {
                    subscribers.remove(&address);
                }
            }
        };
        (known, Guard::new(leave))
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("state", &*self.link.state.borrow()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Bus for Nats {
    fn state(&self) -> watch::Receiver<State> {
        self.link.state.subscribe()
    }

    fn system(&self) -> &'static str {
        "nats"
    }

    async fn ask(&self, job: &Job, attempt: u32) -> Result<Accepted, super::Error> {
        let key = job.topic().key();
        let subject = subject::job(&job.datasource, key);
        let id = subject::job_id(key, job.tick, attempt);
        Ok(match self.link.store("take a job", subject, &id, envelope::encode(job)?).await? {
            Ack::Stored => Accepted::Queued,
            // Lost jobs are asked for again, as others are whose update does not come.
            Ack::Duplicate | Ack::InProcess => Accepted::Duplicate,
            Ack::SubjectFull => Accepted::Busy,
        })
    }

    async fn jobs(&self, datasource: &Datasource) -> Result<Box<dyn Jobs>, super::Error> {
        self.link.need_consumer(datasource);
        Ok(Box::new(Worker::new(Arc::clone(&self.link), datasource)))
    }

    async fn publish(&self, datasource: &Datasource, update: &Update) -> Result<Stored, super::Error> {
        const ACTION: &str = "take an update";
        let (subject, id) = (subject::update(datasource, update), subject::update_id(update));
        match self.link.store(ACTION, subject, &id, envelope::encode(update)?).await? {
            Ack::Stored => Ok(Stored::New),
            Ack::Duplicate => Ok(Stored::Duplicate),
            // Who publishes tries again, and then hears what became of the first one.
            Ack::InProcess => Err(super::Error::Failed {
                action: ACTION,
                reason: "the same update is being stored".to_owned(),
            }),
            Ack::SubjectFull => {
                Err(super::Error::Failed { action: ACTION, reason: "its stream is set up wrong".to_owned() })
            }
        }
    }

    async fn subscribe(&self, address: &Address) -> Result<Subscription, super::Error> {
        let messages = self.link.subscribe("take a subscription", subject::live(address)).await?;
        let (known, guard) = self.enter(address);
        let (feed, events) = feed::channel();
        let gone = self.gone.token().clone();
        let (link, key) = (Arc::clone(&self.link), address.key);
        let forward = Forward { link, key, messages, known, feed, gone };
        self.tasks.spawn("bus.topic", forward.run());
        Ok(Subscription::new(events, guard))
    }

    async fn tell(&self, control: &Control) -> Result<(), super::Error> {
        control::tell(&self.link, control).await
    }

    async fn gather(
        &self,
        control: &Control,
        enough: usize,
        wait: Duration,
    ) -> Result<Vec<Reply>, super::Error> {
        control::gather(&self.link, control, enough, wait).await
    }

    async fn questions(&self) -> Result<mpsc::Receiver<Question>, super::Error> {
        let messages = self.link.subscribe("take a subscription", subject::CONTROL.to_owned()).await?;
        let (questions, reader) = mpsc::channel(CONTROL_BUFFER);
        let relay =
            Relay { link: Arc::clone(&self.link), messages, questions, gone: self.gone.token().clone() };
        self.tasks.spawn("bus.control", relay.run());
        Ok(reader)
    }

    async fn consult(&self, ask: &Ask) -> Result<Answer, super::Error> {
        asks::consult(&self.link, ask).await
    }

    async fn asks(&self, datasource: &Datasource) -> Result<mpsc::Receiver<Asked>, super::Error> {
        let subject = subject::asks(datasource);
        let messages = self.link.share("take a subscription", subject, asks::GROUP).await?;
        let (line, reader) = Line::new();
        let (link, tasks, gone) = (Arc::clone(&self.link), self.tasks.clone(), self.gone.token().clone());
        self.tasks.spawn("bus.asks", asks::Relay { link, messages, line, tasks, gone }.run());
        Ok(reader)
    }

    async fn history(&self, address: &Address, since: Tick) -> Result<Vec<Update>, super::Error> {
        let kept = history::read(&self.link, address, since).await?;
        for known in self.subscribers.lock().get(address).into_iter().flatten().filter_map(Weak::upgrade) {
            known.read(kept.until);
        }
        Ok(kept.updates)
    }
}
