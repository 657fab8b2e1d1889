//! Every metric of the gateway, with the closed lists of their labels.
//!
//! Never a query, a topic or a client as a label: those lists have no end.

use promcast_proto::code::{GapReason, ShutdownCode};
use promcast_proto::problem;
use std::ops::Deref;
use std::sync::Arc;

use crate::auth::Reason;
use prometheus::core::{Atomic, GenericCounter, GenericCounterVec};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

mod way;

pub use way::{Delivery, Tally, Way};

/// Declares a closed list of label values.
macro_rules! labels {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// The label value.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            const ALL: &'static [Self] = &[$(Self::$variant,)*];
        }
    };
}

labels! {
    /// What was sent on a stream.
    Sent {
        /// `connected`
        Connected = "connected",
        /// `metric-update`, or the `error` of a tick
        Update = "update",
        /// `gap`
        Gap = "gap",
        /// `backfill`, or the `error` of one
        Backfill = "backfill",
        /// `schema`
        Schema = "schema",
        /// `subscriptions`
        Subscriptions = "subscriptions",
        /// `heartbeat`
        Heartbeat = "heartbeat",
        /// a comment line
        Comment = "comment",
        /// `shutdown`
        Shutdown = "shutdown",
    }
}

labels! {
    /// Why a connection was refused or cut.
    ConnectionError {
        /// The replica is full.
        AtCapacity = "at_capacity",
        /// The address opens too many streams.
        RateLimited = "rate_limited",
        /// The user opens too many streams, or holds as many as one may.
        UserLimit = "user_limit",
        /// The replica is going away.
        Draining = "draining",
        /// The caller's token expired, or access was taken away, or could not be confirmed.
        AccessEnded = "access_ended",
        /// The socket took no byte for too long.
        WriteStalled = "write_stalled",
    }
}

labels! {
    /// Whether somebody was let in.
    Admission {
        /// They were.
        Admitted = "admitted",
        /// They showed nothing.
        Missing = "missing",
        /// What they showed does not count.
        Refused = "refused",
        /// It is not theirs to see.
        Forbidden = "forbidden",
        /// Whoever knows could not be asked.
        Unavailable = "unavailable",
    }
}

labels! {
    /// What became of an ask.
    Asked {
        /// It is in the queue.
        Queued = "queued",
        /// Another replica asked before.
        Duplicate = "duplicate",
        /// The topic has another job under way.
        Busy = "busy",
        /// The bus failed.
        Failed = "failed",
    }
}

labels! {
    /// What came from the bus.
    Received {
        /// A result.
        Result = "result",
        /// The error of a tick.
        Error = "error",
        /// An update that was here before, or that nobody waits for.
        Duplicate = "duplicate",
        /// An update that cannot be used, told as an error.
        Refused = "refused",
    }
}

labels! {
    /// A read of the Prometheus API.
    Endpoint {
        /// `/api/v1/query`
        Query = "query",
        /// `/api/v1/query_range`
        QueryRange = "query_range",
        /// `/api/v1/labels`
        Labels = "labels",
        /// `/api/v1/label/{name}/values`
        LabelValues = "label_values",
        /// `/api/v1/series`
        Series = "series",
        /// `/api/v1/metadata`
        Metadata = "metadata",
        /// `/api/v1/status/buildinfo`
        BuildInfo = "buildinfo",
    }
}

labels! {
    /// What became of a read.
    ReadOutcome {
        /// It was answered from a topic that is streamed here.
        Live = "live",
        /// It was answered with what another read had asked for.
        Shared = "shared",
        /// The upstream was asked.
        Asked = "asked",
        /// It cannot be used, or is not the caller's.
        Refused = "refused",
        /// There was no answer.
        Failed = "failed",
    }
}

/// The code of streams that ended without a last event.
const CLIENT_GONE: &str = "client_gone";

/// The metrics. Cheap to clone, and small: each connection has them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Series>);

impl Metrics {
    /// Registers all metrics; every series is there from the start, at zero.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Series::new(registry).map(|series| Self(Arc::new(series)))
    }
}

impl Deref for Metrics {
    type Target = Series;

    fn deref(&self) -> &Series {
        &self.0
    }
}

/// The metrics themselves.
#[derive(Debug)]
pub struct Series {
    /// Connections that stream.
    pub active_connections: IntGauge,
    /// How long connections lived.
    pub connection_duration: Histogram,
    /// Topics that somebody streams, or did a moment ago.
    pub topics: IntGauge,
    /// Reads of the history on the bus.
    pub looks: IntCounter,
    /// Ticks that were asked for again.
    pub repairs: IntCounter,
    /// The way of an update from its tick to a client.
    pub way: Way,
    /// Subscriptions that read a topic, at each of its updates.
    pub viewers: Histogram,
    /// By [`Sent`], found once: this is counted for each event of each connection.
    sent: Arc<[IntCounter]>,
    connection_errors: IntCounterVec,
    ended: IntCounterVec,
    asked: IntCounterVec,
    received: IntCounterVec,
    skipped: IntCounterVec,
    problems: IntCounterVec,
    admissions: IntCounterVec,
    refusals: IntCounterVec,
    reads: IntCounterVec,
}

