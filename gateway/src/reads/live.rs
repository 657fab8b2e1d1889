//! An answer from a topic that is streamed: the update that its viewers have just got, as the upstream would answer.

use bytes::Bytes;
use promcast_proto::tick::Tick;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::hub::Hub;
use crate::scope::Grant;

/// An update this old, in milliseconds, still answers a query that names no time. Streams tick no faster.
const FRESH_MS: i64 = 5_000;

/// What stands before the JSON of an update in its event.
const BEFORE: &[u8] = b"event: metric-update\ndata: ";

/// The parts of an update that an answer has too.
#[derive(serde::Deserialize, Serialize)]
struct Answered<'a> {
    #[serde(skip_deserializing)]
    status: Success,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    warnings: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    infos: Option<&'a RawValue>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "lowercase")]
enum Success {
    #[default]
    Success,
}

/// The answer to a query at `time`, where that is a tick whose update is here; without one the newest update, unless it is
/// older than five seconds.
pub fn answer(hub: &Hub, grant: &Grant, time: Option<Tick>, now: Tick) -> Option<Bytes> {
    let (tick, frame) = hub.arrived(grant.topic().key(), time)?;
    let good = time.is_some() || now.since(tick) <= FRESH_MS;
    good.then(|| document(&frame.head())).flatten()
}

/// From the event of an update to a document; nothing where it is the event of an error.
fn document(event: &[u8]) -> Option<Bytes> {
    let answered: Answered<'_> = serde_json::from_slice(event.strip_prefix(BEFORE)?).ok()?;
    serde_json::to_vec(&answered).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(event: &str) -> Option<String> {
        document(event.as_bytes()).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn an_update_is_answered_in_the_upstreams_own_bytes() {
        let data = r#"{"resultType":"vector", "result":[{"metric":{"a":"\u003c"},"value":[1.50,"1e0"]}]}"#;
        let event = format!(
            "event: metric-update\ndata: {{\"topic\":\"x\",\"tick\":1,\"took_ms\":2,\"data\":{data}}}\n"
        );
        assert_eq!(told(&event).unwrap(), format!(r#"{{"status":"success","data":{data}}}"#));
        let event = event.replace("}]}}\n", r#"}]},"warnings":["w"],"infos":["i"]}"#);
        assert_eq!(
            told(&event).unwrap(),
            format!(r#"{{"status":"success","data":{data},"warnings":["w"],"infos":["i"]}}"#)
        );
    }

    #[test]
    fn an_error_is_no_answer() {
        assert_eq!(told("event: error\ndata: {\"topic\":\"x\",\"data\":{}}\n"), None);
        assert_eq!(told("event: metric-update\ndata: {\"topic\":\"x\"}\n"), None);
    }
}
