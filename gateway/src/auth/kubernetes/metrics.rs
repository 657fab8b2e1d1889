//! What is told of the reviews: closed labels, never a user, a namespace or a token.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// Seconds, from an answer out of the API server's own cache to the default timeout of 5 s.
const DURATIONS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whose token it is: a TokenReview.
    Token,
    /// Whether somebody may see a namespace: a SubjectAccessReview.
    Access,
    /// Which projects there are for somebody.
    Projects,
}

impl Kind {
    pub(super) const ALL: &'static [Self] = &[Self::Token, Self::Access, Self::Projects];

    /// The metric label.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Access => "access",
            Self::Projects => "projects",
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The API server says yes.
    Allowed,
    /// The API server says no.
    Denied,
    /// It did not answer in time.
    TimedOut,
    /// There was no connection to it, or it broke.
    Unreachable,
    /// It does not take the gateway's own credentials, or they give no right to ask.
    NotPermitted,
    /// It answered with an error.
    ErrorStatus,
    /// Its answer is not what was asked for.
    BadAnswer,
}

impl Outcome {
    const ALL: &'static [Self] = &[
        Self::Allowed,
        Self::Denied,
        Self::TimedOut,
        Self::Unreachable,
        Self::NotPermitted,
        Self::ErrorStatus,
        Self::BadAnswer,
    ];

    /// The metric label.
    fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::NotPermitted => "not_permitted",
            Self::ErrorStatus => "error_status",
            Self::BadAnswer => "bad_answer",
        }
    }
}

/// The metrics. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    reviews: IntCounterVec,
    durations: HistogramVec,
}

impl Metrics {
    /// Registers them; every series is there from the start, at zero.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let reviews = Opts::new(
            "promcast_gateway_kubernetes_reviews_total",
            "Questions put to the Kubernetes API server, by what was asked and what came of it. Answers out of the cache are not among them.",
        );
        let durations = HistogramOpts::new(
            "promcast_gateway_kubernetes_review_duration_seconds",
            "From the question to the answer, the wait for a free place included.",
        );
        let metrics = Self {
            reviews: IntCounterVec::new(reviews, &["kind", "outcome"])?,
            durations: HistogramVec::new(durations.buckets(DURATIONS.to_vec()), &["kind"])?,
        };
        registry.register(Box::new(metrics.reviews.clone()))?;
        registry.register(Box::new(metrics.durations.clone()))?;
        for kind in Kind::ALL {
            drop(metrics.durations.with_label_values(&[kind.as_str()]));
            for outcome in Outcome::ALL {
                drop(metrics.reviews.with_label_values(&[kind.as_str(), outcome.as_str()]));
            }
        }
        Ok(metrics)
    }

    /// A question was answered, or not.
    pub(super) fn reviewed(&self, kind: Kind, outcome: Outcome, took: Duration) {
        self.reviews.with_label_values(&[kind.as_str(), outcome.as_str()]).inc();
        self.durations.with_label_values(&[kind.as_str()]).observe(took.as_secs_f64());
    }
}
