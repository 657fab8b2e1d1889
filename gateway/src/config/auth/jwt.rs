//! `[auth.jwt]`: whose tokens count, and what their claims give.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use conf::Conf;
use reqwest::Url;
use serde::Deserialize;

use crate::auth::jwt::settings::{self, Pace, Settings, Source};
use crate::auth::jwt::{Claim, Reach, Rules};
use crate::auth::sight::{Namespace, Namespaces};

/// The longest leeway. A clock that is further off should be set.
const LEEWAY_MAX: Duration = Duration::from_secs(300);

/// The shortest time between regular looks for keys.
const REFRESH_MIN: Duration = Duration::from_secs(60);

/// The longest time that one look for keys may take.
const TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// `[auth.jwt]`: whose tokens count, and what their claims give. Tokens are signed by RS256, RS384, RS512, PS256, PS384, PS512,
/// ES256, ES384 or EdDSA.
#[derive(Clone, Debug, Conf)]
#[conf(serde, validation_predicate = Jwt::check)]
pub struct Jwt {
    /// The issuer: the `iss` of its tokens, to the letter, such as `https://login.example.com/realms/gpu`. Its keys are found by
    /// OpenID Connect discovery, unless `jwks_url` or `keys_file` is given.
    #[arg(long, env)]
    pub issuer: String,
    /// What this gateway is called in `aud`, such as `promcast`; several are separated by commas. A token must have one of them. At
    /// least one is needed.
    #[conf(repeat, long, env, env_delimiter = ',')]
    pub audience: Vec<String>,
    /// Where the issuer's JWK set is, for an issuer without discovery.
    #[arg(long, env, serde(use_value_parser))]
    pub jwks_url: Option<Url>,
    /// A file with the issuer's JWK set, or with one public key in PEM. Read again within seconds of a change; nothing is fetched.
    #[arg(long, env)]
    pub keys_file: Option<PathBuf>,
    /// A PEM file with certificate authorities to trust besides the system's. Read at start.
    #[arg(long, env)]
    pub ca_file: Option<PathBuf>,
    /// Allows keys to be fetched by `http://` from other machines. Whoever can change that traffic can then make tokens. From a
    /// loopback address it is always allowed.
    #[arg(long, env)]
    pub allow_http: bool,
    /// The claim that names the user: what limits, and what a connection belongs to. Like all claims, given by its name, or by a JSON
    /// pointer such as `/user/name` where it lies deeper.
    #[arg(long, env, default_value = "sub")]
    pub user_claim: Claim,
    /// The claim with the namespaces that a user sees: a list of names, or a text with spaces between them. Names that are no names of
    /// namespaces are left out. Default: none.
    #[arg(long, env)]
    pub namespaces_claim: Option<Claim>,
    /// The claim with the user's groups: a list, or a text that is one group. Counts where `group_namespaces` or `admin_groups` is
    /// given.
    #[arg(long, env, default_value = "groups")]
    pub groups_claim: Claim,
    /// The namespaces that the members of a group see, besides those of `namespaces_claim`: a table of groups, each with its list of
    /// namespaces. Default: none.
    #[arg(parameter, default, default_help_str = "none")]
    pub group_namespaces: Groups,
    /// Groups whose members see all metrics, those of no namespace included; separated by commas. Default: none.
    #[conf(repeat, long, env, env_delimiter = ',')]
    pub admin_groups: Vec<String>,
    /// How far the issuer's clock may be from the gateway's, such as `30s`, at most `5m`: a token counts so much longer than its `exp`,
    /// and so much before its `nbf`.
    #[arg(long, env, default_value = "30s", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub leeway: Duration,
    /// The longest time between regular looks for keys, such as `10m`, at least `1m`: so long may a key that was withdrawn count. The
    /// issuer's `Cache-Control` may shorten it, down to a minute.
    #[arg(long, env, default_value = "10m", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub refresh: Duration,
    /// How long one look for keys may take, with all its requests, such as `5s`, at most `30s`.
    #[arg(long, env, default_value = "5s", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub timeout: Duration,
}

/// The namespaces of groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Vec<String>>")]
pub struct Groups(BTreeMap<String, Namespaces>);

