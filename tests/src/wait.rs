//! Waiting for something to happen, never for time to pass: each wait names what it waits for and has a deadline.

use std::future::Future;
use std::time::{Duration, UNIX_EPOCH};

use promcast_proto::tick::Tick;

/// How long anything may take that should be quick. Generous: the machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The result of `future`.
///
/// # Panics
/// Where it takes longer than `limit`; the message names `what`.
pub async fn within<T>(what: &str, limit: Duration, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {limit:?}"),
    }
}

/// Asks `probe` ten times a second until it gives something.
///
/// # Panics
/// Where that takes longer than `limit`; the message names `what`.
pub async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> F,
) -> T {
    let polled = async {
        loop {
            if let Some(value) = probe().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    within(what, limit, polled).await
}

/// The wall time.
pub fn now() -> Tick {
    let since = UNIX_EPOCH.elapsed().unwrap_or_default();
    Tick::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Returns once the wall clock shows `tick`.
pub async fn clock_reaches(tick: Tick) {
    tokio::time::sleep(Duration::from_millis(u64::try_from(tick.since(now())).unwrap_or_default())).await;
}
