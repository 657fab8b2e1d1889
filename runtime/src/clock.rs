//! Wall time, as a port: ticks are wall time, and a test must be able to set it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use promcast_proto::tick::Tick;
use tokio::time::Instant;

/// The time of day. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Tick + Send + Sync>);

impl Clock {
    /// The machine's clock, following its corrections.
    pub fn system() -> Self {
        Self(Arc::new(|| {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the one place that reads the machine's clock"
            )]
            let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Tick::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        }))
    }

    /// A clock that shows `start` now and goes on with tokio's time, so that it stands and jumps as a test's paused
    /// time does.
    pub fn starting_at(start: Tick) -> Self {
        let origin = Instant::now();
        Self(Arc::new(move || {
            start.plus_millis(i64::try_from(origin.elapsed().as_millis()).unwrap_or(i64::MAX))
        }))
    }

    /// The time of day, to the millisecond.
    pub fn now(&self) -> Tick {
        (self.0)()
    }

    /// How long it is from now until `tick`; zero where that is past.
    pub fn until(&self, tick: Tick) -> Duration {
        Duration::from_millis(u64::try_from(tick.since(self.now())).unwrap_or_default())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_with_a_start_follows_paused_time() {
        let clock = Clock::starting_at(Tick::from_millis(1_000));
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(clock.now(), Tick::from_millis(1_250));
        assert_eq!(clock.until(Tick::from_millis(2_000)), Duration::from_millis(750));
        assert_eq!(clock.until(Tick::from_millis(0)), Duration::ZERO);
    }
}