/// What cannot be used in the section.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// No URL, or another scheme.
    #[error(
        "`auth.jwt.{0}` is no URL that keys can be fetched from: write https://host/path, without a user or a password"
    )]
    NotFetchable(&'static str),
    /// In clear, over a network.
    #[error(
        "`auth.jwt.{0}` is fetched by http from another machine: who can change that traffic can make tokens. Use https, or say \
         `auth.jwt.allow_http`"
    )]
    InClear(&'static str),
    /// No issuer.
    #[error("`auth.jwt.issuer` is empty: give the `iss` of the tokens")]
    NoIssuer,
    /// No audience.
    #[error(
        "`auth.jwt.audience` is not given: without it a token for any other service of the issuer would do"
    )]
    NoAudience,
    /// Two places.
    #[error(
        "`auth.jwt.jwks_url` and `auth.jwt.keys_file` exclude each other: give one, or none for discovery"
    )]
    TwoSources,
    /// Nobody would see anything.
    #[error(
        "nobody would see anything: give one of `auth.jwt.namespaces_claim`, `auth.jwt.group_namespaces` and `auth.jwt.admin_groups`"
    )]
    NobodySees,
    /// An empty name.
    #[error("`auth.jwt.admin_groups` has an empty name in it")]
    EmptyGroup,
    /// A time out of its bounds.
    #[error("`auth.jwt.{name}` is {allowed}")]
    Time {
        /// The option.
        name: &'static str,
        /// What it may be.
        allowed: &'static str,
    },
}

impl Jwt {
    /// What a verifier is set up with, or all that is wrong.
    pub fn settings(&self) -> Result<Settings, Vec<Mistake>> {
        let mut mistakes = self.mistakes();
        match self.source() {
            Ok(source) if mistakes.is_empty() => Ok(Settings {
                rules: self.rules(),
                source,
                pace: Pace { refresh: self.refresh, timeout: self.timeout, ..Pace::default() },
                ca_file: self.ca_file.clone(),
            }),
            Ok(_) => Err(mistakes),
            Err(mistake) => {
                mistakes.push(mistake);
                Err(mistakes)
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        let told =
            |mistakes: Vec<Mistake>| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        self.settings().map(drop).map_err(told)
    }

    fn rules(&self) -> Rules {
        Rules {
            issuer: self.issuer.clone(),
            audiences: self.audience.clone(),
            leeway: self.leeway,
            user: self.user_claim.clone(),
            reach: Reach {
                namespaces: self.namespaces_claim.clone(),
                groups: self.groups_claim.clone(),
                group_namespaces: self.group_namespaces.0.clone(),
                admins: self.admin_groups.iter().cloned().collect(),
            },
        }
    }

    fn mistakes(&self) -> Vec<Mistake> {
        let nobody = self.namespaces_claim.is_none()
            && self.group_namespaces.0.is_empty()
            && self.admin_groups.is_empty();
        let time = |wrong: bool, name, allowed| wrong.then_some(Mistake::Time { name, allowed });
        [
            self.issuer.trim().is_empty().then_some(Mistake::NoIssuer),
            self.audience.iter().all(|name| name.trim().is_empty()).then_some(Mistake::NoAudience),
            nobody.then_some(Mistake::NobodySees),
            self.admin_groups.iter().any(|name| name.trim().is_empty()).then_some(Mistake::EmptyGroup),
            time(self.leeway > LEEWAY_MAX, "leeway", "at most 5m"),
            time(self.refresh < REFRESH_MIN, "refresh", "at least 1m"),
            time(
                self.timeout.is_zero() || self.timeout > TIMEOUT_MAX,
                "timeout",
                "above zero and at most 30s",
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn source(&self) -> Result<Source, Mistake> {
        match (&self.jwks_url, &self.keys_file) {
            (Some(_), Some(_)) => Err(Mistake::TwoSources),
            (None, Some(file)) => Ok(Source::File(file.clone())),
            (Some(url), None) => self.fetchable("jwks_url", url.clone()).map(Source::Jwks),
            (None, None) => {
                let url = settings::discovery(&self.issuer).map_err(|_| Mistake::NotFetchable("issuer"))?;
                self.fetchable("issuer", url).map(Source::Discovery)
            }
        }
    }

    fn fetchable(&self, option: &'static str, url: Url) -> Result<Url, Mistake> {
        match url.scheme() {
            _ if !url.username().is_empty() || url.password().is_some() => Err(Mistake::NotFetchable(option)),
            "https" => Ok(url),
            "http" if self.allow_http || is_loopback(&url) => Ok(url),
            "http" => Err(Mistake::InClear(option)),
            _ => Err(Mistake::NotFetchable(option)),
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

impl TryFrom<BTreeMap<String, Vec<String>>> for Groups {
    type Error = String;

    fn try_from(table: BTreeMap<String, Vec<String>>) -> Result<Self, String> {
        let read = |(group, names): (String, Vec<String>)| {
            let names: Result<Vec<Namespace>, String> = names
                .iter()
                .map(|name| name.parse().map_err(|error| format!("group `{group}`, `{name}`: {error}")))
                .collect();
            let names = Namespaces::new(names?);
            names.map(|names| (group.clone(), names)).ok_or(format!("group `{group}` has no namespace"))
        };
        table.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests;
