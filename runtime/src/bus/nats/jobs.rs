//! One worker's view of a queue: pulls one job at a time through the durable consumer of its datasource.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Message, Subscriber};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use promcast_proto::envelope;
use promcast_proto::job::Job;
use promcast_proto::topic::Datasource;
use serde_json::json;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::link::Link;
use super::options::jittered;
use super::subject::{self, JOBS};
use super::trace;
use crate::bus::{Delivery, Error, Jobs};
use crate::trace::Context;

/// How long one request for a job waits on the server. Less than the server waits for a sign of life (`ack_wait`, 3 s) without
/// what lies between two such signs (1 s): so the requests of a poller that froze are over before a job that it holds is given
/// out again, and no job goes to it twice.
const EXPIRES: Duration = Duration::from_millis(1_800);

/// How much later the server may say that a request has run out. One that was forgotten, by a new leader for instance, is
/// noticed by that.
const GRACE: Duration = Duration::from_secs(2);

/// The pause after a request that could not be made or was refused.
const PAUSE: Duration = Duration::from_secs(1);

/// Pulls jobs of one datasource.
pub(super) struct Worker {
    link: Arc<Link>,
    subject: String,
    /// Kept from call to call while no request is open: a job can only come in while somebody waits for it.
    inbox: Option<Inbox>,
}

struct Inbox {
    subject: String,
    messages: Subscriber,
}

/// What a request for a job led to.
enum Pulled {
    Job(Message),
    /// The request ran out; the next one may use the same inbox.
    Nothing,
    /// The request may have been forgotten, or was refused for now.
    Broken(String),
}

impl Worker {
    pub(super) fn new(link: Arc<Link>, datasource: &Datasource) -> Self {
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{JOBS}.{}", subject::consumer(datasource));
        Self { link, subject, inbox: None }
    }

    /// A message with a job. Where this is dropped halfway the inbox goes with it, and the server drops the request.
    async fn pull(&mut self) -> Result<Pulled, Error> {
        const ACTION: &str = "give a job";
        let mut inbox = match self.inbox.take() {
            Some(inbox) => inbox,
            None => {
                let subject = self.link.client.new_inbox();
                let messages = self.link.subscribe(ACTION, subject.clone()).await?;
                Inbox { subject, messages }
            }
        };
        let request = json!({ "batch": 1, "expires": nanos(EXPIRES) }).to_string().into();
        self.link.send(ACTION, self.subject.clone(), Some(&inbox.subject), request).await?;
        let pulled = self.answer(&mut inbox.messages).await;
        if !matches!(pulled, Pulled::Broken(_)) {
            self.inbox = Some(inbox);
        }
        Ok(pulled)
    }

    async fn answer(&self, messages: &mut Subscriber) -> Pulled {
        let mut state = self.link.state.subscribe();
        let generation = state.borrow().generation;
        let reconnected = async move {
            // The sender is in our own link: there is no error to come.
            if state.wait_for(|state| state.generation != generation).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::pin!(reconnected);
        loop {
            let message = tokio::select! {
                () = &mut reconnected => return Pulled::Broken("reconnected".to_owned()),
                message = timeout(EXPIRES + GRACE, messages.next()) => message,
            };
            let message = match message {
                Ok(Some(message)) => message,
                Ok(None) => return Pulled::Broken("the connection is closed".to_owned()),
                Err(_) => return Pulled::Broken("no sign of life".to_owned()),
            };
            match message.status.map(|status| status.as_u16()) {
                None | Some(200) => return Pulled::Job(message),
                Some(100) => {}
                Some(404 | 408) => return Pulled::Nothing,
                Some(status) => {
                    self.link.signals.nudge.notify_one();
                    let text = message.description.as_deref().unwrap_or("no consumer answers");
                    return Pulled::Broken(format!("{text} ({status})"));
                }
            }
        }
    }

    /// The job in a message. One that this release cannot read is ended, so that its topic is free for another try.
    async fn open(&self, message: Message) -> Result<Option<Taken>, Error> {
        let trace = trace::read(&message);
        let Some(reply) = message.reply else { return Ok(None) };
        match envelope::decode::<Job>(&message.payload) {
            Ok(job) => {
                let (link, reply) = (Arc::clone(&self.link), reply.to_string());
                Ok(Some(Taken { link, reply, job, trace }))
            }
            Err(error) => {
                self.link.signals.metrics.unreadable.inc();
                warn!(%error, "cannot read a job");
                self.link.send("end a job", reply.to_string(), None, Bytes::from_static(b"+TERM")).await?;
                Ok(None)
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Jobs for Worker {
    async fn next(&mut self) -> Result<Box<dyn Delivery>, Error> {
        loop {
            let mut state = self.link.state.subscribe();
            state.wait_for(crate::bus::State::is_up).await.map_err(|_| Error::Disconnected)?;
            let problem = match self.pull().await {
                Ok(Pulled::Job(message)) => match self.open(message).await {
                    Ok(Some(taken)) => return Ok(Box::new(taken)),
                    Ok(None) => continue,
                    Err(error) => error.to_string(),
                },
                Ok(Pulled::Nothing) => continue,
                Ok(Pulled::Broken(problem)) => problem,
                Err(error) => error.to_string(),
            };
            debug!(problem, "a request for a job came to nothing");
            sleep(jittered(PAUSE)).await;
        }
    }
}

/// A job in hand, and where its fate is told.
struct Taken {
    link: Arc<Link>,
    reply: String,
    job: Job,
    trace: Option<Context>,
}

impl Taken {
    /// Tells the server and waits until it knows.
    async fn tell(&self, action: &'static str, word: &'static [u8]) -> Result<(), Error> {
        let word = Bytes::from_static(word);
        self.link.request(action, self.reply.clone(), HeaderMap::new(), word).await.map(drop)
    }
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
        self.link.send("take note of progress", self.reply.clone(), None, Bytes::from_static(b"+WPI")).await
    }

    async fn done(self: Box<Self>) -> Result<(), Error> {
        self.tell("take note of a job's end", b"+ACK").await
    }

    async fn release(self: Box<Self>) -> Result<(), Error> {
        self.tell("take a job back", b"-NAK").await
    }
}
