//! The metrics of the connection to NATS.

use async_nats::ServerError;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Datasource;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::api::Queue;

/// What a server complains about outside of any call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A publish was denied.
    PublishDenied,
    /// A subscription was denied.
    SubscriptionDenied,
    /// The user was refused, or its credentials ran out.
    Authorization,
    /// The server found us too slow and dropped messages or the connection.
    Slow,
    /// Anything else.
    Other,
}

impl Fault {
    const ALL: [Self; 5] =
        [Self::PublishDenied, Self::SubscriptionDenied, Self::Authorization, Self::Slow, Self::Other];

    fn as_str(self) -> &'static str {
        match self {
            Self::PublishDenied => "publish_denied",
            Self::SubscriptionDenied => "subscription_denied",
            Self::Authorization => "authorization",
            Self::Slow => "slow_consumer",
            Self::Other => "other",
        }
    }
}

impl From<&ServerError> for Fault {
    /// The server says it in words only (`-ERR` of the NATS protocol).
    fn from(error: &ServerError) -> Self {
        let text = match error {
            ServerError::AuthorizationViolation => return Self::Authorization,
            ServerError::SlowConsumer(_) => return Self::Slow,
            ServerError::Other(text) => text.to_ascii_lowercase(),
        };
        let has = |part: &str| text.contains(part);
        if has("permissions violation for publish") {
            Self::PublishDenied
        } else if has("permissions violation for subscription") {
            Self::SubscriptionDenied
        } else if has("authorization") || has("authentication") {
            Self::Authorization
        } else if has("slow consumer") {
            Self::Slow
        } else {
            Self::Other
        }
    }
}

/// Handles to the metrics.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    pub(super) connected: IntGauge,
    skew: Gauge,
    pub(super) reconnects: IntCounter,
    pub(super) slow: IntCounter,
    pub(super) unreadable: IntCounter,
    errors: IntCounterVec,
    waiting: IntGaugeVec,
    taken: IntGaugeVec,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            connected: IntGauge::new("promcast_bus_connected", "Whether NATS is connected: 1 or 0.")?,
            skew: Gauge::new(
                "promcast_bus_clock_skew_seconds",
                "How far the clock of this program is ahead of that of its NATS server; below zero where it is behind.",
            )?,
            reconnects: IntCounter::new(
                "promcast_bus_reconnects_total",
                "Connections to NATS made after the first.",
            )?,
            slow: IntCounter::new(
                "promcast_bus_slow_consumer_total",
                "Messages from NATS that this process was too slow to take in.",
            )?,
            unreadable: IntCounter::new(
                "promcast_bus_unreadable_total",
                "Messages from NATS that this release cannot read.",
            )?,
            errors: IntCounterVec::new(
                Opts::new(
                    "promcast_bus_server_errors_total",
                    "Errors told by a NATS server outside of any call.",
                ),
                &["kind"],
            )?,
            waiting: IntGaugeVec::new(
                Opts::new("promcast_bus_jobs_waiting", "Jobs on the bus that no poller has taken yet."),
                &["datasource"],
            )?,
            taken: IntGaugeVec::new(
                Opts::new("promcast_bus_jobs_taken", "Jobs on the bus that pollers work on."),
                &["datasource"],
            )?,
        };
        registry.register(Box::new(metrics.connected.clone()))?;
        registry.register(Box::new(metrics.skew.clone()))?;
        registry.register(Box::new(metrics.reconnects.clone()))?;
        registry.register(Box::new(metrics.slow.clone()))?;
        registry.register(Box::new(metrics.unreadable.clone()))?;
        registry.register(Box::new(metrics.errors.clone()))?;
        registry.register(Box::new(metrics.waiting.clone()))?;
        registry.register(Box::new(metrics.taken.clone()))?;
        for fault in Fault::ALL {
            metrics.errors.with_label_values(&[fault.as_str()]);
        }
        Ok(metrics)
    }

    /// Shows how far the clocks differ: the server told its time, in Unix milliseconds, between these two moments of ours.
    #[expect(clippy::cast_precision_loss, reason = "clocks differ by far less than 2^52 milliseconds")]
    pub(super) fn clocks(&self, asked: Tick, server: i64, answered: Tick) {
        let ours = asked.millis() + answered.since(asked) / 2;
        self.skew.set((ours - server) as f64 / 1000.0);
    }

    /// Shows how much is to be done, of all pollers together.
    pub(super) fn queue(&self, datasource: &Datasource, queue: Queue) {
        self.waiting.with_label_values(&[datasource.as_str()]).set(queue.waiting);
        self.taken.with_label_values(&[datasource.as_str()]).set(queue.taken);
    }

    /// Shows no queue: while the bus is away, an old number would be taken for a new one.
    pub(super) fn forget_queues(&self) {
        self.waiting.reset();
        self.taken.reset();
    }

    pub(super) fn fault(&self, fault: Fault) {
        self.errors.with_label_values(&[fault.as_str()]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_are_told_apart() {
        for (text, fault) in [
            ("Permissions Violation for Publish to \"in.x\"", Fault::PublishDenied),
            ("Permissions Violation for Subscription to \"out.>\"", Fault::SubscriptionDenied),
            ("User Authentication Expired", Fault::Authorization),
            ("Slow Consumer", Fault::Slow),
            ("Stale Connection", Fault::Other),
        ] {
            assert_eq!(Fault::from(&ServerError::Other(text.to_owned())), fault);
        }
    }

    #[test]
    fn clocks_are_compared_at_the_middle_of_the_way() {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        metrics.clocks(Tick::from_millis(10_000), 9_000, Tick::from_millis(10_200));
        assert!((metrics.skew.get() - 1.1).abs() < 1e-9);
        metrics.clocks(Tick::from_millis(10_000), 12_000, Tick::from_millis(10_000));
        assert!((metrics.skew.get() + 2.0).abs() < 1e-9);
    }

    #[test]
    fn every_kind_is_exposed_from_the_start() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        metrics.fault(Fault::PublishDenied);
        let families = registry.gather();
        let errors =
            families.iter().find(|family| family.name() == "promcast_bus_server_errors_total").unwrap();
        assert_eq!(errors.get_metric().len(), Fault::ALL.len());
    }
}
