//! The command line and the `DCGM_SIM_*` environment.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use conf::Conf;

/// Serve DCGM metrics of GPUs that do not exist, in the exposition of NVIDIA's dcgm-exporter.
#[derive(Conf, Debug, Clone)]
#[conf(name = "dcgm-sim", env_prefix = "DCGM_SIM_", version, test)]
pub(crate) struct Config {
    /// Address to serve on; port 0 takes a free one. The address in use is printed on stdout
    #[conf(long, env, default_value = "127.0.0.1:9400")]
    pub(crate) listen: SocketAddr,
    /// GPUs of each node, 1 to 16
    #[conf(long, env, default_value = "8", value_parser = parse_gpus)]
    pub(crate) gpus: u64,
    /// Nodes, 1 to 1000. All of them are served by the one /metrics, as gpu-worker-01 and so on
    #[conf(long, env, default_value = "1", value_parser = parse_nodes)]
    pub(crate) nodes: u64,
    /// Labels of the series: `k8s` (dcgm-exporter 4.8.3 and later, pods), `bare` (4.8.2 and before, HPC jobs) or
    /// `mig` (as k8s, with GPUs cut into MIG instances)
    #[conf(long, env, default_value = "k8s")]
    pub(crate) dialect: Dialect,
    /// What the GPUs do: `mixed` (serving, training, notebooks, batch, some idle), `idle`, `load` (all busy, at the
    /// power cap), `throttle` (all busy and too hot) or `xid` (as mixed, with frequent XID errors)
    #[conf(long, env, default_value = "mixed")]
    pub(crate) profile: Profile,
    /// Equal seeds give equal bytes at equal times
    #[conf(long, env, default_value = "1")]
    pub(crate) seed: u64,
    /// How often values change, 100ms to 1h. dcgm-exporter's own default is 30s; 1s is for a lively demonstration
    #[conf(long, env, default_value = "1s", value_parser = parse_interval)]
    pub(crate) collect_interval: Duration,
    /// Namespaces of the pods, with commas between them; pods take them in turn
    #[conf(long, env, default_value = "llm-serving,team-vision,notebooks,batch")]
    pub(crate) namespaces: Namespaces,
}

/// Which labels the series carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Kubernetes, dcgm-exporter ≥ 4.8.3: `hostname`, pod labels.
    K8s,
    /// No orchestrator, dcgm-exporter ≤ 4.8.2: `Hostname`, `hpc_job`.
    Bare,
    /// [`Dialect::K8s`] with MIG instances.
    Mig,
}

impl FromStr for Dialect {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "k8s" => Ok(Self::K8s),
            "bare" => Ok(Self::Bare),
            "mig" => Ok(Self::Mig),
            _ => Err(Invalid::Choice { choices: "k8s, bare or mig" }),
        }
    }
}

/// What the GPUs do over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Each GPU after its tenant.
    Mixed,
    /// No load at all.
    Idle,
    /// Every GPU busy, most of the time at the power cap.
    Load,
    /// Every GPU busy and cooled too little.
    Throttle,
    /// [`Profile::Mixed`] with frequent XID errors.
    Xid,
}

impl FromStr for Profile {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "mixed" => Ok(Self::Mixed),
            "idle" => Ok(Self::Idle),
            "load" => Ok(Self::Load),
            "throttle" => Ok(Self::Throttle),
            "xid" => Ok(Self::Xid),
            _ => Err(Invalid::Choice { choices: "mixed, idle, load, throttle or xid" }),
        }
    }
}

/// One or more names of Kubernetes namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespaces(Vec<String>);

impl Namespaces {
    /// The namespace of the `turn`-th pod.
    pub(crate) fn of(&self, turn: u64) -> &str {
        let turn = usize::try_from(turn).unwrap_or_default();
        self.0.get(turn % self.0.len().max(1)).map_or("default", String::as_str)
    }
}

