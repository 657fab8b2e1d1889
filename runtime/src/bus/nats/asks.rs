//! Asks on core NATS: a request that the server gives to one poller, signs of life while it works, and the answer.
//!
//! The server gives a request to any poller that is subscribed, dead or alive. One that was taken says so again and again; where
//! that stops, or never begins, the request is made once more.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use promcast_proto::ask::{Answer, Ask};
use promcast_proto::envelope;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::link::Link;
use super::subject;
use crate::bus::Error;
use crate::bus::line::{DECLINES, Handed, Line, SILENCE, Word, patience};
use crate::lifecycle::Tasks;

/// The group of which one is given a request.
pub(super) const GROUP: &str = "pollers";

/// How often a poller says that it works on an ask: well below [`SILENCE`]. An answer that comes sooner is the only word.
const ALIVE_EVERY: Duration = Duration::from_millis(300);

/// A sign of life, as JetStream spells it for jobs.
const ALIVE: &[u8] = b"+WPI";

/// Another poller shall be asked.
const DECLINED: &[u8] = b"-NAK";

/// Asks one poller, and again where that is silent.
pub(super) async fn consult(link: &Link, ask: &Ask) -> Result<Answer, Error> {
    const ACTION: &str = "pass an ask on";
    let payload = Bytes::from(envelope::encode(ask)?);
    let inbox = link.client.new_inbox();
    let mut answers = link.subscribe(ACTION, inbox.clone()).await?;
    let asking = async {
        let mut declines = 0;
        while declines < DECLINES {
            link.send(ACTION, subject::asks(&ask.datasource), Some(&inbox), payload.clone()).await?;
            match hear(&mut answers).await? {
                Heard::Answer(answer) => return Ok(answer),
                Heard::Nobody => return Err(Error::Unanswered),
                Heard::Declined => declines += 1,
                Heard::Silence => debug!("a poller that was asked is silent; asking again"),
            }
        }
        Err(Error::Unanswered)
    };
    timeout(patience(ask), asking).await.unwrap_or(Err(Error::Unanswered))
}

/// What came of a request.
enum Heard {
    Answer(Answer),
    Declined,
    /// Nobody is subscribed.
    Nobody,
    /// No sign of life, or no more.
    Silence,
}

/// Also hears those who were asked before and taken for dead: their answer is as good.
async fn hear(answers: &mut Subscriber) -> Result<Heard, Error> {
    loop {
        let message = match timeout(SILENCE, answers.next()).await {
            Ok(Some(message)) => message,
            Ok(None) => return Err(Error::Disconnected),
            Err(_) => return Ok(Heard::Silence),
        };
        if message.status.is_some() {
            return Ok(Heard::Nobody);
        }
        match message.payload.as_ref() {
            ALIVE => {}
            DECLINED => return Ok(Heard::Declined),
            answer => return Ok(Heard::Answer(envelope::decode(answer)?)),
        }
    }
}

/// Passes what is asked on to a poller of this process, and the answers back, until either end is gone.
pub(super) struct Relay {
    pub(super) link: Arc<Link>,
    pub(super) messages: Subscriber,
    pub(super) line: Line,
    pub(super) tasks: Tasks,
    pub(super) gone: CancellationToken,
}

impl Relay {
    pub(super) async fn run(mut self) {
        let line = self.line.clone();
        loop {
            let message = tokio::select! {
                () = line.closed() => return,
                () = self.gone.cancelled() => return,
                message = self.messages.next() => message,
            };
            let Some(message) = message else { return };
            self.pass(message);
        }
    }

    fn pass(&self, message: Message) {
        let Some(to) = message.reply else { return };
        let to = Requester { link: Arc::clone(&self.link), inbox: to.to_string() };
        match envelope::decode::<Ask>(&message.payload) {
            Ok(ask) => {
                let patience = patience(&ask);
                let handed = self.line.hand(ask);
                self.tasks.spawn("bus.ask", async move {
                    match handed {
                        // Nobody waits for longer.
                        Some(handed) => drop(timeout(patience, to.attend(handed)).await),
                        None => to.say(Bytes::from_static(DECLINED)).await,
                    }
                });
            }
            Err(error) => {
                self.link.signals.metrics.unreadable.inc();
                warn!(%error, "cannot read an ask");
                self.tasks.spawn("bus.ask", async move { to.say(Bytes::from_static(DECLINED)).await });
            }
        }
    }
}

/// Whoever made a request.
struct Requester {
    link: Arc<Link>,
    inbox: String,
}

impl Requester {
    /// Tells what becomes of the ask, until that is known.
    async fn attend(&self, mut handed: Handed) {
        loop {
            match handed.word(ALIVE_EVERY).await {
                Word::Answer(answer) => return self.answer(&answer).await,
                Word::Declined => return self.say(Bytes::from_static(DECLINED)).await,
                Word::Taken => self.say(Bytes::from_static(ALIVE)).await,
                Word::Silence => {}
            }
        }
    }

    async fn answer(&self, answer: &Answer) {
        match envelope::encode(answer) {
            Ok(payload) => self.say(payload.into()).await,
            Err(error) => warn!(%error, "cannot write an answer"),
        }
    }

    async fn say(&self, payload: Bytes) {
        if let Err(error) = self.link.send("take an answer", self.inbox.clone(), None, payload).await {
            debug!(%error, "cannot answer an ask");
        }
    }
}
