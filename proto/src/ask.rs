//! Asks: questions a gateway puts to any one poller and waits for, outside the ticks.

use serde::{Deserialize, Serialize};

use crate::body::Body;
use crate::tick::Tick;
use crate::topic::Datasource;
use crate::update::Failure;

/// A question to any poller of a datasource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The upstream to ask.
    pub datasource: Datasource,
    /// How long the answer may take, in milliseconds.
    pub timeout_ms: u32,
    /// What is asked.
    pub question: Question,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// A scoped query at one time.
    Instant {
        /// The scoped query.
        query: String,
        /// The evaluation time.
        time: Tick,
    },
    /// A scoped query over a range, both ends included.
    Range {
        /// The scoped query.
        query: String,
        /// The first evaluation time.
        start: Tick,
        /// The last evaluation time, at the latest.
        end: Tick,
        /// From one evaluation to the next, in milliseconds.
        step_ms: u64,
    },
    /// The names of the labels that the series of a selection have.
    Labels {
        /// Scoped selectors; a series counts where any of them selects it. All series where there is none.
        matchers: Vec<String>,
        /// Only series that have samples from here on.
        start: Option<Tick>,
        /// Only series that have samples up to here.
        end: Option<Tick>,
        /// The most names.
        limit: Option<u32>,
    },
    /// The values of one label in a selection.
    LabelValues {
        /// The label.
        name: String,
        /// As of [`Question::Labels`].
        matchers: Vec<String>,
        /// As of [`Question::Labels`].
        start: Option<Tick>,
        /// As of [`Question::Labels`].
        end: Option<Tick>,
        /// The most values.
        limit: Option<u32>,
    },
    /// The label sets of a selection.
    Series {
        /// As of [`Question::Labels`], and at least one.
        matchers: Vec<String>,
        /// As of [`Question::Labels`].
        start: Option<Tick>,
        /// As of [`Question::Labels`].
        end: Option<Tick>,
        /// The most series.
        limit: Option<u32>,
    },
    /// What metrics are, in their exporters' words.
    Metadata {
        /// Only this metric.
        metric: Option<String>,
        /// The most metrics.
        limit: Option<u32>,
        /// The most words on one metric.
        limit_per_metric: Option<u32>,
    },
    /// What the upstream is.
    BuildInfo,
}

/// The kinds of questions, as metrics tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Question::Instant`].
    Instant,
    /// [`Question::Range`].
    Range,
    /// [`Question::Labels`].
    Labels,
    /// [`Question::LabelValues`].
    LabelValues,
    /// [`Question::Series`].
    Series,
    /// [`Question::Metadata`].
    Metadata,
    /// [`Question::BuildInfo`].
    BuildInfo,
}

impl Question {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Instant { .. } => Kind::Instant,
            Self::Range { .. } => Kind::Range,
            Self::Labels { .. } => Kind::Labels,
            Self::LabelValues { .. } => Kind::LabelValues,
            Self::Series { .. } => Kind::Series,
            Self::Metadata { .. } => Kind::Metadata,
            Self::BuildInfo => Kind::BuildInfo,
        }
    }
}

impl Kind {
    /// The spelling in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Range => "range",
            Self::Labels => "labels",
            Self::LabelValues => "label_values",
            Self::Series => "series",
            Self::Metadata => "metadata",
            Self::BuildInfo => "build_info",
        }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The upstream's success document as it came, `{"status":"success","data":…}`, in one line.
    Result(Body),
    /// The upstream's refusal, or that it could not be asked.
    Failure(Failure),
}
