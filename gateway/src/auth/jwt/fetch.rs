//! Small JSON documents of an issuer by HTTP: never more bytes than a bound, never by a way that is less safe than the
//! one that was configured.

use std::path::Path;
use std::time::Duration;

use promcast_runtime::tls;
use reqwest::header::{ACCEPT, CACHE_CONTROL};
use reqwest::redirect::Policy;
use reqwest::{Response, Url};

/// The most bytes of a document. Key sets are a few thousand; certificate chains in them may make it tens of thousands.
const BYTES_MAX: usize = 256 * 1024;

/// The most redirects that are followed.
const REDIRECTS_MAX: usize = 3;

/// Why a document cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The way there is less safe than the one that was configured.
    #[error("it is reached by neither https nor, as the issuer is by configuration, by http")]
    Unsafe,
    /// The answer was another one.
    #[error("the answer has the status {0}")]
    Status(u16),
    /// Too long.
    #[error("the answer has more than 262144 bytes")]
    TooLong,
    /// The exchange failed.
    #[error("no answer could be read")]
    Transport(#[source] reqwest::Error),
}

/// A document, and for how long its sender says it is good.
#[derive(Debug)]
pub(super) struct Document {
    pub body: Vec<u8>,
    pub max_age: Option<Duration>,
}

/// A client for documents of an issuer.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    /// Whether the configured address is reached in clear: then others may be.
    clear: bool,
}

impl Http {
    /// A client that starts at `first`, and goes nowhere less safe. Connects to nothing yet.
    pub(super) fn new(first: &Url, ca_file: Option<&Path>) -> Result<Self, super::Error> {
        let clear = first.scheme() == "http";
        let redirects = Policy::custom(move |attempt| {
            if attempt.previous().len() > REDIRECTS_MAX || !is_safe(attempt.url(), clear) {
                attempt.stop()
            } else {
                attempt.follow()
            }
        });
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client(true, ca_file)?)
            .user_agent(concat!("promcast-gateway/", env!("CARGO_PKG_VERSION")))
            .redirect(redirects)
            .no_proxy()
            .pool_max_idle_per_host(1)
            .build()?;
        Ok(Self { client, clear })
    }

    /// The document at `url`. Its caller bounds the time.
    pub(super) async fn get(&self, url: &Url) -> Result<Document, Error> {
        if !is_safe(url, self.clear) {
            return Err(Error::Unsafe);
        }
        let request = self.client.get(url.clone()).header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(Error::Transport)?;
        if !response.status().is_success() {
            return Err(Error::Status(response.status().as_u16()));
        }
        let max_age = max_age(&response);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Error::Transport)? {
            body.extend_from_slice(&chunk);
            if body.len() > BYTES_MAX {
                return Err(Error::TooLong);
            }
        }
        Ok(Document { body, max_age })
    }
}

fn is_safe(url: &Url, clear: bool) -> bool {
    url.scheme() == "https" || (clear && url.scheme() == "http")
}

/// For how long the answer may be kept (RFC 9111, 5.2.2).
fn max_age(response: &Response) -> Option<Duration> {
    let values = response.headers().get_all(CACHE_CONTROL);
    directives(values.iter().filter_map(|value| value.to_str().ok()))
}

fn directives<'a>(values: impl Iterator<Item = &'a str>) -> Option<Duration> {
    let mut found = None;
    for directive in values.flat_map(|value| value.split(',')).map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => found = value.trim_matches('"').parse().ok().map(Duration::from_secs),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests;
