//! An exporter that is watched: that it fails is said once, and once that it works again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tracing::{info, warn};

/// Sends spans as the exporter inside does. It has tried more than once when it fails; its spans are gone then.
#[derive(Debug)]
pub(super) struct Watched<E> {
    inside: E,
    failing: AtomicBool,
}

impl<E> Watched<E> {
    pub(super) fn new(inside: E) -> Self {
        Self { inside, failing: AtomicBool::new(false) }
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.inside.export(batch).await;
        match (&result, self.failing.swap(result.is_err(), Ordering::Relaxed)) {
            (Err(error), false) => warn!(%error, "traces cannot be exported; they are dropped meanwhile"),
            (Ok(()), true) => info!("traces are exported again"),
            (Err(_), true) | (Ok(()), false) => {}
        }
        // The caller would log each failure.
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inside.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inside.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inside.set_resource(resource);
    }
}
