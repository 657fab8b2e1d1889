//! What must be reached, each against what was measured in the same run.

use super::{Cell, Kind, Place, Report, Table, Value, number};

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What.
    pub what: String,
    /// The bound, and whether it is one from above.
    pub bound: f64,
    /// Whether less is better.
    pub at_most: bool,
    /// The unit, `×` for a ratio.
    pub unit: &'static str,
    /// What was measured; nothing where it was not.
    pub measured: Option<f64>,
}

impl Verdict {
    /// Whether it is reached; nothing where it was not measured.
    pub fn reached(&self) -> Option<bool> {
        self.measured
            .map(|measured| if self.at_most { measured <= self.bound } else { measured >= self.bound })
    }
}

const SMALL: usize = 2 * 1024;

fn at(cell: Cell, connections: usize) -> Place {
    Place { cell, bytes: SMALL, connections }
}

pub(super) fn judge(report: &Report) -> Vec<Verdict> {
    let mut all = Vec::new();
    ratios(report, &mut all);
    let median =
        |place, value, scale: f64| report.median(place, Kind::Gateway, value).map(|number| number / scale);
    let mut most = |what: &str, bound, unit, measured| {
        all.push(Verdict { what: what.to_owned(), bound, at_most: true, unit, measured });
    };
    let idle = median(at(Cell::Open, 10_000), Value::ResidentIdle, 1024.0);
    most("process memory for an idle connection, of 10,000", 2.5, "KB", idle);
    let stuck = median(at(Cell::Stuck, 100), Value::KernelStuck, 1024.0);
    most("kernel memory of a client that stopped reading", 64.0, "KB", stuck);
    let beside = median(at(Cell::HeadOfLine, 10_000), Value::P99, 1.0);
    most("p99 of a small topic beside 10,000 readers of another", 5.0, "ms", beside);
    for connections in [100, 10] {
        let what =
            format!("HTTP/2, {} streams on a connection: CPU per event against raw", 1000 / connections);
        let ours = report.median(at(Cell::Http2, connections), Kind::Gateway, Value::MicrosPerEvent);
        let raw = report.median(at(Cell::Paced, 1000), Kind::Limit, Value::MicrosPerEvent);
        // 2.0 µs where raw takes 2.5.
        most(&what, 0.8, "×", ours.zip(raw).map(|(ours, raw)| ours / raw));
    }
    let gzip = Place { cell: Cell::Gzip, bytes: 0, connections: 1 };
    let weight = |value| report.median(gzip, Kind::Gateway, value);
    let share = weight(Value::BytesGzip)
        .zip(weight(Value::BytesIdentity))
        .map(|(zipped, plain)| 100.0 * zipped / plain);
    most("an update of 64 series with gzip, of its bytes", 3.0, "%", share);
    all
}

/// The rows that compare with another server.
fn ratios(report: &Report, all: &mut Vec<Verdict>) {
    use Cell::{Backlog, Paced, Saturated};
    use Kind::{Limit, Nchan, NchanNodelay, Pushpin};
    use Value::{EventsPerSecond, MicrosPerEvent, P99};
    let rows = [
        (Paced, "CPU per event", MicrosPerEvent, Limit, &[(1000, 1.15), (10_000, 1.15)][..]),
        (Saturated, "CPU per event", MicrosPerEvent, Limit, &[(1000, 1.15), (10_000, 1.15)]),
        (Saturated, "events/s", EventsPerSecond, Nchan, &[(1000, 4.0), (10_000, 2.5)]),
        (Paced, "CPU per event", MicrosPerEvent, NchanNodelay, &[(1000, 0.6), (10_000, 0.6)]),
        (Paced, "CPU per event", MicrosPerEvent, Pushpin, &[(1000, 0.1), (10_000, 0.1)]),
        (Paced, "p99 delay", P99, Limit, &[(1000, 1.3), (10_000, 1.3)]),
        (Paced, "p99 delay", P99, NchanNodelay, &[(1000, 0.7)]),
    ];
    for (cell, name, value, other, bounds) in rows {
        for (connections, bound) in bounds {
            let place = at(cell, *connections);
            let at_most = value != EventsPerSecond;
            let (what, measured) = (what(place, name, other), report.ratio(place, value, other));
            all.push(Verdict { what, bound: *bound, at_most, unit: "×", measured });
        }
    }
    // A backlog of eight against one event after the other.
    for connections in [1000, 10_000] {
        let ours = report.median(at(Backlog, connections), Kind::Gateway, EventsPerSecond);
        let raw = report.median(at(Backlog, connections), Limit, EventsPerSecond);
        let what = format!(
            "events/s with a backlog of 8 against raw, which sends each by itself, {connections} connections"
        );
        let measured = ours.zip(raw).map(|(ours, raw)| ours / raw);
        all.push(Verdict { what, bound: 2.5, at_most: false, unit: "×", measured });
    }
}

fn what(place: Place, name: &str, other: Kind) -> String {
    format!("{name}, {}, against {}, {} connections", place.cell.name(), other.title(), place.connections)
}

pub(super) fn write(text: &mut String, verdicts: &[Verdict]) {
    let mut table = Table::new(&["", "must reach", "measured", ""]);
    for verdict in verdicts {
        let sign = if verdict.at_most { "≤" } else { "≥" };
        let said = match verdict.reached() {
            Some(true) => "reached",
            Some(false) => "**not reached**",
            None => "not measured",
        };
        table.row(vec![
            verdict.what.clone(),
            format!("{sign} {} {}", verdict.bound, verdict.unit),
            format!("{} {}", number(verdict.measured), verdict.unit),
            said.to_owned(),
        ]);
    }
    table.write(text, "What must be reached");
}
