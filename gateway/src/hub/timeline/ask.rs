//! When to ask for a tick, when to look it up, and when to ask again.
//!
//! A topic has one ask under way at a time, the oldest missing tick first: after an outage the missed ticks come one
//! by one, which no upstream takes for a herd. What does not come is first looked up, because the update may exist
//! and only its delivery be lost, and then asked for again.

use std::time::Duration;

use promcast_proto::tick::Tick;
use tokio::time::Instant;

use super::{Now, Slot, Timeline};

/// How long an update may take before it is looked for. Shorter than the time after which the bus delivers a dead
/// poller's job again; a query that simply runs longer costs a look and a refused ask each time. It doubles with each
/// attempt: where many ticks are late because everything is, all that looking must not be what keeps them so.
const LATE_AFTER: Duration = Duration::from_secs(2);

/// How often [`LATE_AFTER`] doubles at most.
const DOUBLINGS_MAX: u32 = 4;

/// How often a tick is asked for before its history is read from the very begin. That costs the bus far more than the part
/// since the tick.
const LOOKS_NEARBY: u32 = 3;

/// First and longest wait before an ask that the bus refused, since the topic has another job under way, is repeated.
const BUSY_WAIT: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));

/// The wait before a call to the bus that failed is repeated.
const FAILED_WAIT: Duration = Duration::from_millis(500);

/// The longest sleep of a topic: after a step of the machine's clock its ticks are right again within this time.
const SLEEP_MAX: Duration = Duration::from_secs(5);

/// The asking side of a timeline.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// The history on the bus should be read before anything is asked.
    pub(super) look: bool,
    /// The tick that was asked for last and has not come.
    current: Option<Tick>,
    /// Nothing is done before this time.
    not_before: Option<Instant>,
    /// How often in a row the bus said that the topic is busy.
    busy: u32,
}

impl Asking {
    /// The update of a tick is here, wanted or not: the topic's job is done, and the next may be asked for.
    pub(super) fn settled(&mut self, tick: Tick) {
        if self.current == Some(tick) || self.busy > 0 {
            (self.current, self.not_before, self.busy) = (None, None, 0);
        }
    }
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Read the history on the bus, and say [`Timeline::looked`].
    Look {
        /// The ticks that are missing are not before this one.
        since: Tick,
    },
    /// Ask for this tick, and say [`Timeline::asked`].
    Ask {
        /// The tick.
        tick: Tick,
        /// How often it was asked for before.
        attempt: u32,
    },
    /// Nothing, until then.
    Sleep(Instant),
    /// Nobody uses the topic any more.
    End,
}

/// What became of a call to the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done.
    Done,
    /// The topic has another job under way.
    Busy,
    /// The bus failed.
    Failed,
}

impl Timeline {
    /// Reads the history before the next ask: updates may have been missed.
    pub(crate) fn doubt(&mut self) {
        self.asking = Asking { look: true, ..Asking::default() };
    }

    /// What to do now. Without a bus, ticks still come due, and wait.
    pub(crate) fn plan(&mut self, bus_is_up: bool, now: Now) -> Plan {
        self.expire(now);
        if self.uses.is_empty() {
            return Plan::End;
        }
        self.schedule(now);
        if !bus_is_up || self.asking.not_before.is_some_and(|then| now.mono < then) {
            return Plan::Sleep(self.next_wake(now));
        }
        self.asking.not_before = None;
        if let Some(late) = self.asking.current.take()
            && let Some(Slot::Waiting { attempts }) = self.slots.get_mut(&late)
        {
            *attempts += 1;
            self.asking.look = true;
        }
        let missing = self.slots.iter().find_map(|(tick, slot)| match slot {
            Slot::Waiting { attempts } => Some((*tick, *attempts)),
            Slot::Arrived { .. } | Slot::Lost(_) => None,
        });
        match missing {
            Some((tick, attempts)) if self.asking.look => {
                // What was not found where it should be is looked for everywhere: clocks may be far apart.
                Plan::Look { since: if attempts < LOOKS_NEARBY { tick } else { Tick::MIN } }
            }
            Some((tick, attempt)) => Plan::Ask { tick, attempt },
            None => {
                self.asking.look = false;
                Plan::Sleep(self.next_wake(now))
            }
        }
    }

    /// The history was read, and what it held has [`Timeline::arrived`]; or it could not be read.
    pub(crate) fn looked(&mut self, outcome: Outcome, now: Now) {
        match outcome {
            Outcome::Done => self.asking.look = false,
            Outcome::Busy | Outcome::Failed => self.asking.not_before = Some(now.mono + FAILED_WAIT),
        }
    }

    /// A tick was asked for.
    pub(crate) fn asked(&mut self, tick: Tick, outcome: Outcome, now: Now) {
        match outcome {
            Outcome::Done => {
                self.asking.busy = 0;
                self.asking.current = Some(tick);
                let attempts = match self.slots.get(&tick) {
                    Some(Slot::Waiting { attempts }) => *attempts,
                    Some(Slot::Arrived { .. } | Slot::Lost(_)) | None => 0,
                };
                self.asking.not_before = Some(now.mono + LATE_AFTER * (1 << attempts.min(DOUBLINGS_MAX)));
            }
            Outcome::Busy => {
                let (first, longest) = BUSY_WAIT;
                let wait = first.saturating_mul(1 << self.asking.busy.min(10)).min(longest);
                self.asking.busy += 1;
                // The job under way may be for this very tick, and its update may have been lost on the way here.
                self.asking.look = wait == longest;
                self.asking.not_before = Some(now.mono + wait);
            }
            Outcome::Failed => self.asking.not_before = Some(now.mono + FAILED_WAIT),
        }
    }

    fn next_wake(&self, now: Now) -> Instant {
        let due =
            self.uses.keys().map(|interval| self.grid(*interval).next_after(now.wall).since(now.wall)).min();
        let due =
            Duration::from_millis(due.and_then(|millis| u64::try_from(millis).ok()).unwrap_or_default());
        let idle = self.uses.values().filter_map(|used| used.idle).map(|since| since + self.limits.linger);
        [now.mono + due.min(SLEEP_MAX)]
            .into_iter()
            .chain(idle)
            .chain(self.asking.not_before.filter(|then| *then > now.mono))
            .min()
            .unwrap_or(now.mono + SLEEP_MAX)
    }
}
