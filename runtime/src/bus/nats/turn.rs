//! Turns at work that is dear for the server: only so much of the time, however many want one.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until, timeout};

/// After a turn the work rests for so many times as long as the turn took: a fifth of the time is spent on it at most.
const REST: u32 = 4;

/// The longest rest, should a turn have taken very long.
const REST_MAX: Duration = Duration::from_secs(10);

/// One piece of work at a time, and rests between. First come, first served.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<Option<Instant>>);

/// A turn. It ends with its handle.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    rests_until: MutexGuard<'a, Option<Instant>>,
    since: Instant,
}

impl Turns {
    /// A turn, unless that takes longer than `patience`.
    pub(super) async fn take(&self, patience: Duration) -> Option<Turn<'_>> {
        let turn = async {
            let rests_until = self.0.lock().await;
            if let Some(until) = *rests_until {
                sleep_until(until).await;
            }
            Turn { rests_until, since: Instant::now() }
        };
        timeout(patience, turn).await.ok()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let rest = self.since.elapsed().saturating_mul(REST).min(REST_MAX);
        *self.rests_until = Some(Instant::now() + rest);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(30);

    #[tokio::test(start_paused = true)]
    async fn work_rests_for_four_times_as_long_as_it_took() {
        let turns = Turns::default();
        let turn = turns.take(PATIENCE).await.unwrap();
        assert!(turns.take(PATIENCE).await.is_none(), "somebody has the turn, for 30 ms so far");
        drop(turn);
        advance(Duration::from_millis(60)).await;
        assert!(turns.take(PATIENCE).await.is_none(), "the work rests for 120 ms, of which 90 are over");
        let before = Instant::now();
        assert!(turns.take(PATIENCE).await.is_some());
        assert_eq!(before.elapsed(), Duration::from_millis(30));
    }
}
