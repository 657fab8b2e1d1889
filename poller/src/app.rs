//! The wiring of the poller: what is made from the configuration, and in which order it runs.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use promcast_runtime::admin::{self, Readiness};
use promcast_runtime::bus::Bus;
use promcast_runtime::bus::nats::{self, Nats};
use promcast_runtime::clock::Clock;
use promcast_runtime::config::{bus as bus_config, command};
use promcast_runtime::lifecycle::Lifecycle;
use promcast_runtime::process;
use promcast_runtime::telemetry::Program;
use prometheus::Registry;
use tracing::info;

use crate::config::Config;
use crate::workers::{self, Workers};

/// How long a shutdown may take: a query of ten seconds that has just begun, and publishing what it gives.
pub const GRACE: Duration = Duration::from_secs(20);

/// Who this is, in traces and metrics.
pub const PROGRAM: Program = Program { name: "promcast-poller", version: env!("CARGO_PKG_VERSION") };

/// Why the poller cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The section `[bus]` cannot be used.
    #[error(transparent)]
    BusConfig(#[from] bus_config::Error),
    /// There is no bus in the configuration.
    #[error("a poller meets its gateways on NATS: give --bus-url, such as nats://127.0.0.1:4222")]
    NoBus,
    /// NATS cannot be used.
    #[error("the bus cannot be used: {0}")]
    Bus(#[from] nats::Error),
    /// The datasources cannot be used.
    #[error(transparent)]
    Workers(#[from] workers::Error),
    /// The admin address is taken.
    #[error(transparent)]
    Admin(#[from] admin::Error),
}

/// Works until a signal or a crash, then finishes what runs.
pub async fn run(config: &Config, lifecycle: Lifecycle) -> Result<ExitCode, Error> {
    let (tasks, registry) = (lifecycle.tasks(), Registry::new());
    process::register(&registry, PROGRAM).map_err(workers::Error::from)?;
    let options = config.bus.options(&random_name())?.ok_or(Error::NoBus)?;
    let listener = admin::bind("admin", "admin-listen", config.admin_listen()).await?;
    // The bus is there until the last job is done.
    let bus: Arc<dyn Bus> = Arc::new(Nats::connect(&options, &registry, &tasks.background()).await?);
    let workers = Workers::start(&bus, &config.datasources, &Clock::system(), &registry, tasks)?;
    let datasources: Vec<_> = workers.datasources().iter().map(ToString::to_string).collect();
    info!(datasources = datasources.join(","), "working");
    admin::serve(listener, registry, Readiness::new(bus.state(), tasks), tasks);
    Ok(lifecycle.run().await)
}

/// Tells what is wrong with a configuration that could be read, if anything: all of it. Connects to nothing.
pub fn check(config: &Config) -> ExitCode {
    let bus = config.bus.options("check").err().map(|error| error.to_string());
    let datasources = Workers::check(&config.datasources).into_iter().map(|error| error.to_string());
    command::judge(bus.into_iter().chain(datasources))
}

/// How this process is named in the server's list of connections.
fn random_name() -> String {
    format!("poller-{:08x}", rand::random::<u32>())
}