impl Series {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let new = New(registry);
        let sent = new.counters("sse_messages_sent_total", "Events sent to clients, by kind.", "event")?;
        let metrics = Self {
            active_connections: new.gauge("sse_active_connections", "Connections that stream now.")?,
            connection_duration: new.histogram(
                "sse_connection_duration_seconds",
                "How long connections lived.",
                &[1.0, 10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0],
            )?,
            sent: Sent::ALL.iter().map(|kind| one(&sent, kind.as_str())).collect(),
            connection_errors: new.counters(
                "sse_connection_errors_total",
                "Connections that were refused or cut, by reason.",
                "reason",
            )?,
            ended: new.ended()?,
            way: Way::new(registry)?,
            viewers: new.viewers()?,
            topics: new.gauge(
                "promcast_gateway_topics",
                "Topics that are streamed, or were within the linger time.",
            )?,
            asked: new.counters(
                "promcast_gateway_asks_total",
                "Ticks asked for, by what the bus said.",
                "outcome",
            )?,
            repairs: new
                .counter("promcast_gateway_repairs_total", "Ticks asked for again because nothing came.")?,
            looks: new.counter("promcast_gateway_history_reads_total", "Reads of the history on the bus.")?,
            received: new.counters(
                "promcast_gateway_updates_total",
                "Updates from the bus, by kind.",
                "kind",
            )?,
            skipped: new.counters(
                "promcast_gateway_gap_ticks_total",
                "Ticks that a subscription was told are lost, by reason.",
                "reason",
            )?,
            problems: new.counters(
                "promcast_gateway_problems_total",
                "Problem documents sent, by type.",
                "type",
            )?,
            admissions: new.counters(
                "promcast_gateway_admissions_total",
                "Requests that needed to know who sends them, by whether they were let in.",
                "outcome",
            )?,
            refusals: new.refusals()?,
            reads: new.reads()?,
        };
        metrics.touch();
        Ok(metrics)
    }

    fn touch(&self) {
        ConnectionError::ALL.iter().for_each(|label| drop(self.connection_error(*label)));
        ShutdownCode::ALL.iter().for_each(|code| drop(self.ended(Some(*code))));
        drop(self.ended(None));
        Asked::ALL.iter().for_each(|label| drop(self.asked(*label)));
        Received::ALL.iter().for_each(|label| drop(self.received(*label)));
        GapReason::ALL.iter().for_each(|label| drop(self.skipped(*label)));
        Admission::ALL.iter().for_each(|label| drop(self.admission(*label)));
        Reason::ALL.iter().for_each(|label| drop(self.refusal(*label)));
        problem::Type::ALL.iter().for_each(|label| drop(self.problem(*label)));
        for endpoint in Endpoint::ALL {
            ReadOutcome::ALL.iter().for_each(|label| drop(self.read(*endpoint, *label)));
        }
    }

    /// Events sent.
    pub fn sent(&self, kind: Sent) -> Option<&IntCounter> {
        self.sent.get(kind as usize)
    }

    /// Connections refused or cut.
    pub fn connection_error(&self, reason: ConnectionError) -> IntCounter {
        one(&self.connection_errors, reason.as_str())
    }

    /// Streams that ended, with a last event of this code or without one.
    pub fn ended(&self, code: Option<ShutdownCode>) -> IntCounter {
        one(&self.ended, code.map_or(CLIENT_GONE, ShutdownCode::as_str))
    }

    /// Ticks asked for.
    pub fn asked(&self, outcome: Asked) -> IntCounter {
        one(&self.asked, outcome.as_str())
    }

    /// Updates received.
    pub fn received(&self, kind: Received) -> IntCounter {
        one(&self.received, kind.as_str())
    }

    /// Ticks told as lost.
    pub fn skipped(&self, reason: GapReason) -> IntCounter {
        one(&self.skipped, reason.as_str())
    }

    /// Requests let in or not.
    pub fn admission(&self, outcome: Admission) -> IntCounter {
        one(&self.admissions, outcome.as_str())
    }

    /// Tokens that did not count.
    pub fn refusal(&self, reason: Reason) -> IntCounter {
        one(&self.refusals, reason.as_str())
    }

    /// Reads of the Prometheus API.
    pub fn read(&self, endpoint: Endpoint, outcome: ReadOutcome) -> IntCounter {
        self.reads.with_label_values(&[endpoint.as_str(), outcome.as_str()])
    }

    /// Problem documents sent.
    pub fn problem(&self, kind: problem::Type) -> IntCounter {
        one(&self.problems, kind.as_str())
    }
}

fn one<P: Atomic>(counters: &GenericCounterVec<P>, label: &'static str) -> GenericCounter<P> {
    counters.with_label_values(&[label])
}

/// Makes metrics and registers them.
struct New<'a>(&'a Registry);

impl New<'_> {
    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        let counter = IntCounter::new(name, help)?;
        self.0.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn counters(&self, name: &str, help: &str, label: &str) -> Result<IntCounterVec, prometheus::Error> {
        self.table(name, help, &[label])
    }

    fn refusals(&self) -> Result<IntCounterVec, prometheus::Error> {
        let help = "Tokens that did not count, by reason.";
        self.counters("promcast_gateway_refused_tokens_total", help, "reason")
    }

    fn ended(&self) -> Result<IntCounterVec, prometheus::Error> {
        let help = "Streams that ended, by the code of their last event; client_gone where the client left, or was cut.";
        self.counters("promcast_gateway_streams_ended_total", help, "code")
    }

    fn viewers(&self) -> Result<Histogram, prometheus::Error> {
        let help = "Subscriptions of this replica that read a topic, at each of its updates.";
        let buckets = [0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0];
        self.histogram("promcast_gateway_topic_viewers", help, &buckets)
    }

    fn reads(&self) -> Result<IntCounterVec, prometheus::Error> {
        let help = "Reads of the Prometheus API, by what was read and what became of it.";
        self.table("promcast_gateway_reads_total", help, &["endpoint", "outcome"])
    }

    fn table(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(counters.clone()))?;
        Ok(counters)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let gauge = IntGauge::new(name, help)?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
        let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
        self.0.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }
}
