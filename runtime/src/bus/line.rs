//! The way of asks to one poller of this process: which of them it has taken, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use promcast_proto::ask::{Answer, Ask};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{ASK_BUFFER, Asked};

/// A poller that has not taken an ask for so long is taken for dead or frozen, and another one is asked. A poller that is
/// well takes it within milliseconds.
pub(super) const SILENCE: Duration = Duration::from_secs(1);

/// How often an ask may be declined before it is given up: pollers that have all too much to do are not asked in a circle.
pub(super) const DECLINES: u32 = 3;

/// How much longer than [`Ask::timeout_ms`] an answer is waited for: the poller waits for its upstream a second longer than
/// that, and one that is silent costs [`SILENCE`] before.
const MARGIN: Duration = Duration::from_secs(3);

/// How long the answer to an ask is waited for.
pub(super) fn patience(ask: &Ask) -> Duration {
    Duration::from_millis(u64::from(ask.timeout_ms)) + MARGIN
}

/// Hands asks to one poller. Clones are the same line.
#[derive(Clone, Debug)]
pub(super) struct Line(Arc<Mutex<Sending>>);

#[derive(Debug)]
struct Sending {
    asks: mpsc::Sender<Asked>,
    handed: u64,
}

/// An ask in the hands of a poller, or on the way there. Who drops it wants no answer any more.
#[derive(Debug)]
pub(super) struct Handed {
    line: Line,
    number: u64,
    answer: oneshot::Receiver<Answer>,
}

/// What is heard of an ask.
#[derive(Debug)]
pub(super) enum Word {
    /// The answer.
    Answer(Answer),
    /// The poller dropped it.
    Declined,
    /// The poller has taken it, and no more is known.
    Taken,
    /// Nothing.
    Silence,
}

impl Line {
    /// A line and what its poller reads from.
    pub(super) fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (asks, reader) = mpsc::channel(ASK_BUFFER);
        (Self(Arc::new(Mutex::new(Sending { asks, handed: 0 }))), reader)
    }

    /// Hands an ask over, unless too many wait already, or nobody reads any more.
    pub(super) fn hand(&self, ask: Ask) -> Option<Handed> {
        let mut sending = self.0.lock();
        let (reply, answer) = oneshot::channel();
        sending.asks.try_send(Asked { ask, reply }).ok()?;
        sending.handed += 1;
        Some(Handed { line: self.clone(), number: sending.handed, answer })
    }

    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        self.0.lock().asks.is_closed()
    }

    /// Returns once nobody reads any more.
    pub(super) async fn closed(&self) {
        let asks = self.0.lock().asks.clone();
        asks.closed().await;
    }

    /// Asks are read in the order in which they were handed over: all but the last few that still lie there.
    fn has_taken(&self, number: u64) -> bool {
        let sending = self.0.lock();
        let unread = sending.asks.max_capacity() - sending.asks.capacity();
        sending.handed.saturating_sub(unread as u64) >= number
    }
}

impl Handed {
    /// Waits for an answer for so long.
    pub(super) async fn word(&mut self, wait: Duration) -> Word {
        match timeout(wait, &mut self.answer).await {
            Ok(Ok(answer)) => Word::Answer(answer),
            Ok(Err(_)) => Word::Declined,
            Err(_) if self.line.has_taken(self.number) => Word::Taken,
            Err(_) => Word::Silence,
        }
    }
}
