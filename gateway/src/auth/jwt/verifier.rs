//! The handle: tells who sent a token, by the issuer's current keys.

use std::sync::Arc;

use promcast_runtime::clock::Clock;
use promcast_runtime::lifecycle::Tasks;
use tracing::debug;

use super::cache::Cache;
use super::header::Header;
use super::refresh::{Known, Refresh};
use super::settings::Settings;
use super::source::{self, Looker};
use super::{Identity, Metrics, Rules, verify};
use crate::auth::refusal::{Error, Reason};
use crate::auth::token::Token;

/// How often one token may wait for newer keys: one look may have begun before the key was there.
const LOOKS_MAX: usize = 2;

/// Tells who sent a token. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Verifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rules: Rules,
    refresh: Refresh,
    cache: Cache,
    clock: Clock,
    metrics: Metrics,
}

impl Verifier {
    /// Looks for the issuer's keys from now on. An issuer that is down does not keep the gateway from starting; a file
    /// that cannot be used does.
    pub fn start(
        settings: Settings,
        clock: Clock,
        tasks: &Tasks,
        metrics: Metrics,
    ) -> Result<Self, source::Error> {
        let looker = Looker::new(&settings)?;
        let Settings { rules, source, pace, ca_file: _ } = settings;
        let refresh = Refresh::start(looker, &source, pace, clock.clone(), metrics.clone(), tasks)?;
        Ok(Self(Arc::new(Inner { rules, refresh, cache: Cache::new(pace.cached), clock, metrics })))
    }

    /// Tells what would keep [`Verifier::start`] from starting. Connects to nothing.
    pub fn check(settings: &Settings) -> Result<(), source::Error> {
        Looker::new(settings)?.at_hand().map(drop)
    }

    /// Who sent this token. One that was verified within the last two minutes is not verified again.
    ///
    /// # Errors
    /// [`Error::Refused`] where the token does not count, [`Error::Unavailable`] where there are no keys to judge it by.
    pub async fn identify(&self, token: &Token) -> Result<Identity, Error> {
        let inner = &*self.0;
        let digest = token.digest();
        if let Some(identity) = inner.cache.get(&digest, inner.clock.now()) {
            return Ok(identity);
        }
        // What is no token at all waits for no keys.
        Header::read(token.expose()).map_err(Error::Refused)?;
        let identity = inner.verify(token).await?;
        if identity.ignored_names > 0 {
            inner.metrics.ignored_names.inc_by(u64::try_from(identity.ignored_names).unwrap_or(u64::MAX));
            debug!(user = identity.user, names = identity.ignored_names, "names are no namespaces; left out");
        }
        inner.cache.put(digest, identity.clone());
        Ok(identity)
    }
}

impl Inner {
    async fn verify(&self, token: &Token) -> Result<Identity, Error> {
        let mut known = self.refresh.known().await;
        for _ in 0..LOOKS_MAX {
            match self.judge(token, &known) {
                Err(Error::Refused(Reason::UnknownKey)) => {}
                verdict => return verdict,
            }
            match self.refresh.newer(&known).await {
                Some(newer) => known = newer,
                None => break,
            }
        }
        match self.judge(token, &known) {
            // The key may be a new one: who knows it cannot be asked.
            Err(Error::Refused(Reason::UnknownKey)) if known.trouble.is_some() => Err(unavailable(&known)),
            verdict => verdict,
        }
    }

    fn judge(&self, token: &Token, known: &Known) -> Result<Identity, Error> {
        let keys = known.keys.as_ref().ok_or_else(|| unavailable(known))?;
        verify(token.expose(), keys, &self.rules, self.clock.now()).map_err(Error::Refused)
    }
}

fn unavailable(known: &Known) -> Error {
    let trouble = known.trouble.as_deref().unwrap_or("it has not answered yet");
    Error::Unavailable(format!("the issuer's keys cannot be read: {trouble}"))
}
