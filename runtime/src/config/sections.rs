//! The sections that every program has: `[log]` and `[admin]`.

use conf::Conf;

use super::Format;

/// `[log]`: what is written to stderr, and how.
#[derive(Clone, Debug, Conf)]
#[conf(serde)]
pub struct Log {
    /// How log lines are written: `text` for people, `json` for machines.
    #[arg(long, env, default_value = "text", serde(use_value_parser))]
    pub format: Format,
    /// Which log lines are written, in the syntax of the Rust crate tracing-subscriber: a level (`error`, `warn`, `info`, `debug`,
    /// `trace`), or levels by module, such as `info,promcast_gateway=debug`.
    #[arg(long, env, default_value = "info,async_nats=warn")]
    pub filter: String,
    /// Colours the level in text lines.
    #[arg(long, env)]
    pub color: bool,
}

/// `[admin]`: health, readiness and metrics.
#[derive(Clone, Debug, Conf)]
#[conf(serde)]
pub struct Admin {
    /// The address of the admin listener. It needs no login: keep it off the networks of clients. Port 0 takes a free one.
    /// Default: 127.0.0.1:8081 for a gateway, 127.0.0.1:8082 for a poller.
    #[arg(long, env)]
    pub listen: Option<std::net::SocketAddr>,
}
