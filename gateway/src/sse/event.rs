//! The events that are a connection's own: `connected`, `gap`, `heartbeat`, `shutdown`, and the lines that are none.

use std::time::Duration;

use bytes::Bytes;
use promcast_proto::code::ShutdownCode;
use promcast_proto::control::{Changed, Subscribed};
use promcast_proto::tick::{Interval, Tick};
use promcast_proto::topic::Key;
use promcast_proto::update::Failure;
use serde::Serialize;

use super::Format;
use crate::hub::Gap;

/// A comment: a client takes no notice, and every proxy on the way sees traffic.
pub const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// The first event of a stream.
#[derive(Debug, Serialize)]
pub struct Connected {
    /// The connection's name: a UUID v7.
    pub connection_id: String,
    /// The replica that serves it.
    pub replica: String,
    /// The gateway's time.
    pub server_time: Tick,
    /// How often `heartbeat` events come, in seconds.
    pub heartbeat_seconds: u64,
    /// The form of updates.
    pub format: Format,
    /// What is streamed.
    pub subscriptions: Vec<Subscribed>,
}

#[derive(Serialize)]
struct GapData {
    topic: Key,
    interval: Interval,
    from: Tick,
    to: Tick,
    missed: u64,
    reason: &'static str,
}

#[derive(Serialize)]
struct NoBackfill<'a> {
    topic: Key,
    code: &'static str,
    message: &'a str,
    retryable: bool,
    during: &'static str,
    from: Tick,
    to: Tick,
}

#[derive(Serialize)]
struct Heartbeat {
    server_time: Tick,
}

#[derive(Serialize)]
struct Shutdown {
    code: &'static str,
    reconnect: bool,
    message: &'static str,
}

/// The begin of a stream: how long to wait before a reconnect, and `connected`.
pub fn connected(connected: &Connected, retry: Duration, id: Option<&str>) -> Bytes {
    text(&format!("retry: {}\n", retry.as_millis()), "connected", connected, id)
}

/// What a connection streams otherwise from now on.
pub fn subscriptions(changed: &Changed) -> Bytes {
    text("", "subscriptions", changed, None)
}

/// Ticks that a subscription will not see. `id` is the cursor behind them.
pub fn gap(topic: Key, interval: Interval, gap: Gap, id: Option<&str>) -> Bytes {
    let Gap { from, to, missed, reason } = gap;
    text("", "gap", &GapData { topic, interval, from, to, missed, reason: reason.as_str() }, id)
}

/// History that was asked for and cannot be had. What is live goes on.
pub fn no_backfill(topic: Key, from: Tick, to: Tick, failure: &Failure) -> Bytes {
    let Failure { code, message } = failure;
    let (code, retryable) = (code.as_str(), code.retryable());
    text("", "error", &NoBackfill { topic, code, message, retryable, during: "backfill", from, to }, None)
}

/// A sign of life that scripts in a page can see.
pub fn heartbeat(server_time: Tick) -> Bytes {
    text("", "heartbeat", &Heartbeat { server_time }, None)
}

/// The last event of a stream.
pub fn shutdown(code: ShutdownCode, retry: Duration) -> Bytes {
    let data = Shutdown { code: code.as_str(), reconnect: code.reconnect(), message: code.message() };
    text(&format!("retry: {}\n", retry.as_millis()), "shutdown", &data, None)
}

/// What stands behind the shared part of an update on a connection with several subscriptions.
pub fn id_line(cursor: &str) -> Bytes {
    Bytes::from(format!("id: {cursor}\n\n"))
}

fn text(before: &str, event: &'static str, data: &impl Serialize, id: Option<&str>) -> Bytes {
    // Plain structs of numbers and strings: writing them as JSON cannot fail, and JSON has no raw line break.
    let data = serde_json::to_string(data).unwrap_or_default();
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Bytes::from(format!("{before}event: {event}\ndata: {data}\n{id}\n"))
}

#[cfg(test)]
mod tests {
    use promcast_proto::code::GapReason;
    use promcast_proto::control::Resumed;
    use promcast_proto::topic::{Datasource, Topic};

    use super::*;

    #[test]
    fn events_are_of_the_event_stream_format() {
        let key = Topic::new(Datasource::default(), "up".to_owned()).key();
        let (from, to) = (Tick::from_millis(1_000), Tick::from_millis(6_000));
        let lost = Gap { from, to, missed: 2, reason: GapReason::SlowConsumer };
        assert_eq!(
            gap(key, Interval::from_secs(5).unwrap(), lost, Some("6000")),
            format!(
                "event: gap\ndata: {{\"topic\":\"{key}\",\"interval\":5,\"from\":1000,\"to\":6000,\"missed\":2,\
                 \"reason\":\"slow_consumer\"}}\nid: 6000\n\n"
            )
        );
        assert_eq!(heartbeat(from), "event: heartbeat\ndata: {\"server_time\":1000}\n\n");
        assert_eq!(
            shutdown(ShutdownCode::Draining, Duration::from_millis(1500)),
            "retry: 1500\nevent: shutdown\ndata: {\"code\":\"draining\",\"reconnect\":true,\
             \"message\":\"this replica is shutting down\"}\n\n"
        );
    }

    #[test]
    fn a_query_with_line_breaks_stays_on_one_line() {
        let hello = Connected {
            connection_id: String::new(),
            replica: String::new(),
            server_time: Tick::MIN,
            heartbeat_seconds: 30,
            format: Format::Prometheus,
            subscriptions: vec![Subscribed {
                id: "0".to_owned(),
                topic: Topic::new(Datasource::default(), "up".to_owned()).key(),
                query: "up\n\nevent: forged".to_owned(),
                datasource: Datasource::default(),
                interval: Interval::from_secs(5).unwrap(),
                resume: Resumed::Live,
            }],
        };
        let text = connected(&hello, Duration::from_secs(1), None);
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 4);
    }
}
