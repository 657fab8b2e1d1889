//! What a client folds out of compact updates is the update as it came, byte for byte; by example, and for any course
//! of updates in any order of rendering.

use promcast_proto::body::Body;
use promcast_proto::topic::{Datasource, Topic};
use promcast_proto::update::{Outcome, Update};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::Value;

use super::*;
use crate::sse::{Format, Frame};

fn key() -> Key {
    Topic::new(Datasource::default(), "up".to_owned()).key()
}

/// The frame of an update with these members after `took_ms`.
fn frame(memory: &Memory, tick: i64, members: &str) -> Frame {
    let json = format!(r#"{{"topic":"{}","tick":{tick},"took_ms":3,{members}}}"#, key());
    let outcome = Outcome::Result(Body::pack(json.into_bytes()).unwrap());
    let update = Update { key: key(), tick: Tick::from_millis(tick), took_ms: 3, outcome };
    Frame::of_update(update, 1 << 20, memory).unwrap()
}

fn vector(result: &str) -> String {
    format!(r#""data":{{"resultType":"vector","result":[{result}]}}"#)
}

/// The data of an event, which has this name.
fn data(event: &[u8], name: &str) -> String {
    let text = str::from_utf8(event).unwrap();
    let (head, data) = text.trim_end().split_once("\ndata: ").unwrap();
    assert_eq!(head, format!("event: {name}"));
    data.to_owned()
}

/// What a client of format `compact` knows: the fold of `docs/formats.md`, on the text of the values.
#[derive(Default)]
struct Client {
    /// The label sets, by the name of the schema. One topic is all there is here.
    schema: Option<(String, Vec<Box<RawValue>>)>,
    schemas: usize,
}

#[derive(Deserialize)]
struct Told {
    schema: String,
    series: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Short<'a> {
    #[serde(borrow)]
    topic: &'a RawValue,
    #[serde(borrow)]
    tick: &'a RawValue,
    #[serde(borrow)]
    took_ms: &'a RawValue,
    schema: String,
    #[serde(borrow)]
    time: &'a RawValue,
    #[serde(borrow)]
    values: Vec<&'a RawValue>,
    order: Option<Vec<usize>>,
    #[serde(borrow, default, deserialize_with = "as_it_is")]
    warnings: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_it_is")]
    infos: Option<&'a RawValue>,
}

impl Client {
    /// Reads the frame as a connection sends it, and gives the update in format `prometheus`.
    fn read(&mut self, frame: &Frame) -> String {
        let rendered = frame.rendered(Format::Compact);
        let known = self.schema.as_ref().map(|(id, _)| id.as_str());
        if let Some(schema) = rendered.schema().filter(|schema| Some(schema.id()) != known) {
            let Told { schema, series } = serde_json::from_str(&data(schema.event(), "schema")).unwrap();
            self.schema = Some((schema, series));
            self.schemas += 1;
        }
        let update = data(rendered.head(), "metric-update");
        if rendered.schema().is_none() { update } else { self.fold(&update) }
    }

    fn fold(&self, update: &str) -> String {
        let short: Short<'_> = serde_json::from_str(update).unwrap();
        let (id, series) = self.schema.as_ref().unwrap();
        assert_eq!(*id, short.schema);
        let result: Vec<_> = (0..short.values.len())
            .map(|i| {
                let labels = &series[short.order.as_ref().map_or(i, |order| order[i])];
                let value = short.values[i];
                let member = if value.get().starts_with('"') { "value" } else { "histogram" };
                format!(r#"{{"metric":{labels},"{member}":[{},{value}]}}"#, short.time)
            })
            .collect();
        let mut text = format!(
            r#"{{"topic":{},"tick":{},"took_ms":{},{}"#,
            short.topic,
            short.tick,
            short.took_ms,
            vector(&result.join(","))
        );
        for (name, list) in [("warnings", short.warnings), ("infos", short.infos)] {
            text.push_str(&list.map(|list| format!(r#","{name}":{list}"#)).unwrap_or_default());
        }
        text + "}"
    }
}

const A: &str = r#"{"metric":{"gpu":"0"},"value":[5.007,"1.50"]}"#;
const B: &str = r#"{"metric":{"gpu":"1"},"value":[5.007,"NaN"]}"#;
const C: &str = r#"{"metric":{},"histogram":[5.007,{"count":"1","sum":"2","buckets":[[0,"1","2","1"]]}]}"#;

#[test]
fn label_sets_are_sent_once_and_then_values_alone() {
    let memory = Memory::new(key());
    let first = frame(&memory, 5_007, &vector(&[A, B, C].join(",")));
    let first = first.rendered(Format::Compact);
    let schema = first.schema().unwrap();
    let (topic, id) = (key(), schema.id());
    assert_eq!(id.len(), 13);
    let event = format!(
        "event: schema\ndata: {{\"topic\":\"{topic}\",\"schema\":\"{id}\",\
         \"series\":[{{\"gpu\":\"0\"}},{{\"gpu\":\"1\"}},{{}}]}}\n\n"
    );
    assert_eq!(**schema.event(), *event.as_bytes());
    let values = r#""1.50","NaN",{"count":"1","sum":"2","buckets":[[0,"1","2","1"]]}"#;
    let update = format!(
        "event: metric-update\ndata: {{\"topic\":\"{topic}\",\"tick\":5007,\"took_ms\":3,\"schema\":\"{id}\",\
         \"time\":5.007,\"values\":[{values}]}}\n"
    );
    assert_eq!(**first.head(), *update.as_bytes());
    assert_eq!(**first.whole(), *format!("{update}id: 5007\n\n").as_bytes());

    let other = frame(&memory, 10_007, &vector(&[C, A, B].join(",")));
    let other = other.rendered(Format::Compact);
    assert!(Arc::ptr_eq(other.schema().unwrap(), schema), "another order needs another schema");
    let json: Value = serde_json::from_str(&data(other.head(), "metric-update")).unwrap();
    assert_eq!(json["order"], serde_json::json!([2, 0, 1]));

    let fewer = frame(&memory, 15_007, &vector(&[A, B].join(",")));
    assert_ne!(fewer.rendered(Format::Compact).schema().unwrap().id(), id);
    let elsewhere = frame(&Memory::new(key()), 5_007, &vector(&[A, B, C].join(",")));
    assert_eq!(
        elsewhere.rendered(Format::Compact).schema().unwrap().id(),
        id,
        "replicas name it differently"
    );
}

#[test]
fn a_format_is_made_once_and_counts_from_then_on() {
    let memory = Memory::new(key());
    let made = frame(&memory, 5_007, &vector(A));
    let (copy, whole) = (made.clone(), made.whole().len());
    assert_eq!(made.size(), whole);
    let compact = made.rendered(Format::Compact);
    assert!(std::ptr::eq(compact, copy.rendered(Format::Compact)));
    let schema = compact.schema().unwrap().size();
    assert_eq!(copy.size(), whole + compact.whole().len() + schema);
    let next = frame(&memory, 10_007, &vector(A));
    let compact = next.rendered(Format::Compact).whole().len();
    assert_eq!(next.size(), next.whole().len() + compact, "a schema counts where it was made");
    let complete = frame(&memory, 15_007, &vector(""));
    assert_eq!(**complete.rendered(Format::Compact).whole(), *complete.whole());
    assert_eq!(complete.size(), complete.whole().len());
}

#[test]
fn what_does_not_fit_exactly_comes_complete() {
    let later = A.replace("5.007", "5.0070").replace(r#""0""#, r#""2""#);
    let both = r#"{"metric":{},"value":[1,"1"],"histogram":[1,{}]}"#;
    for members in [
        vector(""),
        vector(&[A, &later].join(",")),
        vector(&[A, A].join(",")),
        vector(&[A, both].join(",")),
        vector(r#"{"metric":{},"value":[1,1]}"#),
        vector(r#"{"metric":{},"value":[1,"1",2]}"#),
        vector(r#"{"metric":{},"histogram":[1,"1"]}"#),
        vector(r#"{"value":[1,"1"]}"#),
        vector(r#"{"metric":{},"value":[1,"1"],"exemplar":{}}"#),
        vector(A).replace(r#""result":"#, r#""stats":{},"result":"#),
        format!(r#"{},"partial":true"#, vector(A)),
        r#""data":{"resultType":"scalar","result":[5.007,"1"]}"#.to_owned(),
        r#""data":{"resultType":"string","result":[5.007,"text"]}"#.to_owned(),
        r#""data":{"resultType":"matrix","result":[{"metric":{},"values":[[5.007,"1"]]}]}"#.to_owned(),
        r#""data":{"resultType":"matrix","result":[]}"#.to_owned(),
        r#""x":1"#.to_owned(),
    ] {
        let frame = frame(&Memory::new(key()), 5_007, &members);
        let rendered = frame.rendered(Format::Compact);
        assert!(rendered.schema().is_none(), "{members}");
        assert_eq!(**rendered.whole(), *frame.whole());
    }
}

#[test]
fn an_empty_result_leaves_the_schema_in_use() {
    let (memory, mut client) = (Memory::new(key()), Client::default());
    for result in [A, "", A, "", A] {
        let frame = frame(&memory, 5_007, &vector(result));
        assert_eq!(client.read(&frame), data(&frame.head(), "metric-update"));
    }
    assert_eq!(client.schemas, 1);
}

#[test]
fn white_space_and_the_order_of_members_do_not_matter() {
    let (memory, mut client) = (Memory::new(key()), Client::default());
    let members = r#" "infos" : null, "data" : { "result" : [ { "value" : [ 1 , "1" ] , "metric" : { "a" : "b" } } ], "resultType" : "vector" } "#;
    let frame = frame(&memory, 5_007, members);
    assert!(frame.rendered(Format::Compact).schema().is_some());
    let came: Value = serde_json::from_str(&data(&frame.head(), "metric-update")).unwrap();
    let folded: Value = serde_json::from_str(&client.read(&frame)).unwrap();
    assert_eq!(folded, came);
}

/// Label sets with all that JSON and Prometheus know.
fn labels() -> impl Strategy<Value = Vec<String>> {
    let label = proptest::collection::btree_map("[a-zA-Z_ü.\"]{0,6}", any::<String>(), 0..4);
    let json = label.prop_map(|labels| serde_json::to_string(&labels).unwrap());
    proptest::collection::btree_set(json, 1..8).prop_map(|sets| sets.into_iter().collect())
}

fn point() -> impl Strategy<Value = String> {
    const SPECIAL: &[&str] = &["NaN", "+Inf", "-Inf", "0", "-0", "0.10", "1e-07", "1e+21", "5e-324"];
    let sample = prop_oneof![
        select(SPECIAL).prop_map(str::to_owned),
        any::<f64>().prop_map(|value| value.to_string()),
    ];
    let histogram = any::<(u32, f32)>().prop_map(|(count, sum)| {
        format!(r#"{{"count":"{count}","sum":"{sum}","buckets":[[3,"-0.5","0.5","{count}"]]}}"#)
    });
    prop_oneof![
        4 => sample.prop_map(|value| format!(r#""value":[TIME,"{value}"]"#)),
        1 => histogram.prop_map(|value| format!(r#""histogram":[TIME,{value}]"#)),
    ]
}

/// The members of an update over some of these label sets, in any order.
fn update(sets: &[String]) -> impl Strategy<Value = String> + use<> {
    let some = subsequence(sets.to_vec(), 0..=sets.len()).prop_shuffle();
    let points = proptest::collection::vec(point(), sets.len());
    let time = select(&["1764000003.007", "1764000003", "0.1"][..]);
    let told =
        select(&["", r#","warnings":["w"]"#, r#","warnings":[],"infos":["\n","é"]"#, r#","infos":null"#][..]);
    (some, points, time, told).prop_map(|(some, points, time, told)| {
        let one = |(labels, point): (String, String)| format!(r#"{{"metric":{labels},{point}}}"#);
        let result: Vec<_> = some.into_iter().zip(points).map(one).collect();
        vector(&result.join(",")).replace("[TIME,", &format!("[{time},")) + told
    })
}

fn course() -> impl Strategy<Value = (Vec<String>, Vec<usize>)> {
    let updates = labels().prop_flat_map(|sets| proptest::collection::vec(update(&sets), 1..12));
    updates.prop_flat_map(|updates| {
        let order: Vec<_> = (0..updates.len()).collect();
        (Just(updates), Just(order).prop_shuffle())
    })
}

proptest! {
    #[test]
    fn the_fold_of_what_is_sent_is_what_came((updates, order) in course()) {
        let memory = Memory::new(key());
        let frames: Vec<_> = (0..).zip(&updates).map(|(tick, members)| frame(&memory, tick, members)).collect();
        // Somebody who comes back may have older updates rendered after newer ones.
        for index in order {
            frames[index].rendered(Format::Compact);
        }
        let mut newcomers = Vec::new();
        for frame in &frames {
            newcomers.push(Client::default());
            for client in &mut newcomers {
                prop_assert_eq!(client.read(frame), data(&frame.head(), "metric-update"));
            }
        }
    }

    #[test]
    fn another_order_costs_no_schema(sets in labels(), seed in any::<u64>()) {
        let (memory, mut client) = (Memory::new(key()), Client::default());
        for turn in 0..4u64 {
            let mut sets = sets.clone();
            sets.sort_by_key(|set| blake3::hash(format!("{set}{turn}{seed}").as_bytes()).to_hex());
            let result: Vec<_> = sets.iter().map(|set| format!(r#"{{"metric":{set},"value":[1,"1"]}}"#)).collect();
            let frame = frame(&memory, 1, &vector(&result.join(",")));
            prop_assert_eq!(client.read(&frame), data(&frame.head(), "metric-update"));
        }
        prop_assert_eq!(client.schemas, 1);
    }
}
