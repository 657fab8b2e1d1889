//! The benchmark of fan-out runs from end to end, with numbers too small to mean anything: so that it cannot rot.

use std::time::Duration;

use e2e::bench::report::Report;
use e2e::bench::sample::{Cell, Value};
use e2e::bench::server::Kind;
use e2e::programs::run_within;

#[tokio::test]
async fn the_gateway_is_measured_beside_the_bare_loop() {
    let folder = tempfile::tempdir().unwrap();
    let (json, markdown) = (folder.path().join("fanout.json"), folder.path().join("fanout.md"));
    let what = ["--rounds", "1", "--servers", "gateway,raw", "--connections", "20", "--kilobytes", "2"];
    let short =
        ["--pace", "0.2", "--crowd", "50", "--only", "open,paced,saturated,backlog,head-of-line,gzip"];
    let files = ["--json", json.to_str().unwrap(), "--markdown", markdown.to_str().unwrap()];
    let (code, output) =
        run_within("bench", &[&what[..], &short, &files].concat(), Duration::from_secs(120)).await;
    assert_eq!(code, Some(0), "{output}");

    let report: Report = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    for server in [Kind::Gateway, Kind::Limit] {
        for cell in [Cell::Open, Cell::Paced, Cell::Saturated, Cell::Backlog, Cell::HeadOfLine] {
            let mut samples =
                report.samples.iter().filter(|sample| (sample.cell, sample.server) == (cell, server));
            let sample = samples.next().unwrap_or_else(|| panic!("{cell:?} of {server:?}: {output}"));
            if cell != Cell::Open {
                assert!(sample.value(Value::EventsPerSecond) > Some(0.0), "{sample:?}");
                assert!(sample.value(Value::MicrosPerEvent) > Some(0.0), "{sample:?}");
                assert_eq!(sample.value(Value::Missing), Some(0.0), "{sample:?}");
            }
        }
    }
    let weighed = report.samples.iter().find(|sample| sample.cell == Cell::Gzip).unwrap();
    assert!(weighed.value(Value::BytesIdentity) > Some(10_000.0), "{weighed:?}");
    let tables = std::fs::read_to_string(&markdown).unwrap();
    for part in ["### CPU per event", "### What must be reached", "### Fan-out", "| backlog | 20 | 2 KB |"] {
        assert!(tables.contains(part) && output.contains(part), "{part} is missing in {tables}");
    }
}
