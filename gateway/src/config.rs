//! The configuration of the gateway.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use conf::{Conf, Subcommands};
use promcast_poller::config::Datasources;
use promcast_proto::topic::Datasource;
use promcast_runtime::config::command::{ConfigAction, ConfigCommand, Health, HealthCommand};
use promcast_runtime::config::{Admin, Bus, Log};

use crate::auth::Mode;

mod auth;
mod http;
mod scope;
mod stream;

pub use auth::{Auth, Jwt, Kubernetes, Mistake};
pub use http::Http;
pub use scope::Scope;
pub use stream::Stream;

/// Where the admin listener is unless configured.
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);

/// Streams the results of PromQL queries over GPU metrics to browsers, with Server-Sent Events.
///
/// Every option can be given as a flag, as an environment variable, or in the configuration file, and counts in this
/// order.
#[derive(Clone, Debug, Conf)]
#[conf(serde, env_prefix = "PROMCAST_", name = "promcast-gateway", version, test, validation_predicate = Config::check)]
pub struct Config {
    /// A TOML file with any of these options: `http.listen` stands as `listen` in its section `[http]`.
    #[arg(long, env, serde(skip))]
    pub config: Option<PathBuf>,
    /// The name of this replica, in events and status. Default: `gateway-` and a random part.
    #[arg(long, env)]
    pub replica: Option<String>,
    /// The datasources that can be queried, where pollers run apart. Default: `default`. The flag is given once for each name; in
    /// the environment they are separated by commas. With the embedded bus they are those that have a section.
    #[conf(repeat, long, env, env_delimiter = ',')]
    pub datasources: Vec<Datasource>,
    /// Logs.
    #[conf(flatten, prefix)]
    pub log: Log,
    /// The admin listener.
    #[conf(flatten, prefix)]
    pub admin: Admin,
    /// The bus.
    #[conf(flatten, prefix)]
    pub bus: Bus,
    /// The listener for clients.
    #[conf(flatten, prefix)]
    pub http: Http,
    /// Who may see what.
    #[conf(flatten, prefix)]
    pub auth: Auth,
    /// Where a series says which namespace it belongs to.
    #[conf(flatten, prefix)]
    pub scope: Scope,
    /// Streams.
    #[conf(flatten, prefix)]
    pub stream: Stream,
    /// The upstreams, where the gateway runs a poller inside.
    #[conf(flatten, serde(flatten))]
    pub upstreams: Datasources,
    /// What to do instead of running.
    #[conf(subcommands, serde(skip))]
    pub command: Option<Command>,
}

/// What to do instead of running.
#[derive(Clone, Debug, Subcommands)]
pub enum Command {
    /// Work with the configuration.
    Config(ConfigCommand),
    /// Ask the gateway that runs with this configuration whether it is well: exit code 0 or 1.
    Healthcheck(HealthCommand),
    /// Create the streams on NATS, or bring them up to date. May be run again at any time.
    Init,
}

/// What the program was started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To serve.
    Run,
    /// To judge the configuration.
    Check,
    /// To ask one that runs.
    Healthcheck(Health),
    /// To set up the streams.
    Init,
}

/// An option that does not go together with another.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// Nobody would run a query.
    #[error(
        "there is nothing to query: give `prometheus-url` or a section `[datasource.NAME]`, or `bus.url` where pollers run apart"
    )]
    NoUpstream,
    /// Upstreams that nobody would use.
    #[error(
        "`bus.url` is given, so pollers run apart: move `prometheus-url` and `[datasource.NAME]` to them"
    )]
    IdleUpstream,
    /// Names that nothing backs.
    #[error(
        "`datasources` is for pollers that run apart; with the embedded bus each has a section `[datasource.NAME]`"
    )]
    NamesWithoutBus,
    /// The guard of `auth.mode = none`.
    #[error(
        "`auth.mode` is `none` and `http.listen` is {0}, which others can reach: everybody there would see all metrics. \
         Listen on 127.0.0.1, or say `auth.allow-anonymous-network` too"
    )]
    Anonymous(std::net::SocketAddr),
    /// A mode without what it needs.
    #[error("`auth.mode` is `jwt`: give `auth.jwt.issuer` and `auth.jwt.audience`")]
    NoIssuer,
    /// A section that nobody would look at.
    #[error("`auth.jwt` is given, and `auth.mode` is not `jwt`: set the mode, or leave the section out")]
    IdleIssuer,
    /// Nothing could be watched over.
    #[error("`auth.recheck` must be a second or more, and `auth.unconfirmed` no less than it")]
    Pace,
}

