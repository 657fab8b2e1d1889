//! The exporter of GPUs that do not exist, for Prometheus to scrape.

use crate::process::Process;
use crate::programs::command;

/// A running `dcgm-sim`.
#[derive(Debug)]
pub struct Sim {
    _process: Process,
    target: String,
}

impl Sim {
    /// Starts one node with two GPUs whose values change every second.
    pub async fn start() -> Self {
        Self::with_flags(&["--gpus", "2"]).await
    }

    /// Starts one with flags of its own.
    pub async fn with_flags(flags: &[&str]) -> Self {
        let process =
            Process::spawn("dcgm-sim", command("dcgm-sim").args(["--listen", "127.0.0.1:0"]).args(flags));
        let find = |line: &str| {
            let address = line.split_once("listening on http://")?.1;
            Some(address.strip_suffix("/metrics")?.to_owned())
        };
        let target = process.line("its address", find).await;
        Self { _process: process, target }
    }

    /// `host:port` to scrape.
    pub fn target(&self) -> &str {
        &self.target
    }
}
