//! The wiring of the gateway: what is made from the configuration, and in which order it runs.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;

use promcast_poller::{Workers, workers};
use promcast_runtime::admin::{self, Readiness};
use promcast_runtime::bus::embedded::Embedded;
use promcast_runtime::bus::nats::{self, Nats};
use promcast_runtime::bus::{self, Bus};
use promcast_runtime::clock::Clock;
use promcast_runtime::config::{bus as bus_config, command};
use promcast_runtime::lifecycle::{Lifecycle, Tasks};
use promcast_runtime::process;
use promcast_runtime::telemetry::Program;
use prometheus::Registry;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::backfill::{self, Backfill};
use crate::config::Config;
use crate::connections::{Connections, Limits};
use crate::fleet::Fleet;
use crate::http::{self, Buffers, Edge, Pages, Rate, Server, State, Transport, TrustedProxies, UserRate};
use crate::hub::{self, Hub};
use crate::metrics::Metrics;
use crate::reads::Reads;
use crate::scope::Scope;
use crate::shard::{self, Shards};
use crate::sse::Rhythm;
use crate::subscribe::Desk;

mod identity;

/// Who this is, in traces and metrics.
pub const PROGRAM: Program = Program { name: "promcast-gateway", version: env!("CARGO_PKG_VERSION") };

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The section `[bus]` cannot be used.
    #[error(transparent)]
    BusConfig(#[from] bus_config::Error),
    /// NATS cannot be used.
    #[error("the bus cannot be used: {0}")]
    Bus(#[from] nats::Error),
    /// The poller inside cannot start.
    #[error("the poller inside cannot start: {0}")]
    Poller(#[from] workers::Error),
    /// A metric is declared twice.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The limit of new streams cannot be used.
    #[error(transparent)]
    Rate(#[from] http::InvalidRate),
    /// TLS cannot be served.
    #[error("TLS: {0}")]
    Tls(#[from] http::tls::Error),
    /// There is no dashboard where it should be.
    #[error(transparent)]
    Pages(#[from] http::MissingPages),
    /// Nobody could be told apart.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// `init` was called with nothing to set up.
    #[error("there is nothing to set up: `bus.url` is not given, and the embedded bus needs no streams")]
    NothingToInit,
}

/// Sets up the streams on NATS.
pub async fn init(config: &Config) -> Result<ExitCode, Error> {
    let options = config.bus.options("promcast-init")?.ok_or(Error::NothingToInit)?;
    nats::init(&options, &bus::Limits::default(), &config.datasources(), config.bus.replicas.into()).await?;
    promcast_runtime::config::complain("the streams are set up");
    Ok(ExitCode::SUCCESS)
}

/// Tells what is wrong with a configuration that could be read, if anything: all of it. Connects to nothing.
pub fn check(config: &Config) -> ExitCode {
    let bus = config.bus.options("check").err().map(|error| error.to_string());
    let upstreams = match config.bus.url {
        Some(_) => Vec::new(),
        None => Workers::check(&config.upstreams),
    };
    let tls = config.http.tls_files().and_then(|(certificate, key)| http::tls::check(certificate, key).err());
    let pages = Pages::new(config.http.pages.as_deref()).err().map(|error| error.to_string());
    let upstreams = upstreams.into_iter().map(|error| error.to_string());
    let identity = identity::mistakes(config);
    command::judge(
        bus.into_iter()
            .chain(upstreams)
            .chain(tls.map(|error| error.to_string()))
            .chain(pages)
            .chain(identity),
    )
}

/// A gateway that is ready to listen.
pub struct App {
    bus: Arc<dyn Bus>,
    server: Server,
    registry: Registry,
}

/// The addresses that the gateway listens on.
pub struct Listeners {
    clients: TcpListener,
    admin: TcpListener,
}

impl App {
    /// Makes everything. Connects to the bus in the background, and listens nowhere yet.
    pub async fn build(config: &Config, tasks: &Tasks) -> Result<Self, Error> {
        let registry = Registry::new();
        process::register(&registry, PROGRAM)?;
        let clock = Clock::system();
        let metrics = Metrics::new(&registry)?;
        let replica = config.replica.clone().unwrap_or_else(random_name);
        let bus = connect(config, &replica, &clock, &registry, tasks).await?;
        let hub = Hub::new(bus.clone(), clock.clone(), tasks.clone(), hub_settings(config), metrics.clone());
        let connections = Connections::new(limits(config), metrics.clone());
        tasks.spawn("farewell", connections.clone().leave_with(tasks.soft().clone()));
        let authenticator = identity::authenticator(&config.auth, &clock, &registry, tasks).await?;
        let backfill = Backfill::new(bus.clone(), backfill_settings(config), &registry, &tasks.background())?;
        let scope = Scope::new(config.datasources(), config.scope.labels());
        let desk = Desk::new(scope.clone(), hub.clone(), connections.clone());
        let fleet = Fleet::start(bus.clone(), connections.clone(), desk.clone(), replica.clone(), tasks);
        let state = State {
            authenticator,
            cookie: identity::cookie(config),
            tickets: identity::tickets(config).map_err(identity::Error::from)?,
            vigil_pace: identity::pace(&config.auth),
            user_rate: UserRate::new(config.stream.open_rate, config.stream.open_burst, tasks),
            log_queries: config.auth.log_queries,
            scope,
            hub,
            desk,
            backfill,
            connections,
            fleet,
            reads: Reads::new(bus.clone(), clock.clone()),
            read_timeout: config.http.read_timeout,
            rhythm: Arc::new(rhythm(config)),
            gzip: config.stream.gzip,
            default_interval: config.stream.interval,
            replica,
            clock: clock.clone(),
            metrics: metrics.clone(),
            soft: tasks.soft().clone(),
        };
        let edge = Edge {
            origins: config.http.allowed_origins.iter().map(|origin| origin.header().clone()).collect(),
            trusted_proxies: TrustedProxies::new(config.http.trusted_proxies.iter().copied()),
            rate: Rate::new(config.stream.open_rate, config.stream.open_burst, tasks)?,
            calls: Rate::new(config.stream.open_rate, config.stream.open_burst, tasks)?,
            pages: Pages::new(config.http.pages.as_deref())?,
            reads: Rate::new(config.http.read_rate, config.http.read_burst, tasks)?,
        };
        let transport =
            Transport { write_stall: config.stream.write_stall, unacknowledged: config.http.unacknowledged };
        let tls =
            config.http.tls_files().map(|(certificate, key)| http::tls::acceptor(certificate, key, tasks));
        let tls = tls.transpose()?;
        let shards = Shards::start(&shard_settings(config, &clock, &metrics), tasks);
        let router = http::router(Arc::new(state), edge);
        let server = Server { router, tls, transport, shards, clock, metrics, buffers: Buffers::default() };
        Ok(Self { bus, server, registry })
    }

    /// Takes the configured addresses.
    pub async fn listen(&self, config: &Config) -> Result<Listeners, admin::Error> {
        let admin = admin::bind("admin", "admin-listen", config.admin_listen()).await?;
        let clients = admin::bind("http", "http-listen", config.http.listen).await?;
        Ok(Listeners { clients, admin })
    }

    /// Serves until a signal or a crash, then drains.
    pub async fn run(self, listeners: Listeners, lifecycle: Lifecycle) -> ExitCode {
        let tasks = lifecycle.tasks();
        admin::serve(listeners.admin, self.registry, Readiness::new(self.bus.state(), tasks), tasks);
        self.server.serve(listeners.clients, tasks);
        lifecycle.run().await
    }
}

/// The bus of the configuration. This is the one place where the gateway reaches the poller: with the embedded bus it
/// runs one inside, which works until the last stream has ended.
async fn connect(
    config: &Config,
    replica: &str,
    clock: &Clock,
    registry: &Registry,
    tasks: &Tasks,
) -> Result<Arc<dyn Bus>, Error> {
    let tasks = tasks.background();
    match config.bus.options(replica)? {
        Some(options) => Ok(Arc::new(Nats::connect(&options, registry, &tasks).await?)),
        None => {
            let bus: Arc<dyn Bus> = Arc::new(Embedded::new(bus::Limits::default()));
            Workers::start(&bus, &config.upstreams, clock, registry, &tasks)?;
            Ok(bus)
        }
    }
}

fn hub_settings(config: &Config) -> hub::Settings {
    let stream = &config.stream;
    hub::Settings {
        limits: hub::Limits {
            ticks: stream.history,
            bytes: stream.history_bytes,
            lag: stream.lag,
            linger: stream.linger,
        },
        query_timeout: stream.query_timeout,
        update_bytes: stream.update_bytes,
    }
}

/// A shard for each core, unless so many are configured.
fn shard_settings(config: &Config, clock: &Clock, metrics: &Metrics) -> shard::Settings {
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    shard::Settings {
        shards: config.http.shards.map_or_else(cores, usize::from),
        write_stall: config.stream.write_stall,
        clock: clock.clone(),
        metrics: metrics.clone(),
    }
}

fn backfill_settings(config: &Config) -> backfill::Settings {
    let stream = &config.stream;
    backfill::Settings {
        query_timeout: stream.query_timeout,
        points: stream.backfill_points,
        bytes: stream.backfill_bytes,
        cache_bytes: stream.backfill_cache_bytes,
    }
}

fn limits(config: &Config) -> Limits {
    let stream = &config.stream;
    Limits {
        all: stream.max_connections,
        user: stream.max_connections_per_user,
        user_topics: stream.max_topics_per_user,
        subscriptions: stream.max_subscriptions,
    }
}

fn rhythm(config: &Config) -> Rhythm {
    let stream = &config.stream;
    Rhythm {
        heartbeat: stream.heartbeat,
        comment: stream.comment,
        lifetime: stream.max_lifetime,
        drain: stream.drain,
    }
}

fn random_name() -> String {
    let id = Uuid::now_v7().simple().to_string();
    // The end of a v7 UUID is random, its start is the time.
    format!("gateway-{}", id.get(24..).unwrap_or(&id))
}
