//! Keeps the issuer's keys current: one task looks for them, regularly and when a token names a key that is not known.
//!
//! Keys that were found stay until others are found. However many tokens ask, there is one look at a time, and looks that
//! tokens ask for keep a distance, so that whoever sends bad tokens cannot make the gateway a flood for the issuer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use promcast_runtime::clock::Clock;
use promcast_runtime::lifecycle::Tasks;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use super::keys::Keys;
use super::metrics::{Look, Metrics};
use super::settings::{Pace, Source};
use super::source::{Error, Found, Looker};

/// How often a file is read again.
const REREAD: Duration = Duration::from_secs(5);

/// The shortest time between regular looks, whatever the issuer says in `Cache-Control`.
const REFRESH_MIN: Duration = Duration::from_secs(60);

/// The longest wait after a failure. The first is a second, and each is twice the one before.
const RETRY_MAX: Duration = Duration::from_secs(10);

/// How much longer than a look may take its end is waited for.
const MARGIN: Duration = Duration::from_secs(1);

/// What is known of the keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The last that were found.
    pub keys: Option<Arc<Keys>>,
    /// Why the last look failed, if it did.
    pub trouble: Option<Arc<str>>,
    /// How many looks have ended.
    rounds: u64,
    /// Whether one is under way.
    busy: bool,
    /// When tokens last made it look.
    asked: Option<Instant>,
}

impl Known {
    /// Whether a token may make it look.
    fn may_ask(&self, now: Instant, gap: Duration) -> bool {
        self.asked.is_none_or(|asked| now.duration_since(asked) >= gap)
    }
}

/// The keys as they are now. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Refresh {
    known: watch::Receiver<Known>,
    wanted: Arc<Notify>,
    pace: Pace,
}

impl Refresh {
    /// Looks for keys from now on. Where they are at hand, they must be good.
    pub(super) fn start(
        looker: Looker,
        source: &Source,
        pace: Pace,
        clock: Clock,
        metrics: Metrics,
        tasks: &Tasks,
    ) -> Result<Self, Error> {
        let regular = match source {
            Source::File(_) => REREAD,
            Source::Discovery(_) | Source::Jwks(_) => pace.refresh,
        };
        let wanted = Arc::new(Notify::new());
        let (known, watching) = watch::channel(Known { busy: true, ..Known::default() });
        let mut task = Follow {
            looker,
            known,
            wanted: wanted.clone(),
            regular,
            gap: pace.gap,
            failures: 0,
            last: None,
            clock,
            metrics,
        };
        let first = task.looker.at_hand()?;
        let wait = first.map_or(Duration::ZERO, |found| task.ended(Ok(found)));
        tasks.background().spawn("issuer keys", task.run(wait));
        Ok(Self { known: watching, wanted, pace })
    }

    /// What is known, once the first look has ended.
    pub(super) async fn known(&self) -> Known {
        let known = self.known.borrow().clone();
        if known.rounds == 0 { self.after(0).await.unwrap_or(known) } else { known }
    }

    /// What is known after a look that ended later than `seen` was known. None where there is none to wait for.
    pub(super) async fn newer(&self, seen: &Known) -> Option<Known> {
        let known = self.known.borrow().clone();
        if known.rounds > seen.rounds {
            return Some(known);
        }
        if !known.busy {
            if !known.may_ask(Instant::now(), self.pace.gap) {
                return None;
            }
            self.wanted.notify_one();
        }
        self.after(seen.rounds).await
    }

    async fn after(&self, rounds: u64) -> Option<Known> {
        let mut watching = self.known.clone();
        let ended = watching.wait_for(|known| known.rounds > rounds);
        let known = tokio::time::timeout(self.pace.timeout + MARGIN, ended).await.ok()?.ok()?.clone();
        Some(known)
    }
}

/// The task that looks.
struct Follow {
    looker: Looker,
    known: watch::Sender<Known>,
    wanted: Arc<Notify>,
    regular: Duration,
    gap: Duration,
    failures: u32,
    last: Option<blake3::Hash>,
    clock: Clock,
    metrics: Metrics,
}

impl Follow {
    async fn run(mut self, mut wait: Duration) {
        let mut next = Instant::now() + wait;
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep_until(next) => false,
                () = self.wanted.notified() => true,
            };
            let now = Instant::now();
            if asked && !self.known.borrow().may_ask(now, self.gap) {
                continue;
            }
            self.known.send_modify(|known| {
                known.busy = true;
                known.asked = if asked { Some(now) } else { known.asked };
            });
            let found = self.looker.look().await;
            // Whoever asked before or during this look is served by it.
            self.wanted.notified().now_or_never();
            wait = self.ended(found);
            next = Instant::now() + wait;
        }
    }

    /// Takes note of a look, and says how long to wait for the next regular one.
    fn ended(&mut self, found: Result<Found, Error>) -> Duration {
        let wait = match found {
            Ok(found) => self.found(found),
            Err(error) => self.failed(&error),
        };
        self.known.send_modify(|known| {
            known.busy = false;
            known.rounds += 1;
        });
        wait
    }

    fn found(&mut self, found: Found) -> Duration {
        self.metrics.found(found.keys.len(), self.clock.now());
        if self.last != Some(found.digest) {
            info!(keys = found.keys.len(), "the issuer's keys are new");
        } else if self.failures > 0 {
            info!("the issuer's keys can be read again");
        }
        self.failures = 0;
        self.known.send_modify(|known| {
            if self.last != Some(found.digest) {
                known.keys = Some(Arc::new(found.keys));
            }
            known.trouble = None;
        });
        self.last = Some(found.digest);
        regular(self.regular, found.max_age)
    }

    fn failed(&mut self, error: &Error) -> Duration {
        self.metrics.looks(Look::Failed).inc();
        if self.failures == 0 {
            let error = error as &dyn std::error::Error;
            warn!(error, kept = self.last.is_some(), "the issuer's keys cannot be read");
        }
        self.failures = self.failures.saturating_add(1);
        self.known.send_modify(|known| known.trouble = Some(error.to_string().into()));
        retry(self.failures)
    }
}

/// From one regular look to the next: the issuer may shorten the time, within reason, and not lengthen it, for a key that
/// is withdrawn counts until then.
fn regular(configured: Duration, max_age: Option<Duration>) -> Duration {
    max_age.map_or(configured, |age| age.max(REFRESH_MIN).min(configured))
}

/// How long to wait after so many failures in a row.
fn retry(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(10)).min(RETRY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_may_shorten_the_time_between_looks_within_reason() {
        let configured = Duration::from_secs(600);
        for (age, wait) in [(None, 600), (Some(0), 60), (Some(300), 300), (Some(86_400), 600)] {
            let wait = Duration::from_secs(wait);
            assert_eq!(regular(configured, age.map(Duration::from_secs)), wait, "{age:?}");
        }
        assert_eq!(regular(REREAD, None), REREAD);
    }

    #[test]
    fn failures_are_followed_by_ever_longer_waits_up_to_a_bound() {
        let waits: Vec<_> = (1..=6).map(|failures| retry(failures).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        assert_eq!(retry(u32::MAX), RETRY_MAX);
    }
}
