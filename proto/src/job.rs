//! A job: "evaluate this topic at this tick".

use serde::{Deserialize, Serialize};

use crate::tick::Tick;
use crate::topic::{Datasource, Topic};

/// What a gateway asks of any poller. At most one exists in an installation for each topic and tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The upstream to ask.
    pub datasource: Datasource,
    /// The scoped query; with the datasource it gives the topic and its key.
    pub query: String,
    /// The evaluation time, sent as `time`: an evaluation made late gives the same answer.
    pub tick: Tick,
    /// How long the query may run, in milliseconds.
    pub timeout_ms: u32,
}

impl Job {
    /// The topic to evaluate.
    pub fn topic(&self) -> Topic {
        Topic::new(self.datasource.clone(), self.query.clone())
    }
}
