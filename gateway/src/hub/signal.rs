//! How a connection is woken, and why: which of its subscriptions may have something to read, and what else there is to do.
//!
//! All that an event asks of a connection is here, side by side: with thousands of them, each place in memory that is looked at costs
//! more than what is done with it.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;

mod calls;
mod lanes;
mod nudge;

pub use lanes::{Lane, Lanes};

use calls::Calls;
use nudge::Nudge;

/// Of so many the memory is fetched side by side.
const AHEAD: usize = 32;

/// One bit for each subscription of a connection, notes of what else there is, and who looks at them: a task, or a shard, which has
/// many connections.
#[derive(Debug, Default)]
pub struct Signal {
    places: AtomicU32,
    notes: AtomicU8,
    waker: AtomicWaker,
    seat: OnceLock<Seat>,
}

/// What a connection finds besides its topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The socket takes bytes again, or has some.
    Socket,
    /// Whether its access goes on may have been decided.
    Access,
    /// Its subscriptions change.
    Changes,
    /// Somebody closed it.
    Closed,
    /// Its time may have come.
    Alarm,
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
    pub fn raise_all<'a>(mut listeners: impl Iterator<Item = (&'a Self, u8)>, lane: Lane) {
        let mut calls = Calls::new(lane);
        let mut next = Vec::with_capacity(AHEAD);
        loop {
            next.extend(listeners.by_ref().take(AHEAD));
            if next.is_empty() {
                return calls.end();
            }
            // Memory that is in no cache comes for all of them at once, and not for one after the other.
            std::hint::black_box(next.iter().fold(0, |sum: u8, (signal, _)| sum.wrapping_add(signal.look())));
            for (signal, place) in next.drain(..) {
                signal.note(place);
                match signal.seat.get() {
                    Some(seat) if !seat.is_new_in(lane) => {}
                    Some(seat) if seat.lanes.are_of_many() => calls.add(&seat.lanes, seat.number),
                    Some(seat) => seat.lanes.push(lane, &[seat.number]),
                    None => signal.waker.wake(),
                }
            }
        }
    }

    /// What it is means nothing.
    fn look(&self) -> u8 {
        self.notes.load(Ordering::Relaxed)
    }

    fn note(&self, place: u8) {
        self.places.fetch_or(1u32.checked_shl(u32::from(place)).unwrap_or_default(), Ordering::Release);
    }

    /// Leaves a note, and wakes whoever reads it.
    pub fn leave(&self, note: Note) {
        self.notes.fetch_or(note.bit(), Ordering::Release);
        self.wake();
    }

    /// Whether there is this note, which stays.
    pub fn has(&self, note: Note) -> bool {
        self.notes.load(Ordering::Acquire) & note.bit() != 0
    }

    /// Whether there is this note, which is then gone.
    pub fn take_note(&self, note: Note) -> bool {
        self.has(note) && self.notes.fetch_and(!note.bit(), Ordering::AcqRel) & note.bit() != 0
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

    /// From now on the connection is `number` of those that stand in these lanes, and is called at once: there may have been something
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

    /// The same for whoever has the connection in one line only, and comes to it for other reasons too.
    pub fn visited_in_all(&self) {
        if let Some(seat) = self.seat.get().filter(|seat| seat.queued.load(Ordering::Relaxed) != 0) {
            seat.queued.swap(0, Ordering::AcqRel);
        }
    }

    /// A waker by which a connection tells one thing from all else that wakes it. The note is there from the start, for nothing has been
    /// looked at yet.
    pub fn waker(self: &Arc<Self>, note: Note) -> Waker {
        self.leave(note);
        Waker::from(Arc::new(Nudge { note, signal: self.clone() }))
    }

    /// Whether no place is raised, and there is no note.
    pub fn is_quiet(&self) -> bool {
        self.places.load(Ordering::Acquire) == 0 && self.notes.load(Ordering::Acquire) == 0
    }

    /// The places that were raised since the last call, one bit each.
    pub fn take(&self) -> u32 {
        self.places.swap(0, Ordering::Acquire)
    }
}

impl Note {
    fn bit(self) -> u8 {
        1 << self as u8
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
