//! What the stream still has of a topic, by batched direct gets (NATS ADR-31), for which the client has no call.

use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use futures_util::StreamExt;
use promcast_proto::topic::Address;
use promcast_proto::update::{Outcome, Update};
use serde_json::json;
use tokio::time::timeout;

use super::link::{Link, TIMEOUT};
use super::subject::{self, RESULTS};
use super::topic::{decode, index, number};
use crate::bus::Error;

const ACTION: &str = "give its history";

/// Messages asked for at once. Each may have close to a megabyte, and a subscription holds this many with ease.
const BATCH: usize = 16;

/// Pages of a history at most: more would be a server that does not move on.
const PAGES: usize = 1024;

/// The updates and, for results and errors, the highest stream sequence among them; zero where there is none.
pub(super) struct Kept {
    pub(super) updates: Vec<Update>,
    pub(super) until: [u64; 2],
}

/// Reads all that is kept of a topic, by rising tick.
pub(super) async fn read(link: &Link, address: &Address) -> Result<Kept, Error> {
    let mut reader = Reader { link, address, kept: Kept { updates: Vec::new(), until: [0; 2] }, last: 0 };
    for _ in 0..PAGES {
        if reader.page().await? == Page::Last {
            let mut kept = reader.kept;
            kept.updates.sort_by_key(|update| (update.tick, matches!(update.outcome, Outcome::Failure(_))));
            kept.updates.dedup_by_key(|update| update.tick);
            return Ok(kept);
        }
    }
    Err(failed("it has no end"))
}

struct Reader<'a> {
    link: &'a Link,
    address: &'a Address,
    kept: Kept,
    /// The last sequence read.
    last: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    More,
    Last,
}

fn failed(reason: impl Into<String>) -> Error {
    Error::Failed { action: ACTION, reason: reason.into() }
}

impl Reader<'_> {
    async fn page(&mut self) -> Result<Page, Error> {
        let inbox = self.link.client.new_inbox();
        let mut answers = self.link.subscribe(ACTION, inbox.clone()).await?;
        let request = json!({
            "seq": self.last + 1,
            "next_by_subj": subject::stored(self.address),
            "batch": BATCH,
        });
        let to = format!("$JS.API.DIRECT.GET.{RESULTS}");
        self.link.send(ACTION, to, Some(&inbox), request.to_string().into()).await?;
        loop {
            let answer = next(&mut answers, TIMEOUT).await?;
            if let Some(page) = self.take(&answer)? {
                return Ok(page);
            }
        }
    }

    /// One answer; the last of a page says whether there are more.
    fn take(&mut self, answer: &Message) -> Result<Option<Page>, Error> {
        match answer.status.map(|status| status.as_u16()) {
            None | Some(200) => {
                let sequence =
                    number(answer, "Nats-Sequence").ok_or_else(|| failed("a message has no sequence"))?;
                let subject = answer.headers.as_ref().and_then(|headers| headers.get("Nats-Subject"));
                let slot = index(subject.map_or("", |subject| subject.as_str()));
                self.last = self.last.max(sequence);
                self.kept.until[slot] = self.kept.until[slot].max(sequence);
                self.kept.updates.extend(decode(self.link, self.address.key, &answer.payload));
                Ok(None)
            }
            // The end of a batch; what it sent last must be what we got last.
            Some(204) if number(answer, "Nats-Last-Sequence").is_some_and(|sent| sent != self.last) => {
                Err(failed("a part of it was lost on the way"))
            }
            Some(204) if number(answer, "Nats-Num-Pending").is_some_and(|pending| pending > 0) => {
                Ok(Some(Page::More))
            }
            Some(204 | 404) => Ok(Some(Page::Last)),
            Some(_) if answer.status == Some(StatusCode::NO_RESPONDERS) => {
                self.link.signals.nudge.notify_one();
                Err(failed(format!("stream {RESULTS} does not answer")))
            }
            Some(status) => {
                let text = answer.description.as_deref().unwrap_or("no reason");
                Err(failed(format!("{text} ({status})")))
            }
        }
    }
}

async fn next(answers: &mut Subscriber, wait: Duration) -> Result<Message, Error> {
    match timeout(wait, answers.next()).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(Error::Disconnected),
        Err(_) => Err(failed(format!("no answer within {} s", wait.as_secs()))),
    }
}
