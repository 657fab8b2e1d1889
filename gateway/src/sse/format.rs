//! The forms in which a client can have updates.
//!
//! A form is a function of the update alone, and of the schema that the topic has in use on this replica, so it is made
//! once for all connections that want it. Errors look the same in each. `docs/formats.md` says how to read them.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

pub mod compact;

/// A form of `metric-update` and `backfill` events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As Prometheus's HTTP API writes results.
    #[default]
    Prometheus,
    /// Label sets once, in an event `schema`, and then values alone.
    Compact,
    /// Data frames as Grafana writes them in JSON.
    Grafana,
}

/// A text that names no format.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a format: use prometheus, compact or grafana")]
pub struct UnknownFormat(String);

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Prometheus, Self::Compact, Self::Grafana];

    /// The name, as it stands in requests and in `connected`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Compact => "compact",
            Self::Grafana => "grafana",
        }
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let named = Self::ALL.into_iter().find(|format| format.as_str() == name);
        named.ok_or_else(|| UnknownFormat(name.chars().take(64).collect()))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
