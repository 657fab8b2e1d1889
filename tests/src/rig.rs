//! An installation for benchmarks, put on cores of its own choice: NATS, pollers, gateways, and what they cost.

use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

use crate::http;
use crate::measure::{pin, pinned};
use crate::nats::Nats;
use crate::part::{Crowd, Part};
use crate::process::Process;
use crate::programs::{Gateway, Poller, binary, run};
use crate::wait::until;

/// How long all streams may take to open.
const OPENING: Duration = Duration::from_secs(90);

/// Which cores: of the gateways, the pollers, and all else.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// Of gateways.
    pub gateway: &'static str,
    /// Of pollers.
    pub poller: &'static str,
    /// Of NATS and of what a benchmark starts besides.
    pub other: &'static str,
}

/// What runs.
#[derive(Debug)]
pub struct Rig {
    /// The bus.
    pub nats: Nats,
    /// One.
    pub poller: Poller,
    /// At least one.
    pub gateways: Vec<Gateway>,
    cores: Cores,
    variables: Vec<(String, String)>,
}

impl Rig {
    /// One gateway and one poller over an upstream, with these variables in their environment.
    ///
    /// # Panics
    /// Where something does not start.
    pub async fn start(cores: Cores, upstream: &str, variables: &[(&str, &str)]) -> Self {
        let nats = Nats::start_with("http: \"127.0.0.2:-1\"").await;
        if let Ok(core) = cores.other.parse() {
            pin(nats.process().pid(), core);
        }
        let init = ["--auth-mode", "none", "--bus-url", nats.url(), "init"];
        let (code, output) = run("promcast-gateway", &init).await;
        assert_eq!(code, Some(0), "{output}");
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut poller = program(cores.poller, "promcast-poller", nats.url());
        poller.args(["--prometheus-url", upstream]).envs(variables.iter().cloned());
        let poller = Poller::of(&mut poller).await;
        let mut rig = Self { nats, poller, gateways: Vec::new(), cores, variables };
        rig.add_gateway().await;
        rig
    }

    /// One more gateway.
    pub async fn add_gateway(&mut self) {
        let mut gateway = program(self.cores.gateway, "promcast-gateway", self.nats.url());
        gateway.args(["--http-listen", "127.0.0.1:0", "--auth-mode", "none", "--datasources", "default"]);
        gateway.args(["--stream-max-connections", "200000", "--stream-open-rate", "1000000"]);
        gateway.args(["--stream-open-burst", "1000000"]).envs(self.variables.iter().cloned());
        self.gateways.push(Gateway::of(&mut gateway).await);
    }

    /// Clients, spread over the gateways, all of whose streams are open.
    pub async fn clients(&self, crowd: Crowd) -> Part {
        let addresses: Vec<_> = self.gateways.iter().map(Gateway::address).collect();
        let clients = Part::clients(self.cores.other, &addresses, crowd).await;
        until("all streams are open", OPENING, || async {
            (clients.open().await >= crowd.connections).then_some(())
        })
        .await;
        clients
    }

    /// What everything has cost so far.
    pub async fn costs(&self) -> Costs {
        let statistics = http::get(&format!("{}/varz", self.nats.monitoring())).await.json();
        let count = |name: &str| statistics[name].as_f64().expect("a count");
        Costs {
            at: Instant::now(),
            gateways: self.gateways.iter().map(|gateway| gateway.process.processor_time()).sum(),
            poller: self.poller.process.processor_time(),
            nats: self.nats.process().processor_time(),
            gateways_resident: self.gateways.iter().map(|gateway| gateway.process.resident_bytes()).sum(),
            poller_resident: self.poller.process.resident_bytes(),
            nats_resident: Process::resident_bytes(self.nats.process()),
            into_nats: count("in_bytes"),
            out_of_nats: count("out_bytes"),
            messages_in: count("in_msgs"),
            messages_out: count("out_msgs"),
        }
    }
}

fn program(cores: &str, name: &str, bus: &str) -> Command {
    let mut command = pinned(cores, binary(name));
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command.args(["--bus-url", bus, "--admin-listen", "127.0.0.1:0"]);
    command
}

/// What was counted up to a moment.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// The moment.
    pub at: Instant,
    /// Processor time of all gateways together.
    pub gateways: Duration,
    /// Of the poller.
    pub poller: Duration,
    /// Of nats-server.
    pub nats: Duration,
    /// Memory of all gateways together, in bytes.
    pub gateways_resident: u64,
    /// Of the poller.
    pub poller_resident: u64,
    /// Of nats-server.
    pub nats_resident: u64,
    /// Bytes that came into NATS.
    pub into_nats: f64,
    /// Bytes that went out of it.
    pub out_of_nats: f64,
    /// Messages that came into NATS.
    pub messages_in: f64,
    /// Messages that went out of it.
    pub messages_out: f64,
}

impl Costs {
    /// Seconds from an earlier moment to this one.
    pub fn seconds_since(&self, earlier: &Self) -> f64 {
        self.at.duration_since(earlier.at).as_secs_f64()
    }

    /// The share of one core, in percent, that something took since an earlier moment.
    pub fn share(&self, earlier: &Self, of: impl Fn(&Self) -> Duration) -> f64 {
        100.0 * of(self).saturating_sub(of(earlier)).as_secs_f64() / self.seconds_since(earlier)
    }

    /// How much of something there was in each second since an earlier moment.
    pub fn rate(&self, earlier: &Self, of: impl Fn(&Self) -> f64) -> f64 {
        (of(self) - of(earlier)) / self.seconds_since(earlier)
    }
}
