//! The exporter of GPUs that do not exist, for Prometheus to scrape.

use crate::process::Process;
use crate::programs::command;

/// Some of its metrics: enough topics that at each moment some job or update is on its way.
pub const METRICS: [&str; 6] = [
    "DCGM_FI_DEV_GPU_UTIL",
    "DCGM_FI_DEV_GPU_TEMP",
    "DCGM_FI_DEV_POWER_USAGE",
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_DEV_SM_CLOCK",
    "DCGM_FI_DEV_MEM_CLOCK",
];

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
