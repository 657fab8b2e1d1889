//! `[datasource.NAME]`: the upstreams, as gateway and poller configure them alike.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use conf::Conf;
use promcast_proto::topic::Datasource as Name;
use serde::{Deserialize, Deserializer, de};

use super::endpoint::{Endpoint, InvalidEndpoint};
use super::headers::Headers;

/// The longest time a query may be given: a tick that late is of no use to anybody.
const QUERY_TIMEOUT_MAX: Duration = Duration::from_secs(300);

/// The configured upstreams.
#[derive(Clone, Debug, Conf)]
#[conf(serde, validation_predicate = Datasources::check)]
pub struct Datasources {
    /// The address of the datasource `default`, such as `http://prometheus:9090`: short for `url` in
    /// `[datasource.default]`, and stronger.
    #[arg(long, env)]
    prometheus_url: Option<String>,
    /// The upstreams by name, each in a section `[datasource.NAME]` of the configuration file.
    #[arg(parameter, default, default_help_str = "none")]
    datasource: Sections,
}

impl Datasources {
    /// The upstreams, by name, ready to be used.
    pub fn upstreams(&self) -> Result<Vec<Upstream>, Error> {
        let mut sections = self.datasource.0.clone();
        if let Some(url) = &self.prometheus_url {
            let short = sections.entry(Name::default()).or_default();
            short.url = Some(url.parse().map_err(Error::ShortForm)?);
        }
        sections
            .into_iter()
            .map(|(name, settings)| match settings.url.clone() {
                Some(url) => Ok(Upstream { name, url, settings }),
                None => Err(Error::NoUrl(name)),
            })
            .collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.prometheus_url.is_none() && self.datasource.0.is_empty()
    }

    /// The names, in order: what a query may be sent to.
    pub fn names(&self) -> Vec<Name> {
        let short = self.prometheus_url.iter().map(|_| Name::default());
        let mut names: Vec<_> = self.datasource.0.keys().cloned().chain(short).collect();
        names.sort();
        names.dedup();
        names
    }

    fn check(&self) -> Result<(), Error> {
        self.upstreams().map(|_| ())
    }
}

impl From<Endpoint> for Datasources {
    /// One upstream, `default`, with everything else at its default.
    fn from(url: Endpoint) -> Self {
        Self { prometheus_url: Some(url.to_string()), datasource: Sections::default() }
    }
}

/// Why there is something wrong with the upstreams as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The short form is not an address. It is kept as a text until here because an option that is refused while it is
    /// parsed is shown, and this one may hold a password.
    #[error("`prometheus-url`: {0}")]
    ShortForm(#[source] InvalidEndpoint),
    /// A section without an address.
    #[error("[datasource.{0}] has no `url`: give one, such as url = \"http://prometheus:9090\"")]
    NoUrl(Name),
}

/// One upstream, ready to be used.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name.
    pub name: Name,
    /// Its address.
    pub url: Endpoint,
    /// All the rest.
    pub settings: Datasource,
}

