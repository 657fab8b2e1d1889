//! Watches over an open stream: whether whoever opened it may still see what it shows.

use std::time::Duration;

use promcast_proto::code::ShutdownCode;
use promcast_proto::tick::Tick;
use promcast_runtime::clock::Clock;
use rand::RngExt;
use tokio::time::{Instant, sleep};
use tracing::info;

use super::{Access, Authenticator, Denied, Namespaces, Reason, Sight, Token};

/// The longest wait for the wall clock at a time: it may be set meanwhile, and a laptop sleeps.
const NAP: Duration = Duration::from_secs(60);

/// How often a stream's access is confirmed, and what if nobody can be asked.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From one confirmation to the next.
    pub recheck: Duration,
    /// A stream whose access nobody could confirm for so long ends.
    pub unconfirmed: Duration,
}

/// What a stream was opened with, and what was granted on that.
#[derive(Debug)]
pub struct Vigil {
    authenticator: Authenticator,
    /// None where a ticket was shown: it cannot be shown again, and its grant ends with [`Access::expires`].
    token: Option<Token>,
    wanted: Option<Namespaces>,
    sight: Sight,
    expires: Option<Tick>,
    pace: Pace,
    clock: Clock,
}

impl Vigil {
    /// Watches over what was granted as `access` on `token`.
    pub fn new(
        authenticator: Authenticator,
        token: Option<Token>,
        wanted: Option<Namespaces>,
        access: &Access,
        (pace, clock): (Pace, Clock),
    ) -> Self {
        let Access { sight, expires, .. } = access.clone();
        Self { authenticator, token, wanted, sight, expires, pace, clock }
    }

    /// Returns when the stream has to end, with the reason; never where nobody is told apart.
    pub async fn end(mut self) -> ShutdownCode {
        let mut confirmed = Instant::now();
        loop {
            // Streams that were opened together, after a restart say, are not looked at together.
            let until_recheck = self.pace.recheck.mul_f64(rand::rng().random_range(0.8..=1.0));
            if self.has_expired_within(until_recheck).await {
                return ShutdownCode::TokenExpired;
            }
            let Some(token) = &self.token else { continue };
            match self.authenticator.admit(Some(token), self.wanted.as_ref()).await {
                Ok(access) if access.sight.covers(&self.sight) => {
                    confirmed = Instant::now();
                    self.expires = access.expires;
                }
                Ok(_) => return ShutdownCode::AccessRevoked,
                Err(Denied::Refused(Reason::Expired)) => return ShutdownCode::TokenExpired,
                Err(Denied::Unavailable(why)) => {
                    if confirmed.elapsed() >= self.pace.unconfirmed {
                        info!(why, "a stream ends: its access cannot be confirmed");
                        return ShutdownCode::AccessUnconfirmed;
                    }
                }
                Err(
                    Denied::Missing
                    | Denied::Refused(_)
                    | Denied::Nothing
                    | Denied::MustName
                    | Denied::TooMany { .. },
                ) => return ShutdownCode::AccessRevoked,
            }
        }
    }

    /// Waits for so long, unless the proof expires before.
    async fn has_expired_within(&self, wait: Duration) -> bool {
        let end = Instant::now() + wait;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let valid = self.expires.map_or(Duration::MAX, |expires| self.clock.until(expires));
            if valid.is_zero() || left.is_zero() {
                return valid.is_zero();
            }
            sleep(left.min(valid).min(NAP)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Caller;

    fn vigil(expires: Option<Tick>, clock: &Clock) -> Vigil {
        let access = Access { caller: Caller::Anonymous, sight: Sight::All, expires };
        let pace = Pace { recheck: Duration::from_secs(60), unconfirmed: Duration::from_secs(120) };
        Vigil::new(Authenticator::None, None, None, &access, (pace, clock.clone()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_proof_that_expires_ends_the_stream_then() {
        let clock = Clock::starting_at(Tick::from_millis(1_000_000));
        let began = Instant::now();
        let code = vigil(Some(clock.now().plus_millis(200_000)), &clock).end().await;
        assert_eq!((code, began.elapsed().as_secs()), (ShutdownCode::TokenExpired, 200));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_expire_goes_on() {
        let clock = Clock::starting_at(Tick::from_millis(1_000_000));
        let end = tokio::time::timeout(Duration::from_secs(100_000), vigil(None, &clock).end()).await;
        assert!(end.is_err());
    }
}
