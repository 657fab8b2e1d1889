//! One connection to NATS: calls that fail fast while it is down, and the task that keeps its state true.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::connection::State as Connection;
use async_nats::{Client, HeaderMap, Message, Request, RequestErrorKind, Subscriber};
use bytes::Bytes;
use parking_lot::Mutex;
use promcast_proto::topic::Datasource;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::api::{self, Ack};
use super::options::jittered;
use super::signals::Signals;
use super::subject::{self, JOBS, RESULTS};
use super::trace;
use super::turn::Turns;
use crate::bus::{Error, State};
use crate::clock::Clock;

/// How long any one answer is waited for. JetStream answers within milliseconds, with three replicas too.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// How often the truth about the connection is read, hints or not.
const LOOK: Duration = Duration::from_secs(1);

/// Looks from one check of the streams to the next, while all is well. The depth of the queues is as old as that at most.
const LOOKS_PER_CHECK: u32 = 5;

/// What all handles of one connection share.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) signals: Arc<Signals>,
    pub(super) state: watch::Sender<State>,
    /// Turns at reading more of a history than its newest part.
    pub(super) reading: Turns,
    consumers: Mutex<BTreeSet<Datasource>>,
    too_old: AtomicBool,
    /// What is compared with the server's.
    clock: Clock,
}

impl Link {
    pub(super) fn new(client: Client, signals: Arc<Signals>) -> Arc<Self> {
        let trouble = Some(signals.why_not_connected());
        let state = watch::Sender::new(State { trouble, generation: 0 });
        let (consumers, too_old, clock) = (Mutex::default(), AtomicBool::new(false), Clock::system());
        Arc::new(Self { client, signals, state, reading: Turns::default(), consumers, too_old, clock })
    }

    /// From here on the state is in trouble where the consumer of `datasource` is missing.
    pub(super) fn need_consumer(&self, datasource: &Datasource) {
        if self.consumers.lock().insert(datasource.clone()) {
            self.signals.nudge.notify_one();
        }
    }

    /// Fails unless there is a connection. The client would keep a call through an outage and send it long after its
    /// caller gave up.
    pub(super) fn ready(&self, action: &'static str) -> Result<(), Error> {
        match self.client.connection_state() {
            Connection::Connected if self.too_old.load(Ordering::Relaxed) => {
                Err(Error::Failed { action, reason: "the server is too old".to_owned() })
            }
            Connection::Connected => Ok(()),
            Connection::Pending | Connection::Disconnected => Err(Error::Disconnected),
        }
    }

    /// Asks and waits for the one answer.
    pub(super) async fn request(
        &self,
        action: &'static str,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<Message, Error> {
        self.ready(action)?;
        let request = Request::new().headers(headers).payload(payload).timeout(None);
        let reason = match timeout(TIMEOUT, self.client.send_request(subject, request)).await {
            Ok(Ok(message)) => return Ok(message),
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
                self.signals.nudge.notify_one();
                "nothing on the server takes it".to_owned()
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => {
                // A leader that has lost its majority takes what it is sent and says nothing.
                self.signals.nudge.notify_one();
                format!("no answer within {} s", TIMEOUT.as_secs())
            }
        };
        Err(Error::Failed { action, reason })
    }

    /// Publishes to a stream, which knows the message by `id`.
    pub(super) async fn store(
        &self,
        action: &'static str,
        subject: String,
        id: &str,
        payload: Vec<u8>,
    ) -> Result<Ack, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
        trace::write(&mut headers);
        let answer = self.request(action, subject, headers, payload.into()).await?;
        api::ack(&answer.payload).map_err(|reason| Error::Failed { action, reason })
    }

    /// Sends without waiting for an answer to come back here.
    pub(super) async fn send(
        &self,
        action: &'static str,
        subject: String,
        reply: Option<&str>,
        payload: Bytes,
    ) -> Result<(), Error> {
        self.ready(action)?;
        let sent = async {
            match reply {
                Some(reply) => self.client.publish_with_reply(subject, reply.to_owned(), payload).await,
                None => self.client.publish(subject, payload).await,
            }
        };
        within(action, sent).await
    }

    /// Subscribes. Whatever is sent on this connection afterwards reaches the server after the subscription.
    pub(super) async fn subscribe(&self, action: &'static str, subject: String) -> Result<Subscriber, Error> {
        self.ready(action)?;
        within(action, self.client.subscribe(subject)).await
    }

    /// Subscribes as one of a group, of which one gets each message.
    pub(super) async fn share(
        &self,
        action: &'static str,
        subject: String,
        group: &str,
    ) -> Result<Subscriber, Error> {
        self.ready(action)?;
        within(action, self.client.queue_subscribe(subject, group.to_owned())).await
    }

    fn connections(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    fn is_connected(&self) -> bool {
        self.client.connection_state() == Connection::Connected
    }
}

/// Bounds a call that waits for room on the way to a connection that does not move.
async fn within<T, E: std::fmt::Display>(
    action: &'static str,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, Error> {
    match timeout(TIMEOUT, call).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Error::Failed { action, reason: error.to_string() }),
        Err(_) => Err(Error::Failed { action, reason: "the connection does not move".to_owned() }),
    }
}

