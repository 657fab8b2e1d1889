//! An update: the result, or the error, of one topic at one tick.

use serde::{Deserialize, Serialize};

use crate::body::Body;
use crate::code::ErrorCode;
use crate::tick::Tick;
use crate::topic::Key;

/// What a poller publishes for a job. There is one for each topic and tick: the bus refuses a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// The topic.
    pub key: Key,
    /// The evaluation time.
    pub tick: Tick,
    /// How long the evaluation took, from sending the query to its last byte, in milliseconds.
    pub took_ms: u32,
    /// What came of it.
    pub outcome: Outcome,
}

/// A result or an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The data of a `metric-update` event.
    Result(Body),
    /// The evaluation failed.
    Failure(Failure),
}

/// Why an evaluation failed, in words for the viewer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The reason, from a closed list.
    pub code: ErrorCode,
    /// One sentence. It never holds a credential or the address of the upstream.
    pub message: String,
}
