//! What a poller tells of itself. Labels are names from the configuration and closed lists, never a query.

use std::time::Duration;

use promcast_proto::ask::Kind;
use promcast_proto::code::ErrorCode;
use promcast_proto::topic::Datasource as Name;
use prometheus::{
    Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, exponential_buckets,
};

/// Seconds, from a query of one GPU to the default timeout of 10 s.
const DURATIONS: &[f64] = &[0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Seconds, from in time to the age at which jobs are forgotten (20 s).
const LATENESS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0];

/// What came of a query or an ask that did not fail.
const SUCCESS: &str = "success";

/// What can be asked.
const KINDS: [Kind; 7] = [
    Kind::Instant,
    Kind::Range,
    Kind::Labels,
    Kind::LabelValues,
    Kind::Series,
    Kind::Metadata,
    Kind::BuildInfo,
];

/// All metrics of the poller.
#[derive(Clone, Debug)]
pub struct Metrics {
    queries: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGaugeVec,
    response_bytes: HistogramVec,
    lateness: HistogramVec,
    backoff: IntGaugeVec,
    spared: IntCounterVec,
    unpublished: IntCounterVec,
    asks: Asks,
}

/// Those of asks.
#[derive(Clone, Debug)]
struct Asks {
    total: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGaugeVec,
    turned_away: IntCounterVec,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let kilo_to_16_mega = exponential_buckets(1024.0, 4.0, 8)?;
        Ok(Self {
            queries: counter(
                registry,
                "queries_total",
                "Queries sent, by what came of them.",
                &["datasource", "outcome"],
            )?,
            durations: histogram(
                registry,
                "query_duration_seconds",
                "Time from sending a query to the last byte of its answer.",
                DURATIONS,
            )?,
            in_flight: gauge(registry, "queries_in_flight", "Queries that are running.")?,
            response_bytes: histogram(
                registry,
                "response_bytes",
                "Size of the answers that were read to their end.",
                &kilo_to_16_mega,
            )?,
            lateness: histogram(
                registry,
                "job_lateness_seconds",
                "Time from a tick to the start of work on its job.",
                LATENESS,
            )?,
            backoff: gauge(
                registry,
                "backoff",
                "1 while a datasource is left alone because it is down, else 0.",
            )?,
            spared: counter(
                registry,
                "spared_queries_total",
                "Jobs and asks answered without a query because the datasource is down.",
                &["datasource"],
            )?,
            unpublished: counter(
                registry,
                "unpublished_updates_total",
                "Updates that the bus did not take; their jobs are delivered again.",
                &["datasource"],
            )?,
            asks: Asks::register(registry)?,
        })
    }

    /// Those of one datasource, shown from now on, at zero: a rate of what was not there before is none.
    pub fn of(&self, datasource: &Name) -> Source {
        let labels = &[datasource.as_str()];
        for outcome in ErrorCode::ALL.iter().map(|code| code.as_str()).chain([SUCCESS]) {
            self.queries.with_label_values(&[datasource.as_str(), outcome]);
        }
        for kind in KINDS {
            self.asks.total.with_label_values(&[datasource.as_str(), kind.as_str(), SUCCESS]);
            self.asks.turned_away.with_label_values(&[datasource.as_str(), kind.as_str()]);
        }
        Source {
            name: datasource.clone(),
            queries: self.queries.clone(),
            durations: self.durations.with_label_values(labels),
            in_flight: self.in_flight.with_label_values(labels),
            response_bytes: self.response_bytes.with_label_values(labels),
            lateness: self.lateness.with_label_values(labels),
            backoff: self.backoff.with_label_values(labels),
            spared: self.spared.with_label_values(labels),
            unpublished: self.unpublished.with_label_values(labels),
            asks: self.asks.total.clone(),
            ask_durations: self.asks.durations.with_label_values(labels),
            asks_in_flight: self.asks.in_flight.with_label_values(labels),
            turned_away: self.asks.turned_away.clone(),
        }
    }
}

