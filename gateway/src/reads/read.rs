//! One read: what is asked, of which upstream. Made from what proves that its caller may ask it.

use std::time::Duration;

use promcast_proto::ask::{Ask, Question};
use promcast_proto::tick::Tick;
use promcast_proto::topic::Datasource;

use crate::scope::{Grant, Selection};

/// No series has two names.
const NOTHING: &str = r#"{__name__="promcast",__name__="nothing"}"#;

/// What is asked. Two that are equal have one answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Read {
    datasource: Datasource,
    timeout: Duration,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum What {
    Instant { query: String, time: Option<Tick> },
    Range { query: String, start: Tick, end: Tick, step_ms: u64 },
    Labels(Vec<String>, Window),
    LabelValues(String, Vec<String>, Window),
    Series(Vec<String>, Window),
    Metadata { metric: Option<String>, limit: Option<u32>, limit_per_metric: Option<u32> },
    BuildInfo,
}

/// Which part of a selection is looked at, and how much of it is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Window {
    /// Series with samples from here on.
    pub start: Option<Tick>,
    /// Series with samples up to here.
    pub end: Option<Tick>,
    /// The most entries.
    pub limit: Option<u32>,
}

impl Read {
    /// A query at one time; without one, whenever it is asked.
    pub fn instant(grant: &Grant, time: Option<Tick>, timeout: Duration) -> Self {
        let query = grant.topic().query().to_owned();
        Self::of(grant.topic().datasource(), timeout, What::Instant { query, time })
    }

    /// A query from `start` to `end`, at each `step_ms` milliseconds.
    pub fn range(grant: &Grant, start: Tick, end: Tick, step_ms: u64, timeout: Duration) -> Self {
        let query = grant.topic().query().to_owned();
        Self::of(grant.topic().datasource(), timeout, What::Range { query, start, end, step_ms })
    }

    /// The names of labels in a selection.
    pub fn labels(selection: &Selection, window: Window, timeout: Duration) -> Self {
        let what = What::Labels(selection.selectors().to_vec(), window);
        Self::of(selection.datasource(), timeout, what)
    }

    /// The values of a label in a selection.
    pub fn label_values(selection: &Selection, label: &str, window: Window, timeout: Duration) -> Self {
        let what = What::LabelValues(label.to_owned(), selection.selectors().to_vec(), window);
        Self::of(selection.datasource(), timeout, what)
    }

    /// The series of a selection.
    pub fn series(selection: &Selection, window: Window, timeout: Duration) -> Self {
        let what = What::Series(selection.selectors().to_vec(), window);
        Self::of(selection.datasource(), timeout, what)
    }

    /// What is known of metrics, or of one. The upstream says it of all of them, whosever they are: whoever does not see
    /// everything gets it through [`super::metadata::answer`].
    pub(super) fn metadata(
        datasource: &Datasource,
        metric: Option<String>,
        limit: Option<u32>,
        limit_per_metric: Option<u32>,
        timeout: Duration,
    ) -> Self {
        Self::of(datasource, timeout, What::Metadata { metric, limit, limit_per_metric })
    }

    /// What the upstream is.
    pub fn build_info(selection: &Selection, timeout: Duration) -> Self {
        Self::of(selection.datasource(), timeout, What::BuildInfo)
    }

    fn of(datasource: &Datasource, timeout: Duration, what: What) -> Self {
        Self { datasource: datasource.clone(), timeout, what }
    }

    /// Whether it is a lookup that older upstreams answer without a look at its selectors.
    pub(super) fn relies_on_selectors(&self) -> bool {
        match &self.what {
            What::Labels(selectors, _) | What::LabelValues(_, selectors, _) => !selectors.is_empty(),
            What::Instant { .. }
            | What::Range { .. }
            | What::Series(..)
            | What::Metadata { .. }
            | What::BuildInfo => false,
        }
    }

    /// A lookup of the same upstream that finds nothing, if its selector counts.
    pub(super) fn probe(&self) -> Self {
        let what = What::LabelValues("__name__".to_owned(), vec![NOTHING.to_owned()], Window::default());
        Self::of(&self.datasource, self.timeout, what)
    }

    pub(super) fn datasource(&self) -> &Datasource {
        &self.datasource
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How it is put at `now`, where so much is left of its time.
    pub(super) fn ask(&self, now: Tick, left: Duration) -> Ask {
        let question = match self.what.clone() {
            What::Instant { query, time } => Question::Instant { query, time: time.unwrap_or(now) },
            What::Range { query, start, end, step_ms } => Question::Range { query, start, end, step_ms },
            What::Labels(matchers, Window { start, end, limit }) => {
                Question::Labels { matchers, start, end, limit }
            }
            What::LabelValues(name, matchers, Window { start, end, limit }) => {
                Question::LabelValues { name, matchers, start, end, limit }
            }
            What::Series(matchers, Window { start, end, limit }) => {
                Question::Series { matchers, start, end, limit }
            }
            What::Metadata { metric, limit, limit_per_metric } => {
                Question::Metadata { metric, limit, limit_per_metric }
            }
            What::BuildInfo => Question::BuildInfo,
        };
        let timeout_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
        Ask { datasource: self.datasource.clone(), timeout_ms, question }
    }
}
