//! The address of an upstream.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use url::Url;

/// The address of an upstream: `http` or `https`, host, port and path, and nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint(Url);

/// Why a text is not the address of an upstream. It does not repeat the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// Not a URL.
    #[error("not a URL: write something like `http://prometheus:9090` ({0})")]
    Syntax(#[from] url::ParseError),
    /// Another scheme, or no host.
    #[error("a datasource is reached by `http://` or `https://` and a host")]
    Scheme,
    /// A user or a password in it.
    #[error(
        "credentials do not belong in a URL: use `username` with `password_file`, or `bearer_token_file`"
    )]
    Credentials,
    /// A query or a fragment.
    #[error("a datasource's URL ends with its path: leave out what follows `?` or `#`")]
    Query,
}

impl Endpoint {
    /// The URL of a call, `path` being relative, such as `api/v1/query`.
    pub fn call(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/{path}", self.0.path().trim_end_matches('/')));
        url
    }

    /// Whether it is reached by TLS.
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let url = Url::parse(text)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            Err(InvalidEndpoint::Scheme)
        } else if !url.username().is_empty() || url.password().is_some() {
            Err(InvalidEndpoint::Credentials)
        } else if url.query().is_some() || url.fragment().is_some() {
            Err(InvalidEndpoint::Query)
        } else {
            Ok(Self(url))
        }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = InvalidEndpoint;

    fn try_from(text: String) -> Result<Self, InvalidEndpoint> {
        text.parse()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_goes_below_the_configured_path() {
        for (base, call) in [
            ("http://h:9090", "http://h:9090/api/v1/query"),
            ("https://h/prefix", "https://h/prefix/api/v1/query"),
            ("https://h/a/b//", "https://h/a/b/api/v1/query"),
        ] {
            assert_eq!(base.parse::<Endpoint>().unwrap().call("api/v1/query").as_str(), call);
        }
    }

    #[test]
    fn mistakes_are_told_without_repeating_what_may_be_secret() {
        for (text, error) in [
            ("http://u:hunter2@h", InvalidEndpoint::Credentials),
            ("http://h?token=hunter2", InvalidEndpoint::Query),
            ("unix:/hunter2", InvalidEndpoint::Scheme),
        ] {
            let found = text.parse::<Endpoint>().unwrap_err();
            assert_eq!(found, error);
            assert!(!found.to_string().contains("hunter2"));
        }
    }
}
