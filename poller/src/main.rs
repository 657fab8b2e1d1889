//! `promcast-poller`: asks Prometheus what gateways want to know.

use std::process::ExitCode;

use promcast_poller::app;
use promcast_poller::config::{Action, Config};
use promcast_runtime::config::{Sources, load};
use promcast_runtime::lifecycle::Lifecycle;
use promcast_runtime::{executor, healthcheck, telemetry};

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
        Action::Healthcheck(health) => return Ok(healthcheck::run(config.admin_listen(), health).await),
        Action::Run => telemetry::init(&config.log, app::PROGRAM, &sources.env)?,
    };
    let code = app::run(&config, Lifecycle::new(app::GRACE)?).await?;
    telemetry.end().await;
    Ok(code)
}