impl Asks {
    fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            total: counter(
                registry,
                "asks_total",
                "Questions outside the ticks that were put to the datasource, by what came of them.",
                &["datasource", "kind", "outcome"],
            )?,
            durations: histogram(
                registry,
                "ask_duration_seconds",
                "Time from the start of work on a question outside the ticks to its answer.",
                DURATIONS,
            )?,
            in_flight: gauge(
                registry,
                "asks_in_flight",
                "Questions outside the ticks that are being answered.",
            )?,
            turned_away: counter(
                registry,
                "turned_away_asks_total",
                "Questions outside the ticks refused because as many as `max_asks` were being answered.",
                &["datasource", "kind"],
            )?,
        })
    }
}

/// The metrics of one datasource.
#[derive(Clone, Debug)]
pub struct Source {
    name: Name,
    queries: IntCounterVec,
    durations: Histogram,
    in_flight: IntGauge,
    response_bytes: Histogram,
    lateness: Histogram,
    backoff: IntGauge,
    spared: IntCounter,
    unpublished: IntCounter,
    asks: IntCounterVec,
    ask_durations: Histogram,
    asks_in_flight: IntGauge,
    turned_away: IntCounterVec,
}

impl Source {
    /// Counts a query as running until the guard is dropped.
    pub fn running(&self) -> Running {
        self.in_flight.inc();
        Running(self.in_flight.clone())
    }

    /// A query ended; with the code of its failure, where it failed.
    pub fn queried(&self, failed: Option<ErrorCode>, took: Duration) {
        let outcome = failed.map_or(SUCCESS, ErrorCode::as_str);
        self.queries.with_label_values(&[self.name.as_str(), outcome]).inc();
        self.durations.observe(took.as_secs_f64());
    }

    /// An answer of so many bytes was read.
    #[expect(clippy::cast_precision_loss, reason = "answers are far below 2^53 bytes")]
    pub fn read(&self, bytes: usize) {
        self.response_bytes.observe(bytes as f64);
    }

    /// Work on a job begins so many milliseconds after its tick; clocks may differ, so less than nothing counts as nothing.
    pub fn begun(&self, millis: i64) {
        self.lateness.observe(Duration::from_millis(u64::try_from(millis).unwrap_or_default()).as_secs_f64());
    }

    /// The datasource is left alone from now on, or no longer.
    pub fn backing_off(&self, is: bool) {
        self.backoff.set(i64::from(is));
    }

    /// A job or an ask was answered without a query.
    pub fn spared(&self) {
        self.spared.inc();
    }

    /// An update could not be published.
    pub fn unpublished(&self) {
        self.unpublished.inc();
    }

    /// Counts an ask as being answered until the guard is dropped.
    pub fn answering(&self) -> Running {
        self.asks_in_flight.inc();
        Running(self.asks_in_flight.clone())
    }

    /// An ask was answered; with the code of its failure, where it failed.
    pub fn asked(&self, kind: Kind, failed: Option<ErrorCode>, took: Duration) {
        let outcome = failed.map_or(SUCCESS, ErrorCode::as_str);
        self.asks.with_label_values(&[self.name.as_str(), kind.as_str(), outcome]).inc();
        self.ask_durations.observe(took.as_secs_f64());
    }

    /// An ask found no place.
    pub fn turned_away(&self, kind: Kind) {
        self.turned_away.with_label_values(&[self.name.as_str(), kind.as_str()]).inc();
    }
}

/// A query or an ask that is under way.
#[derive(Debug)]
pub struct Running(IntGauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn named(name: &str, help: &str) -> Opts {
    Opts::new(format!("promcast_poller_{name}"), help)
}

fn counter(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
    let metric = IntCounterVec::new(named(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGaugeVec, Error> {
    let metric = IntGaugeVec::new(named(name, help), &["datasource"])?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Result<HistogramVec, Error> {
    let options = HistogramOpts { common_opts: named(name, help), buckets: buckets.to_vec() };
    let metric = HistogramVec::new(options, &["datasource"])?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
