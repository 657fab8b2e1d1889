//! A topic is one scoped query on one datasource; its key names it on the bus without showing it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::tick::Phase;

/// The longest datasource name, in bytes: it becomes one token of a NATS subject, and of a metric label.
pub const DATASOURCE_MAX: usize = 32;

/// Separates this hash from any other use of BLAKE3 over the same text. A change moves every topic to a new key.
const KEY_DOMAIN: &[u8] = b"promcast topic v1\0";

/// The name of a Prometheus-compatible upstream: 1–32 characters of `[A-Za-z0-9_-]`, so that it is a subject token as it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Datasource(String);

/// Why a text is not a datasource name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a datasource name: use 1 to {DATASOURCE_MAX} characters of A-Z, a-z, 0-9, '_' and '-'")]
pub struct InvalidDatasource(String);

impl Datasource {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Datasource {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl FromStr for Datasource {
    type Err = InvalidDatasource;

    fn from_str(name: &str) -> Result<Self, InvalidDatasource> {
        let fits = (1..=DATASOURCE_MAX).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if fits { Ok(Self(name.to_owned())) } else { Err(InvalidDatasource(name.chars().take(64).collect())) }
    }
}

impl TryFrom<String> for Datasource {
    type Error = InvalidDatasource;

    fn try_from(name: String) -> Result<Self, InvalidDatasource> {
        name.parse()
    }
}

impl From<Datasource> for String {
    fn from(name: Datasource) -> Self {
        name.0
    }
}

impl fmt::Display for Datasource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A 128-bit hash of a topic. Printed in 26 lower-case characters (RFC 4648 base32hex, no padding), which is safe
/// as a token of a NATS subject and keeps PromQL, which may name tenants, out of subjects, logs and metrics.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key([u8; 16]);

/// A text that is not a printed [`Key`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a topic key: expected 26 characters of 0-9 and a-v")]
pub struct InvalidKey;

impl Key {
    /// A number of 64 bits that is spread evenly over topics: what phases are taken from.
    fn spread(self) -> u64 {
        self.0.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    }

    /// When within each five seconds the ticks of this topic fall.
    pub fn phase(self) -> Phase {
        Phase::spread(self.spread())
    }
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let bytes = data_encoding::BASE32_DNSSEC.decode(text.as_bytes()).map_err(|_| InvalidKey)?;
        let key = Self(bytes.try_into().map_err(|_| InvalidKey)?);
        // The decoder takes upper case too; a key has one spelling.
        if key.to_string() == text { Ok(key) } else { Err(InvalidKey) }
    }
}

impl TryFrom<String> for Key {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.to_string()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::BASE32_DNSSEC.encode(&self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// Where a topic lives on the bus: everything a subject needs, and nothing of the query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The upstream.
    pub datasource: Datasource,
    /// The hash of datasource and query.
    pub key: Key,
}

/// One scoped query on one datasource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    address: Address,
    query: String,
}

impl Topic {
    /// `query` is the canonical print of a query, after enforcement. Two spellings of one query make one topic only
    /// because the caller printed them alike.
    pub fn new(datasource: Datasource, query: String) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(KEY_DOMAIN);
        hash.update(datasource.as_str().as_bytes());
        hash.update(b"\0");
        hash.update(query.as_bytes());
        let mut key = [0; 16];
        hash.finalize_xof().fill(&mut key);
        Self { address: Address { datasource, key: Key(key) }, query }
    }

    /// Its place on the bus.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Its key.
    pub fn key(&self) -> Key {
        self.address.key
    }

    /// Its upstream.
    pub fn datasource(&self) -> &Datasource {
        &self.address.datasource
    }

    /// The scoped query.
    pub fn query(&self) -> &str {
        &self.query
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn topic(datasource: &str, query: &str) -> Topic {
        Topic::new(datasource.parse().unwrap(), query.to_owned())
    }

    #[test]
    fn a_key_is_pinned_for_ever() {
        // Another value here would split every running installation in two during an upgrade.
        assert_eq!(topic("default", "up").key().to_string(), "c5uave30lhlt6q138i7i9djv28");
    }

    #[test]
    fn datasource_and_query_do_not_run_into_each_other() {
        assert_ne!(topic("a", "b").key(), topic("ab", "").key());
        assert_ne!(topic("a", "up").key(), topic("b", "up").key());
    }

    #[test]
    fn a_datasource_name_is_a_subject_token() {
        for bad in ["", "a.b", "a b", "*", ">", "ü", "x".repeat(33).as_str()] {
            assert!(bad.parse::<Datasource>().is_err(), "{bad:?}");
        }
        assert!("cluster-b_2".parse::<Datasource>().is_ok());
    }

    proptest! {
        #[test]
        fn a_key_round_trips(query in ".{0,200}") {
            let key = topic("default", &query).key();
            prop_assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
            prop_assert!(key.to_string().bytes().all(|b| b.is_ascii_alphanumeric()));
        }

        #[test]
        fn a_key_has_one_spelling(text in "[0-9a-vA-V]{26}") {
            if let Ok(key) = text.parse::<Key>() {
                prop_assert_eq!(key.to_string(), text);
            }
        }
    }
}
