//! Packs answers for the bus: the upstream's document of an ask as it is, and of an evaluation rendered into the one-line JSON
//! object of a `metric-update` event, as it travels to every viewer of a topic.

use promcast_proto::body::{self, Body};
use promcast_proto::code::ErrorCode;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Key;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::prometheus::classify::{Answer, Failed};

/// Bytes of an event around the upstream's own: field names, the key, numbers.
const AROUND: usize = 256;

/// The data of the event, in the order of its fields.
#[derive(Serialize)]
struct MetricUpdate<'a> {
    topic: Key,
    tick: Tick,
    took_ms: u32,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    infos: &'a [String],
}

/// Packs an answer for the bus. `took_ms` is in milliseconds, `limit` in bytes of the rendered JSON.
pub fn result(key: Key, tick: Tick, took_ms: u32, answer: &Answer<'_>, limit: usize) -> Result<Body, Failed> {
    let Answer { data, warnings, infos } = answer;
    within(data.get().len(), limit)?;
    let mut json = Vec::with_capacity(data.get().len() + AROUND);
    let event = MetricUpdate { topic: key, tick, took_ms, data, warnings, infos };
    serde_json::to_writer(&mut json, &event).map_err(|error| unpackable(error.to_string()))?;
    within(json.len(), limit)?;
    pack(json)
}

/// Packs a whole document. `limit` is in bytes of it.
pub fn document(json: Vec<u8>, limit: usize) -> Result<Body, Failed> {
    within(json.len(), limit)?;
    pack(json)
}

fn pack(mut json: Vec<u8>) -> Result<Body, Failed> {
    one_line(&mut json);
    Body::pack(json).map_err(|error| match error {
        body::Error::TooLarge(_) => Failed::query(ErrorCode::TooLarge, error.to_string()),
        body::Error::OverLimit(..) | body::Error::Damaged(_) => unpackable(error.to_string()),
    })
}

fn within(size: usize, limit: usize) -> Result<(), Failed> {
    if size <= limit {
        return Ok(());
    }
    let message =
        format!("the result has {size} bytes, over the limit of {limit}; select less, or aggregate");
    Err(Failed::query(ErrorCode::TooLarge, message))
}

fn unpackable(cause: String) -> Failed {
    Failed::query(ErrorCode::Malformed, "the result cannot be rendered").because(cause)
}

/// Line breaks would end the line of the event. In JSON they stand between tokens alone (inside a string they are
/// written `\n`), so a space is as good.
fn one_line(json: &mut [u8]) {
    let mut from = 0;
    while let Some(found) = json.get(from..).and_then(|rest| memchr::memchr2(b'\n', b'\r', rest)) {
        json[from + found] = b' ';
        from += found + 1;
    }
}

#[cfg(test)]
mod tests {
    use promcast_proto::topic::{Datasource, Topic};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::prometheus::classify;

    const LIMIT: usize = 1 << 20;

    fn key() -> Key {
        Topic::new(Datasource::default(), "up".to_owned()).key()
    }

    fn render(body: &str) -> String {
        let answer = classify::answer(200, body.as_bytes()).unwrap();
        let packed = result(key(), Tick::from_millis(1_764_000_003_007), 12, &answer, LIMIT).unwrap();
        String::from_utf8(packed.unpack(LIMIT).unwrap()).unwrap()
    }

    fn success(data: &str) -> String {
        format!(r#"{{"status":"success","data":{data}}}"#)
    }

    #[test]
    fn the_event_is_as_the_contract_has_it() {
        let data = r#"{"resultType":"vector","result":[]}"#;
        let head = r#"{"topic":"c5uave30lhlt6q138i7i9djv28","tick":1764000003007,"took_ms":12,"data":{"resultType":"vector","result":[]}"#;
        assert_eq!(render(&success(data)), format!("{head}}}"));
        let noted = format!(r#"{{"status":"success","data":{data},"warnings":["a\nb"],"infos":["c"]}}"#);
        assert_eq!(render(&noted), format!(r#"{head},"warnings":["a\nb"],"infos":["c"]}}"#));
        let quiet = format!(r#"{{"status":"success","data":{data},"warnings":[],"infos":[]}}"#);
        assert_eq!(render(&quiet), format!("{head}}}"));
    }

    #[test]
    fn every_kind_of_result_comes_through_byte_for_byte() {
        for data in [
            r#"{"resultType":"vector","result":[{"metric":{"gpu":"0"},"value":[1764000003.007,"NaN"]}]}"#,
            r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"+Inf"]},{"metric":{"a":"é\"\\ "},"value":[1,"-Inf"]}]}"#,
            r#"{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1,"1"],[2,"1e-300"]]}]}"#,
            r#"{"resultType":"scalar","result":[1764000003.007,"0.10000000000000001"]}"#,
            r#"{"resultType":"string","result":[1764000003.007,"text"]}"#,
            r#"{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"10","sum":"2.5","buckets":[[0,"0.5","1","10"]]}]}]}"#,
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]],"histograms":[[2,{"count":"1","sum":"1"}]]}]}"#,
            r#"{"result":[],"resultType":"vector","stats":{"timings":{}}}"#,
        ] {
            let event = render(&success(data));
            assert!(event.contains(&format!(r#""data":{data}"#)), "{event}");
            assert!(serde_json::from_str::<Value>(&event).is_ok());
        }
    }

    #[test]
    fn a_pretty_printed_answer_becomes_one_line() {
        let data = json!({"resultType": "vector", "result": [{"metric": {"a": "x\ny"}, "value": [1, "2"]}]});
        let event = render(&success(&serde_json::to_string_pretty(&data).unwrap().replace('\n', "\r\n")));
        assert!(!event.contains(['\n', '\r']));
        assert_eq!(serde_json::from_str::<Value>(&event).unwrap()["data"], data);
    }

    #[test]
    fn a_result_over_a_limit_is_an_error_that_says_both_numbers() {
        let body = success(&format!(r#"{{"resultType":"string","result":[1,"{}"]}}"#, "x".repeat(1000)));
        let answer = classify::answer(200, body.as_bytes()).unwrap();
        let packed = |limit| result(key(), Tick::MIN, 0, &answer, limit).map(|_| ());
        let size = render(&body).len() - "176400000300712".len() + "00".len();
        assert_eq!(packed(size), Ok(()));
        let failed = packed(size - 1).unwrap_err();
        assert_eq!(failed.failure.code, ErrorCode::TooLarge);
        let message =
            format!("the result has {size} bytes, over the limit of {}; select less, or aggregate", size - 1);
        assert_eq!(failed.failure.message, message);
        assert_eq!(packed(10).unwrap_err().failure.code, ErrorCode::TooLarge);
    }

    proptest! {
        #[test]
        fn an_event_is_one_line_whatever_the_labels(label: String, warning: String, pretty: bool) {
            let data = json!({"resultType": "vector", "result": [{"metric": {"a": label}, "value": [1, "2"]}]});
            let body = json!({"status": "success", "data": data, "warnings": [warning]});
            let text = if pretty { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) }.unwrap();
            let event = render(&text);
            prop_assert!(!event.contains(['\n', '\r']));
            let back: Value = serde_json::from_str(&event).unwrap();
            prop_assert_eq!(&back["data"], &data);
            prop_assert_eq!(&back["warnings"], &body["warnings"]);
        }
    }
}
