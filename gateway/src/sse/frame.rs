//! The bytes of an update's event, framed once for all connections.

use bytes::Bytes;
use promcast_proto::body;
use promcast_proto::code::ErrorCode;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Key;
use promcast_proto::update::{Failure, Outcome, Update};
use serde::Serialize;

/// The event of one topic at one tick. Cheap to clone.
///
/// The `id:` line comes last, so that the shared part is one piece for a connection with one subscription, whose
/// cursor is the tick, and for one with many, which puts its own cursor behind it. A field's place within an event
/// has no meaning (WHATWG HTML, "Interpreting an event stream").
#[derive(Clone, Debug)]
pub struct Frame {
    whole: Bytes,
    head: usize,
}

/// Why an update cannot be framed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body cannot be unpacked.
    #[error(transparent)]
    Body(#[from] body::Error),
    /// The body has a line break, which would end the event's data.
    #[error("the update has a line break in its body")]
    LineBreak,
    /// The error event cannot be written.
    #[error("the event cannot be written")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// What the viewers are told instead.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Body(body::Error::OverLimit(..) | body::Error::TooLarge(_)) => ErrorCode::TooLarge,
            Self::Body(body::Error::Damaged(_)) | Self::LineBreak | Self::Json(_) => ErrorCode::Malformed,
        }
    }
}

#[derive(Serialize)]
struct Failed<'a> {
    topic: Key,
    tick: Tick,
    code: &'static str,
    message: &'a str,
    retryable: bool,
}

impl Frame {
    /// Frames an update whose JSON has at most `limit` bytes.
    pub fn of_update(update: Update, limit: usize) -> Result<Self, Error> {
        let (key, tick) = (update.key, update.tick);
        match update.outcome {
            Outcome::Result(body) => Self::new("metric-update", &body.unpack(limit)?, tick),
            Outcome::Failure(Failure { code, message }) => Self::of_failure(key, tick, code, &message),
        }
    }

    /// Frames the error of a topic at a tick.
    pub fn of_failure(topic: Key, tick: Tick, code: ErrorCode, message: &str) -> Result<Self, Error> {
        let failed = Failed { topic, tick, code: code.as_str(), message, retryable: code.retryable() };
        Self::new("error", &serde_json::to_vec(&failed)?, tick)
    }

    fn new(event: &'static str, data: &[u8], tick: Tick) -> Result<Self, Error> {
        if data.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            return Err(Error::LineBreak);
        }
        let mut whole = Vec::with_capacity(event.len() + data.len() + 48);
        for part in [b"event: ", event.as_bytes(), b"\ndata: ", data, b"\n"] {
            whole.extend_from_slice(part);
        }
        let head = whole.len();
        whole.extend_from_slice(format!("id: {tick}\n\n").as_bytes());
        Ok(Self { whole: Bytes::from(whole), head })
    }

    /// The whole event for a connection with this one subscription, whose cursor is the tick.
    pub fn whole(&self) -> Bytes {
        self.whole.clone()
    }

    /// The event without its `id` line and its end.
    pub fn head(&self) -> Bytes {
        self.whole.slice(..self.head)
    }

    /// Bytes of the whole event.
    pub fn size(&self) -> usize {
        self.whole.len()
    }
}

#[cfg(test)]
mod tests {
    use promcast_proto::body::Body;
    use promcast_proto::topic::{Datasource, Topic};

    use super::*;

    fn update(json: &str) -> Update {
        let key = Topic::new(Datasource::default(), "up".to_owned()).key();
        let body = Body::pack(json.as_bytes().to_vec()).unwrap();
        Update { key, tick: Tick::from_millis(5_007), took_ms: 3, outcome: Outcome::Result(body) }
    }

    #[test]
    fn an_update_is_one_event() {
        let frame = Frame::of_update(update("{}"), 100).unwrap();
        assert_eq!(frame.whole(), "event: metric-update\ndata: {}\nid: 5007\n\n");
        assert_eq!(frame.head(), "event: metric-update\ndata: {}\n");
    }

    #[test]
    fn a_body_cannot_smuggle_in_an_event() {
        for json in ["{}\n\nevent: forged", "{}\rid: 1"] {
            assert!(matches!(Frame::of_update(update(json), 100), Err(Error::LineBreak)));
        }
    }

    #[test]
    fn a_failure_tells_its_code_and_whether_to_wait() {
        let key = Topic::new(Datasource::default(), "up".to_owned()).key();
        let frame = Frame::of_failure(key, Tick::from_millis(7), ErrorCode::Timeout, "too\nslow").unwrap();
        let text = String::from_utf8(frame.whole().to_vec()).unwrap();
        assert!(text.starts_with("event: error\ndata: {\"topic\":\""), "{text}");
        assert!(
            text.contains(r#""code":"upstream_timeout","message":"too\nslow","retryable":true}"#),
            "{text}"
        );
        assert!(text.ends_with("\nid: 7\n\n"), "{text}");
    }
}
