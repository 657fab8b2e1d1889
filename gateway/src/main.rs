//! `promcast-gateway`: streams the results of PromQL queries to browsers.

use std::process::ExitCode;

use promcast_gateway::app::{self, App};
use promcast_gateway::config::{Action, Config};
use promcast_runtime::config::{Sources, load};
use promcast_runtime::lifecycle::Lifecycle;
use promcast_runtime::{executor, healthcheck, telemetry};
use tikv_jemallocator::Jemalloc;

/// Many small pieces that come and go with connections: docs/performance.md has what it saves.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let sources = Sources::of_process();
    match load(&sources) {
        Ok(config) => executor::run(start(config, &sources)),
        Err(error) => error.report(),
    }
}

async fn start(config: Config, sources: &Sources) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let telemetry = match config.action() {
        Action::Check => return Ok(app::check(&config)),
        Action::Init => return Ok(app::init(&config).await?),
        Action::Healthcheck(health) => return Ok(healthcheck::run(config.admin_listen(), health).await),
        Action::Run => telemetry::init(&config.log, app::PROGRAM, &sources.env)?,
    };
    let lifecycle = Lifecycle::new(config.grace())?;
    let app = App::build(&config, lifecycle.tasks()).await?;
    let listeners = app.listen(&config).await?;
    let code = app.run(listeners, lifecycle).await;
    telemetry.end().await;
    Ok(code)
}
