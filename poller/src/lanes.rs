//! The places of a datasource's jobs: queries that are known to take long have most of them, and never all.
//!
//! Which those are is what their last evaluation says. So a query that was not run here before finds a place as a quick one does,
//! and slow ones, however many there are, wait for each other and for nobody else.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use promcast_proto::topic::Key;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// A query is slow from here on. Those of a dashboard take milliseconds.
const SLOW: Duration = Duration::from_secs(1);

/// How long a job waits for the slow ones before it, when it has given up its place: half of the age at which the bus forgets it.
const WAIT: Duration = Duration::from_secs(10);

/// Jobs that wait so, for each place.
const WAITING: usize = 4;

/// Topics that are remembered as slow, and for how long after their last evaluation.
const KNOWN: (u64, Duration) = (10_000, Duration::from_secs(10 * 60));

/// The places of one datasource.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    places: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    known: Cache<Key, ()>,
}

/// A place for whatever job comes next.
pub(crate) type Place = OwnedSemaphorePermit;

/// A place that a job has until its end.
#[derive(Debug)]
pub(crate) struct Running {
    _place: Place,
    _slow: Option<OwnedSemaphorePermit>,
}

impl Lanes {
    /// So many places. Of four one is kept from slow queries; of fewer none is.
    pub(crate) fn new(places: usize) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        let (most, kept) = KNOWN;
        Self {
            places: semaphore(places),
            slow: semaphore(places - places / 4),
            waiting: semaphore(places.saturating_mul(WAITING)),
            known: Cache::builder().max_capacity(most).time_to_live(kept).build(),
        }
    }

    /// The next place that is free. Nothing where there are none any more.
    pub(crate) async fn place(&self) -> Option<Place> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Waits until a job of a topic may run: a slow one gives its place to others meanwhile. Nothing where that took too long.
    pub(crate) async fn enter(&self, topic: Key, place: Place) -> Option<Running> {
        if !self.known.contains_key(&topic) {
            return Some(Running { _place: place, _slow: None });
        }
        if let Ok(slow) = Arc::clone(&self.slow).try_acquire_owned() {
            return Some(Running { _place: place, _slow: Some(slow) });
        }
        // Where too many wait already this one stays where it is, and so there is an end to what is taken from the bus.
        let _waiting = self.waiting.acquire().await.ok()?;
        drop(place);
        let turn = async {
            let slow = Arc::clone(&self.slow).acquire_owned().await.ok()?;
            Some(Running { _place: self.place().await?, _slow: Some(slow) })
        };
        timeout(WAIT, turn).await.ok().flatten()
    }

    /// An evaluation of a topic took so long.
    pub(crate) fn took(&self, topic: Key, time: Duration) {
        if time >= SLOW {
            self.known.insert(topic, ());
        } else {
            self.known.invalidate(&topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use promcast_proto::topic::{Datasource, Topic};

    use super::*;

    fn topic(number: usize) -> Key {
        Topic::new(Datasource::default(), format!("query_{number}")).key()
    }

    /// Four places, and so many topics that are slow.
    fn lanes(slow: usize) -> Lanes {
        let lanes = Lanes::new(4);
        (0..slow).for_each(|number| lanes.took(topic(number), SLOW));
        lanes
    }

    async fn enter(lanes: &Lanes, number: usize) -> Option<Running> {
        lanes.enter(topic(number), lanes.place().await?).await
    }

    #[tokio::test(start_paused = true)]
    async fn slow_queries_leave_a_place_for_the_others() {
        let lanes = lanes(4);
        let mut running = Vec::new();
        for number in 0..3 {
            running.push(enter(&lanes, number).await.unwrap());
        }
        let fourth = enter(&lanes, 3);
        tokio::pin!(fourth);
        assert!(timeout(WAIT / 2, &mut fourth).await.is_err(), "all places are taken by slow queries");
        drop(enter(&lanes, 9).await.expect("a place for one that is not known"));
        running.pop();
        fourth.await.expect("its turn");
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_too_long_goes_back() {
        let lanes = lanes(4);
        let _running = [enter(&lanes, 0).await, enter(&lanes, 1).await, enter(&lanes, 2).await];
        assert!(enter(&lanes, 3).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_wait_than_there_is_room_for() {
        let lanes = lanes(4 + 4 * WAITING);
        let mut running = Vec::new();
        for number in 0..3 {
            running.push(enter(&lanes, number).await.unwrap());
        }
        let waiting = (3..4 + 4 * WAITING).map(|number| enter(&lanes, number));
        let waiting = futures_util::future::join_all(waiting);
        tokio::pin!(waiting);
        assert!(timeout(WAIT / 2, &mut waiting).await.is_err());
        assert!(timeout(WAIT / 4, lanes.place()).await.is_err(), "more are taken than can wait");
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_that_was_slow_once_is_not_for_ever() {
        let lanes = lanes(4);
        let _running = [enter(&lanes, 0).await, enter(&lanes, 1).await, enter(&lanes, 2).await];
        lanes.took(topic(3), SLOW - Duration::from_millis(1));
        assert!(enter(&lanes, 3).await.is_some());
    }

    #[tokio::test]
    async fn one_place_is_for_all() {
        let lanes = Lanes::new(1);
        lanes.took(topic(0), SLOW);
        drop(enter(&lanes, 0).await.unwrap());
        enter(&lanes, 1).await.unwrap();
    }
}
