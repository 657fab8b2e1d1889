//! `[http]`: the listener for clients.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use axum::http::HeaderValue;
use conf::Conf;
use ipnet::IpNet;
use serde::Deserialize;

/// `[http]`: where clients come in.
#[derive(Clone, Debug, Conf)]
#[conf(serde, validation_predicate = Http::check)]
pub struct Http {
    /// The address for clients. Port 0 takes a free one.
    #[arg(long, env, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// A PEM file with the certificate chain to serve TLS with, HTTP/2 included. Read again when it changes. Needs `tls_key_file`.
    /// Without it the gateway speaks HTTP in clear, for a proxy in front that ends TLS.
    #[arg(long, env)]
    pub tls_certificate_file: Option<PathBuf>,
    /// A PEM file with the private key of the certificate.
    #[arg(long, env)]
    pub tls_key_file: Option<PathBuf>,
    /// Origins whose pages may open streams from another site, such as `https://dash.example.com`. Pages of the gateway's own
    /// origin always may. The flag is given once for each; in the environment they are separated by commas.
    #[conf(repeat, long, env, env_delimiter = ',')]
    pub allowed_origins: Vec<Origin>,
    /// Networks of reverse proxies, such as `10.0.0.0/8`. The client's address is taken from `X-Forwarded-For` or `Forwarded`
    /// for connections from there, and from nobody else. The flag is given once for each; in the environment they are separated by
    /// commas.
    #[conf(repeat, long, env, env_delimiter = ',')]
    pub trusted_proxies: Vec<IpNet>,
    /// The directory with the dashboard: what `npm run build` writes to `web/dashboard/dist`. Read at each request, and needs no
    /// login; its `index.html` is the page at `/`. Default: none, and a plain page that draws one query is at `/`.
    #[arg(long, env)]
    pub pages: Option<PathBuf>,
    /// A client that acknowledges nothing for so long is closed by the system (TCP_USER_TIMEOUT, Linux only).
    #[arg(long, env, default_value = "5m", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub unacknowledged: Duration,
    /// Tasks that write streams over HTTP/1.1 in clear to their sockets; each can keep a core busy. 0 leaves that to the HTTP library,
    /// which costs more for each event and connection. Default: one for each core.
    #[arg(long, env)]
    pub shards: Option<u8>,
    /// Reads (`/api/v1/query` and the like) an address may make in each second, once the burst is used up. Where a dashboard server
    /// asks on behalf of many, all of them have its address unless it is one of `trusted_proxies`.
    #[arg(long, env, default_value = "50")]
    pub read_rate: NonZeroU32,
    /// Reads an address may make at once after a quiet time. A dashboard that is opened makes one for each panel and each variable.
    #[arg(long, env, default_value = "200")]
    pub read_burst: NonZeroU32,
    /// How long a read may take, such as `30s`. A caller's `timeout` can only make it shorter; pollers may be set to less.
    #[arg(long, env, default_value = "30s", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub read_timeout: Duration,
}

/// One of the two files without the other.
#[derive(Debug, thiserror::Error)]
#[error("`http.tls_certificate_file` and `http.tls_key_file` go together: give both, or none")]
pub(super) struct HalfOfTls;

impl Http {
    /// The certificate and its key, where TLS is served.
    pub fn tls_files(&self) -> Option<(&Path, &Path)> {
        self.tls_certificate_file.as_deref().zip(self.tls_key_file.as_deref())
    }

    fn check(&self) -> Result<(), HalfOfTls> {
        let (certificate, key) = (self.tls_certificate_file.is_some(), self.tls_key_file.is_some());
        if certificate == key { Ok(()) } else { Err(HalfOfTls) }
    }
}

/// An origin (RFC 6454): scheme, host and port as a browser sends them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(HeaderValue);

impl Origin {
    /// As it stands in the header.
    pub fn header(&self) -> &HeaderValue {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refusal = || {
            format!(
                "`{text}` is not an origin: write it as the browser does, https://host or http://host:port, with no path"
            )
        };
        let url: url::Url = text.parse().map_err(|_| refusal())?;
        let origin = url.origin().ascii_serialization();
        if origin != text.trim_end_matches('/') {
            return Err(refusal());
        }
        HeaderValue::from_str(&origin).map(Self).map_err(|_| refusal())
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
