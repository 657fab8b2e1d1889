//! What can be seen of the issuer's keys from outside.

use promcast_proto::tick::Tick;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// What became of a look for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// There are keys.
    Found,
    /// There are none; the old ones stay.
    Failed,
}

impl Look {
    const ALL: [Self; 2] = [Self::Found, Self::Failed];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Failed => "failed",
        }
    }
}

/// The metrics of a verifier. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Keys in use.
    pub keys: IntGauge,
    /// Names that were left out because they are no names of namespaces.
    pub ignored_names: IntCounter,
    seen: IntGauge,
    looks: IntCounterVec,
}

impl Metrics {
    /// Registers all of them; every series is there from the start, at zero.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            keys: IntGauge::new("promcast_gateway_jwt_keys", "Keys of the issuer that are in use.")?,
            ignored_names: IntCounter::new(
                "promcast_gateway_jwt_ignored_names_total",
                "Names in the namespaces claim that are no names of namespaces and were left out.",
            )?,
            seen: IntGauge::new(
                "promcast_gateway_jwt_keys_seen_timestamp_seconds",
                "When the issuer's keys were last read.",
            )?,
            looks: IntCounterVec::new(
                Opts::new("promcast_gateway_jwt_key_looks_total", "Looks for the issuer's keys, by outcome."),
                &["outcome"],
            )?,
        };
        registry.register(Box::new(metrics.keys.clone()))?;
        registry.register(Box::new(metrics.ignored_names.clone()))?;
        registry.register(Box::new(metrics.seen.clone()))?;
        registry.register(Box::new(metrics.looks.clone()))?;
        Look::ALL.iter().for_each(|outcome| drop(metrics.looks(*outcome)));
        Ok(metrics)
    }

    /// Looks for keys.
    pub fn looks(&self, outcome: Look) -> IntCounter {
        self.looks.with_label_values(&[outcome.as_str()])
    }

    /// There were `keys` keys at `now`.
    pub(super) fn found(&self, keys: usize, now: Tick) {
        self.looks(Look::Found).inc();
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        self.seen.set(now.millis() / 1000);
    }
}