/// Keeps the state true until `end`.
pub(super) async fn follow(link: Arc<Link>, end: CancellationToken) {
    let mut looks = 0;
    while !end.is_cancelled() {
        if looks == 0 {
            link.check().await;
        }
        if link.signals.leave.swap(false, Ordering::Relaxed) {
            link.leave_server().await;
        }
        let nudged = tokio::select! {
            () = end.cancelled() => return,
            () = link.signals.nudge.notified() => true,
            () = sleep(LOOK) => false,
        };
        // Trouble is looked at each time: it is over as soon as somebody ran `init`.
        let settled = !nudged && link.is_settled();
        looks = if settled { (looks + 1) % LOOKS_PER_CHECK } else { 0 };
    }
}

impl Link {
    /// Whether the state is without trouble, and about the connection that there is.
    fn is_settled(&self) -> bool {
        let state = self.state.borrow();
        state.is_up() && self.is_connected() && state.generation == self.connections()
    }

    /// Finds out how things are and makes it the state.
    async fn check(&self) {
        let generation = self.connections();
        self.signals.metrics.connected.set(i64::from(self.is_connected()));
        if !self.is_connected() {
            self.signals.metrics.forget_queues();
            return self.tell(Some(self.signals.why_not_connected()), generation);
        }
        if generation != self.state.borrow().generation {
            self.tell(Some("connected; looking for the streams".to_owned()), generation);
        }
        let trouble = self.find_trouble().await;
        // What was found is about a connection that may be gone by now; then the next look finds out.
        if self.is_connected() && self.connections() == generation {
            self.tell(trouble, generation);
        } else {
            self.signals.nudge.notify_one();
        }
    }

    fn tell(&self, trouble: Option<String>, generation: u64) {
        self.state.send_if_modified(|state| {
            let new = State { trouble, generation };
            if new.generation > state.generation.max(1) {
                self.signals.metrics.reconnects.inc_by(new.generation - state.generation.max(1));
            }
            match &new.trouble {
                Some(trouble) if state.trouble.as_ref() != Some(trouble) => {
                    warn!(trouble, "the bus is not usable");
                }
                None if !state.is_up() => info!(generation, "the bus is up"),
                Some(_) | None => {}
            }
            let changed = *state != new;
            *state = new;
            changed
        });
    }

    async fn find_trouble(&self) -> Option<String> {
        // The client passes a flush on only after it took note of the server's version.
        if timeout(TIMEOUT, self.client.flush()).await.is_err() {
            return Some("the connection does not move".to_owned());
        }
        let version = self.client.try_server_info().map(|info| info.version).unwrap_or_default();
        let trouble = api::judge_version(&version);
        self.too_old.store(trouble.is_some(), Ordering::Relaxed);
        if trouble.is_some() {
            return trouble;
        }
        for stream in [RESULTS, JOBS] {
            let (call, asked) = (format!("STREAM.INFO.{stream}"), self.clock.now());
            let judge = |answer: &[u8]| {
                if let Some(server) = api::time(answer) {
                    self.signals.metrics.clocks(asked, server, self.clock.now());
                }
                api::judge_stream(stream, answer)
            };
            if let Some(trouble) = self.ask_api(call, judge).await {
                return Some(trouble);
            }
        }
        let needed: Vec<_> = self.consumers.lock().iter().cloned().collect();
        for datasource in needed {
            let consumer = subject::consumer(&datasource);
            let judge = |answer: &[u8]| {
                if let Some(queue) = api::queue(answer) {
                    self.signals.metrics.queue(&datasource, queue);
                }
                api::judge_consumer(&consumer, answer)
            };
            if let Some(trouble) = self.ask_api(format!("CONSUMER.INFO.{JOBS}.{consumer}"), judge).await {
                return Some(trouble);
            }
        }
        None
    }

    async fn ask_api(&self, call: String, judge: impl Fn(&[u8]) -> Option<String>) -> Option<String> {
        let subject = format!("$JS.API.{call}");
        let request = Request::new().timeout(None);
        match timeout(TIMEOUT, self.client.send_request(subject, request)).await {
            Ok(Ok(answer)) => judge(&answer.payload),
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Some(
                "JetStream does not answer: it is starting, choosing a leader, or not enabled".to_owned(),
            ),
            Ok(Err(error)) => Some(format!("JetStream {call}: {error}")),
            Err(_) => Some(format!(
                "JetStream {call}: no answer: the servers are choosing a leader, or this user is not permitted to ask"
            )),
        }
    }

    /// Goes to another server where there is one: a server that shuts down keeps the connection for a while, but its
    /// JetStream is gone at once.
    async fn leave_server(&self) {
        let others = self.client.try_server_info().is_some_and(|info| info.connect_urls.len() > 1);
        if others || self.client.server_pool().await.is_ok_and(|pool| pool.len() > 1) {
            sleep(jittered(LOOK)).await;
            if let Err(error) = self.client.force_reconnect().await {
                warn!(%error, "cannot leave the NATS server");
            }
        }
    }
}
