//! The installation that faults are inflicted on: one NATS server or three, two gateways behind HAProxy, two pollers,
//! Prometheus, viewers.

use std::path::Path as File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use promcast_proto::tick::Tick;
use tempfile::TempDir;

use super::journal::Journal;
use super::path::Path;
use super::viewer::{Topic, Viewer};
use crate::load_balancer::{Kind, LoadBalancer};
use crate::nats::Nats;
use crate::nats::cluster::Cluster;
use crate::process::Signal;
use crate::programs::{self, Gateway, Poller};
use crate::prometheus::Prometheus;
use crate::upstream::{Reply, Upstream};
use crate::wait::{PATIENCE, until};
use crate::{http, wait};

/// Where gateways listen. Not 127.0.0.1, from whose ports clients connect: a port must be free when one comes back.
const HOST: &str = "127.0.0.3";

/// Viewers, as the promise is tested.
pub const VIEWERS: usize = 200;

/// Topics that they share.
pub const TOPICS: usize = 20;

/// Topics of these numbers ask the upstream that can be made slow.
const SLOW_TOPICS: usize = 2;

/// The datasource that can be made slow.
const SLOW: &str = "slow";

/// What gateways and the bus are told of datasources.
const DATASOURCES: [&str; 4] = ["--datasources", "default", "--datasources", SLOW];

/// How long gateways take to drain here.
pub const DRAIN: Duration = Duration::from_secs(10);

/// A gateway and its way to NATS.
#[derive(Debug)]
pub struct Member {
    /// The program.
    pub gateway: Gateway,
    /// Its way to NATS, where that is one server.
    pub path: Option<Path>,
}

/// What carries the bus.
#[derive(Debug)]
pub enum Servers {
    /// One server.
    One(Box<Nats>),
    /// Three, with three copies of each stream.
    Three(Cluster),
}

impl Servers {
    /// The flags by which a program comes in as `role`.
    fn flags(&self, role: &str) -> Vec<String> {
        match self {
            Self::One(nats) => vec!["--bus-url".to_owned(), nats.url().to_owned()],
            Self::Three(cluster) => cluster.flags(role),
        }
    }

    /// A way to the one server.
    async fn path(&self) -> Option<Path> {
        match self {
            Self::One(nats) => Some(Path::to(nats.address()).await),
            Self::Three(_) => None,
        }
    }
}

/// The installation.
#[derive(Debug)]
pub struct Rig {
    /// The bus.
    pub servers: Servers,
    /// Two gateways.
    pub gateways: Vec<Member>,
    /// Two pollers.
    pub pollers: Vec<Poller>,
    /// The upstream of most topics.
    pub prometheus: Prometheus,
    viewers: Vec<(Topic, Viewer)>,
    delay: Arc<AtomicU64>,
    folder: TempDir,
    _slow: Upstream,
    _balancer: LoadBalancer,
}

impl Rig {
    /// Starts everything over one server, and returns when each viewer has seen two ticks.
    pub async fn start() -> Self {
        Self::start_over(Servers::One(Box::new(Nats::start().await))).await
    }

    /// Starts everything over these servers, and returns when each viewer has seen two ticks.
    pub async fn start_over(servers: Servers) -> Self {
        let prometheus = Prometheus::start(&[]).await;
        let delay = Arc::<AtomicU64>::default();
        let slow = slow_upstream(delay.clone()).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let upstreams = format!(
            "[datasource.default]\nurl = '{}'\n[datasource.{SLOW}]\nurl = '{}'\n",
            prometheus.url(),
            slow.url()
        );
        std::fs::write(folder.path().join("poller.toml"), upstreams).expect("a file can be written");
        init(&servers).await;
        let pollers = vec![poller(&servers, folder.path()).await, poller(&servers, folder.path()).await];
        let mut gateways = Vec::new();
        for _ in 0..2 {
            let path = servers.path().await;
            let listen = format!("{HOST}:0");
            let gateway = gateway(&servers, path.as_ref(), (&listen, &listen), None).await;
            until_ready(&gateway).await;
            gateways.push(Member { gateway, path });
        }
        let balancer = LoadBalancer::start(Kind::Haproxy, [&gateways[0].gateway, &gateways[1].gateway]).await;
        let viewers = viewers(&balancer.url());
        let rig = Self {
            servers,
            gateways,
            pollers,
            prometheus,
            viewers,
            delay,
            folder,
            _slow: slow,
            _balancer: balancer,
        };
        rig.reach(wait::now().plus_millis(10_000)).await;
        rig
    }

    /// Starts one more poller.
    pub async fn add_poller(&mut self) {
        self.pollers.push(poller(&self.servers, self.folder.path()).await);
    }

    /// Starts a gateway that has ended again, at its address, and returns when it is ready.
    pub async fn restart_gateway(&mut self, number: usize) {
        self.replace_gateway(number, None).await;
    }

    /// [`Rig::restart_gateway`] with a clock that is so many seconds ahead.
    pub async fn restart_gateway_ahead(&mut self, number: usize, seconds: u8) {
        self.replace_gateway(number, Some(seconds)).await;
    }

    async fn replace_gateway(&mut self, number: usize, ahead: Option<u8>) {
        let Member { gateway: old, path } = &self.gateways[number];
        let listen = (old.address(), old.admin_address());
        let new = gateway(&self.servers, path.as_ref(), listen, ahead).await;
        until_ready(&new).await;
        self.gateways[number].gateway = new;
    }

