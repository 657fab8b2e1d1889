//! What backfills cost, and what spares them.

use std::time::Duration;

use prometheus::{Error, Histogram, HistogramOpts, IntCounterVec, Opts, Registry};

/// Seconds, from a short past of one GPU to the default timeout of 10 s and what is waited beyond it.
const DURATIONS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0];

/// What became of a wish for a backfill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A poller was asked, and answered.
    Fetched,
    /// A poller was asked, and there is no answer that can be shown.
    Failed,
    /// Somebody else had asked for the same.
    Shared,
    /// It was here from before.
    Cached,
    /// It is over a limit.
    Refused,
}

impl Outcome {
    const ALL: [Self; 5] = [Self::Fetched, Self::Failed, Self::Shared, Self::Cached, Self::Refused];

    fn as_str(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Failed => "failed",
            Self::Shared => "shared",
            Self::Cached => "cached",
            Self::Refused => "refused",
        }
    }
}

/// The metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    total: IntCounterVec,
    durations: Histogram,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        let total = Opts::new(
            "promcast_gateway_backfills_total",
            "Backfills that a subscription wanted, by how it got them.",
        );
        let durations = HistogramOpts::new(
            "promcast_gateway_backfill_duration_seconds",
            "Time from when a backfill was wanted to its answer, its wait for a turn included.",
        );
        let metrics = Self {
            total: IntCounterVec::new(total, &["outcome"])?,
            durations: Histogram::with_opts(durations.buckets(DURATIONS.to_vec()))?,
        };
        registry.register(Box::new(metrics.total.clone()))?;
        registry.register(Box::new(metrics.durations.clone()))?;
        for outcome in Outcome::ALL {
            metrics.total.with_label_values(&[outcome.as_str()]);
        }
        Ok(metrics)
    }

    pub(super) fn found(&self, outcome: Outcome) {
        self.total.with_label_values(&[outcome.as_str()]).inc();
    }

    pub(super) fn took(&self, time: Duration) {
        self.durations.observe(time.as_secs_f64());
    }
}
