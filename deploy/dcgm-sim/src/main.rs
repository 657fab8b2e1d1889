//! `dcgm-sim`: an HTTP exporter with dcgm-exporter's exposition, for places with no GPU.
//!
//! Every value is a function of (seed, GPU, Unix time, profile): two replicas with the same flags agree, a restart
//! changes nothing, and a counter goes on where it was.

mod activity;
mod clock;
mod config;
mod dice;
mod exposition;
mod families;
mod faults;
mod fleet;
mod http;
mod identity;
mod physics;
mod reading;
mod tenancy;
mod workload;

use std::io::{self, Write};
use std::process::ExitCode;

use conf::Conf;

#[tokio::main]
async fn main() -> ExitCode {
    let config = config::Config::parse();
    match http::run(&config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell when stderr itself is closed; the exit code still says it.
            drop(writeln!(io::stderr(), "dcgm-sim: {error}"));
            ExitCode::FAILURE
        }
    }
}
