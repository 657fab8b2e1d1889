//! Tests of the tables.

use super::*;
use crate::bench::cores::Cores;

fn machine() -> Machine {
    let text = || "a".to_owned();
    let (processor, kernel, commit) = (text(), text(), text());
    Machine { processor, cpus: 2, memory: 1 << 30, kernel, commit, versions: Vec::new() }
}

fn paced(server: Kind, round: u32, micros: f64) -> Sample {
    let sample = Sample::new(Cell::Paced, server, 1000, 2048, round).with(Value::MicrosPerEvent, micros);
    sample.with(Value::EventsPerSecond, 60_000.0).with(Value::ClientBusy, 0.95)
}

fn report(samples: Vec<Sample>) -> Report {
    Report { machine: machine(), cores: Cores { server: 0, client: 1 }, samples, left_out: Vec::new() }
}

#[test]
fn a_ratio_compares_what_was_measured_in_the_same_round() {
    // The machine was twice as slow in the second round: the medians alone would say 1.5.
    let samples = vec![
        paced(Kind::Gateway, 0, 3.0),
        paced(Kind::Limit, 0, 3.0),
        paced(Kind::Gateway, 1, 6.0),
        paced(Kind::Limit, 1, 6.0),
        paced(Kind::Gateway, 2, 6.0),
    ];
    let report = report(samples);
    let place = Place { cell: Cell::Paced, bytes: 2048, connections: 1000 };
    assert_eq!(report.ratio(place, Value::MicrosPerEvent, Kind::Limit), Some(1.0));
    assert_eq!(report.median(place, Kind::Gateway, Value::MicrosPerEvent), Some(6.0));
    assert_eq!(report.ratio(place, Value::MicrosPerEvent, Kind::Nchan), None);
}

#[test]
fn rows_are_reached_missed_or_not_measured() {
    let report =
        report(vec![paced(Kind::Gateway, 0, 3.6), paced(Kind::Limit, 0, 3.0), paced(Kind::Pushpin, 0, 40.0)]);
    let verdicts = report.verdicts();
    let row = |text: &str| verdicts.iter().find(|verdict| verdict.what.contains(text)).unwrap().reached();
    assert_eq!(row("CPU per event, paced, against raw, 1000"), Some(false));
    assert_eq!(row("CPU per event, paced, against Pushpin, 1000"), Some(true));
    assert_eq!(row("idle connection"), None);
    let text = report.markdown();
    assert!(text.contains("| paced | 1000 | 2 KB | 1.20 | – | – | 0.09 |"), "{text}");
    assert!(text.contains("**not reached**") && text.contains("client at its limit"), "{text}");
}

#[test]
fn an_earlier_run_is_more_rounds() {
    let mut later = report(vec![paced(Kind::Gateway, 0, 2.0)]);
    later.add(report(vec![paced(Kind::Gateway, 0, 1.0), paced(Kind::Gateway, 1, 3.0)]));
    let rounds: Vec<_> = later.samples.iter().map(|sample| sample.round).collect();
    assert_eq!(rounds, [2, 0, 1]);
}

#[test]
fn tables_take_the_place_of_earlier_ones_in_a_page() {
    let page = "# Title\n<!-- bench -->\nold\n<!-- /bench -->\nend\n";
    let first = put_into(page, "new").unwrap();
    assert_eq!(first, "# Title\n<!-- bench -->\n\nnew\n<!-- /bench -->\nend\n");
    assert_eq!(put_into(&first, "new").unwrap(), first);
    assert_eq!(put_into("# Title\n", "new"), None);
}

#[test]
fn numbers_have_as_many_digits_as_they_mean() {
    let texts = [Some(123_456.0), Some(1234.4), Some(12.34), Some(1.234), None].map(number);
    assert_eq!(texts, ["123,000", "1234", "12.3", "1.23", "–"]);
}
