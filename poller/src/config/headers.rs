//! Fixed headers of an upstream, which may be secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, de};

/// Fixed headers of each query.
#[derive(Clone, Default)]
pub struct Headers(HeaderMap);

impl Headers {
    /// The headers, each marked as sensitive.
    pub fn as_map(&self) -> &HeaderMap {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in BTreeMap::<String, String>::deserialize(deserializer)? {
            let Ok(known) = HeaderName::from_str(&name) else {
                return Err(de::Error::custom(format!("`{name}` is not the name of a header")));
            };
            if is_ours(&known) {
                return Err(de::Error::custom(format!("`{name}` is set by the poller itself")));
            }
            let Ok(mut value) = HeaderValue::from_str(&value) else {
                return Err(de::Error::custom(format!(
                    "the value of `{name}` has characters that no header may have"
                )));
            };
            value.set_sensitive(true);
            headers.insert(known, value);
        }
        Ok(Self(headers))
    }
}

/// Headers that speak of the message or the connection, or have an option of their own.
fn is_ours(name: &HeaderName) -> bool {
    const OURS: [HeaderName; 8] = [
        header::AUTHORIZATION,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::HOST,
        header::ACCEPT_ENCODING,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    OURS.contains(name)
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys().map(HeaderName::as_str)).finish()
    }
}
