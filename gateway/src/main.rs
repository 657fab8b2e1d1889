//! `promcast-gateway`: streams the results of PromQL queries to browsers.

use std::process::ExitCode;

use promcast_gateway::app::App;
use promcast_gateway::config::{Action, Config};
use promcast_runtime::config::{Sources, complain, load};
use promcast_runtime::healthcheck;
use promcast_runtime::lifecycle::Lifecycle;
use promcast_runtime::telemetry;

#[tokio::main]
async fn main() -> ExitCode {
    let config = match load::<Config>(&Sources::of_process()) {
        Ok(config) => config,
        Err(error) => return error.report(),
    };
    match start(config).await {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn start(config: Config) -> Result<ExitCode, Box<dyn std::error::Error>> {
    match config.action() {
        Action::Check => return Ok(promcast_gateway::app::check(&config)),
        Action::Init => return Ok(promcast_gateway::app::init(&config).await?),
        Action::Healthcheck(health) => return Ok(healthcheck::run(config.admin_listen(), health).await),
        Action::Run => telemetry::init(&config.log)?,
    }
    let lifecycle = Lifecycle::new(config.grace())?;
    let app = App::build(&config, lifecycle.tasks()).await?;
    let listeners = app.listen(&config).await?;
    Ok(app.run(listeners, lifecycle).await)
}
