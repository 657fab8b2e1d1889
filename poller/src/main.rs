//! `promcast-poller`: asks Prometheus what gateways want to know.

use std::process::ExitCode;

use promcast_poller::app;
use promcast_poller::config::{Action, Config};
use promcast_runtime::config::{Sources, complain, load};
use promcast_runtime::lifecycle::Lifecycle;
use promcast_runtime::telemetry;

#[tokio::main]
async fn main() -> ExitCode {
    let sources = Sources::of_process();
    let config = match load::<Config>(&sources) {
        Ok(config) => config,
        Err(error) => return error.report(),
    };
    match start(&config, &sources).await {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn start(config: &Config, sources: &Sources) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let telemetry = match config.action() {
        Action::Check => return Ok(app::check(config)),
        Action::Run => telemetry::init(&config.log, app::PROGRAM, &sources.env)?,
    };
    let code = app::run(config, Lifecycle::new(app::GRACE)?).await?;
    telemetry.end().await;
    Ok(code)
}
