//! What is measured: one sample for each thing that was measured of a server in a round.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::client::{Faults, Outcome};
use super::server::Kind;
use crate::measure::stats;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// Connections that are opened, and idle.
    Open,
    /// Events at a fixed rate.
    Paced,
    /// Events as fast as they are read: one on its way, one waiting.
    Saturated,
    /// Events in bursts of eight: one burst on its way, one waiting.
    Backlog,
    /// A small topic beside a large one.
    HeadOfLine,
    /// Clients that stopped reading.
    Stuck,
    /// A thousand streams on fewer connections of HTTP/2.
    Http2,
    /// An update of 64 series with gzip.
    Gzip,
}

impl Cell {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::Open,
        Self::Paced,
        Self::Saturated,
        Self::Backlog,
        Self::HeadOfLine,
        Self::Stuck,
        Self::Http2,
        Self::Gzip,
    ];

    /// What it is called on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paced => "paced",
            Self::Saturated => "saturated",
            Self::Backlog => "backlog",
            Self::HeadOfLine => "head-of-line",
            Self::Stuck => "stuck",
            Self::Http2 => "http2",
            Self::Gzip => "gzip",
        }
    }
}

/// A number that was measured. Times in milliseconds unless named otherwise, memory in bytes, shares from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Processor time of the server for an event that was read, in microseconds.
    MicrosPerEvent,
    /// Events that were read in a second, by all together.
    EventsPerSecond,
    /// The delay from publication to the client that half of the events stay within.
    P50,
    /// … 99 %.
    P99,
    /// … 99.9 %.
    P999,
    /// … 99 % of the events of the large topic beside the measured one.
    P99OfLarge,
    /// The part of its core that the client's side took.
    ClientBusy,
    /// The part of the server's core that others took.
    Strangers,
    /// Events that a connection did not get.
    Missing,
    /// Events that a connection got again or out of order.
    Doubled,
    /// Connections that the server ended.
    Ended,
    /// Events that had not come to a connection seconds after the last was published.
    Unread,
    /// Connections that got no stream.
    Refused,
    /// Streams opened in a second.
    ConnectsPerSecond,
    /// Resident memory of the server for a connection, before the first event.
    ResidentIdle,
    /// Resident memory of the server for a connection, after the events.
    ResidentUsed,
    /// Kernel memory for a connection, both of its ends.
    KernelPerConnection,
    /// Kernel memory of the server's socket, of the one that stopped reading with the most.
    KernelStuck,
    /// Resident memory of the server for a client that stopped reading, beyond what it had before.
    ResidentStuck,
    /// Bytes on the wire for an event without a content coding.
    BytesIdentity,
    /// Bytes on the wire for an event with gzip.
    BytesGzip,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// What was looked at.
    pub cell: Cell,
    /// Of whom.
    pub server: Kind,
    /// Connections.
    pub connections: usize,
    /// Bytes of an event's body.
    pub bytes: usize,
    /// The round, from 0: samples of a round are close in time.
    pub round: u32,
    /// The numbers.
    pub values: BTreeMap<Value, f64>,
    /// What there is to say to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Sample {
    /// One without numbers.
    pub fn new(cell: Cell, server: Kind, connections: usize, bytes: usize, round: u32) -> Self {
        Self { cell, server, connections, bytes, round, values: BTreeMap::new(), notes: Vec::new() }
    }

    /// Adds a number.
    #[must_use]
    pub fn with(mut self, value: Value, number: f64) -> Self {
        self.values.insert(value, number);
        self
    }

    /// Adds what a run of one channel showed.
    #[must_use]
    pub fn with_outcome(mut self, outcome: &mut Outcome, faults: Faults) -> Self {
        let events: u64 = outcome.tallies.iter().map(|tally| tally.events).sum();
        let used = outcome.used;
        if events > 0 {
            self.values.insert(Value::MicrosPerEvent, used.server * 1e6 / events as f64);
        }
        self.values.insert(Value::EventsPerSecond, events as f64 / used.seconds);
        self.values.insert(Value::ClientBusy, used.client);
        self.values.insert(Value::Strangers, used.strangers);
        // Where there are two channels, the last is the one that is looked at.
        if let Some(tally) = outcome.tallies.last_mut() {
            for (value, permille) in [(Value::P50, 500), (Value::P99, 990), (Value::P999, 999)] {
                if let Some(delay) = stats::permille(&mut tally.delays, permille) {
                    self.values.insert(value, f64::from(delay) / 1e3);
                }
            }
        }
        self.with(Value::Missing, faults.missing as f64)
            .with(Value::Doubled, faults.doubled as f64)
            .with(Value::Ended, faults.ended as f64)
            .with(Value::Unread, faults.unread as f64)
    }

    /// A number.
    pub fn value(&self, value: Value) -> Option<f64> {
        self.values.get(&value).copied()
    }

    /// What our own server must never do, if it did.
    pub fn broken(&self) -> Option<String> {
        // A client that lags skips events, and is told, where that is not turned off.
        if self.server != Kind::Gateway || self.cell == Cell::Stuck {
            return None;
        }
        let wrong = [Value::Missing, Value::Doubled, Value::Ended, Value::Unread, Value::Refused];
        let wrong: Vec<_> = wrong
            .into_iter()
            .filter_map(|value| {
                self.value(value).filter(|number| *number > 0.0).map(|n| format!("{value:?} {n}"))
            })
            .collect();
        let place =
            format!("{} with {} connections, {} bytes", self.cell.name(), self.connections, self.bytes);
        (!wrong.is_empty()).then(|| format!("{place}, round {}: {}", self.round, wrong.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_read_back_as_it_was_written() {
        let sample = Sample::new(Cell::Paced, Kind::NchanNodelay, 10, 2048, 1).with(Value::P99, 1.5);
        let json = serde_json::to_string(&sample).unwrap();
        assert!(json.contains(r#""server":"nchan_nodelay""#) && json.contains(r#""p99":1.5"#), "{json}");
        assert_eq!(serde_json::from_str::<Sample>(&json).unwrap(), sample);
    }

    #[test]
    fn a_loss_is_an_error_for_the_gateway_alone() {
        let lost = |server| Sample::new(Cell::Paced, server, 10, 2048, 0).with(Value::Missing, 2.0);
        assert!(lost(Kind::Gateway).broken().unwrap().contains("Missing 2"));
        assert_eq!(lost(Kind::Pushpin).broken(), None);
        assert_eq!(Sample::new(Cell::Paced, Kind::Gateway, 1, 1, 0).with(Value::Missing, 0.0).broken(), None);
    }
}
