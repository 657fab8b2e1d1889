//! The sending half of a subscription: never blocks, and tells its reader exactly when updates were dropped.

use promcast_proto::update::Update;
use tokio::sync::mpsc;

use super::{Event, SUBSCRIPTION_BUFFER};
use crate::trace::Context;

/// Writes into one subscription.
pub(crate) struct Feed {
    events: mpsc::Sender<Event>,
    told: bool,
}

/// A feed and what its reader reads from. The last place is kept for [`Event::Lost`], so that it always fits.
pub(crate) fn channel() -> (Feed, mpsc::Receiver<Event>) {
    let (events, reader) = mpsc::channel(SUBSCRIPTION_BUFFER + 1);
    (Feed { events, told: false }, reader)
}

impl Feed {
    /// Hands an update over. Where the reader is too far behind, the update is dropped and the loss is told.
    pub(crate) fn update(&mut self, update: Update, trace: Option<Context>) {
        if self.events.capacity() > 1 {
            self.told = false;
            // It fits, or the reader is gone.
            drop(self.events.try_send(Event::Update(update, trace)));
        } else {
            self.lost();
        }
    }

    /// Tells that updates may have been lost. One that is still unread speaks for those that follow: by the time it is
    /// read, the history has them all.
    pub(crate) fn lost(&mut self) {
        let unread = self.events.capacity() < self.events.max_capacity();
        if !(self.told && unread) {
            self.told = true;
            drop(self.events.try_send(Event::Lost));
        }
    }

    /// Returns once nobody reads any more.
    pub(crate) async fn closed(&self) {
        self.events.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use promcast_proto::code::ErrorCode;
    use promcast_proto::tick::Tick;
    use promcast_proto::topic::{Datasource, Topic};
    use promcast_proto::update::{Failure, Outcome};

    use super::*;

    fn update(tick: i64) -> Update {
        let failure = Failure { code: ErrorCode::BadData, message: String::new() };
        let key = Topic::new(Datasource::default(), "up".to_owned()).key();
        Update { key, tick: Tick::from_millis(tick), took_ms: 0, outcome: Outcome::Failure(failure) }
    }

    fn drain(reader: &mut mpsc::Receiver<Event>) -> Vec<Option<i64>> {
        std::iter::from_fn(|| reader.try_recv().ok())
            .map(|event| match event {
                Event::Update(update, _) => Some(update.tick.millis()),
                Event::Lost => None,
            })
            .collect()
    }

    #[test]
    fn a_full_feed_keeps_the_oldest_and_tells_the_loss_once() {
        let (mut feed, mut reader) = channel();
        for tick in 0..200 {
            feed.update(update(tick), None);
        }
        let read = drain(&mut reader);
        assert_eq!(read.len(), SUBSCRIPTION_BUFFER + 1);
        assert_eq!(read[SUBSCRIPTION_BUFFER - 1], Some(63));
        assert_eq!(read[SUBSCRIPTION_BUFFER], None);
        feed.update(update(200), None);
        assert_eq!(drain(&mut reader), [Some(200)]);
    }

    #[test]
    fn every_drop_is_followed_by_a_told_loss() {
        let (mut feed, mut reader) = channel();
        for tick in 0..100 {
            feed.update(update(tick), None);
        }
        // One place is free: too few for an update, and the loss told before is unread still.
        assert!(matches!(reader.try_recv(), Ok(Event::Update(..))));
        feed.update(update(100), None);
        let read = drain(&mut reader);
        assert_eq!(read.iter().filter(|event| event.is_none()).count(), 1);
        assert_eq!(read.last(), Some(&None));
    }

    #[test]
    fn a_loss_that_was_read_is_told_again() {
        let (mut feed, mut reader) = channel();
        feed.lost();
        feed.lost();
        assert_eq!(drain(&mut reader), [None]);
        feed.lost();
        assert_eq!(drain(&mut reader), [None]);
    }
}
