//! The configuration of the poller; the section of its upstreams is the gateway's as well.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use conf::{Conf, Subcommands};
use promcast_runtime::config::command::{ConfigAction, ConfigCommand, Health, HealthCommand};
use promcast_runtime::config::{Admin, Bus, Log};

mod datasource;
mod endpoint;
mod headers;

pub use datasource::{Datasource, Datasources, Error, Upstream};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use headers::Headers;

/// Where the admin listener is unless configured.
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8082);

/// Takes query jobs from the bus, asks Prometheus, and publishes what it says.
///
/// Every option can be given as a flag, as an environment variable, or in the configuration file, and counts in this
/// order. The sections `[datasource.NAME]` stand in the file alone.
#[derive(Clone, Debug, Conf)]
#[conf(serde, test, name = "promcast-poller", version, env_prefix = "PROMCAST_", validation_predicate = Config::check)]
pub struct Config {
    /// A TOML file with any of these options: `bus.url` stands as `url` in its section `[bus]`.
    #[arg(long, env, serde(skip))]
    pub config: Option<PathBuf>,
    /// Logs.
    #[conf(flatten, prefix)]
    pub log: Log,
    /// The admin listener.
    #[conf(flatten, prefix)]
    pub admin: Admin,
    /// The bus.
    #[conf(flatten, prefix)]
    pub bus: Bus,
    /// The upstreams.
    #[conf(flatten, serde(flatten))]
    pub datasources: Datasources,
    /// What to do instead of working.
    #[conf(subcommands, serde(skip))]
    pub command: Option<Command>,
}

/// What to do instead of working.
#[derive(Clone, Debug, Subcommands)]
pub enum Command {
    /// Work with the configuration.
    Config(ConfigCommand),
    /// Ask the poller that runs with this configuration whether it is well: exit code 0 or 1.
    Healthcheck(HealthCommand),
}

/// What the program was started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To work.
    Run,
    /// To judge the configuration.
    Check,
    /// To ask one that runs.
    Healthcheck(Health),
}

impl Config {
    /// What the program was started for.
    pub fn action(&self) -> Action {
        match &self.command {
            None => Action::Run,
            Some(Command::Config(ConfigCommand { action: ConfigAction::Check })) => Action::Check,
            Some(Command::Healthcheck(command)) => Action::Healthcheck(command.health()),
        }
    }

    /// The address of the admin listener.
    pub fn admin_listen(&self) -> SocketAddr {
        self.admin.listen.unwrap_or(ADMIN)
    }

    fn check(&self) -> Result<(), String> {
        let mut missing = Vec::new();
        if self.bus.url.is_none() {
            missing
                .push("a poller meets its gateways on NATS: give --bus-url, such as nats://127.0.0.1:4222");
        }
        if self.datasources.is_empty() {
            missing.push(
                "no datasource is configured: give --prometheus-url, or a section [datasource.default]",
            );
        }
        if missing.is_empty() { Ok(()) } else { Err(missing.join("\n")) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use promcast_runtime::config::{Sources, load};

    use super::*;

    fn config(args: &[&str], env: &[(&str, &str)]) -> Result<Config, promcast_runtime::config::Error> {
        let args = ["promcast-poller"].iter().chain(args).map(Into::into).collect();
        let env: BTreeMap<_, _> =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        load(&Sources { args, env })
    }

    #[test]
    fn flags_stand_over_the_environment_and_that_over_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("promcast.toml");
        let toml = "[bus]\nurl = 'nats://file'\n[admin]\nlisten = '127.0.0.1:1'\n[log]\nformat = 'json'\n\
                    [datasource.default]\nurl = 'http://file'\n[datasource.b]\nurl = 'http://b'";
        std::fs::write(&path, toml).unwrap();
        let path = path.to_str().unwrap();
        let env = [
            ("PROMCAST_CONFIG", path),
            ("PROMCAST_BUS_URL", "nats://env"),
            ("PROMCAST_ADMIN_LISTEN", "127.0.0.1:2"),
        ];
        let found = config(&["--bus-url", "nats://flag", "--prometheus-url", "http://flag"], &env).unwrap();
        assert_eq!(found.bus.url.as_deref(), Some("nats://flag"));
        assert_eq!(found.admin_listen().port(), 2);
        let urls: Vec<_> =
            found.datasources.upstreams().unwrap().iter().map(|one| one.url.to_string()).collect();
        assert_eq!(urls, ["http://b/", "http://flag/"]);
        assert_eq!(found.action(), Action::Run);
    }

    #[test]
    fn what_is_missing_is_told_at_once() {
        let told = config(&[], &[]).unwrap_err().to_string();
        assert!(told.contains("--bus-url") && told.contains("--prometheus-url"), "{told}");
    }

    #[test]
    fn the_environment_is_enough_and_check_is_a_command() {
        let env = [("PROMCAST_BUS_URL", "nats://h"), ("PROMCAST_PROMETHEUS_URL", "http://h")];
        assert_eq!(config(&[], &env).unwrap().admin_listen(), ADMIN);
        let found = config(&["config", "check"], &env).unwrap();
        assert_eq!(found.action(), Action::Check);
        let found = config(&["healthcheck", "healthy"], &env).unwrap();
        assert_eq!(found.action(), Action::Healthcheck(Health::Healthy));
    }
}
