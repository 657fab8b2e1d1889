//! How topics wake a connection: which of its subscriptions may have something to read, and whoever drives its stream.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;

mod calls;
mod lanes;
mod nudge;

pub use lanes::{Lane, Lanes};
pub use nudge::Nudge;

use calls::Calls;

/// One bit for each subscription of a connection, and who reads them: a task, or a shard, which has many connections.
#[derive(Debug, Default)]
pub struct Signal {
    places: AtomicU32,
    waker: AtomicWaker,
    seat: OnceLock<Seat>,
}

/// Where a shard finds the connection again.
#[derive(Debug)]
struct Seat {
    lanes: Arc<Lanes>,
    number: u32,
    /// The lanes in which it stands, one bit each.
    queued: AtomicU8,
}

impl Signal {
    /// There may be something to read at `place`; `lane` is for topics with as many readers.
    pub fn raise(&self, place: u8, lane: Lane) {
        self.note(place);
        self.call(lane);
    }

    /// The same for many, whose shards are called once for a crowd of them.
    pub fn raise_all<'a>(listeners: impl Iterator<Item = (&'a Self, u8)>, lane: Lane) {
        let mut calls = Calls::new(lane);
        for (signal, place) in listeners {
            signal.note(place);
            match signal.seat.get() {
                Some(seat) if seat.is_new_in(lane) => calls.add(&seat.lanes, seat.number),
                Some(_) => {}
                None => signal.waker.wake(),
            }
        }
        calls.end();
    }

    fn note(&self, place: u8) {
        self.places.fetch_or(1u32.checked_shl(u32::from(place)).unwrap_or_default(), Ordering::Release);
    }

    /// There is something else to do.
    pub fn wake(&self) {
        self.call(Lane::FIRST);
    }

    fn call(&self, lane: Lane) {
        match self.seat.get() {
            Some(seat) if seat.is_new_in(lane) => seat.lanes.push(lane, &[seat.number]),
            Some(_) => {}
            None => self.waker.wake(),
        }
    }

    /// Wakes this task at the next [`Signal::raise`] or [`Signal::wake`]. To miss none, register first, then take.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// From now on the connection is `number` of the shard with these lanes, which is called at once: there may have been something
    /// before. A connection that sits keeps its seat.
    pub fn sit(&self, lanes: Arc<Lanes>, number: u32) {
        self.seat.get_or_init(|| Seat { lanes, number, queued: AtomicU8::new(0) });
        self.wake();
    }

    /// The shard comes to it from this lane, and sees what was raised before.
    pub fn visited(&self, lane: Lane) {
        if let Some(seat) = self.seat.get() {
            seat.queued.fetch_and(!lane.bit(), Ordering::AcqRel);
        }
    }

    /// The places that were raised since the last call, one bit each.
    pub fn take(&self) -> u32 {
        self.places.swap(0, Ordering::Acquire)
    }
}

impl Seat {
    /// Whether it does not stand in this lane yet. From now on it does.
    fn is_new_in(&self, lane: Lane) -> bool {
        self.queued.fetch_or(lane.bit(), Ordering::AcqRel) & lane.bit() == 0
    }
}

/// What else a stream waits for wakes it as its topics do.
impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        Self::wake(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        Self::wake(self);
    }
}