/// `[datasource.NAME]`: one Prometheus-compatible upstream.
#[derive(Clone, Debug, Conf)]
#[conf(serde, validation_predicate = Datasource::check)]
pub struct Datasource {
    /// The address, `http` or `https`, with a path where the API is not at the root: `/api/v1/query` is appended.
    /// Required (for `default`, `--prometheus-url` will do).
    #[arg(parameter)]
    pub url: Option<Endpoint>,
    /// A file with a token, sent as `Authorization: Bearer`. Read again within two seconds of a change.
    #[arg(parameter)]
    pub bearer_token_file: Option<PathBuf>,
    /// The user of HTTP basic authentication. Needs `password_file`.
    #[arg(parameter)]
    pub username: Option<String>,
    /// A file with the password of `username`. Read again within two seconds of a change.
    #[arg(parameter)]
    pub password_file: Option<PathBuf>,
    /// A PEM file with certificate authorities to trust besides the system's. Read at start.
    #[arg(parameter)]
    pub ca_file: Option<PathBuf>,
    /// Headers sent with each query, such as `X-Scope-OrgID`. Treated as secrets: never logged.
    #[arg(parameter, default, default_help_str = "none")]
    pub headers: Headers,
    /// How long a query may run, such as `10s`, at most `5m`; sent to the upstream as `timeout`. A job that asks for
    /// less gets less.
    #[arg(parameter, default(Datasource::default().query_timeout), default_help_str = "10s", serde(deserialize_with = "duration"))]
    pub query_timeout: Duration,
    /// How long making a connection may take, such as `3s`, TLS included.
    #[arg(parameter, default(Datasource::default().connect_timeout), default_help_str = "3s", serde(deserialize_with = "duration"))]
    pub connect_timeout: Duration,
    /// How many queries one poller runs at once. More jobs wait on the bus, for any poller.
    #[arg(parameter, default(Datasource::default().max_concurrent))]
    pub max_concurrent: NonZeroUsize,
    /// How many questions outside the ticks, such as those for a backfill or for labels, one poller answers at once beside
    /// those queries. Beyond, they fail with `upstream_overloaded` at once.
    #[arg(parameter, default(Datasource::default().max_asks))]
    pub max_asks: NonZeroUsize,
    /// The most bytes of an answer that are read. Beyond, the query fails with `result_too_large`.
    #[arg(parameter, default(Datasource::default().max_response_bytes))]
    pub max_response_bytes: NonZeroUsize,
    /// The most bytes of an event, before compression. Beyond, the query fails with `result_too_large`.
    #[arg(parameter, default(Datasource::default().max_encoded_bytes))]
    pub max_encoded_bytes: NonZeroUsize,
    /// The most bytes of an answer to a question outside the ticks, before compression. Beyond, and where more than 768 KiB are
    /// left after it, the question fails with `result_too_large`.
    #[arg(parameter, default(Datasource::default().max_range_bytes))]
    pub max_range_bytes: NonZeroUsize,
    /// The most series of a result. Beyond, the query fails with `result_too_many_series`.
    #[arg(parameter, default(Datasource::default().max_series))]
    pub max_series: NonZeroUsize,
}

impl Default for Datasource {
    fn default() -> Self {
        Self {
            url: None,
            bearer_token_file: None,
            username: None,
            password_file: None,
            ca_file: None,
            headers: Headers::default(),
            query_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            max_concurrent: number(16),
            max_asks: number(16),
            max_response_bytes: number(16 << 20),
            max_encoded_bytes: number(1 << 20),
            max_range_bytes: number(8 << 20),
            max_series: number(10_000),
        }
    }
}

impl Datasource {
    fn check(&self) -> Result<(), &'static str> {
        if self.username.is_some() != self.password_file.is_some() {
            return Err("`username` and `password_file` go together: give both or none");
        }
        if self.username.is_some() && self.bearer_token_file.is_some() {
            return Err("`bearer_token_file` and `username` exclude each other: give one of them");
        }
        if self.query_timeout.is_zero()
            || self.query_timeout > QUERY_TIMEOUT_MAX
            || self.connect_timeout.is_zero()
        {
            return Err("`query_timeout` is above zero and at most 5m, and `connect_timeout` is above zero");
        }
        Ok(())
    }
}

/// The sections by name. Each is read by itself, so that the mistakes of all of them are told at once.
#[derive(Clone, Debug, Default)]
struct Sections(BTreeMap<Name, Datasource>);

impl<'de> Deserialize<'de> for Sections {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut sections = BTreeMap::new();
        let mut mistakes = String::new();
        for (name, section) in BTreeMap::<String, toml::Value>::deserialize(deserializer)? {
            match read(&name, section) {
                Ok((name, section)) => drop(sections.insert(name, section)),
                Err(mistake) => mistakes.push_str(&mistake),
            }
        }
        if mistakes.is_empty() { Ok(Self(sections)) } else { Err(de::Error::custom(mistakes.trim_end())) }
    }
}

fn read(name: &str, section: toml::Value) -> Result<(Name, Datasource), String> {
    let name = name.parse::<Name>().map_err(|error| format!("{error}\n"))?;
    let nothing: [(&str, &str); 0] = [];
    Datasource::conf_builder()
        .args(["datasource"])
        .env(nothing)
        .doc(format!("[datasource.{name}]"), section)
        .try_parse()
        .map(|section| (name.clone(), section))
        .map_err(|error| format!("[datasource.{name}] {}\n", error.to_string().trim_end()))
}

fn number(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).unwrap_or(NonZeroUsize::MIN)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    humantime::parse_duration(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests;
