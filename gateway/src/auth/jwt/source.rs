//! One look for the issuer's keys, wherever they come from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use promcast_runtime::tls;
use reqwest::Url;
use serde::Deserialize;

use super::fetch::{self, Http};
use super::keys::{InvalidKeys, Keys};
use super::settings::{Settings, Source};

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The HTTP client cannot be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A document cannot be had.
    #[error("{url}: {source}")]
    Fetch {
        /// Where it should be.
        url: Box<Url>,
        /// Why.
        source: fetch::Error,
    },
    /// All of it took too long.
    #[error("the issuer did not answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// The discovery document is none.
    #[error("{0}: it is no discovery document, a JSON object with `issuer` and `jwks_uri`")]
    Discovery(Box<Url>),
    /// The discovery document is somebody else's.
    #[error(
        "the discovery document is of the issuer {found:?}; `auth.jwt.issuer` must be the same to the letter"
    )]
    Issuer {
        /// The issuer that it names.
        found: String,
    },
    /// What was found are no keys.
    #[error("{place}: {source}")]
    Keys {
        /// Where.
        place: String,
        /// Why.
        source: InvalidKeys,
    },
}

/// Keys that were found.
#[derive(Debug)]
pub(super) struct Found {
    pub keys: Keys,
    /// What they were read from: the same text, the same keys.
    pub digest: blake3::Hash,
    /// For how long the issuer says they are good.
    pub max_age: Option<Duration>,
}

/// Looks for keys.
#[derive(Debug)]
pub(super) struct Looker {
    issuer: String,
    place: Place,
    timeout: Duration,
}

#[derive(Debug)]
enum Place {
    Discovery(Url, Http),
    Jwks(Url, Http),
    File(PathBuf),
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Looker {
    /// Connects to nothing yet.
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let http = |url: &Url| Http::new(url, settings.ca_file.as_deref());
        let place = match &settings.source {
            Source::Discovery(url) => Place::Discovery(url.clone(), http(url)?),
            Source::Jwks(url) => Place::Jwks(url.clone(), http(url)?),
            Source::File(path) => Place::File(path.clone()),
        };
        Ok(Self { issuer: settings.rules.issuer.clone(), place, timeout: settings.pace.timeout })
    }

    /// What can be known at once: the keys in a file, which must be good at start.
    pub(super) fn at_hand(&self) -> Result<Option<Found>, Error> {
        match &self.place {
            Place::File(path) => read(path, std::fs::read(path)).map(Some),
            Place::Discovery(..) | Place::Jwks(..) => Ok(None),
        }
    }

    /// Looks once. Ends within the timeout.
    pub(super) async fn look(&self) -> Result<Found, Error> {
        let looking = async {
            match &self.place {
                Place::File(path) => read(path, tokio::fs::read(path).await),
                Place::Jwks(url, http) => jwks(url, http).await,
                Place::Discovery(url, http) => jwks(&self.discover(url, http).await?, http).await,
            }
        };
        tokio::time::timeout(self.timeout, looking).await.unwrap_or(Err(Error::Timeout(self.timeout)))
    }

    async fn discover(&self, url: &Url, http: &Http) -> Result<Url, Error> {
        let document = get(url, http).await?;
        let none = || Error::Discovery(Box::new(url.clone()));
        let discovery: Discovery = serde_json::from_slice(&document.body).map_err(|_| none())?;
        // To the letter, or one issuer could speak for another (OpenID Connect Discovery 1.0, 4.3).
        if discovery.issuer == self.issuer {
            discovery.jwks_uri.parse().map_err(|_| none())
        } else {
            Err(Error::Issuer { found: discovery.issuer.chars().take(200).collect() })
        }
    }
}

async fn get(url: &Url, http: &Http) -> Result<fetch::Document, Error> {
    http.get(url).await.map_err(|source| Error::Fetch { url: Box::new(url.clone()), source })
}

async fn jwks(url: &Url, http: &Http) -> Result<Found, Error> {
    let document = get(url, http).await?;
    let keys =
        Keys::from_jwks(&document.body).map_err(|source| Error::Keys { place: url.to_string(), source })?;
    Ok(Found { keys, digest: blake3::hash(&document.body), max_age: document.max_age })
}

fn read(path: &Path, text: std::io::Result<Vec<u8>>) -> Result<Found, Error> {
    let text = text.map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    let keys =
        Keys::read(&text).map_err(|source| Error::Keys { place: path.display().to_string(), source })?;
    Ok(Found { keys, digest: blake3::hash(&text), max_age: None })
}
