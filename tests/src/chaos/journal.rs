//! What one viewer saw, event by event, and whether that keeps the promise. Pure.

use promcast_proto::tick::{Grid, Tick};

/// Something that happened to a viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A stream began.
    Opened {
        /// Which replica serves it.
        replica: String,
    },
    /// An evaluation came.
    Update {
        /// Its tick.
        tick: Tick,
        /// Whether its value is the one of this tick.
        right: bool,
    },
    /// An evaluation that failed came.
    Failed {
        /// Its tick.
        tick: Tick,
        /// Why.
        code: String,
    },
    /// It was told that ticks are lost.
    Gap {
        /// The first of them.
        from: Tick,
        /// The last of them.
        to: Tick,
        /// Why.
        reason: String,
    },
    /// The stream ended: with the code of a `shutdown` event, or broken off.
    Ended(Option<String>),
    /// No stream was opened: with a status, or because there was no answer.
    Refused(Option<u16>),
}

/// When, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was read.
    pub at: Tick,
    /// What was read.
    pub what: What,
}

/// Everything that happened to one viewer of one topic, in the order in which it happened.
#[derive(Clone, Debug)]
pub struct Journal {
    /// The ticks of its subscription.
    pub grid: Grid,
    /// Since its first connection.
    pub entries: Vec<Entry>,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Ticks neither came nor were told as lost.
    Missing {
        /// The first of them.
        from: Tick,
        /// The last of them.
        to: Tick,
    },
    /// A tick came again, or came after a later one, or after it had been told as lost.
    Again(Tick),
    /// It is no tick of this subscription.
    OffGrid(Tick),
    /// It carried the value of another tick.
    WrongValue(Tick),
}

impl Journal {
    /// Each promise that was broken for ticks up to `until`, which must all have come.
    pub fn violations(&self, until: Tick) -> Vec<Violation> {
        let mut walk = Walk { grid: self.grid, next: None, found: Vec::new() };
        for entry in &self.entries {
            match entry.what {
                What::Update { tick, right } => {
                    if !right {
                        walk.found.push(Violation::WrongValue(tick));
                    }
                    walk.step(tick, tick);
                }
                What::Failed { tick, .. } => walk.step(tick, tick),
                What::Gap { from, to, .. } => walk.step(from, to),
                What::Opened { .. } | What::Ended(_) | What::Refused(_) => {}
            }
        }
        walk.end(until);
        walk.found
    }

    /// Whether every tick up to `until` came or was told as lost, as far as order goes.
    pub fn has_reached(&self, until: Tick) -> bool {
        let last = self.entries.iter().rev().find_map(|entry| match entry.what {
            What::Update { tick, .. } | What::Failed { tick, .. } => Some(tick),
            What::Gap { to, .. } => Some(to),
            What::Opened { .. } | What::Ended(_) | What::Refused(_) => None,
        });
        last.is_some_and(|last| last >= self.grid.at_or_before(until))
    }
}

/// A walk along the grid.
struct Walk {
    grid: Grid,
    /// The tick that has to come next. The first one to come is where it starts.
    next: Option<Tick>,
    found: Vec<Violation>,
}

impl Walk {
    fn step(&mut self, from: Tick, to: Tick) {
        if !self.grid.contains(from) || !self.grid.contains(to) || to < from {
            return self.found.push(Violation::OffGrid(from));
        }
        let next = self.next.unwrap_or(from);
        if from < next {
            return self.found.push(Violation::Again(from));
        }
        if from > next {
            self.found.push(Violation::Missing { from: next, to: self.grid.step(from, -1) });
        }
        self.next = Some(self.grid.step(to, 1));
    }

    fn end(&mut self, until: Tick) {
        let last = self.grid.at_or_before(until);
        let next = self.next.unwrap_or(last);
        if next <= last {
            self.found.push(Violation::Missing { from: next, to: last });
        }
    }
}

#[cfg(test)]
mod tests {
    use promcast_proto::tick::{Interval, Phase};
    use proptest::prelude::*;