    /// Ends a gateway in order.
    ///
    /// # Panics
    /// Where it does not end well within its drain and a few seconds.
    pub async fn term_gateway(&mut self, number: usize) {
        let process = &mut self.gateways[number].gateway.process;
        process.signal(Signal::TERM);
        let status = process.exit(DRAIN + Duration::from_secs(8)).await;
        assert!(status.success(), "a gateway that is told to go ends well: {status}");
    }

    /// Waits for a gateway to say that it is ready, or is not.
    pub async fn readiness(&self, number: usize, status: u16, limit: Duration) {
        let url = self.gateways[number].gateway.admin("/-/ready");
        until(&format!("gateway {number} answers {status} at /-/ready"), limit, || async {
            (http::get(&url).await.status == status).then_some(())
        })
        .await;
    }

    /// Sets up the streams on NATS, as an operator would.
    pub async fn init(&self) {
        init(&self.servers).await;
    }

    /// The one server.
    ///
    /// # Panics
    /// Where there are three.
    pub fn nats(&mut self) -> &mut Nats {
        match &mut self.servers {
            Servers::One(nats) => nats,
            Servers::Three(_) => panic!("this fault is for one server"),
        }
    }

    /// The three servers.
    ///
    /// # Panics
    /// Where there is one.
    pub fn cluster(&mut self) -> &mut Cluster {
        match &mut self.servers {
            Servers::One(_) => panic!("this fault is for three servers"),
            Servers::Three(cluster) => cluster,
        }
    }

    /// How long the upstream that can be made slow takes to answer.
    pub fn set_delay(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).expect("a short time");
        self.delay.store(millis, Ordering::Relaxed);
    }

    /// What each viewer has seen so far, and whether its upstream is the one that can be made slow.
    pub fn journals(&self) -> Vec<(bool, Journal)> {
        let journal = |(topic, viewer): &(Topic, Viewer)| {
            (topic.datasource == SLOW, viewer.journal().expect("a viewer that has seen something"))
        };
        self.viewers.iter().map(journal).collect()
    }

    /// How many queries are necessary at each tick.
    pub fn queries_per_tick(&self) -> u64 {
        (TOPICS - SLOW_TOPICS) as u64
    }

    /// Returns when each viewer has seen each tick up to this one.
    pub async fn reach(&self, tick: Tick) {
        wait::clock_reaches(tick).await;
        until(&format!("every viewer reaches {tick}"), 2 * PATIENCE, || async {
            let reached = |(_, viewer): &(Topic, Viewer)| {
                viewer.journal().is_some_and(|journal| journal.has_reached(tick))
            };
            self.viewers.iter().all(reached).then_some(())
        })
        .await;
    }
}

async fn slow_upstream(delay: Arc<AtomicU64>) -> Upstream {
    Upstream::start_timed(move |_, time| Reply {
        delay: Duration::from_millis(delay.load(Ordering::Relaxed)),
        ..Reply::data(&format!(
            r#"{{"resultType":"vector","result":[{{"metric":{{}},"value":[{time},"{time}"]}}]}}"#
        ))
    })
    .await
}

async fn init(servers: &Servers) {
    let mut command = programs::command("promcast-gateway");
    command.args(["--auth-mode", "none"]).args(DATASOURCES).args(servers.flags("init"));
    if matches!(servers, Servers::Three(_)) {
        command.args(["--bus-replicas", "3"]);
    }
    let (code, output) = programs::run_command("promcast-gateway", command.arg("init")).await;
    assert_eq!(code, Some(0), "init: {output}");
}

async fn poller(servers: &Servers, folder: &File) -> Poller {
    let config = folder.join("poller.toml").display().to_string();
    let mut flags = servers.flags("poller");
    flags.extend(["--config".to_owned(), config]);
    Poller::start(&flags.iter().map(String::as_str).collect::<Vec<_>>()).await
}

async fn gateway(
    servers: &Servers,
    path: Option<&Path>,
    (listen, admin): (&str, &str),
    ahead: Option<u8>,
) -> Gateway {
    let mut command = match ahead {
        None => programs::command("promcast-gateway"),
        Some(seconds) => programs::ahead("promcast-gateway", seconds),
    };
    command.args(["--auth-mode", "none"]).args(DATASOURCES);
    match path {
        Some(path) => command.args(["--bus-url", &format!("nats://{}", path.address())]),
        None => command.args(servers.flags("gateway")),
    };
    command.args(["--http-listen", listen, "--admin-listen", admin]);
    command.args(["--stream-drain", &format!("{}s", DRAIN.as_secs()), "--stream-max-connections", "1000"]);
    command.args(["--stream-open-rate", "100000", "--stream-open-burst", "100000"]);
    Gateway::of(&mut command).await
}

async fn until_ready(gateway: &Gateway) {
    let url = gateway.admin("/-/ready");
    until("the gateway is ready", PATIENCE, || async { (http::get(&url).await.status == 200).then_some(()) })
        .await;
}

fn viewers(base: &str) -> Vec<(Topic, Viewer)> {
    let http = http::client();
    let start = |number: usize| {
        let topic = topic(number % TOPICS);
        (topic.clone(), Viewer::start(http.clone(), base.to_owned(), topic))
    };
    (0..VIEWERS).map(start).collect()
}

/// A topic whose value at each tick is the tick.
fn topic(number: usize) -> Topic {
    let datasource = if number < SLOW_TOPICS { SLOW } else { "default" };
    Topic {
        query: format!(r#"label_replace(vector(time()), "topic", "{number}", "", "")"#),
        datasource: datasource.to_owned(),
    }
}
