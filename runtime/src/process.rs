//! What every program tells of its process: processor time, memory, file descriptors, and which release it is.

use prometheus::process_collector::ProcessCollector;
use prometheus::{IntGaugeVec, Opts, Registry};

use crate::telemetry::Program;

/// Registers the metrics `process_*`, as Prometheus's client libraries name them, and `promcast_build_info`.
///
/// # Errors
///
/// Where they are registered already.
pub fn register(registry: &Registry, program: Program) -> Result<(), prometheus::Error> {
    let help = "Always 1; the labels say which program this is, and which release.";
    let build = IntGaugeVec::new(Opts::new("promcast_build_info", help), &["program", "version"])?;
    build.with_label_values(&[program.name, program.version]).set(1);
    registry.register(Box::new(build))?;
    registry.register(Box::new(ProcessCollector::for_self()))
}
