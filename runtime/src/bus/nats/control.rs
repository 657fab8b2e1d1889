//! Control messages between gateways, on core NATS: who is not there does not matter.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures_util::StreamExt;
use promcast_proto::control::{Control, Reply};
use promcast_proto::envelope;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::link::Link;
use super::subject::CONTROL;
use crate::bus::{Error, Question};

/// How long a question may take to be answered within this process.
const ANSWER: Duration = Duration::from_secs(1);

/// Sends a message to all gateways.
pub(super) async fn tell(link: &Link, control: &Control) -> Result<(), Error> {
    let payload = envelope::encode(control)?;
    link.send("pass a control message on", CONTROL.to_owned(), None, payload.into()).await
}

/// Asks all gateways, until `enough` have answered or `wait` is over.
pub(super) async fn gather(
    link: &Link,
    control: &Control,
    enough: usize,
    wait: Duration,
) -> Result<Vec<Reply>, Error> {
    const ACTION: &str = "pass a question on";
    let until = Instant::now() + wait;
    let inbox = link.client.new_inbox();
    let mut answers = link.subscribe(ACTION, inbox.clone()).await?;
    let payload = envelope::encode(control)?;
    link.send(ACTION, CONTROL.to_owned(), Some(&inbox), payload.into()).await?;
    let mut replies = Vec::new();
    while replies.len() < enough {
        // Without anybody to answer the server says so, with a status and nothing inside.
        match timeout_at(until, answers.next()).await {
            Ok(Some(answer)) if answer.status.is_none() => match envelope::decode(&answer.payload) {
                Ok(reply) => replies.push(reply),
                Err(error) => warn!(%error, "cannot read an answer of another gateway"),
            },
            Ok(Some(_) | None) | Err(_) => break,
        }
    }
    Ok(replies)
}

/// Passes what other gateways ask on to `questions`, and the answers back, until either end is gone.
pub(super) struct Relay {
    pub(super) link: Arc<Link>,
    pub(super) messages: Subscriber,
    pub(super) questions: mpsc::Sender<Question>,
    pub(super) gone: CancellationToken,
}

impl Relay {
    pub(super) async fn run(mut self) {
        loop {
            let message = tokio::select! {
                () = self.questions.closed() => return,
                () = self.gone.cancelled() => return,
                message = self.messages.next() => message,
            };
            let Some(message) = message else { return };
            match envelope::decode(&message.payload) {
                Ok(control) => self.pass(control, message).await,
                Err(error) => warn!(%error, "cannot read a control message"),
            }
        }
    }

    async fn pass(&self, control: Control, message: Message) {
        let (reply, answered) = oneshot::channel();
        if self.questions.try_send(Question { control, reply }).is_err() {
            return debug!("a control message came too fast and is dropped");
        }
        let Some(to) = message.reply else { return };
        // Who has no answer drops the question.
        let Ok(Ok(reply)) = timeout(ANSWER, answered).await else { return };
        let sent = match envelope::encode(&reply) {
            Ok(payload) => self.link.send("take an answer", to.to_string(), None, payload.into()).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = sent {
            debug!(%error, "cannot answer another gateway");
        }
    }
}
