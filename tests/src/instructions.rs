//! The instruction-count gate: what was counted, held against what is committed.
//!
//! The baseline says for which compiler it holds. With that one a case that grew by more than [`TOLERANCE`] is a failure,
//! and so is a case that is not in it. With another one nothing can be judged, which is said loudly.

use std::collections::BTreeMap;
use std::fmt::Write;

/// How far a count may be from the committed one, in percent: random keys of hash maps, and the processor's choice of
/// how memory is copied, make a difference of far less.
pub const TOLERANCE: f64 = 2.0;

/// What stands at the top of the file.
const HEAD: &str = "\
# Instructions of each case of gateway/benches/instructions.rs, as callgrind counts them. `make check-instructions` fails
# where one grew by more than 2 %. After a change that is meant, and after one of the toolchain: `make update-instructions`.
";

/// The committed counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// What they were counted with: compiler and processor.
    pub toolchain: String,
    /// By case.
    pub counts: BTreeMap<String, u64>,
}

/// Why a text is not a baseline.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl Baseline {
    /// Reads what [`Baseline::text`] wrote.
    ///
    /// # Errors
    /// The first line that is none of it.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let mut baseline = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (name, value) = line.split_once(' ').ok_or_else(|| Unreadable(line.to_owned()))?;
            if name == "toolchain" {
                value.clone_into(&mut baseline.toolchain);
            } else {
                let count = value.trim().parse().map_err(|_| Unreadable(line.to_owned()))?;
                baseline.counts.insert(name.to_owned(), count);
            }
        }
        Ok(baseline)
    }

    /// The file.
    ///
    /// # Panics
    /// Never: a string takes all that is written to it.
    pub fn text(&self) -> String {
        let mut text = format!("{HEAD}toolchain {}\n", self.toolchain);
        for (name, count) in &self.counts {
            writeln!(text, "{name} {count}").expect("text grows");
        }
        text
    }
}

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Within the tolerance: so many percent.
    Same(f64),
    /// It takes so many percent more: a failure.
    Grown(f64),
    /// It takes so many percent less: the baseline should say so, else it can grow again unseen.
    Shrunk(f64),
    /// It is not in the baseline: a failure.
    New,
    /// It was not counted any more: a failure.
    Gone,
}

impl Change {
    /// Whether the gate is shut.
    pub fn fails(self) -> bool {
        match self {
            Self::Same(_) | Self::Shrunk(_) => false,
            Self::Grown(_) | Self::New | Self::Gone => true,
        }
    }

    fn of(before: u64, now: u64) -> Self {
        let percent = 100.0 * (as_number(now) - as_number(before)) / as_number(before);
        if percent > TOLERANCE {
            Self::Grown(percent)
        } else if percent < -TOLERANCE {
            Self::Shrunk(percent)
        } else {
            Self::Same(percent)
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Same(percent) => write!(f, "{percent:+.2} %"),
            Self::Grown(percent) => write!(f, "{percent:+.2} %  GROWN"),
            Self::Shrunk(percent) => write!(f, "{percent:+.2} %  less: make update-instructions"),
            Self::New => write!(f, "NOT IN THE BASELINE"),
            Self::Gone => write!(f, "IN THE BASELINE ALONE"),
        }
    }
}

/// What became of each case, by name.
pub fn judge(baseline: &Baseline, counted: &BTreeMap<String, u64>) -> BTreeMap<String, Change> {
    let names = baseline.counts.keys().chain(counted.keys());
    names
        .map(|name| {
            let change = match (baseline.counts.get(name), counted.get(name)) {
                (Some(before), Some(now)) => Change::of(*before, *now),
                (None, _) => Change::New,
                (Some(_), None) => Change::Gone,
            };
            (name.clone(), change)
        })
        .collect()
}

/// The count in what callgrind prints at its end: `==1== Collected : 12345`.
pub fn collected(output: &str) -> Option<u64> {
    let line = output.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok().filter(|count| *count > 0)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn as_number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(cases: &[(&str, u64)]) -> BTreeMap<String, u64> {
        cases.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    fn baseline(cases: &[(&str, u64)]) -> Baseline {
        Baseline { toolchain: "rustc 1.95.0 (59807616e 2026-04-14) x86_64".to_owned(), counts: counts(cases) }
    }

    #[test]
    fn a_baseline_round_trips() {
        let written = baseline(&[("fan_out.one", 1_234_567), ("cursor", 9)]);
        assert_eq!(Baseline::read(&written.text()), Ok(written));
        assert_eq!(Baseline::read("cursor many"), Err(Unreadable("cursor many".to_owned())));
        assert_eq!(Baseline::read("cursor"), Err(Unreadable("cursor".to_owned())));
    }

    #[test]
    fn the_gate_shuts_for_what_grows_and_for_what_is_missing_on_either_side() {
        let before = baseline(&[("a", 1_000), ("b", 1_000), ("c", 1_000), ("d", 1_000)]);
        let judged = judge(&before, &counts(&[("a", 1_020), ("b", 1_021), ("c", 900), ("e", 1)]));
        let failing: Vec<_> =
            judged.iter().filter(|(_, change)| change.fails()).map(|(name, _)| name.as_str()).collect();
        assert_eq!(failing, ["b", "d", "e"]);
        assert!(matches!(judged["c"], Change::Shrunk(percent) if (percent + 10.0).abs() < 1e-9));
        assert!(matches!(judged["a"], Change::Same(_)));
    }

    #[test]
    fn a_count_of_nothing_is_no_count() {
        assert_eq!(collected("==7== Events    : Ir\n==7== Collected : 12345\n"), Some(12_345));
        assert_eq!(collected("==7== Collected : 0\n"), None, "the counted function was never entered");
        assert_eq!(collected("valgrind: no"), None);
    }
}
