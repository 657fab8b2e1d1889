//! The one place that reads the wall clock, and the collection tick made of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Start of every counter: 2026-01-01T00:00:00Z, in Unix milliseconds. It stands for the moment the drivers of the
/// whole fleet were loaded. A near date keeps the energy counter (mJ) far below 2^53, so Prometheus stores it exactly.
pub(crate) const EPOCH_MS: u64 = 1_767_225_600_000;

/// Now, in Unix milliseconds; 0 where the machine's clock is set before 1970.
#[expect(clippy::disallowed_methods, reason = "a stand-alone exporter: its only use of wall time is here")]
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The collection that a scrape at `now_ms` sees: the last multiple of `interval`, in Unix milliseconds.
pub(crate) fn collection_ms(now_ms: u64, interval: Duration) -> u64 {
    let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
    now_ms - now_ms % interval_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_change_only_at_a_collection() {
        let every = Duration::from_secs(30);
        assert_eq!(collection_ms(59_999, every), 30_000);
        assert_eq!(collection_ms(60_000, every), 60_000);
    }

    #[test]
    fn the_epoch_is_behind_the_wall_clock() {
        assert!(unix_ms() > EPOCH_MS, "this machine's clock is before 2026");
    }
}
