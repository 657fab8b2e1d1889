//! What the stream still has of a topic, by batched direct gets (NATS ADR-31), for which the client has no call.

use std::time::Duration;

use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Address;
use promcast_proto::update::{Outcome, Update};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::timeout;

use super::link::{Link, TIMEOUT};
use super::subject::{self, RESULTS};
use super::topic::{decode, index, number};
use crate::bus::Error;

const ACTION: &str = "give its history";

/// How much earlier than its tick an update may have been stored, in milliseconds: as far as the clocks of servers may be apart.
const CLOCKS_MS: i64 = 5_000;

/// How long a turn at reading more than the newest is waited for, where the server is slow.
const PATIENCE: Duration = Duration::from_secs(2);

/// Messages asked for at once. Each may have close to a megabyte, and a subscription holds this many with ease.
const BATCH: usize = 16;

/// Pages of a history at most: more would be a server that does not move on.
const PAGES: usize = 1024;

/// The updates and, for results and errors, the highest stream sequence that there is; zero where there is none.
pub(super) struct Kept {
    pub(super) updates: Vec<Update>,
    pub(super) until: [u64; 2],
}

/// Reads what is kept of the ticks of a topic from `since` on, by rising tick.
///
/// The last result and the last error cost the server nothing, and are mostly all there is to read. For more it goes through the
/// messages of all topics, from the time of `since`, and while it does so it takes in no others: many that read so at once
/// would bring it down. So where that is slow they take turns, and where many wait the newest is all that is given.
pub(super) async fn read(link: &Link, address: &Address, since: Tick) -> Result<Kept, Error> {
    let mut reader = Reader { link, address, kept: Kept { updates: Vec::new(), until: [0; 2] }, last: None };
    let (good, bad) = futures_util::join!(reader.newest("ok"), reader.newest("err"));
    for answer in [good?, bad?] {
        reader.take_newest(&answer)?;
    }
    // Without a turn the newest has to do. What is not among it is asked for again, or looked for again.
    if reader.kept.updates.iter().any(|newest| newest.tick > since)
        && let Some(_turn) = link.reading.take(PATIENCE).await
    {
        reader.all(since).await?;
    }
    let mut kept = reader.kept;
    kept.updates.retain(|update| update.tick >= since);
    kept.updates.sort_by_key(|update| (update.tick, matches!(update.outcome, Outcome::Failure(_))));
    kept.updates.dedup_by_key(|update| update.tick);
    Ok(kept)
}

struct Reader<'a> {
    link: &'a Link,
    address: &'a Address,
    kept: Kept,
    /// The last sequence read of those that are read in order.
    last: Option<u64>,
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
    /// Asks for the newest message of one of the two subjects.
    async fn newest(&self, tail: &str) -> Result<Message, Error> {
        let to = format!("$JS.API.DIRECT.GET.{RESULTS}.{}", subject::newest(self.address, tail));
        self.link.request(ACTION, to, HeaderMap::new(), Bytes::new()).await
    }

    fn take_newest(&mut self, answer: &Message) -> Result<(), Error> {
        match answer.status.map(|status| status.as_u16()) {
            None | Some(200) => self.keep(answer).map(drop),
            Some(404) => Ok(()),
            Some(status) => Err(failed(format!("{} ({status})", reason(answer)))),
        }
    }

    /// Reads everything that was stored since that time, page by page.
    async fn all(&mut self, since: Tick) -> Result<(), Error> {
        for _ in 0..PAGES {
            if self.page(since).await? == Page::Last {
                return Ok(());
            }
        }
        Err(failed("it has no end"))
    }

    async fn page(&mut self, since: Tick) -> Result<Page, Error> {
        let inbox = self.link.client.new_inbox();
        let mut answers = self.link.subscribe(ACTION, inbox.clone()).await?;
        let mut request = json!({ "next_by_subj": subject::stored(self.address), "batch": BATCH });
        match self.last {
            Some(last) => request["seq"] = (last + 1).into(),
            None => request["start_time"] = rfc3339(since.plus_millis(-CLOCKS_MS)).into(),
        }
        let to = format!("$JS.API.DIRECT.GET.{RESULTS}");
        self.link.send(ACTION, to, Some(&inbox), request.to_string().into()).await?;
        loop {
            let answer = next(&mut answers, TIMEOUT).await?;
            if let Some(page) = self.take(&answer)? {
                return Ok(page);
            }
        }
    }

    /// Keeps the update in a message; the sequence of the message.
    fn keep(&mut self, answer: &Message) -> Result<u64, Error> {
        let sequence = number(answer, "Nats-Sequence").ok_or_else(|| failed("a message has no sequence"))?;
        let subject = answer.headers.as_ref().and_then(|headers| headers.get("Nats-Subject"));
        let slot = index(subject.map_or("", |subject| subject.as_str()));
        self.kept.until[slot] = self.kept.until[slot].max(sequence);
        self.kept.updates.extend(decode(self.link, self.address.key, &answer.payload));
        Ok(sequence)
    }

    /// One answer; the last of a page says whether there are more.
    fn take(&mut self, answer: &Message) -> Result<Option<Page>, Error> {
        match answer.status.map(|status| status.as_u16()) {
            None | Some(200) => {
                self.last = Some(self.keep(answer)?);
                Ok(None)
            }
            // The end of a batch; what it sent last must be what we got last.
            Some(204)
                if number(answer, "Nats-Last-Sequence")
                    .is_some_and(|sent| sent != self.last.unwrap_or_default()) =>
            {
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
            Some(status) => Err(failed(format!("{} ({status})", reason(answer)))),
        }
    }
}

fn reason(answer: &Message) -> &str {
    answer.description.as_deref().unwrap_or("no reason")
}

/// The time as NATS reads it, to the second before it. All of it, where that is a time that cannot be written.
fn rfc3339(tick: Tick) -> String {
    let time = OffsetDateTime::from_unix_timestamp(tick.millis().div_euclid(1000).max(0)).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

async fn next(answers: &mut Subscriber, wait: Duration) -> Result<Message, Error> {
    match timeout(wait, answers.next()).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(Error::Disconnected),
        Err(_) => Err(failed(format!("no answer within {} s", wait.as_secs()))),
    }
}
