//! A reader: how far one subscription has read the timeline, and what it reads next.

use std::time::Duration;

use promcast_proto::code::GapReason;
use promcast_proto::tick::{Grid, Tick};

use super::{Now, Slot, Timeline};
use crate::sse::Frame;

/// A backlog younger than this is no lag: after an outage many updates come at once, to the fastest client too.
const LAG_GRACE: Duration = Duration::from_secs(1);

/// The place of one subscription in the timeline of its topic.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    grid: Grid,
    last: Tick,
    /// Up to here it replays what was there when it joined, which is no lag however much it is.
    replay_to: Tick,
}

/// What a reader reads.
#[derive(Debug)]
pub enum Next {
    /// The update of its next tick.
    Update {
        /// The tick.
        tick: Tick,
        /// Its event.
        frame: Frame,
        /// There may be something behind it already.
        more: bool,
    },
    /// These ticks are lost to it.
    Gap(Gap),
    /// Nothing yet.
    Pending,
}

/// Ticks that a subscription will not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first.
    pub from: Tick,
    /// The last.
    pub to: Tick,
    /// How many.
    pub missed: u64,
    /// Why.
    pub reason: GapReason,
}

impl Reader {
    pub(super) fn new(grid: Grid, last: Tick, replay_to: Tick) -> Self {
        Self { grid, last, replay_to }
    }

    /// Up to where it has read.
    pub(crate) fn last(&self) -> Tick {
        self.last
    }

    fn skip(&mut self, to: Tick, reason: GapReason) -> Next {
        let (from, missed) = (self.grid.next_after(self.last), self.grid.count(self.last, to));
        self.last = to;
        Next::Gap(Gap { from, to, missed, reason })
    }
}

impl Timeline {
    /// Reads on.
    pub(crate) fn next(&self, reader: &mut Reader, now: Now) -> Next {
        let expected = reader.grid.next_after(reader.last);
        // Mostly all read the newest slot, and nobody lags.
        let newest = self.slots.last_key_value().is_none_or(|(newest, _)| *newest <= expected);
        if !newest && let Some(to) = self.lag(reader, now) {
            return reader.skip(to, GapReason::SlowConsumer);
        }
        match self.slots.get(&expected) {
            Some(Slot::Arrived { frame, .. }) => {
                reader.last = expected;
                let more = !newest || reader.grid.next_after(expected) <= self.scheduled;
                Next::Update { tick: expected, frame: frame.clone(), more }
            }
            Some(Slot::Waiting { .. }) => Next::Pending,
            Some(Slot::Lost(reason)) => reader.skip(self.lost_up_to(reader.grid, expected, *reason), *reason),
            None if expected > self.scheduled => Next::Pending,
            None => {
                let reason = if expected <= reader.replay_to {
                    GapReason::HistoryExpired
                } else {
                    GapReason::SlowConsumer
                };
                reader.skip(self.unknown_up_to(reader.grid, expected), reason)
            }
        }
    }

    /// The last of the ticks from `first` on that are lost for the same reason.
    fn lost_up_to(&self, grid: Grid, first: Tick, reason: GapReason) -> Tick {
        let lost = |tick: &Tick| matches!(self.slots.get(tick), Some(Slot::Lost(why)) if *why == reason);
        std::iter::successors(Some(first), |tick| Some(grid.step(*tick, 1)).filter(lost))
            .last()
            .unwrap_or(first)
    }

    /// The last of the ticks from `first` on that have no slot. It may be a year from there; so no step by step.
    fn unknown_up_to(&self, grid: Grid, first: Tick) -> Tick {
        match self.slots.range(first..).map(|(tick, _)| *tick).find(|tick| grid.contains(*tick)) {
            Some(known) => grid.step(known, -1),
            None => grid.at_or_before(self.scheduled),
        }
    }

    /// Up to which tick a reader that lags must skip.
    fn lag(&self, reader: &Reader, now: Now) -> Option<Tick> {
        let from = reader.last.max(reader.replay_to).plus_millis(1);
        let mut backlog = self.slots.range(from..).filter_map(|(tick, slot)| match slot {
            Slot::Arrived { at, .. } if reader.grid.contains(*tick) => Some((*tick, *at)),
            Slot::Arrived { .. } | Slot::Waiting { .. } | Slot::Lost(_) => None,
        });
        let (_, oldest) = backlog.clone().next()?;
        if now.mono < oldest + LAG_GRACE {
            return None;
        }
        let excess = backlog.clone().count().checked_sub(self.limits.lag).filter(|excess| *excess > 0)?;
        backlog.nth(excess - 1).map(|(tick, _)| tick)
    }
}
