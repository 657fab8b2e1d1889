//! The text: HELP and TYPE once for each family, then its series, labels in dcgm-exporter's order.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::clock;
use crate::config::{Config, Profile};
use crate::families::{FAMILIES, Family, Source, Value};
use crate::faults::Xid;
use crate::fleet::{self, Board, Unit};
use crate::physics::WINDOW_S;
use crate::reading::Reading;

/// A fleet and how to read it. Immutable: a scrape changes nothing.
#[derive(Debug)]
pub(crate) struct Exporter {
    boards: Vec<Board>,
    profile: Profile,
    collect_interval: Duration,
}

/// A series of a family beyond the labels of its unit.
struct Sample {
    /// Labels before the tenant's, with leading commas.
    extra: String,
    /// `err_code` and `err_msg`, which sort among the tenant's.
    error: String,
    value: Value,
}

impl Exporter {
    /// The exporter of a configuration.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            boards: fleet::build(config),
            profile: config.profile,
            collect_interval: config.collect_interval,
        }
    }

    /// The exposition that a scrape at `now_ms` (Unix milliseconds) gets. Equal bytes within a collection interval.
    pub(crate) fn render(&self, now_ms: u64) -> Result<String, fmt::Error> {
        let t_ms = clock::collection_ms(now_ms, self.collect_interval);
        let readings: Vec<Reading> =
            self.boards.iter().map(|board| Reading::take(board, self.profile, t_ms)).collect();
        let mut text = String::new();
        for family in FAMILIES {
            self.family(&mut text, family, &readings)?;
        }
        Ok(text)
    }

    fn family(&self, text: &mut String, family: &Family, readings: &[Reading]) -> fmt::Result {
        let Family { name, kind, help, source, .. } = family;
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str())?;
        for (board, reading) in self.boards.iter().zip(readings) {
            for (index, unit) in board.units.iter().enumerate() {
                for sample in self.samples(*source, reading, unit, index) {
                    for tenant in &unit.attributes {
                        let Sample { extra, error, value } = &sample;
                        let (labels, head, tail) = (&unit.labels, &tenant.head, &tenant.tail);
                        writeln!(text, "{name}{{{labels}{extra}{head}{error}{tail}}} {value}")?;
                    }
                }
            }
        }
        Ok(())
    }

    fn samples(&self, source: Source, reading: &Reading, unit: &Unit, index: usize) -> Vec<Sample> {
        let counters = reading.units.get(index);
        match source {
            Source::Board(value) => vec![Sample::plain(value(reading))],
            Source::Unit(value) => {
                counters.map(|counters| Sample::plain(value(counters))).into_iter().collect()
            }
            Source::WholeGpu(_) if unit.mig => Vec::new(),
            Source::WholeGpu(value) => {
                counters.map(|counters| Sample::plain(value(counters))).into_iter().collect()
            }
            Source::Reserved => vec![Sample::plain(Value::Whole(unit.reserved_mib))],
            Source::LastXid => vec![last_xid(reading.last_xid)],
            Source::XidWindow => {
                let codes = reading.recent_xids.iter();
                or_zero(codes.map(|(xid, count)| window("", &format!(r#",xid="{}""#, xid.code), *count)))
            }
            Source::ClockWindow => or_zero(reading.state.limited_s.iter().map(|(reason, seconds)| {
                let event = format!(r#",clock_event="{}""#, reason.as_str());
                window(&event, "", self.samples_in(*seconds))
            })),
        }
    }

    /// Samples that DCGM takes in so many seconds: its clock-event count grows with the rate of collection.
    fn samples_in(&self, seconds: u64) -> u64 {
        let interval_ms = u64::try_from(self.collect_interval.as_millis()).unwrap_or(u64::MAX).max(1);
        (seconds * 1000).div_ceil(interval_ms)
    }
}

impl Sample {
    fn plain(value: Value) -> Self {
        Self { extra: String::new(), error: String::new(), value }
    }
}

fn last_xid(xid: Xid) -> Sample {
    let Xid { code, message } = xid;
    let error = format!(r#",err_code="{code}",err_msg="{message}""#);
    Sample { error, ..Sample::plain(Value::Whole(code as f64)) }
}

/// A series of a window; labels are sorted, so `clock_event` comes before the window's size and `xid` after it.
fn window(before: &str, after: &str, count: u64) -> Sample {
    let extra = format!(r#"{before},window_size_in_ms="{}"{after}"#, WINDOW_S * 1000);
    Sample { extra, ..Sample::plain(Value::Whole(count as f64)) }
}

/// A window with nothing in it has one series, without the label of what was counted.
fn or_zero(samples: impl Iterator<Item = Sample>) -> Vec<Sample> {
    let mut samples: Vec<Sample> = samples.collect();
    if samples.is_empty() {
        samples.push(window("", "", 0));
    }
    samples
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => write!(f, "{:.0}", value.floor()),
            Self::Real(value) => write!(f, "{value:.6}"),
        }
    }
}

#[cfg(test)]
mod tests;
