//! `[auth]`: who may see what.

use std::path::PathBuf;
use std::time::Duration;

use conf::Conf;

use crate::auth::Mode;

mod jwt;
mod kubernetes;

pub use jwt::{Jwt, Mistake};
pub use kubernetes::Kubernetes;

/// `[auth]`: who may see what.
#[derive(Clone, Debug, Conf)]
#[conf(serde)]
pub struct Auth {
    /// How callers are told apart: `jwt`, by the tokens of an issuer; `kubernetes`, by the Kubernetes API server; or `none`, where
    /// everybody who reaches the listener sees all metrics. Must be given, so that nobody runs an open gateway without knowing.
    #[arg(long, env, serde(use_value_parser))]
    pub mode: Mode,
    /// Allows the mode `none` on an address that others can reach.
    #[arg(long, env)]
    pub allow_anonymous_network: bool,
    /// The cookie that a token may come in, besides the `Authorization` header. It counts from pages of the gateway's own origin and of
    /// `http.allowed_origins` only. Default: none.
    #[arg(long, env)]
    pub cookie: Option<String>,
    /// A file with 32 or more random bytes, the same for all replicas: signs the tickets that a browser's `EventSource` shows in place
    /// of a token. Without it tickets are given out only with the embedded bus, where there is one replica.
    #[arg(long, env)]
    pub ticket_key_file: Option<PathBuf>,
    /// The longest time between two looks at whether the caller of an open stream may still see it, such as `1m`. What the modes keep
    /// of earlier answers comes on top.
    #[arg(long, env, default_value = "1m", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub recheck: Duration,
    /// A stream ends whose access nobody could confirm for so long, such as `5m`, because the identity service is down. What was
    /// granted on a ticket, which cannot be confirmed, ends after so long too.
    #[arg(long, env, default_value = "5m", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub unconfirmed: Duration,
    /// Writes the text of each query into the log when a stream is opened. Queries may hold names that do not belong into a log.
    #[arg(long, env)]
    pub log_queries: bool,
    /// Whose tokens count, and what their claims give.
    #[conf(flatten, prefix)]
    pub jwt: Option<Jwt>,
    /// The Kubernetes API server.
    #[conf(flatten, prefix)]
    pub kubernetes: Kubernetes,
}
