//! What clients make of the formats: the fold that `docs/formats.md` gives, in Node, and Grafana's own reader of frames.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use e2e::process::Process;
use e2e::wait::PATIENCE;
use promcast_gateway::sse::{Format, Frame, Memory, Span};
use promcast_proto::body::Body;
use promcast_proto::tick::{Interval, Tick};
use promcast_proto::topic::{Datasource, Key, Topic};
use promcast_proto::update::{Outcome, Update};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

const DOCUMENT: &str = include_str!("../../docs/formats.md");

/// Reads the lines that a test wrote, and compares each update that it folds with what came.
const DRIVER: &str = "
import { readFileSync } from 'node:fs'
import { deepStrictEqual } from 'node:assert'
const schemas = new Map()
let folded = 0
for (const line of readFileSync(process.argv[2], 'utf8').trim().split('\\n')) {
  const { name, data, came } = JSON.parse(line)
  const update = fold(schemas, name, data)
  if (came === undefined) continue
  deepStrictEqual(update, JSON.parse(came))
  folded += 1
}
console.log(JSON.stringify({ folded }))
";

fn key() -> Key {
    Topic::new(Datasource::default(), "up".to_owned()).key()
}

fn frame(memory: &Memory, tick: i64, data: &str, told: &str) -> Frame {
    let json = format!(r#"{{"topic":"{}","tick":{tick},"took_ms":12,"data":{data}{told}}}"#, key());
    let outcome = Outcome::Result(Body::pack(json.into_bytes()).unwrap());
    let update = Update { key: key(), tick: Tick::from_millis(tick), took_ms: 3, outcome };
    Frame::of_update(update, 1 << 20, memory).unwrap()
}

fn vector(result: &[&str]) -> String {
    format!(r#"{{"resultType":"vector","result":[{}]}}"#, result.join(","))
}

/// Name and data of an event.
fn parts(event: &[u8]) -> (String, String) {
    let text = String::from_utf8(event.to_vec()).unwrap();
    let (name, data) = text.trim_end().strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
    (name.to_owned(), data.to_owned())
}

/// Runs a script on these lines; what it printed.
async fn node(script: &Path, lines: &[String], folder: &TempDir) -> Vec<Value> {
    let file = folder.path().join("lines");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let mut command = Command::new("node");
    command.arg(script).arg(file);
    let mut process = Process::spawn("node", &mut command);
    let status = process.exit(PATIENCE).await;
    let output = process.output();
    assert!(status.success(), "{status}: {output}");
    output.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

const A: &str = r#"{"metric":{"__name__":"up","gpu":"0"},"value":[1764000003.007,"1.50"]}"#;
const B: &str = r#"{"metric":{"__name__":"up","é\"\\ ":"\n</script>"},"value":[1764000003.007,"NaN"]}"#;
const C: &str = r#"{"metric":{"__proto__":"x","constructor":"y"},"value":[1764000003.007,"+Inf"]}"#;
const D: &str =
    r#"{"metric":{},"histogram":[1764000003.007,{"count":"1","sum":"2","buckets":[[0,"1","2","1"]]}]}"#;

#[tokio::test]
async fn the_fold_of_the_documentation_gives_back_what_came() {
    let memory = Memory::new(key());
    let told = r#","warnings":["w\n"],"infos":["i"]"#;
    let scalar = r#"{"resultType":"scalar","result":[1764000003.007,"1"]}"#;
    let updates = [
        (vector(&[A, B, C, D]), ""),
        (vector(&[D, C, A, B]), told),
        (vector(&[A, C]), ""),
        (vector(&[]), told),
        (vector(&[C, A]), ""),
        (scalar.to_owned(), ""),
        (vector(&[B]), told),
        (vector(&[A, B, C, D]), ""),
    ];
    let (mut lines, mut known) = (Vec::new(), None);
    for (tick, (data, told)) in (1..).zip(&updates) {
        let frame = frame(&memory, tick, data, told);
        let rendered = frame.rendered(Format::Compact);
        if let Some(schema) = rendered.schema().filter(|schema| Some(schema.id()) != known.as_deref()) {
            known = Some(schema.id().to_owned());
            let (name, data) = parts(schema.event());
            lines.push(json!({ "name": name, "data": data }).to_string());
        }
        let ((name, data), (_, came)) = (parts(rendered.head()), parts(&frame.head()));
        lines.push(json!({ "name": name, "data": data, "came": came }).to_string());
    }
    assert_eq!(lines.len(), updates.len() + 4, "another order or an empty result cost a schema");

    let (_, script) = DOCUMENT.split_once("```js\n").expect("a fold in docs/formats.md");
    let (fold, _) = script.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("fold.mjs");
    std::fs::write(&script, format!("{fold}{DRIVER}")).unwrap();
    assert_eq!(node(&script, &lines, &folder).await, [json!({ "folded": updates.len() })]);
}

#[test]
fn the_examples_of_the_documentation_are_what_is_sent() {
    let sample = |gpu: u32, value: &str| {
        format!(r#"{{"metric":{{"gpu":"{gpu}"}},"value":[1764000003.007,"{value}"]}}"#)
    };
    let (one, other) = (sample(0, "71"), sample(1, "NaN"));
    let text = |event: &[u8]| String::from_utf8(event.to_vec()).unwrap();
    let memory = Memory::new(key());
    let compact = frame(&memory, 1_764_000_003_007, &vector(&[&one, &other]), "");
    let compact = compact.rendered(Format::Compact);
    let single = frame(&memory, 1_764_000_003_007, &vector(&[&one]), "");
    for example in [
        text(compact.schema().unwrap().event()),
        text(compact.whole()),
        format!("{}\n", parts(&single.head()).1),
        format!("{}\n", framed(&single)),
    ] {
        assert!(DOCUMENT.contains(example.trim_end()), "docs/formats.md lacks\n{example}");
    }
}

fn frames_script() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/node");
    assert!(folder.join("node_modules/@grafana/data").is_dir(), "run `npm ci` in tests/clients/node first");
    folder.join("frames.mjs")
}

fn framed(frame: &Frame) -> String {
    parts(frame.rendered(Format::Grafana).head()).1
}

fn values(frame: &Value) -> Value {
    frame["fields"].as_array().unwrap().iter().map(|field| field["values"].clone()).collect()
}

#[tokio::test]
async fn grafana_reads_the_frames() {
    let memory = Memory::new(key());
    let negative = r#"{"metric":{"a":"b"},"value":[1764000003.007,"-Inf"]}"#;
    let span = Span::new(
        key(),
        Interval::from_secs(5).unwrap(),
        Tick::from_millis(1_007),
        Tick::from_millis(11_007),
        br#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"1"},"values":[[1.007,"1"],[6.007,"NaN"],[11.007,"1e-07"]]},{"metric":{"a":"2"},"values":[[6.007,"2"]]}]}}"#,
    )
    .unwrap();
    let lines = [
        framed(&frame(&memory, 1, &vector(&[A, B, C, D, negative]), "")),
        framed(&frame(&memory, 1, r#"{"resultType":"string","result":[1,"NaN"]}"#, "")),
        framed(&frame(&memory, 1, &vector(&[]), "")),
        parts(span.head(Format::Grafana)).1,
    ];
    let folder = tempfile::tempdir().unwrap();
    let read = node(&frames_script(), &lines, &folder).await;

    let mut shown: Vec<_> = read[0]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| {
            (field["display"].as_str().unwrap(), field["type"].as_str().unwrap(), &field["values"][0])
        })
        .collect();
    shown.sort_by_key(|(display, ..)| *display);
    let time = json!("1764000003007");
    let histogram = json!({ "count": "1", "sum": "2", "buckets": [[0, "1", "2", "1"]] });
    assert_eq!(
        shown,
        [
            ("Time", "time", &time),
            ("up{\"é\\\"\\\\ \"=\"\\n</script>\"}", "number", &json!("NaN")),
            ("up{gpu=\"0\"}", "number", &json!("1.5")),
            ("{__proto__=\"x\",constructor=\"y\"}", "number", &json!("Infinity")),
            ("{a=\"b\"}", "number", &json!("-Infinity")),
            ("{}", "other", &histogram),
        ]
    );
    assert_eq!(read[0]["meta"], json!({ "type": "timeseries-wide", "typeVersion": [0, 1] }));
    let named = |label: &str| {
        read[0]["fields"].as_array().unwrap().iter().any(|field| field["labels"]["gpu"] == label)
    };
    assert!(named("0"), "the labels are lost: {}", read[0]);
    assert_eq!(values(&read[1]), json!([["1000"], ["NaN"]]));
    assert_eq!((&read[2]["length"], values(&read[2])), (&json!(0), json!([[]])));
    assert_eq!(values(&read[3]), json!([["1007", "6007", "11007"], ["1", "NaN", "1e-7"], [null, "2", null]]));
}

/// Grafana Live keeps what came before by the names of fields, so that another order, or a series that comes or goes,
/// must not move the values of one series to another.
#[tokio::test]
async fn grafana_live_keeps_the_series_apart() {
    let memory = Memory::new(key());
    let value = |gpu: u32, time: u32| (gpu + 1) * 10 + time;
    let sample = |gpu: u32, time: u32| {
        format!(r#"{{"metric":{{"gpu":"{gpu}"}},"value":[{time},"{}"]}}"#, value(gpu, time))
    };
    let update = |time: u32, gpus: &[u32]| {
        let samples: Vec<_> = gpus.iter().map(|gpu| sample(*gpu, time)).collect();
        let samples: Vec<_> = samples.iter().map(String::as_str).collect();
        framed(&frame(&memory, i64::from(time), &vector(&samples), ""))
    };
    let lines = [
        update(1, &[0, 1]),
        update(2, &[1, 0]),
        update(3, &[1, 0, 2]),
        update(4, &[0, 2]),
        update(5, &[3, 2]),
    ];
    let folder = tempfile::tempdir().unwrap();
    let read = node(&frames_script(), &lines, &folder).await;
    let live = &read.last().unwrap()["live"];
    assert_eq!(live[0]["values"], json!(["1000", "2000", "3000", "4000", "5000"]));
    for field in live.as_array().unwrap().iter().skip(1) {
        let gpu: u32 = field["labels"]["gpu"].as_str().unwrap().parse().unwrap();
        let values = field["values"].as_array().unwrap();
        assert_eq!(values.len(), 5);
        for (time, seen) in (1..).zip(values) {
            assert!(seen.is_null() || *seen == json!(value(gpu, time).to_string()), "gpu {gpu}: {values:?}");
        }
    }
    assert_eq!(live[1]["values"], json!([null, null, "33", "34", "35"]), "{live}");
}
