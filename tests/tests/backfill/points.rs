//! Samples by series and tick, from vectors and from matrices alike.

use std::collections::BTreeMap;

use e2e::stream::Event;
use promcast_proto::tick::Tick;
use serde_json::{Value, json};

/// Samples of each series, by tick: a value, or a native histogram.
pub(crate) type Points = BTreeMap<String, BTreeMap<i64, String>>;

/// A tick that an event names.
pub(crate) fn tick(event: &Event, name: &str) -> Tick {
    Tick::from_millis(event.data[name].as_i64().expect("a tick"))
}

/// Adds what an update or a history says.
///
/// # Panics
/// Where a point comes twice.
pub(crate) fn add(points: &mut Points, data: &Value) {
    if data["resultType"] == "scalar" {
        // A range query gives a scalar as a series without labels.
        return add(points, &json!({"result": [{"metric": {}, "value": data["result"]}]}));
    }
    for series in data["result"].as_array().expect("a result") {
        let known = points.entry(series["metric"].to_string()).or_default();
        let one = ["value", "histogram"].iter().filter_map(|name| series.get(name));
        let many = ["values", "histograms"].iter().filter_map(|name| series.get(name)?.as_array()).flatten();
        for point in one.chain(many) {
            let seconds = point[0].as_number().expect("a time").to_string();
            let millis = millis(&seconds);
            let before = known.insert(millis, point[1].to_string());
            assert_eq!(before, None, "the point at {millis} came twice");
        }
    }
}

/// Prometheus writes times in seconds, with as many decimals as they need.
fn millis(seconds: &str) -> i64 {
    let (whole, rest) = seconds.split_once('.').unwrap_or((seconds, ""));
    format!("{whole}{rest:0<3}").parse().expect("a time")
}