impl Config {
    /// What the program was started for.
    pub fn action(&self) -> Action {
        match &self.command {
            None => Action::Run,
            Some(Command::Init) => Action::Init,
            Some(Command::Config(ConfigCommand { action: ConfigAction::Check })) => Action::Check,
            Some(Command::Healthcheck(command)) => Action::Healthcheck(command.health()),
        }
    }

    /// The address of the admin listener.
    pub fn admin_listen(&self) -> SocketAddr {
        self.admin.listen.unwrap_or(ADMIN)
    }

    /// How long a shutdown may take: the drain, and time for the last bytes.
    pub fn grace(&self) -> Duration {
        self.stream.drain + Duration::from_secs(5)
    }

    /// What can be queried.
    pub fn datasources(&self) -> Vec<Datasource> {
        match (&self.bus.url, self.datasources.is_empty()) {
            (None, _) => self.upstreams.names(),
            (Some(_), false) => self.datasources.clone(),
            (Some(_), true) => vec![Datasource::default()],
        }
    }

    /// All that does not go together, a line each.
    fn check(&self) -> Result<(), String> {
        let (embedded, listen) = (self.bus.url.is_none(), self.http.listen);
        let auth = &self.auth;
        let open = auth.mode == Mode::None && !listen.ip().is_loopback() && !auth.allow_anonymous_network;
        let hasty = auth.recheck < Duration::from_secs(1) || auth.unconfirmed < auth.recheck;
        let mistakes: Vec<_> = [
            (embedded && self.upstreams.is_empty()).then_some(Invalid::NoUpstream),
            (!embedded && !self.upstreams.is_empty()).then_some(Invalid::IdleUpstream),
            (embedded && !self.datasources.is_empty()).then_some(Invalid::NamesWithoutBus),
            open.then_some(Invalid::Anonymous(listen)),
            (auth.mode == Mode::Jwt && auth.jwt.is_none()).then_some(Invalid::NoIssuer),
            (auth.mode != Mode::Jwt && auth.jwt.is_some()).then_some(Invalid::IdleIssuer),
            hasty.then_some(Invalid::Pace),
        ]
        .into_iter()
        .flatten()
        .map(|mistake| mistake.to_string())
        .collect();
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes.join("\n")) }
    }
}

#[cfg(test)]
mod tests {
    use promcast_runtime::config::{Error, Sources, load};

    use super::*;

    fn try_load(args: &[&str], env: &[(&str, &str)]) -> Result<Config, Error> {
        let args = std::iter::once("promcast-gateway").chain(args.iter().copied()).map(Into::into).collect();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        load(&Sources { args, env })
    }

