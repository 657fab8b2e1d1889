//! What tells who is asking, made from the configuration.

use promcast_runtime::clock::Clock;
use promcast_runtime::lifecycle::Tasks;
use prometheus::Registry;

use crate::auth::ticket::{self, Tickets};
use crate::auth::{Authenticator, Mode, Pace, jwt, kubernetes};
use crate::config::{Auth, Config, Mistake};
use crate::http::Cookie;

/// Why nobody could be told apart.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The section `[auth.jwt]` cannot be used.
    #[error("{}", lines(.0))]
    Section(Vec<Mistake>),
    /// The issuer's keys cannot be used.
    #[error(transparent)]
    Jwt(#[from] jwt::Error),
    /// The Kubernetes API server cannot be reached as configured.
    #[error(transparent)]
    Kubernetes(#[from] kubernetes::StartError),
    /// The key of tickets cannot be used.
    #[error(transparent)]
    Key(#[from] ticket::KeyError),
    /// A metric is declared twice.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

fn lines(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The authenticator of the configured mode.
pub(super) async fn authenticator(
    auth: &Auth,
    clock: &Clock,
    registry: &Registry,
    tasks: &Tasks,
) -> Result<Authenticator, Error> {
    match (auth.mode, &auth.jwt) {
        (Mode::None, _) => Ok(Authenticator::None),
        (Mode::Jwt, Some(section)) => {
            let settings = section.settings().map_err(Error::Section)?;
            let metrics = jwt::Metrics::new(registry)?;
            // Until the last stream has ended its access is confirmed.
            let tasks = tasks.background();
            Ok(Authenticator::Jwt(jwt::Verifier::start(settings, clock.clone(), &tasks, metrics)?))
        }
        // The configuration is refused before.
        (Mode::Jwt, None) => Err(Error::Section(vec![Mistake::NoIssuer])),
        (Mode::Kubernetes, _) => {
            let settings = auth.kubernetes.settings();
            let reviewer = kubernetes::Reviewer::start(settings, clock.clone(), registry).await?;
            Ok(Authenticator::Kubernetes(reviewer))
        }
    }
}

/// Tickets, where they can be given out: with a key that all replicas share, or where there is one replica.
pub(super) fn tickets(config: &Config) -> Result<Option<Tickets>, ticket::KeyError> {
    let holds = config.auth.unconfirmed;
    match &config.auth.ticket_key_file {
        Some(file) => Tickets::with_key_of(file, holds).map(Some),
        None => Ok(config.bus.url.is_none().then(|| Tickets::with_own_key(holds))),
    }
}

/// How often the access of open streams is confirmed.
pub(super) fn pace(auth: &Auth) -> Pace {
    Pace { recheck: auth.recheck, unconfirmed: auth.unconfirmed }
}

/// Where a token may be besides the header.
pub(super) fn cookie(config: &Config) -> Cookie {
    let origins = config.http.allowed_origins.iter().map(|origin| origin.header().clone()).collect();
    Cookie { name: config.auth.cookie.clone(), origins }
}

/// What would keep the gateway from starting, as far as that can be told without connecting to anything.
pub(super) fn mistakes(config: &Config) -> Vec<String> {
    let settings = config.auth.jwt.as_ref().map(|section| section.settings());
    let keys = match settings {
        Some(Ok(settings)) => jwt::Verifier::check(&settings).err().map(|error| error.to_string()),
        Some(Err(mistakes)) => Some(lines(&mistakes)),
        None => None,
    };
    let key = tickets(config).err().map(|error| error.to_string());
    keys.into_iter().chain(key).collect()
}
