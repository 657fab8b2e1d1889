//! Turns at work that can be dear for the server: where it is, it rests in between, however many want it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout};

/// Turns at a time.
const AT_ONCE: usize = 32;

/// A turn that took longer says that the server has more to do than it can.
const SLOW: Duration = Duration::from_millis(100);

/// After a slow turn no other begins for so many times as long as it took.
const REST: u32 = 4;

/// The longest rest, should a turn have taken very long.
const REST_MAX: Duration = Duration::from_secs(10);

/// Turns, first come, first served.
#[derive(Debug)]
pub(super) struct Turns {
    places: Semaphore,
    rests_until: Mutex<Option<Instant>>,
}

/// A turn. It ends with its handle.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    since: Instant,
    _place: SemaphorePermit<'a>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { places: Semaphore::new(AT_ONCE), rests_until: Mutex::default() }
    }
}

impl Turns {
    /// A turn, unless that takes longer than `patience`.
    pub(super) async fn take(&self, patience: Duration) -> Option<Turn<'_>> {
        let turn = async {
            let place = self.places.acquire().await.ok()?;
            while let Some(until) = self.rest() {
                sleep_until(until).await;
            }
            Some(Turn { turns: self, since: Instant::now(), _place: place })
        };
        timeout(patience, turn).await.ok()?
    }

    /// The end of the rest, if there is one now.
    fn rest(&self) -> Option<Instant> {
        self.rests_until.lock().filter(|until| Instant::now() < *until)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let took = self.since.elapsed();
        if took > SLOW {
            let until = Instant::now() + took.saturating_mul(REST).min(REST_MAX);
            let mut rests_until = self.turns.rests_until.lock();
            *rests_until = rests_until.max(Some(until));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(300);

    #[tokio::test(start_paused = true)]
    async fn after_a_slow_turn_there_is_a_rest_of_four_times_as_long() {
        let turns = Turns::default();
        let turn = turns.take(PATIENCE).await.unwrap();
        advance(Duration::from_millis(150)).await;
        drop(turn);
        assert!(turns.take(PATIENCE).await.is_none(), "600 ms of rest, of which 300 are over now");
        let before = Instant::now();
        assert!(turns.take(PATIENCE).await.is_some());
        assert_eq!(before.elapsed(), Duration::from_millis(300));
    }

    #[tokio::test(start_paused = true)]
    async fn quick_turns_follow_each_other_at_once_and_some_run_beside_each_other() {
        let turns = Turns::default();
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(turns.take(PATIENCE).await.unwrap());
        }
        assert!(turns.take(Duration::from_millis(50)).await.is_none(), "all places are taken");
        held.pop();
        assert!(turns.take(Duration::ZERO).await.is_some());
    }
}