    const GOOD: [&str; 4] = ["--auth-mode", "none", "--prometheus-url", "http://127.0.0.1:9090"];

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let config = try_load(&GOOD, &[]).unwrap();
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.stream.max_connections, 100);
        assert_eq!(config.stream.interval.secs(), 15);
        assert_eq!(config.stream.drain, Duration::from_secs(20));
        assert_eq!(config.datasources(), [Datasource::default()]);
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[stream]\nlag = 1\nlinger = '1s'\nmax_connections = 1\n").unwrap();
        let path = file.path().to_str().unwrap();
        let args = [&GOOD[..], &["--config", path, "--stream-lag", "3"]].concat();
        let env = [("PROMCAST_STREAM_LAG", "2"), ("PROMCAST_STREAM_LINGER", "2s")];
        let config = try_load(&args, &env).unwrap();
        assert_eq!((config.stream.lag, config.stream.max_connections), (3, 1));
        assert_eq!(config.stream.linger, Duration::from_secs(2));
    }

    #[test]
    fn every_error_is_told_at_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[http]\nlisen = '127.0.0.1:1'\n").unwrap();
        let path = file.path().to_str().unwrap();
        let env = [("PROMCAST_STREAM_LAG", "many"), ("PROMCAST_HTTP_LISTN", "x")];
        let error = try_load(&["--config", path, "--stream-drain", "soon"], &env).unwrap_err().to_string();
        for part in ["lisen", "PROMCAST_STREAM_LAG", "PROMCAST_HTTP_LISTN", "--stream-drain", "--auth-mode"] {
            assert!(error.contains(part), "{part} is not told in:\n{error}");
        }
    }

    #[test]
    fn anonymous_access_from_the_network_must_be_said_twice() {
        let open = [&GOOD[..], &["--http-listen", "0.0.0.0:8080"]].concat();
        let error = try_load(&open, &[]).unwrap_err().to_string();
        assert!(error.contains("allow-anonymous-network"), "{error}");
        try_load(&[&open[..], &["--auth-allow-anonymous-network"]].concat(), &[]).unwrap();
    }

    #[test]
    fn rules_for_labels_come_from_all_sources_and_their_mistakes_are_told() {
        let rules = ["--scope-labels", "DCGM_*=tenant", "--scope-labels", "*=namespace"];
        let config = try_load(&[&GOOD[..], &rules[..]].concat(), &[]).unwrap();
        assert_eq!(config.scope.labels().to_string(), "DCGM_*=tenant;*=namespace");
        let config = try_load(&GOOD, &[("PROMCAST_SCOPE_LABELS", "x=y;*=n")]).unwrap();
        assert_eq!(config.scope.labels().to_string(), "x=y;*=n");
        let error = try_load(&GOOD, &[("PROMCAST_SCOPE_LABELS", "x;*=1")]).unwrap_err().to_string();
        assert!(error.contains("`x`") && error.contains("`*=1`"), "{error}");
    }

    #[test]
    fn a_mode_has_what_it_needs_and_no_section_is_for_nothing() {
        let upstream = ["--prometheus-url", "http://127.0.0.1:9090"];
        let jwt =
            ["--auth-jwt-issuer", "https://i", "--auth-jwt-audience", "p", "--auth-jwt-admin-groups", "ops"];
        let told = |mode: &str, more: &[&str]| {
            let args =
                [&["--auth-mode", mode, "--http-listen", "0.0.0.0:8080"], &upstream[..], more].concat();
            try_load(&args, &[]).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(told("jwt", &jwt), "");
        assert_eq!(told("kubernetes", &[]), "");
        assert!(told("jwt", &[]).contains("give `auth.jwt.issuer`"), "{}", told("jwt", &[]));
        assert!(told("kubernetes", &jwt).contains("`auth.mode` is not `jwt`"));
        assert!(told("kubernetes", &["--auth-recheck", "10m"]).contains("auth.unconfirmed"));
        assert!(told("nobody", &[]).contains("`jwt`, `kubernetes`, or `none`"));
    }

    #[test]
    fn a_command_may_stand_first_or_last() {
        for args in [
            ["config", "check"].iter().chain(&GOOD).copied().collect::<Vec<_>>(),
            [&GOOD[..], &["config", "check"]].concat(),
        ] {
            assert_eq!(try_load(&args, &[]).unwrap().action(), Action::Check);
        }
        assert_eq!(try_load(&GOOD, &[]).unwrap().action(), Action::Run);
    }

    #[test]
    fn a_health_check_asks_for_readiness_unless_told_otherwise() {
        for (words, health) in [
            (&["healthcheck"][..], Health::Ready),
            (&["healthcheck", "ready"], Health::Ready),
            (&["healthcheck", "healthy"], Health::Healthy),
        ] {
            let config = try_load(&[words, &GOOD].concat(), &[]).unwrap();
            assert_eq!(config.action(), Action::Healthcheck(health), "{words:?}");
        }
        assert!(try_load(&[&["healthcheck", "happy"], &GOOD[..]].concat(), &[]).is_err());
    }

    #[test]
    fn variables_that_kubernetes_makes_of_a_service_are_none_of_ours() {
        let links = [
            ("PROMCAST_GATEWAY_SERVICE_HOST", "10.0.0.1"),
            ("PROMCAST_GATEWAY_SERVICE_PORT", "80"),
            ("PROMCAST_GATEWAY_SERVICE_PORT_HTTP", "80"),
            ("PROMCAST_GATEWAY_PORT", "tcp://10.0.0.1:80"),
            ("PROMCAST_GATEWAY_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("PROMCAST_GATEWAY_PORT_80_TCP_ADDR", "10.0.0.1"),
        ];
        try_load(&GOOD, &links).unwrap();
        for name in ["PROMCAST_HTTP_PORT", "PROMCAST_HTTP_PORT_NUMBER", "PROMCAST_SERVICE"] {
            assert!(try_load(&GOOD, &[(name, "1")]).is_err(), "{name} was taken");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let args = ["--auth-mode", "none", "--bus-url", "nats://n:4222", "--bus-user", "gw"];
        let config = try_load(&args, &[("PROMCAST_BUS_PASSWORD", "hunter2")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
