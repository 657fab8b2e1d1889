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
        step_ms: u32,
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The upstream's result as JSON.
    Result(Body),
    /// The upstream's refusal, or that it could not be asked.
    Failure(Failure),
}
