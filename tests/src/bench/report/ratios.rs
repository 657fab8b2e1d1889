//! The gateway against each of the others.

use super::{Cell, Kind, Place, Report, Table, Value, number, size};

const OTHERS: [Kind; 4] = [Kind::Limit, Kind::Nchan, Kind::NchanNodelay, Kind::Pushpin];

pub(super) fn write(text: &mut String, report: &Report) {
    let head = ["", "connections", "event", "÷ raw", "÷ nchan", "÷ nchan, NODELAY", "÷ Pushpin"];
    let tables = [
        (
            "CPU per event, the gateway's in proportion (less is better)",
            Value::MicrosPerEvent,
            &[Cell::Paced, Cell::Saturated, Cell::Backlog][..],
        ),
        (
            "Events a second, the gateway's in proportion (more is better)",
            Value::EventsPerSecond,
            &[Cell::Saturated, Cell::Backlog][..],
        ),
        (
            "Delay at a fixed rate, 99 % within, the gateway's in proportion (less is better)",
            Value::P99,
            &[Cell::Paced, Cell::HeadOfLine][..],
        ),
    ];
    for (title, value, cells) in tables {
        let mut table = Table::new(&head);
        for place in report.places(cells) {
            let ratios = OTHERS.map(|other| ratio(report, place, value, other));
            if ratios.iter().any(Option::is_some) {
                let mut row =
                    vec![place.cell.name().to_owned(), place.connections.to_string(), size(place.bytes)];
                row.extend(ratios.map(number));
                table.row(row);
            }
        }
        table.write(text, title);
    }
}

/// Pushpin is fed at a quarter of the rate: its delays are those of another load.
fn ratio(report: &Report, place: Place, value: Value, other: Kind) -> Option<f64> {
    let comparable = other != Kind::Pushpin || value != Value::P99;
    comparable.then(|| report.ratio(place, value, other)).flatten()
}
