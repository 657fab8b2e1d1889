//! The numbers themselves.

use super::{Cell, Kind, Place, Report, Table, Value, number, size};

pub(super) fn write(text: &mut String, report: &Report) {
    fan_out(text, report);
    connections(text, report);
    beside(text, report);
    stuck(text, report);
    http2(text, report);
    gzip(text, report);
}

fn fan_out(text: &mut String, report: &Report) {
    let mut table = Table::new(&[
        "",
        "connections",
        "event",
        "server",
        "µs/event",
        "events/s",
        "p50, ms",
        "p99, ms",
        "p99.9, ms",
        "missing",
        "doubled",
        "client's core",
        "",
    ]);
    for place in report.places(&[Cell::Paced, Cell::Saturated, Cell::Backlog]) {
        for server in Kind::ALL {
            let Some(micros) = report.median(place, server, Value::MicrosPerEvent) else { continue };
            let of = |value| report.median(place, server, value);
            let mut row = begin(place);
            row.extend([server.title().to_owned(), number(Some(micros)), number(of(Value::EventsPerSecond))]);
            row.extend([Value::P50, Value::P99, Value::P999].map(|value| number(of(value))));
            row.extend([Value::Missing, Value::Doubled].map(|value| total(report, place, server, value)));
            row.push(percent(of(Value::ClientBusy)));
            row.push(report.remarks(place, server).join(", "));
            table.row(row);
        }
    }
    table.write(text, "Fan-out");
}

fn begin(place: Place) -> Vec<String> {
    vec![place.cell.name().to_owned(), place.connections.to_string(), size(place.bytes)]
}

/// Of all rounds together.
fn total(report: &Report, place: Place, server: Kind, value: Value) -> String {
    let samples = report.of(place.cell, server, place.connections, place.bytes);
    let sum: f64 = samples.filter_map(|sample| sample.value(value)).sum();
    format!("{sum:.0}")
}

fn percent(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

fn kib(bytes: Option<f64>) -> String {
    number(bytes.map(|bytes| bytes / 1024.0))
}

fn connections(text: &mut String, report: &Report) {
    let mut table = Table::new(&[
        "server",
        "connections",
        "event",
        "memory of the process for each, KB",
        "after the events, KB",
        "of the kernel, both ends, KB",
        "opened/s",
    ]);
    for place in report.places(&[Cell::Open]).into_iter().filter(|place| place.connections >= 1000) {
        for server in Kind::ALL {
            let of = |value| report.median(place, server, value);
            let Some(opened) = of(Value::ConnectsPerSecond) else { continue };
            let mut row = vec![server.title().to_owned(), place.connections.to_string(), size(place.bytes)];
            row.extend(
                [Value::ResidentIdle, Value::ResidentUsed, Value::KernelPerConnection]
                    .map(|value| kib(of(value))),
            );
            row.push(number(Some(opened)));
            table.row(row);
        }
    }
    table.write(text, "Connections");
}

fn beside(text: &mut String, report: &Report) {
    let mut table = Table::new(&[
        "server",
        "small topic p50, ms",
        "p99, ms",
        "p99.9, ms",
        "large topic p99, ms",
        "µs/event",
        "",
    ]);
    for place in report.places(&[Cell::HeadOfLine]) {
        for server in Kind::ALL {
            let of = |value| report.median(place, server, value);
            let Some(p99) = of(Value::P99) else { continue };
            table.row(vec![
                server.title().to_owned(),
                number(of(Value::P50)),
                number(Some(p99)),
                number(of(Value::P999)),
                number(of(Value::P99OfLarge)),
                number(of(Value::MicrosPerEvent)),
                report.remarks(place, server).join(", "),
            ]);
        }
    }
    table.write(text, "10 readers at 50 events/s beside 10,000 at 6");
}

fn stuck(text: &mut String, report: &Report) {
    let mut table =
        Table::new(&["server", "kernel memory, the most of 100, KB", "process memory for each, KB"]);
    for place in report.places(&[Cell::Stuck]) {
        for server in Kind::ALL {
            let of = |value| report.median(place, server, value);
            let Some(kernel) = of(Value::KernelStuck) else { continue };
            table.row(vec![server.title().to_owned(), kib(Some(kernel)), kib(of(Value::ResidentStuck))]);
        }
    }
    table.write(text, "A client that stopped reading");
}

fn http2(text: &mut String, report: &Report) {
    let mut table =
        Table::new(&["connections", "streams on each", "µs/event", "events/s", "client's core", ""]);
    for place in report.places(&[Cell::Http2]) {
        let of = |value| report.median(place, Kind::Gateway, value);
        table.row(vec![
            place.connections.to_string(),
            (1000 / place.connections.max(1)).to_string(),
            number(of(Value::MicrosPerEvent)),
            number(of(Value::EventsPerSecond)),
            percent(of(Value::ClientBusy)),
            report.remarks(place, Kind::Gateway).join(", "),
        ]);
    }
    table.write(text, "1,000 streams of the gateway over HTTP/2, at a fixed rate");
}

fn gzip(text: &mut String, report: &Report) {
    let mut table = Table::new(&["an update of 64 series", "bytes on the wire"]);
    for place in report.places(&[Cell::Gzip]) {
        for (name, value) in [("as it is", Value::BytesIdentity), ("gzip", Value::BytesGzip)] {
            let bytes = report.median(place, Kind::Gateway, value);
            table.row(vec![name.to_owned(), bytes.map_or("–".to_owned(), |bytes| format!("{bytes:.0}"))]);
        }
    }
    table.write(text, "On the wire");
}