impl FromStr for Namespaces {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        match names.iter().find(|name| !is_dns_label(name)) {
            Some(name) => Err(Invalid::Namespace { name: name.clone() }),
            None => Ok(Self(names)),
        }
    }
}

/// Why a value was refused, with what to write instead.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    /// Not one of a closed list.
    #[error("write one of {choices}")]
    Choice { choices: &'static str },
    /// Not a whole number within bounds.
    #[error("write a whole number from 1 to {most}")]
    Count { most: u64 },
    /// Not a duration.
    #[error("write a duration such as 1s, 500ms or 30s ({reason})")]
    Duration { reason: String },
    /// A duration out of bounds.
    #[error("write a duration from 100ms to 1h")]
    Interval,
    /// Not a name that Kubernetes would take.
    #[error("`{name}` is no namespace: write names of 1 to 63 of a-z, 0-9 and -, with commas between them")]
    Namespace { name: String },
}

fn parse_gpus(text: &str) -> Result<u64, Invalid> {
    count(text, 16)
}

fn parse_nodes(text: &str) -> Result<u64, Invalid> {
    count(text, 1000)
}

fn count(text: &str, most: u64) -> Result<u64, Invalid> {
    text.parse().ok().filter(|count| (1..=most).contains(count)).ok_or(Invalid::Count { most })
}

fn parse_interval(text: &str) -> Result<Duration, Invalid> {
    let interval =
        humantime::parse_duration(text).map_err(|error| Invalid::Duration { reason: error.to_string() })?;
    let bounds = Duration::from_millis(100)..=Duration::from_secs(3600);
    if bounds.contains(&interval) { Ok(interval) } else { Err(Invalid::Interval) }
}

/// RFC 1123, as Kubernetes checks the names of namespaces.
fn is_dns_label(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.bytes().all(|byte| plain(byte) || byte == b'-')
        && name.bytes().next().is_some_and(plain)
        && name.bytes().last().is_some_and(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str], env: &[(&str, &str)]) -> Result<Config, String> {
        let args = [&["dcgm-sim"], args].concat();
        Config::try_parse_from::<&str, &str, &str>(args, env.to_vec()).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults() {
        let config = parse(&[], &[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:9400");
        assert_eq!((config.gpus, config.nodes, config.seed), (8, 1, 1));
        assert_eq!((config.dialect, config.profile), (Dialect::K8s, Profile::Mixed));
        assert_eq!(config.collect_interval, Duration::from_secs(1));
    }

    #[test]
    fn a_flag_wins_over_the_environment() {
        let env = [("DCGM_SIM_GPUS", "4"), ("DCGM_SIM_PROFILE", "xid"), ("DCGM_SIM_NAMESPACES", "a,b-1")];
        let config = parse(&["--gpus", "2"], &env).unwrap();
        assert_eq!((config.gpus, config.profile), (2, Profile::Xid));
        assert_eq!((config.namespaces.of(1), config.namespaces.of(2)), ("b-1", "a"));
    }

    #[test]
    fn a_bad_value_says_what_to_write() {
        for (flag, value, says) in [
            ("--gpus", "17", "from 1 to 16"),
            ("--nodes", "0", "from 1 to 1000"),
            ("--dialect", "k9s", "k8s, bare or mig"),
            ("--profile", "busy", "mixed, idle, load, throttle or xid"),
            ("--collect-interval", "1", "a duration such as 1s"),
            ("--collect-interval", "2h", "from 100ms to 1h"),
            ("--namespaces", "a,,b", "`` is no namespace"),
            ("--namespaces", "A\"", "`A\"` is no namespace"),
        ] {
            let error = parse(&[flag, value], &[]).expect_err(value);
            assert!(error.contains(says), "{flag} {value}: {error}");
        }
    }

    #[test]
    fn all_bad_values_are_told_at_once() {
        let error = parse(&["--gpus", "0", "--nodes", "0"], &[]).unwrap_err();
        assert!(error.contains("from 1 to 16") && error.contains("from 1 to 1000"), "{error}");
    }
}
