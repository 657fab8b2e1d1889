//! The forms in which a client can have updates.
//!
//! A form is a function of the update alone, and of the schema that the topic has in use on this replica, so it is made
//! once for all connections that want it. Errors look the same in each. `docs/formats.md` says how to read them.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

pub mod compact;
pub(super) mod grafana;

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

/// A short name for texts in their order: 64 bits of their hash in 13 characters of 0-9 and a-v (RFC 4648 base32hex).
///
/// A collision would show a client values under the labels of other series; among the label sets that one topic has
/// in a client's life it is as likely as none (one in 2^64 for each pair).
fn name(texts: &[&str]) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(NAME_DOMAIN);
    for text in texts {
        // The length keeps two texts apart from one that reads like both.
        hash.update(&text.len().to_le_bytes()).update(text.as_bytes());
    }
    let mut short = [0; 8];
    hash.finalize_xof().fill(&mut short);
    data_encoding::BASE32_DNSSEC.encode(&short)
}

/// Separates these hashes from any other use of BLAKE3 over the same texts.
const NAME_DOMAIN: &[u8] = b"promcast labels v1\0";
