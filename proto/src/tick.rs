//! Ticks: the evaluation times of a topic, the same on every replica without anybody being asked.
//!
//! A subscription at interval `i` of a topic with phase `p` sees the ticks `t ≡ p (mod i)`. The phase comes from the
//! topic's key and is below the shortest interval, so the ticks of any two intervals of one topic coincide wherever
//! their grids allow: one evaluation serves both.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// The shortest and the longest interval of a subscription, in seconds.
pub const INTERVAL_SECONDS: RangeInclusive<u16> = 5..=300;

/// Phases are below this many milliseconds: the shortest interval.
const PHASE_MS: u64 = 5_000;

/// An evaluation time in milliseconds since the Unix epoch; also used for "now" where ticks are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tick(i64);

impl Tick {
    /// The earliest tick anybody may name: the epoch itself.
    pub const MIN: Self = Self(0);
    /// The latest tick anybody may name: the last millisecond of the year 9999, far from any overflow.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// A tick at so many milliseconds after the epoch, kept within [`Tick::MIN`] and [`Tick::MAX`].
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Milliseconds since the epoch.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// The tick `millis` later, or earlier where negative.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to here; negative where `earlier` is later.
    pub fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// The form Prometheus takes as `time`: seconds with three decimals.
    pub fn as_seconds(self) -> String {
        format!("{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where in each five seconds the ticks of a topic fall, in milliseconds from 0 to 4999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase(i64);

impl Phase {
    /// The phase for a number that is spread evenly over topics.
    pub fn spread(number: u64) -> Self {
        Self(i64::try_from(number % PHASE_MS).unwrap_or_default())
    }

    /// Milliseconds.
    pub fn millis(self) -> i64 {
        self.0
    }
}

/// How often a subscription sees its topic: whole seconds within [`INTERVAL_SECONDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Interval(u16);

/// A number of seconds that no subscription may have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an interval is {min} to {max} seconds, not {0}", min = INTERVAL_SECONDS.start(), max = INTERVAL_SECONDS.end())]
pub struct InvalidInterval(u16);

impl Interval {
    /// An interval of so many seconds.
    pub fn from_secs(seconds: u16) -> Result<Self, InvalidInterval> {
        if INTERVAL_SECONDS.contains(&seconds) { Ok(Self(seconds)) } else { Err(InvalidInterval(seconds)) }
    }

    /// Seconds.
    pub fn secs(self) -> u16 {
        self.0
    }

    /// Milliseconds.
    pub fn millis(self) -> i64 {
        i64::from(self.0) * 1000
    }
}

impl TryFrom<u16> for Interval {
    type Error = InvalidInterval;

    fn try_from(seconds: u16) -> Result<Self, InvalidInterval> {
        Self::from_secs(seconds)
    }
}

impl From<Interval> for u16 {
    fn from(interval: Interval) -> Self {
        interval.0
    }
}

/// The ticks of one topic at one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    phase: Phase,
    interval: Interval,
}

impl Grid {
    /// The ticks `t ≡ phase (mod interval)`.
    pub fn new(phase: Phase, interval: Interval) -> Self {
        Self { phase, interval }
    }

    /// The interval.
    pub fn interval(self) -> Interval {
        self.interval
    }

    /// Whether `tick` is one of them.
    pub fn contains(self, tick: Tick) -> bool {
        (tick.0 - self.phase.0).rem_euclid(self.interval.millis()) == 0
    }

    /// The last tick at or before `now`. Before the first tick after the epoch there is none; the grid then starts there.
    pub fn at_or_before(self, now: Tick) -> Tick {
        let past = (now.0 - self.phase.0).rem_euclid(self.interval.millis());
        Tick::from_millis((now.0 - past).max(self.phase.0))
    }

    /// The first tick after `now`.
    pub fn next_after(self, now: Tick) -> Tick {
        if now.0 < self.phase.0 {
            return Tick(self.phase.0);
        }
        self.at_or_before(now).plus_millis(self.interval.millis())
    }

    /// The tick `steps` intervals away from `tick`.
    pub fn step(self, tick: Tick, steps: i64) -> Tick {
        tick.plus_millis(self.interval.millis().saturating_mul(steps))
    }

    /// The ticks in `(after, up_to]`, oldest first.
    pub fn between(self, after: Tick, up_to: Tick) -> impl Iterator<Item = Tick> {
        let interval = self.interval.millis();
        let first = self.next_after(after);
        (0..).map(move |n| first.plus_millis(n * interval)).take_while(move |tick| *tick <= up_to)
    }

    /// How many ticks are in `(after, up_to]`.
    pub fn count(self, after: Tick, up_to: Tick) -> u64 {
        let first = self.next_after(after);
        if first > up_to {
            return 0;
        }
        u64::try_from(up_to.since(first) / self.interval.millis()).unwrap_or_default() + 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn grid(phase: u64, seconds: u16) -> Grid {
        Grid::new(Phase::spread(phase), Interval::from_secs(seconds).unwrap())
    }

    #[test]
    fn an_interval_has_bounds() {
        assert!(Interval::from_secs(4).is_err());
        assert!(Interval::from_secs(5).is_ok());
        assert!(Interval::from_secs(300).is_ok());
        assert_eq!(
            Interval::from_secs(301).unwrap_err().to_string(),
            "an interval is 5 to 300 seconds, not 301"
        );
    }

    #[test]
    fn prometheus_time_keeps_the_milliseconds() {
        assert_eq!(Tick::from_millis(1_764_000_003_007).as_seconds(), "1764000003.007");
    }

    proptest! {
        #[test]
        fn neighbours_enclose_now(phase: u64, seconds in INTERVAL_SECONDS, now in 400_000i64..253_402_300_000_000) {
            let (grid, now) = (grid(phase, seconds), Tick::from_millis(now));
            let (last, next) = (grid.at_or_before(now), grid.next_after(now));
            prop_assert!(last <= now && now < next);
            prop_assert!(grid.contains(last) && grid.contains(next));
            prop_assert_eq!(next.since(last), i64::from(seconds) * 1000);
        }

        #[test]
        fn a_5s_and_a_15s_subscription_share_every_tick_of_the_slower(phase: u64, from in 1_000_000i64..2_000_000_000_000) {
            let (from, to) = (Tick::from_millis(from), Tick::from_millis(from + 120_000));
            let fast: BTreeSet<_> = grid(phase, 5).between(from, to).collect();
            let slow: BTreeSet<_> = grid(phase, 15).between(from, to).collect();
            prop_assert!(slow.len() >= 7);
            prop_assert!(slow.is_subset(&fast));
        }

        #[test]
        fn between_and_count_agree(phase: u64, seconds in INTERVAL_SECONDS, from in 0i64..2_000_000_000_000, span in 0i64..2_000_000) {
            let grid = grid(phase, seconds);
            let (from, to) = (Tick::from_millis(from), Tick::from_millis(from + span));
            let ticks: Vec<_> = grid.between(from, to).collect();
            prop_assert_eq!(ticks.len() as u64, grid.count(from, to));
            prop_assert!(ticks.iter().all(|t| grid.contains(*t) && *t > from && *t <= to));
        }
    }
}
