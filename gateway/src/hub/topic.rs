//! A topic that somebody streams: its timeline, and who waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use promcast_proto::code::GapReason;
use promcast_proto::tick::{Interval, Tick};
use promcast_proto::topic::{self, Key};
use tokio::sync::Notify;

use super::signal::{Lane, Signal};
use super::timeline::{Gap, Limits, Next, Now, Outcome, Plan, Reader, Resume, Timeline};
use crate::sse::{Frame, Memory};

/// Shared by the topic's ticker and its readers. The locks are held for map look-ups only.
pub(super) struct Topic {
    topic: topic::Topic,
    timeline: Mutex<Timeline>,
    listeners: Mutex<Listeners>,
    joined: Notify,
    memory: Memory,
    /// Ticks that slow readers skipped since somebody last asked.
    skipped: AtomicU64,
}

#[derive(Default)]
struct Listeners {
    next: u64,
    waiting: BTreeMap<u64, (Arc<Signal>, u8)>,
}

impl Topic {
    pub(super) fn new(topic: topic::Topic, limits: Limits) -> Self {
        let timeline = Mutex::new(Timeline::new(topic.key().phase(), limits));
        let memory = Memory::new(topic.key());
        Self {
            topic,
            timeline,
            listeners: Mutex::default(),
            joined: Notify::new(),
            memory,
            skipped: AtomicU64::new(0),
        }
    }

    pub(super) fn key(&self) -> Key {
        self.topic.key()
    }

    pub(super) fn topic(&self) -> &topic::Topic {
        &self.topic
    }

    /// The schema in use, for the frames of this topic.
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(super) fn attach(
        &self,
        interval: Interval,
        after: Option<Tick>,
        signal: Arc<Signal>,
        place: u8,
        now: Now,
    ) -> (u64, Reader, Resume) {
        let (reader, resume) = self.timeline.lock().attach(interval, after, now);
        signal.raise(place, Lane::FIRST);
        let mut listeners = self.listeners.lock();
        let id = listeners.next;
        listeners.next += 1;
        listeners.waiting.insert(id, (signal, place));
        self.joined.notify_one();
        (id, reader, resume)
    }

    pub(super) fn detach(&self, interval: Interval, listener: u64, now: Now) {
        self.listeners.lock().waiting.remove(&listener);
        self.timeline.lock().detach(interval, now);
        self.joined.notify_one();
    }

    /// Returns when somebody came or went.
    pub(super) async fn joined(&self) {
        self.joined.notified().await;
    }

    pub(super) fn next(&self, reader: &mut Reader, now: Now) -> Next {
        let next = self.timeline.lock().next(reader, now);
        if let Next::Gap(Gap { missed, reason: GapReason::SlowConsumer, .. }) = next {
            self.skipped.fetch_add(missed, Ordering::Relaxed);
        }
        next
    }

    /// How many read it.
    pub(super) fn viewers(&self) -> usize {
        self.listeners.lock().waiting.len()
    }

    /// Ticks that slow readers skipped since the last call, of all readers together.
    pub(super) fn take_skipped(&self) -> u64 {
        self.skipped.swap(0, Ordering::Relaxed)
    }

    pub(super) fn is_unused(&self, now: Now) -> bool {
        self.timeline.lock().plan(false, now) == Plan::End
    }

    pub(super) fn plan(&self, bus_is_up: bool, now: Now) -> Plan {
        let (plan, lost) = {
            let mut timeline = self.timeline.lock();
            let plan = timeline.plan(bus_is_up, now);
            (plan, timeline.take_lost())
        };
        if lost {
            self.wake();
        }
        plan
    }

    pub(super) fn arrived(&self, tick: Tick, took: Duration, frame: Frame, now: Now) -> bool {
        let new = self.timeline.lock().arrived(tick, took, frame, now);
        if new {
            self.wake();
        }
        new
    }

    pub(super) fn frame(&self, at: Option<Tick>) -> Option<(Tick, Frame)> {
        self.timeline.lock().frame(at)
    }

    pub(super) fn doubt(&self) {
        self.timeline.lock().doubt();
    }

    pub(super) fn looked(&self, outcome: Outcome, now: Now) {
        self.timeline.lock().looked(outcome, now);
    }

    pub(super) fn asked(&self, tick: Tick, outcome: Outcome, now: Now) {
        self.timeline.lock().asked(tick, outcome, now);
    }

    fn wake(&self) {
        let listeners = self.listeners.lock();
        let lane = Lane::of(listeners.waiting.len());
        Signal::raise_all(listeners.waiting.values().map(|(signal, place)| (&**signal, *place)), lane);
    }
}
