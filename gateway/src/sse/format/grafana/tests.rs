//! Frames by example; `tests/tests/formats.rs` has Grafana's own code read them.

use promcast_proto::body::Body;
use promcast_proto::topic::{Datasource, Topic};
use promcast_proto::update::{Outcome, Update as Bare};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::sse::{Format, Frame, Memory};

fn key() -> Key {
    Topic::new(Datasource::default(), "up".to_owned()).key()
}

/// The event of an update with this `data`, and its name.
fn event(data: &str) -> (String, String) {
    let json = format!(r#"{{"topic":"{}","tick":5007,"took_ms":3,"data":{data},"infos":["i"]}}"#, key());
    let outcome = Outcome::Result(Body::pack(json.into_bytes()).unwrap());
    let update = Bare { key: key(), tick: Tick::from_millis(5_007), took_ms: 3, outcome };
    let frame = Frame::of_update(update, 1 << 20, &Memory::new(key())).unwrap();
    let rendered = frame.rendered(Format::Grafana);
    let text = String::from_utf8(rendered.whole().to_vec()).unwrap();
    let text = text.strip_suffix("\nid: 5007\n\n").unwrap();
    let (name, data) = text.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
    (name.to_owned(), data.to_owned())
}

fn read(data: &str) -> Value {
    let (name, data) = event(data);
    assert_eq!(name, "metric-update", "{data}");
    serde_json::from_str(&data).unwrap()
}

fn vector(result: &str) -> Value {
    read(&format!(r#"{{"resultType":"vector","result":[{result}]}}"#))
}

#[test]
fn a_vector_is_one_wide_frame_with_a_field_for_each_series() {
    let result = r#"{"metric":{"__name__":"up","job":"b"},"value":[5.007,"0.10"]},{"metric":{"__name__":"up","job":"a"},"value":[5.007,"1e-07"]}"#;
    let (_, text) = event(&format!(r#"{{"resultType":"vector","result":[{result}]}}"#));
    let (a, b) = (name_of(r#"{"__name__":"up","job":"a"}"#), name_of(r#"{"__name__":"up","job":"b"}"#));
    let expected = json!({
        "meta": { "type": "timeseries-wide", "typeVersion": [0, 1] },
        "fields": [
            { "name": "Time", "type": "time", "typeInfo": { "frame": "time.Time" } },
            { "name": a, "type": "number", "typeInfo": { "frame": "float64" }, "labels": { "__name__": "up", "job": "a" },
              "config": { "displayNameFromDS": "up{job=\"a\"}" } },
            { "name": b, "type": "number", "typeInfo": { "frame": "float64" }, "labels": { "__name__": "up", "job": "b" },
              "config": { "displayNameFromDS": "up{job=\"b\"}" } },
        ],
    });
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["schema"], expected);
    assert!(
        text.starts_with(&format!(r#"{{"topic":"{}","tick":5007,"took_ms":3,"schema":"#, key())),
        "{text}"
    );
    // The digits are the upstream's own.
    assert!(text.ends_with(r#""data":{"values":[[5007],[1e-07],[0.10]]},"infos":["i"]}"#), "{text}");
}

fn name_of(labels: &str) -> String {
    crate::sse::format::name(&[labels])
}

#[test]
fn numbers_that_json_has_not_are_entities() {
    let values = ["NaN", "1", "+Inf", "-Inf"];
    let one = |(i, value): (usize, &str)| format!(r#"{{"metric":{{"i":"{i}"}},"value":[1,"{value}"]}}"#);
    let result: Vec<_> = values.into_iter().enumerate().map(one).collect();
    let data = json!({
        "values": [[1000], [null], [1], [null], [null]],
        "entities": [null, { "NaN": [0] }, null, { "Inf": [0] }, { "NegInf": [0] }],
    });
    assert_eq!(vector(&result.join(","))["data"], data);
}

#[test]
fn histograms_scalars_and_strings_have_fields_of_their_kind() {
    let told = vector(r#"{"metric":{"a":"b"},"histogram":[1,{"count":"1","sum":"2"}]}"#);
    assert_eq!(told["schema"]["fields"][1]["type"], "other");
    assert_eq!(told["schema"]["fields"][1]["typeInfo"], json!({ "frame": "json.RawMessage" }));
    assert_eq!(told["data"], json!({ "values": [[1000], [{ "count": "1", "sum": "2" }]] }));

    let told = read(r#"{"resultType":"scalar","result":[1.5,"3"]}"#);
    assert_eq!(
        told["schema"]["fields"][1],
        json!({ "name": "Value", "type": "number", "typeInfo": { "frame": "float64" } })
    );
    assert_eq!(told["data"]["values"], json!([[1500], [3]]));

    let told = read(r#"{"resultType":"string","result":[1,"NaN"]}"#);
    assert_eq!(
        told["schema"]["fields"][1],
        json!({ "name": "Value", "type": "string", "typeInfo": { "frame": "string" } })
    );
    assert_eq!(told["data"], json!({ "values": [[1000], ["NaN"]] }));
}

#[test]
fn an_empty_result_has_a_time_field_and_no_rows() {
    let told = vector("");
    assert_eq!(told["schema"]["fields"].as_array().unwrap().len(), 1);
    assert_eq!(told["data"], json!({ "values": [[]] }));
}

#[test]
fn series_without_times_in_common_have_frames_of_their_own() {
    let series = |name: &str, times: [u32; 3]| {
        let points: Vec<_> = times.iter().map(|time| format!(r#"[{time},"{time}"]"#)).collect();
        format!(r#"{{"metric":{{"s":"{name}"}},"values":[{}]}}"#, points.join(","))
    };
    let matrix = |other: [u32; 3], third: [u32; 3]| {
        let all = [series("a", [1, 2, 3]), series("b", other), series("c", third)];
        read(&format!(r#"{{"resultType":"matrix","result":[{}]}}"#, all.join(",")))
    };
    let told = matrix([2, 3, 4], [1, 3, 4]);
    assert_eq!(
        told["data"]["values"],
        json!([[1000, 2000, 3000, 4000], [1, 2, 3, null], [null, 2, 3, 4], [1, null, 3, 4]])
    );
    assert_eq!(told["schema"]["fields"][1]["typeInfo"], json!({ "frame": "float64", "nullable": true }));

    let told = matrix([11, 12, 13], [21, 22, 23]);
    let frames = told["frames"].as_array().unwrap();
    assert_eq!((frames.len(), told.get("schema"), told.get("data")), (3, None, None));
    assert_eq!(frames[1]["schema"]["meta"]["type"], "timeseries-multi");
    assert_eq!(frames[1]["data"], json!({ "values": [[11_000, 12_000, 13_000], [11, 12, 13]] }));
}

#[test]
fn a_matrix_of_samples_and_histograms_has_a_field_for_either() {
    let series = r#"{"metric":{"a":"b"},"values":[[1,"1"]],"histograms":[[2,{"count":"1"}]]}"#;
    let told = read(&format!(r#"{{"resultType":"matrix","result":[{series}]}}"#));
    assert_eq!(told["data"]["values"], json!([[1000, 2000], [1, null], [null, { "count": "1" }]]));
}

#[test]
fn what_is_no_result_is_an_error_of_its_tick() {
    for data in [
        r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"one"]}]}"#,
        r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"-"]}]}"#,
        r#"{"resultType":"vector","result":[{"metric":7,"value":[1,"1"]}]}"#,
        r#"{"resultType":"streams","result":[]}"#,
        "7",
    ] {
        let (name, told) = event(data);
        assert_eq!(name, "error", "{data}");
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&told["tick"], &told["code"]), (&json!(5007), &json!("upstream_malformed")));
    }
}

#[test]
fn a_series_is_called_as_in_promql() {
    for (labels, expected) in [
        (r#"{"__name__":"up"}"#, "up"),
        (r#"{"__name__":"a:b","le":"+Inf","q":"a\"b\\c\nd"}"#, r#"a:b{le="+Inf",q="a\"b\\c\nd"}"#),
        ("{}", "{}"),
        (r#"{"a":"é"}"#, r#"{a="é"}"#),
        (r#"{"__name__":"gpu.util","host.name":"n","0":""}"#, r#"{"gpu.util","host.name"="n","0"=""}"#),
    ] {
        let labels = RawValue::from_string(labels.to_owned()).unwrap();
        assert_eq!(legend::of(&labels).unwrap(), expected);
    }
}

/// Numbers that any reader of JSON reads alike, and those that JSON has not.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => any::<i32>().prop_map(|number| f64::from(number) / 8.0),
        1 => proptest::sample::select(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY][..]),
    ]
}

proptest! {
    #[test]
    fn every_sample_stands_in_its_column_at_its_time(
        series in proptest::collection::vec(proptest::collection::btree_map(0..30i64, number(), 1..8), 1..6),
    ) {
        let text = |value: f64| match value {
            value if value.is_nan() => "NaN".to_owned(),
            f64::INFINITY => "+Inf".to_owned(),
            f64::NEG_INFINITY => "-Inf".to_owned(),
            value => value.to_string(),
        };
        let one = |(i, points): (usize, &std::collections::BTreeMap<i64, f64>)| {
            let points: Vec<_> = points.iter().map(|(time, value)| format!(r#"[{time}.007,"{}"]"#, text(*value))).collect();
            format!(r#"{{"metric":{{"s":"{i}"}},"values":[{}]}}"#, points.join(","))
        };
        let result: Vec<_> = series.iter().enumerate().map(one).collect();
        let told = read(&format!(r#"{{"resultType":"matrix","result":[{}]}}"#, result.join(",")));
        let frames = told["frames"].as_array().cloned().unwrap_or_else(|| vec![told]);

        let mut seen = vec![std::collections::BTreeMap::new(); series.len()];
        let mut cells = 0;
        for frame in &frames {
            let times = frame["data"]["values"][0].as_array().unwrap();
            prop_assert!(times.is_sorted_by_key(|time| time.as_i64()));
            for (column, field) in frame["schema"]["fields"].as_array().unwrap().iter().enumerate().skip(1) {
                let index: usize = field["labels"]["s"].as_str().unwrap().parse().unwrap();
                for (row, time) in times.iter().enumerate() {
                    cells += 1;
                    let value = decoded(frame, column, row);
                    if let Some(value) = value {
                        seen[index].insert((time.as_i64().unwrap() - 7) / 1000, value.to_bits());
                    }
                }
            }
        }
        let nan = |value: f64| if value.is_nan() { f64::NAN } else { value };
        let came: Vec<std::collections::BTreeMap<_, _>> =
            series.iter().map(|points| points.iter().map(|(time, value)| (*time, nan(*value).to_bits())).collect()).collect();
        prop_assert_eq!(seen, came);
        prop_assert!(cells <= 2 * series.iter().map(std::collections::BTreeMap::len).sum::<usize>());
    }
}

/// A cell as `@grafana/data` reads it.
fn decoded(frame: &Value, column: usize, row: usize) -> Option<f64> {
    let is = |entity: &str| {
        frame["data"]["entities"][column][entity].as_array().is_some_and(|rows| rows.contains(&json!(row)))
    };
    let special = [("NaN", f64::NAN), ("Inf", f64::INFINITY), ("NegInf", f64::NEG_INFINITY)];
    let special = special.into_iter().find(|(entity, _)| is(entity)).map(|(_, value)| value);
    special.or_else(|| frame["data"]["values"][column][row].as_f64())
}
