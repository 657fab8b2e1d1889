//! What is known of a topic at each tick, and what to do about it: the decisions of the hub, as a function of state,
//! input and now.
//!
//! Every subscription reads the ticks of its own grid in order. So the timeline holds a slot for each tick that
//! somebody wants: waiting for its update, holding it, or lost. A reader that comes to a waiting slot waits; what
//! arrives late is therefore still seen once and in order, and one subscription never holds back another's grid.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use promcast_proto::code::GapReason;
use promcast_proto::tick::{Grid, Interval, Phase, Tick};
use tokio::time::Instant;

use crate::sse::Frame;

mod ask;
mod reader;
#[cfg(test)]
mod tests;

pub(super) use ask::{Outcome, Plan};
pub use reader::{Gap, Next, Reader};

/// How much of a topic is kept for its readers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many ticks of each interval in use are kept, and asked for again where they are missing.
    pub ticks: u16,
    /// How many bytes of frames are kept.
    pub bytes: usize,
    /// How many updates a subscription may lag before the oldest are skipped.
    pub lag: usize,
    /// How long an interval that nobody uses any more goes on.
    pub linger: Duration,
}

/// Now, on both clocks: ticks are wall time, waiting is not.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The time of day.
    pub wall: Tick,
    /// Time that never steps.
    pub mono: Instant,
}

/// One tick of a topic.
#[derive(Debug)]
enum Slot {
    /// Its update has not come. `attempts` is how often it was asked for.
    Waiting { attempts: u32 },
    /// Its update.
    Arrived { frame: Frame, at: Instant },
    /// There will be no update for it.
    Lost(GapReason),
}

/// An interval at which the topic is read.
#[derive(Debug)]
struct Use {
    readers: usize,
    /// Since when nobody reads at it.
    idle: Option<Instant>,
}

/// The timeline of one topic.
#[derive(Debug)]
pub(super) struct Timeline {
    phase: Phase,
    limits: Limits,
    uses: BTreeMap<Interval, Use>,
    slots: BTreeMap<Tick, Slot>,
    /// Up to here each tick that is wanted has, or had, a slot.
    scheduled: Tick,
    asking: ask::Asking,
    /// A tick was lost since the readers were last woken.
    lost: bool,
}

/// What a subscription is told when it joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// It starts with the current tick.
    Live,
    /// It goes on after the tick that it named, and misses nothing.
    Resumed,
    /// It goes on, but these ticks are out of reach: first and last.
    Gap(Tick, Tick),
}

impl Timeline {
    /// An empty timeline.
    pub(super) fn new(phase: Phase, limits: Limits) -> Self {
        Self {
            phase,
            limits,
            uses: BTreeMap::new(),
            slots: BTreeMap::new(),
            scheduled: Tick::MIN,
            asking: ask::Asking::default(),
            lost: false,
        }
    }

    /// Whether a tick was lost since the last call: readers that wait for it should look.
    pub(super) fn take_lost(&mut self) -> bool {
        std::mem::take(&mut self.lost)
    }

    /// Adds a reader at this interval: after the tick `after` where it has seen the topic before, else from the
    /// current tick on.
    pub(super) fn attach(&mut self, interval: Interval, after: Option<Tick>, now: Now) -> (Reader, Resume) {
        self.schedule(now);
        let grid = self.grid(interval);
        let used = self.uses.entry(interval).or_insert(Use { readers: 0, idle: None });
        (used.readers, used.idle) = (used.readers + 1, None);

        let current = grid.at_or_before(now.wall);
        let oldest = self.oldest(grid);
        let (last, resume) = match after {
            None => (grid.step(current, -1), Resume::Live),
            Some(after) if grid.next_after(after) < oldest && !self.has_all(grid, after, oldest) => {
                (after, Resume::Gap(grid.next_after(after), grid.step(oldest, -1)))
            }
            Some(after) => (after, Resume::Resumed),
        };
        let wanted_from = last.max(grid.step(oldest, -1));
        for tick in grid.between(wanted_from, self.scheduled.max(current)) {
            if let Entry::Vacant(slot) = self.slots.entry(tick) {
                slot.insert(Slot::Waiting { attempts: 0 });
                self.asking.look = true;
            }
        }
        (Reader::new(grid, last, self.scheduled.max(current)), resume)
    }

    /// Takes a reader at this interval away.
    pub(super) fn detach(&mut self, interval: Interval, now: Now) {
        if let Some(used) = self.uses.get_mut(&interval) {
            used.readers = used.readers.saturating_sub(1);
            if used.readers == 0 {
                used.idle = Some(now.mono);
            }
        }
    }

    /// Takes in the update of a tick, which took the upstream so long. False where it is of no use: it was here
    /// before, nobody wants it, or its readers were told that it is lost.
    pub(super) fn arrived(&mut self, tick: Tick, took: Duration, frame: Frame, now: Now) -> bool {
        self.schedule(now);
        let wanted = match self.slots.get(&tick) {
            Some(Slot::Waiting { .. }) => true,
            Some(Slot::Arrived { .. } | Slot::Lost(_)) => false,
            // A gateway whose clock is ahead asked for a tick that is not due here yet.
            None => {
                tick > self.scheduled && self.uses.keys().any(|interval| self.grid(*interval).contains(tick))
            }
        };
        if wanted {
            self.slots.insert(tick, Slot::Arrived { frame, at: now.mono });
            self.stretch(tick, took, now);
            self.trim();
        }
        self.asking.settled(tick);
        wanted
    }

