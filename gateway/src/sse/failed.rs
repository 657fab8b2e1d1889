//! The data of an `error` event, which is the same in all formats.

use promcast_proto::code::ErrorCode;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Key;
use serde::Serialize;

/// Why a topic has no update at a tick, or no backfill.
#[derive(Serialize)]
pub(super) struct Failed<'a> {
    topic: Key,
    #[serde(skip_serializing_if = "Option::is_none")]
    tick: Option<Tick>,
    code: &'static str,
    message: &'a str,
    retryable: bool,
    #[serde(flatten)]
    during: Option<Backfill>,
}

/// What failed, where it was no update.
#[derive(Serialize)]
struct Backfill {
    during: &'static str,
    from: Tick,
    to: Tick,
}

impl<'a> Failed<'a> {
    /// There is no update at a tick.
    pub(super) fn update(topic: Key, tick: Tick, code: ErrorCode, message: &'a str) -> Self {
        let (code, retryable) = (code.as_str(), code.retryable());
        Self { topic, tick: Some(tick), code, message, retryable, during: None }
    }

    /// The ticks from one to another, both included, cannot be told.
    pub(super) fn backfill(topic: Key, from: Tick, to: Tick, code: ErrorCode, message: &'a str) -> Self {
        let during = Some(Backfill { during: "backfill", from, to });
        let (code, retryable) = (code.as_str(), code.retryable());
        Self { topic, tick: None, code, message, retryable, during }
    }

    /// The data in one line.
    pub(super) fn json(&self) -> Vec<u8> {
        // Numbers and strings: writing them as JSON cannot fail, and JSON has no raw line break.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
