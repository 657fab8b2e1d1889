//! The tables: ratios first, what must be reached, then the numbers.

use serde::{Deserialize, Serialize};

use self::table::Table;
use super::cores::Cores;
use super::sample::{Cell, Sample, Value};
use super::server::Kind;
use super::suite::Results;
use crate::measure::machine::Machine;
use crate::measure::stats;

mod numbers;
mod ratios;
mod table;
mod targets;

pub use targets::Verdict;

/// The part of its core above which the client's side may be what was measured.
const CLIENT_IS_LIMIT: f64 = 0.90;

/// The part of the server's core above which others had a hand in it.
const DISTURBED: f64 = 0.10;

/// What is written as JSON: everything, for others to compute with.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// Who had which core.
    #[serde(skip, default = "Cores::find")]
    pub cores: Cores,
    /// All samples of all rounds.
    pub samples: Vec<Sample>,
    /// What could not be measured.
    pub left_out: Vec<String>,
}

impl Report {
    /// Of these results.
    pub fn new(machine: Machine, cores: Cores, results: Results) -> Self {
        Self { machine, cores, samples: results.samples, left_out: results.left_out }
    }

    /// Adds the samples of an earlier run, as rounds of their own.
    pub fn add(&mut self, earlier: Self) {
        let rounds = earlier.samples.iter().map(|sample| sample.round + 1).max().unwrap_or_default();
        for sample in &mut self.samples {
            sample.round += rounds;
        }
        self.samples.extend(earlier.samples);
        for left_out in earlier.left_out {
            if !self.left_out.contains(&left_out) {
                self.left_out.push(left_out);
            }
        }
    }

    /// The tables.
    pub fn markdown(&self) -> String {
        let mut text = self.facts();
        ratios::write(&mut text, self);
        targets::write(&mut text, &self.verdicts());
        numbers::write(&mut text, self);
        text
    }

    /// What must be reached, and whether it is.
    pub fn verdicts(&self) -> Vec<Verdict> {
        targets::judge(self)
    }

    fn facts(&self) -> String {
        let Machine { processor, cpus, memory, kernel, commit, versions } = &self.machine;
        let rounds = self.samples.iter().map(|sample| sample.round + 1).max().unwrap_or_default();
        let apart = if self.cores.are_apart() {
            "the server on one core, the client, its feeder and NATS on another"
        } else {
            "server and client on the same core, for there is one: ratios alone count"
        };
        let mut text = format!(
            "Commit {commit}. {processor}, {cpus} cores, {} GiB, Linux {kernel}; {}. {apart}. Medians of up to {rounds} rounds; a ratio is the \
             median of each round's.\n",
            memory >> 30,
            versions.join("; ")
        );
        for left_out in &self.left_out {
            text.push_str(&format!("\nNot measured: {left_out}.\n"));
        }
        text
    }

    fn of(
        &self,
        cell: Cell,
        server: Kind,
        connections: usize,
        bytes: usize,
    ) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| {
            (sample.cell, sample.server, sample.connections, sample.bytes)
                == (cell, server, connections, bytes)
        })
    }

    /// The median over the rounds.
    fn median(&self, place: Place, server: Kind, value: Value) -> Option<f64> {
        let samples = self.of(place.cell, server, place.connections, place.bytes);
        stats::median(&samples.filter_map(|sample| sample.value(value)).collect::<Vec<_>>())
    }

    /// The gateway against another: the median of the ratios of each round.
    fn ratio(&self, place: Place, value: Value, other: Kind) -> Option<f64> {
        let ours = self.of(place.cell, Kind::Gateway, place.connections, place.bytes);
        let ratios = ours.filter_map(|our| {
            let mut theirs = self.of(place.cell, other, place.connections, place.bytes);
            let theirs = theirs.find(|their| their.round == our.round)?.value(value)?;
            Some(our.value(value)? / theirs).filter(|ratio| ratio.is_finite())
        });
        stats::median(&ratios.collect::<Vec<_>>())
    }

    /// Where something was measured, each once, in order.
    fn places(&self, cells: &[Cell]) -> Vec<Place> {
        let mut places: Vec<Place> = self
            .samples
            .iter()
            .filter(|sample| cells.contains(&sample.cell))
            .map(|sample| Place { cell: sample.cell, bytes: sample.bytes, connections: sample.connections })
            .collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// What a reader of a number should know.
    fn remarks(&self, place: Place, server: Kind) -> Vec<&'static str> {
        let above = |value, limit| self.median(place, server, value).is_some_and(|share| share > limit);
        let remarks = [
            (above(Value::ClientBusy, CLIENT_IS_LIMIT), "client at its limit"),
            (above(Value::Strangers, DISTURBED), "disturbed"),
        ];
        remarks.into_iter().filter_map(|(is, remark)| is.then_some(remark)).collect()
    }
}

/// Something that was measured of several servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What.
    pub cell: Cell,
    /// Bytes of an event.
    pub bytes: usize,
    /// Connections.
    pub connections: usize,
}

/// Between these a page has the tables.
const MARKS: [&str; 2] = ["<!-- bench -->\n", "<!-- /bench -->"];

/// The page with the tables where it has a place for them; nothing where it has none.
pub fn put_into(page: &str, tables: &str) -> Option<String> {
    let (before, rest) = page.split_once(MARKS[0])?;
    let (_, after) = rest.split_once(MARKS[1])?;
    Some(format!("{before}{}\n{tables}\n{}{after}", MARKS[0], MARKS[1]))
}

/// A number with as many digits as it has meaning; a dash for none.
fn number(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value >= 10_000.0 => format!("{:.0},000", value / 1000.0),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// `2 KB` for 2048.
fn size(bytes: usize) -> String {
    format!("{} KB", bytes / 1024)
}

#[cfg(test)]
mod tests;