    use super::*;

    const STEP: i64 = 5_000;

    fn tick(number: usize) -> Tick {
        Tick::from_millis(1_000_000 * STEP + i64::try_from(number).unwrap() * STEP)
    }

    fn update(number: usize) -> What {
        What::Update { tick: tick(number), right: true }
    }

    fn journal(whats: Vec<What>) -> Journal {
        let grid = Grid::new(Phase::spread(0), Interval::from_secs(5).unwrap());
        Journal { grid, entries: whats.into_iter().map(|what| Entry { at: tick(0), what }).collect() }
    }

    /// Every tick up to `count`, with some in gaps and a reconnect here and there.
    fn good(count: usize, gaps: &[usize]) -> Vec<What> {
        let mut whats = vec![What::Opened { replica: "a".to_owned() }];
        for number in 0..count {
            whats.push(if gaps.contains(&number) {
                What::Gap { from: tick(number), to: tick(number), reason: "repair_budget".to_owned() }
            } else {
                update(number)
            });
            if number % 7 == 3 {
                whats.extend([What::Ended(None), What::Refused(None), What::Opened { replica: "b".into() }]);
            }
        }
        whats
    }

    #[test]
    fn a_tick_that_never_came_at_the_end_is_missed() {
        let found = journal(good(10, &[])).violations(tick(11));
        assert_eq!(found, [Violation::Missing { from: tick(10), to: tick(11) }]);
        assert!(!journal(good(10, &[])).has_reached(tick(11)));
    }

    #[test]
    fn a_value_of_another_tick_and_a_tick_of_another_grid_are_found() {
        let wrong = What::Update { tick: tick(1), right: false };
        let off = What::Update { tick: tick(1).plus_millis(7), right: true };
        let found = journal(vec![update(0), wrong, off]).violations(tick(1));
        assert_eq!(found, [Violation::WrongValue(tick(1)), Violation::OffGrid(tick(1).plus_millis(7))]);
    }

    proptest! {
        #[test]
        fn a_log_with_every_tick_once_in_order_or_told_keeps_the_promise(
            count in 2_usize..60, gaps in prop::collection::vec(0_usize..60, 0..9),
        ) {
            let journal = journal(good(count, &gaps));
            prop_assert_eq!(journal.violations(tick(count - 1)), []);
            prop_assert!(journal.has_reached(tick(count - 1)));
        }

        #[test]
        fn one_that_is_left_out_is_found(count in 3_usize..60, at in any::<prop::sample::Index>()) {
            // Not the first, where the log starts, and not the last, which `until` is about.
            let left_out = 1 + at.index(count - 2);
            let mut whats = good(count, &[]);
            whats.retain(|what| *what != update(left_out));
            let missing = Violation::Missing { from: tick(left_out), to: tick(left_out) };
            prop_assert_eq!(journal(whats).violations(tick(count - 1)), [missing]);
        }

        #[test]
        fn one_that_comes_twice_is_found(
            count in 3_usize..60, at in any::<prop::sample::Index>(), again in any::<prop::sample::Index>(),
        ) {
            let mut whats = good(count, &[]);
            let number = at.index(count);
            let first = whats.iter().position(|what| *what == update(number)).unwrap();
            let place = first + 1 + again.index(whats.len() - first);
            whats.insert(place, update(number));
            prop_assert_eq!(journal(whats).violations(tick(count - 1)), [Violation::Again(tick(number))]);
        }

        #[test]
        fn two_that_change_places_are_found(count in 3_usize..60, at in any::<prop::sample::Index>()) {
            let number = at.index(count - 1);
            let mut whats = good(count, &[]);
            let place = |whats: &[What], number| whats.iter().position(|what| *what == update(number)).unwrap();
            let (one, two) = (place(&whats, number), place(&whats, number + 1));
            whats.swap(one, two);
            prop_assert!(!journal(whats).violations(tick(count - 1)).is_empty());
        }
    }
}
