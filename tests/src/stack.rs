//! Promcast put together: over an upstream of the test's choice, or over a real Prometheus that scrapes simulated GPUs.

use crate::nats::Nats;
use crate::programs::{self, Gateway, Poller};
use crate::prometheus::Prometheus;
use crate::sim::Sim;

/// How gateways and pollers reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// Inside one gateway, which polls by itself.
    Embedded,
    /// Over a nats-server of the test's own, with a poller beside the gateways.
    Nats,
}

/// The programs under test.
#[derive(Debug)]
pub struct Promcast {
    /// At least one.
    pub gateways: Vec<Gateway>,
    /// None with the embedded bus.
    pub pollers: Vec<Poller>,
    /// The server behind [`Bus::Nats`].
    pub nats: Option<Nats>,
    upstream: String,
    flags: Vec<String>,
}

impl Promcast {
    /// Starts one gateway with these flags, and what else the bus needs, over the upstream at a URL.
    ///
    /// # Panics
    /// Where a program does not start.
    pub async fn start(bus: Bus, upstream: &str, flags: &[&str]) -> Self {
        let nats = match bus {
            Bus::Embedded => None,
            Bus::Nats => Some(Nats::start().await),
        };
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        let mut promcast =
            Self { gateways: Vec::new(), pollers: Vec::new(), nats, upstream: upstream.to_owned(), flags };
        if let Some(url) = promcast.bus_url() {
            let (code, output) =
                programs::run("promcast-gateway", &["--auth-mode", "none", "--bus-url", &url, "init"]).await;
            assert_eq!(code, Some(0), "init: {output}");
            promcast.add_poller().await;
        }
        promcast.add_gateway().await;
        promcast
    }

    /// The first gateway.
    ///
    /// # Panics
    /// Where a test has taken it out.
    pub fn gateway(&self) -> &Gateway {
        self.gateways.first().expect("a gateway")
    }

    /// Starts one more gateway like the first.
    pub async fn add_gateway(&mut self) {
        let url = self.bus_url();
        let mut flags = match &url {
            Some(url) => vec!["--bus-url", url, "--datasources", "default"],
            None => vec!["--prometheus-url", &self.upstream],
        };
        flags.extend(self.flags.iter().map(String::as_str));
        let gateway = Gateway::start(&flags).await;
        self.gateways.push(gateway);
    }

    /// Starts one more poller.
    ///
    /// # Panics
    /// With the embedded bus, which has no place for one.
    pub async fn add_poller(&mut self) {
        let url = self.bus_url().expect("pollers are for NATS");
        self.pollers.push(Poller::start(&["--bus-url", &url, "--prometheus-url", &self.upstream]).await);
    }

    fn bus_url(&self) -> Option<String> {
        self.nats.as_ref().map(|nats| nats.url().to_owned())
    }
}

/// [`Promcast`] over a Prometheus that scrapes two simulated GPUs each second.
#[derive(Debug)]
pub struct Stack {
    /// The programs under test.
    pub promcast: Promcast,
    /// What they stream from.
    pub prometheus: Prometheus,
    _sim: Sim,
}

impl Stack {
    /// Starts everything and waits for the first scrape.
    pub async fn start(bus: Bus, flags: &[&str]) -> Self {
        let sim = Sim::start().await;
        let prometheus = Prometheus::start(&[sim.target()]).await;
        prometheus.has("DCGM_FI_DEV_GPU_UTIL").await;
        let promcast = Promcast::start(bus, &prometheus.url(), flags).await;
        Self { promcast, prometheus, _sim: sim }
    }

    /// The first gateway.
    pub fn gateway(&self) -> &Gateway {
        self.promcast.gateway()
    }
}