    /// The update that is here for the tick `at`, or the newest.
    pub(super) fn frame(&self, at: Option<Tick>) -> Option<(Tick, Frame)> {
        let arrived = |(tick, slot): (&Tick, &Slot)| match slot {
            Slot::Arrived { frame, .. } => Some((*tick, frame.clone())),
            Slot::Waiting { .. } | Slot::Lost(_) => None,
        };
        match at {
            Some(tick) => self.slots.get_key_value(&tick).and_then(arrived),
            None => self.slots.iter().rev().find_map(arrived),
        }
    }

    /// Makes a slot of each tick that has come due.
    fn schedule(&mut self, now: Now) {
        let from = self.scheduled;
        if now.wall <= from {
            return;
        }
        self.scheduled = now.wall;
        let grids: Vec<_> = self.uses.keys().map(|interval| self.grid(*interval)).collect();
        for grid in grids {
            // After a long sleep there may be any number of due ticks; only the kept ones get a slot.
            let from = from.max(grid.step(self.oldest(grid), -1));
            for tick in grid.between(from, now.wall) {
                self.slots.entry(tick).or_insert(Slot::Waiting { attempts: 0 });
            }
        }
        self.trim();
    }

    /// A query that runs longer than the interval cannot be had at each tick. The ticks that came due while it ran
    /// are told as lost, but for the newest of each interval, which is asked for next: so the stream is stretched,
    /// and never falls further and further behind.
    fn stretch(&mut self, tick: Tick, took: Duration, now: Now) {
        let ran_from = now.wall.plus_millis(-i64::try_from(took.as_millis()).unwrap_or(i64::MAX));
        if self.uses.keys().all(|interval| took.as_millis() < u128::from(interval.secs()) * 1000) {
            return;
        }
        let newest: Vec<_> =
            self.uses.keys().map(|interval| self.grid(*interval).at_or_before(self.scheduled)).collect();
        for (due, slot) in self.slots.range_mut(tick.max(ran_from)..) {
            if matches!(slot, Slot::Waiting { .. }) && !newest.contains(due) {
                *slot = Slot::Lost(GapReason::UpstreamSlow);
            }
        }
    }

    /// Drops what is beyond the limits. A tick that is still missing then is lost, and its readers are told.
    fn trim(&mut self) {
        let windows: Vec<_> = self
            .uses
            .keys()
            .map(|interval| self.grid(*interval))
            .map(|grid| (grid, self.oldest(grid)))
            .collect();
        let lost_kept = i64::from(self.limits.ticks) * 8;
        let (limit, mut bytes) = (self.limits.bytes, self.bytes());
        let newest_arrived = self
            .slots
            .iter()
            .rev()
            .find(|(_, slot)| matches!(slot, Slot::Arrived { .. }))
            .map(|(tick, _)| *tick);
        self.slots.retain(|tick, slot| {
            let kept = windows.iter().any(|(grid, oldest)| grid.contains(*tick) && tick >= oldest);
            match slot {
                Slot::Waiting { .. } if !kept => {
                    self.lost = true;
                    *slot = Slot::Lost(GapReason::RepairBudget);
                    windows.iter().any(|(grid, _)| grid.contains(*tick))
                }
                Slot::Waiting { .. } => true,
                Slot::Arrived { frame, .. } => {
                    let keep = kept && (bytes <= limit || Some(*tick) == newest_arrived);
                    if !keep {
                        bytes = bytes.saturating_sub(frame.size());
                    }
                    keep
                }
                Slot::Lost(_) => windows
                    .iter()
                    .any(|(grid, oldest)| grid.contains(*tick) && *tick >= grid.step(*oldest, -lost_kept)),
            }
        });
    }

    /// Bytes of the frames that are kept. Counted anew each time: a frame grows when a connection asks for another format.
    fn bytes(&self) -> usize {
        let size = |slot: &Slot| match slot {
            Slot::Arrived { frame, .. } => frame.size(),
            Slot::Waiting { .. } | Slot::Lost(_) => 0,
        };
        self.slots.values().map(size).sum()
    }

    /// Forgets intervals that nobody has used for the linger time.
    fn expire(&mut self, now: Now) {
        let linger = self.limits.linger;
        let before = self.uses.len();
        self.uses.retain(|_, used| used.idle.is_none_or(|since| now.mono < since + linger));
        if self.uses.len() < before {
            let grids: Vec<_> = self.uses.keys().map(|interval| self.grid(*interval)).collect();
            self.slots.retain(|tick, slot| {
                !matches!(slot, Slot::Waiting { .. }) || grids.iter().any(|grid| grid.contains(*tick))
            });
            self.trim();
        }
    }

    fn grid(&self, interval: Interval) -> Grid {
        Grid::new(self.phase, interval)
    }

    /// The oldest tick of a grid that is kept.
    fn oldest(&self, grid: Grid) -> Tick {
        grid.step(grid.at_or_before(self.scheduled), 1 - i64::from(self.limits.ticks))
    }

    fn has_all(&self, grid: Grid, after: Tick, before: Tick) -> bool {
        // One too many ticks to count is one too many to have.
        grid.count(after, before) <= u64::from(self.limits.ticks) * 2
            && grid.between(after, before.plus_millis(-1)).all(|tick| self.slots.contains_key(&tick))
    }
}
