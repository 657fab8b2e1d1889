//! How a connection is woken, and why: which of its subscriptions may have something to read, and what else there is to do.
//!
//! All that an event asks of a connection is here, side by side: with thousands of them, each place in memory that is looked at costs
//! more than what is done with it.

use std::sync::atomic::{AtomicU64, Ordering};
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

/// One bit for each subscription of a connection, one for each note of what else there is, one for each line in which it stands, and who
/// looks at them: a task, or a shard, which has many connections.
///
/// All bits are one word, for with each event they are set at once, and cleared at once.
#[derive(Debug, Default)]
pub struct Signal {
    bits: AtomicU64,
    waker: AtomicWaker,
    seat: OnceLock<Seat>,
}

/// The bits of subscriptions: the first 32.
const PLACES: u64 = 0xffff_ffff;

/// Where those of notes begin, and those of lines.
const NOTES: u32 = 32;
const LINES: u32 = 40;

/// All that is to be looked at: subscriptions and notes.
const NEWS: u64 = (1 << LINES) - 1;

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
}

impl Signal {
    /// There may be something to read at `place`; `lane` is for topics with as many readers.
    pub fn raise(&self, place: u8, lane: Lane) {
        if let Some(seat) = self.call(bit_of(place), lane) {
            seat.lanes.push(lane, &[seat.number]);
        }
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
            std::hint::black_box(
                next.iter().fold(0, |sum: u64, (signal, _)| sum.wrapping_add(signal.look())),
            );
            for (signal, place) in next.drain(..) {
                match signal.call(bit_of(place), lane) {
                    Some(seat) if seat.lanes.are_of_many() => calls.add(&seat.lanes, seat.number),
                    Some(seat) => seat.lanes.push(lane, &[seat.number]),
                    None => {}
                }
            }
        }
    }

    /// What it is means nothing.
    fn look(&self) -> u64 {
        self.bits.load(Ordering::Relaxed)
    }

    /// Sets these bits, and wakes the task. Where it has a seat, and does not stand in this lane yet, that is left to whoever calls.
    #[must_use]
    fn call(&self, bits: u64, lane: Lane) -> Option<&Seat> {
        let Some(seat) = self.seat.get() else {
            self.bits.fetch_or(bits, Ordering::AcqRel);
            // Whoever has sat down meanwhile may have looked before.
            return if self.seat.get().is_some() {
                self.call(bits, lane)
            } else {
                self.waker.wake();
                None
            };
        };
        let line = line_of(lane);
        (self.bits.fetch_or(bits | line, Ordering::AcqRel) & line == 0).then_some(seat)
    }

    /// Leaves a note, and wakes whoever reads it.
    pub fn leave(&self, note: Note) {
        self.call_alone(note.bit());
    }

    /// Whether there is this note, which stays.
    pub fn has(&self, note: Note) -> bool {
        self.bits.load(Ordering::Acquire) & note.bit() != 0
    }

    /// Whether there is this note, which is then gone.
    pub fn take_note(&self, note: Note) -> bool {
        self.has(note) && self.bits.fetch_and(!note.bit(), Ordering::AcqRel) & note.bit() != 0
    }

    /// There is something else to do.
    pub fn wake(&self) {
        self.call_alone(0);
    }

    fn call_alone(&self, bits: u64) {
        if let Some(seat) = self.call(bits, Lane::FIRST) {
            seat.lanes.push(Lane::FIRST, &[seat.number]);
        }
    }

    /// Wakes this task at the next [`Signal::raise`] or [`Signal::wake`]. To miss none, register first, then take.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// From now on the connection is `number` of those that stand in these lanes, and is called at once: there may have been something
    /// before. A connection that sits keeps its seat.
    pub fn sit(&self, lanes: Arc<Lanes>, number: u32) {
        self.seat.get_or_init(|| Seat { lanes, number });
        self.wake();
    }

    /// The shard comes to it from this lane, and sees what was raised before: these places, one bit each.
    pub fn visit(&self, lane: Lane) -> u32 {
        low(self.bits.fetch_and(!(line_of(lane) | PLACES), Ordering::AcqRel))
    }

    /// It is come to, whatever line it stands in. It stands in none then.
    pub fn visit_in_all(&self) {
        if self.bits.load(Ordering::Relaxed) & !NEWS != 0 {
            self.bits.fetch_and(NEWS, Ordering::AcqRel);
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
        self.bits.load(Ordering::Acquire) & NEWS == 0
    }

    /// The places that were raised since the last call, one bit each.
    pub fn take(&self) -> u32 {
        if self.bits.load(Ordering::Acquire) & PLACES == 0 {
            return 0;
        }
        low(self.bits.fetch_and(!PLACES, Ordering::AcqRel))
    }
}

impl Note {
    fn bit(self) -> u64 {
        1 << (NOTES + self as u32)
    }
}

fn bit_of(place: u8) -> u64 {
    1u64.checked_shl(u32::from(place)).unwrap_or_default() & PLACES
}

fn line_of(lane: Lane) -> u64 {
    u64::from(lane.bit()) << LINES
}

fn low(bits: u64) -> u32 {
    u32::try_from(bits & PLACES).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The first of them that was raised, taken as a shard does.
    fn visit(signal: &Signal, lanes: &Lanes) -> u32 {
        let mut round = Vec::new();
        lanes.take(&mut round, usize::MAX, Waker::noop());
        round.iter().fold(0, |raised, (lane, _)| raised | signal.visit(*lane))
    }

    #[test]
    fn who_stands_in_line_is_called_once_and_sees_all_that_was_raised() {
        let (signal, lanes) = (Signal::default(), Arc::new(Lanes::of_shard()));
        signal.raise(3, Lane::FIRST);
        signal.sit(lanes.clone(), 7);
        signal.raise(0, Lane::FIRST);
        signal.raise(31, Lane::of(100_000));
        let mut round = Vec::new();
        lanes.take(&mut round, usize::MAX, Waker::noop());
        assert_eq!(round, [(Lane::FIRST, 7), (Lane::of(100_000), 7)]);
        assert_eq!(signal.visit(Lane::FIRST), 1 << 3 | 1 | 1 << 31);
        assert_eq!(signal.visit(Lane::of(100_000)), 0);
        assert!(signal.is_quiet());
    }

    #[test]
    fn notes_lines_and_places_do_not_touch_each_other() {
        let (signal, lanes) = (Arc::new(Signal::default()), Arc::new(Lanes::default()));
        signal.sit(lanes.clone(), 0);
        assert_eq!(visit(&signal, &lanes), 0);
        signal.leave(Note::Alarm);
        signal.raise(31, Lane::FIRST);
        assert!(!signal.take_note(Note::Socket) && signal.has(Note::Alarm));
        assert_eq!(signal.take(), 1 << 31);
        assert!(!signal.is_quiet() && signal.take_note(Note::Alarm) && signal.is_quiet());
        assert_eq!(visit(&signal, &lanes), 0);
        signal.raise(1, Lane::FIRST);
        signal.visit_in_all();
        signal.raise(2, Lane::FIRST);
        let mut round = Vec::new();
        lanes.take(&mut round, usize::MAX, Waker::noop());
        assert_eq!((round.len(), signal.take()), (2, 0b110), "it stood in none, and so was called again");
    }
}
