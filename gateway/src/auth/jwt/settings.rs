//! What a verifier is set up with.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::verify::Rules;

/// Everything a verifier needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What a token must be.
    pub rules: Rules,
    /// Where the keys come from.
    pub source: Source,
    /// How often they are looked for.
    pub pace: Pace,
    /// Certificate authorities to trust besides the system's, in PEM.
    pub ca_file: Option<PathBuf>,
}

/// Where the issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The discovery document of the issuer names the place (OpenID Connect Discovery 1.0, 4).
    Discovery(Url),
    /// A JWK set.
    Jwks(Url),
    /// A file with a JWK set or a PEM public key.
    File(PathBuf),
}

/// How often keys are looked for, and how long answers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The longest time from one regular look to the next. The issuer may shorten it by `Cache-Control`.
    pub refresh: Duration,
    /// The shortest time between two looks that tokens with unknown keys ask for.
    pub gap: Duration,
    /// How long one look may take, with all its requests.
    pub timeout: Duration,
    /// How long a token that was verified is believed without another look at it.
    pub cached: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(600),
            gap: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            cached: Duration::from_secs(120),
        }
    }
}

/// Where the discovery document of an issuer is (OpenID Connect Discovery 1.0, 4.1).
pub fn discovery(issuer: &str) -> Result<Url, url::ParseError> {
    Url::parse(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))
}
