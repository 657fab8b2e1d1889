//! The live updates of one topic: a subscription to what the stream republishes, with losses noticed.

use std::sync::Arc;

use async_nats::{Message, Subscriber};
use futures_util::StreamExt;
use parking_lot::Mutex;
use promcast_proto::envelope;
use promcast_proto::topic::Key;
use promcast_proto::update::Update;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::link::Link;
use super::trace;
use crate::bus::feed::Feed;

/// The sequence a message got from its stream.
const SEQUENCE: &str = "Nats-Sequence";
/// The sequence of the message before, on the same subject.
const LAST_SEQUENCE: &str = "Nats-Last-Sequence";

/// How far a subscriber knows its topic, by stream sequence: results and errors apart, as these are two subjects.
/// History read through the same connection counts too, so that a loss between it and the first live update shows.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<[Option<u64>; 2]>);

impl Known {
    /// Takes note of a message and its predecessor's sequence. True where a message between was never seen.
    pub(super) fn meet(&self, subject: &str, sequence: u64, before: u64) -> bool {
        let mut known = self.0.lock();
        let slot = &mut known[index(subject)];
        let lost = slot.is_some_and(|known| before > known);
        *slot = (*slot).max(Some(sequence));
        lost
    }

    /// Takes note of the history: everything up to these sequences was read.
    pub(super) fn read(&self, until: [u64; 2]) {
        for (slot, until) in self.0.lock().iter_mut().zip(until) {
            *slot = (*slot).max(Some(until));
        }
    }

    /// Forgets everything: another server may count anew.
    fn forget(&self) {
        *self.0.lock() = [None; 2];
    }
}

/// Which of the two subjects of a topic this is.
pub(super) fn index(subject: &str) -> usize {
    usize::from(subject.ends_with(".err"))
}

/// A number in a header that the server sets.
pub(super) fn number(message: &Message, header: &str) -> Option<u64> {
    message.headers.as_ref()?.get(header)?.as_str().parse().ok()
}

/// The update in a message; nothing where this release cannot read it or it is not of this topic.
pub(super) fn decode(link: &Link, key: Key, payload: &[u8]) -> Option<Update> {
    let problem = match envelope::decode::<Update>(payload) {
        Ok(update) if update.key == key => return Some(update),
        Ok(_) => "it is of another topic".to_owned(),
        Err(error) => error.to_string(),
    };
    link.signals.metrics.unreadable.inc();
    warn!(topic = %key, problem, "cannot read an update");
    None
}

/// Passes the messages of a subscription on to its reader, until there is none.
pub(super) struct Forward {
    pub(super) link: Arc<Link>,
    pub(super) key: Key,
    pub(super) messages: Subscriber,
    pub(super) known: Arc<Known>,
    pub(super) feed: Feed,
    pub(super) gone: CancellationToken,
}

impl Forward {
    pub(super) async fn run(mut self) {
        let mut state = self.link.state.subscribe();
        let mut generation = state.borrow_and_update().generation;
        loop {
            tokio::select! {
                () = self.feed.closed() => return,
                () = self.gone.cancelled() => return,
                message = self.messages.next() => match message {
                    Some(message) => self.pass(&message),
                    None => return,
                },
                Ok(()) = state.changed() => {
                    let now = state.borrow_and_update();
                    // Told when the bus is up again: before, the history cannot be read.
                    if now.is_up() && now.generation > generation {
                        generation = now.generation;
                        self.known.forget();
                        self.feed.lost();
                    }
                }
            }
        }
    }

    fn pass(&mut self, message: &Message) {
        let (sequence, before) = (number(message, SEQUENCE), number(message, LAST_SEQUENCE));
        if let (Some(sequence), Some(before)) = (sequence, before)
            && self.known.meet(&message.subject, sequence, before)
        {
            self.feed.lost();
        }
        if let Some(update) = decode(&self.link, self.key, &message.payload) {
            self.feed.update(update, trace::read(message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_shows_once_and_per_subject() {
        let known = Known::default();
        assert!(!known.meet("out.d.k.ok", 10, 7), "nothing is known of what was before");
        assert!(!known.meet("out.d.k.err", 11, 0));
        assert!(!known.meet("out.d.k.ok", 12, 10));
        assert!(known.meet("out.d.k.ok", 20, 15));
        assert!(!known.meet("out.d.k.ok", 21, 20));
        assert!(!known.meet("out.d.k.err", 22, 11));
    }

    #[test]
    fn what_the_history_lacked_shows_at_the_first_live_message() {
        let known = Known::default();
        known.read([5, 0]);
        assert!(known.meet("out.d.k.ok", 9, 7), "7 was neither read nor seen");
        assert!(!known.meet("out.d.k.err", 10, 0));
        let known = Known::default();
        known.read([5, 0]);
        assert!(!known.meet("out.d.k.ok", 5, 3), "read already");
        assert!(!known.meet("out.d.k.ok", 9, 5));
    }

    #[test]
    fn history_read_late_does_not_hide_what_came_live() {
        let known = Known::default();
        assert!(!known.meet("out.d.k.ok", 9, 5));
        known.read([5, 0]);
        assert!(!known.meet("out.d.k.ok", 10, 9));
    }
}
