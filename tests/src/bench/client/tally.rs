//! What the readers of a channel got: how much, how late, and whether each got each event once.

use std::collections::VecDeque;
use std::ops::{Add, Sub};

use crate::bench::mark::Mark;

/// What should not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Events that a connection did not get, though it got later ones.
    pub missing: u64,
    /// Events that a connection got again, or after later ones.
    pub doubled: u64,
    /// Connections that the server ended.
    pub ended: u64,
    /// Events that had not come to a connection when everything should have.
    pub unread: u64,
}

impl Add for Faults {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            missing: self.missing + other.missing,
            doubled: self.doubled + other.doubled,
            ended: self.ended + other.ended,
            unread: self.unread + other.unread,
        }
    }
}

impl Sub for Faults {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            missing: self.missing - before.missing,
            doubled: self.doubled - before.doubled,
            ended: self.ended - before.ended,
            unread: self.unread - before.unread,
        }
    }
}

/// The count of one channel.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Events that were read while it was measured, by all together.
    pub events: u64,
    /// From the publication of each of these to the client, in microseconds.
    pub delays: Vec<u32>,
    /// Events that were published while it was measured.
    pub published: u64,
    readers: u32,
    /// The next event's number.
    next: u32,
    /// The first event that not all have read, and how many have read it and those after it.
    base: u32,
    read: VecDeque<u32>,
    faults: Faults,
    measuring: bool,
}

impl Tally {
    /// A connection joins; the number of the first event that it should get.
    pub(super) fn join(&mut self) -> u32 {
        self.readers += 1;
        self.next
    }

    /// The number of an event that is published now.
    pub(super) fn publish(&mut self) -> u32 {
        let number = self.next;
        self.next += 1;
        self.read.push_back(0);
        // Where nobody reads, all have read it.
        self.advance();
        self.published += u64::from(self.measuring);
        number
    }

    /// Events that were published and that not all have read.
    pub(super) fn outstanding(&self) -> u32 {
        self.next - self.base
    }

    /// Events that all have read.
    pub(super) fn complete(&self) -> u32 {
        self.base
    }

    /// A connection that expects the event `expected` got this one; what it expects next.
    pub(super) fn got(&mut self, expected: u32, mark: Mark, now: u64) -> u32 {
        if self.measuring {
            self.events += 1;
            self.delays.push(u32::try_from(now.saturating_sub(mark.at) / 1000).unwrap_or(u32::MAX));
        }
        if mark.number < expected || mark.number >= self.next {
            self.faults.doubled += 1;
            return expected;
        }
        self.faults.missing += u64::from(mark.number - expected);
        self.count(expected, mark.number + 1);
        mark.number + 1
    }

    /// A connection that was let in late begins with this event, and not with the one that it should.
    pub(super) fn start(&mut self, expected: u32, first: u32) -> u32 {
        self.count(expected, first);
        first.max(expected)
    }

    fn count(&mut self, from: u32, to: u32) {
        for number in from.max(self.base)..to {
            if let Some(read) = self.read.get_mut((number - self.base) as usize) {
                *read += 1;
            }
        }
        self.advance();
    }

    fn advance(&mut self) {
        while self.read.front().is_some_and(|read| *read >= self.readers) {
            self.read.pop_front();
            self.base += 1;
        }
    }

    /// The server ended a connection that expected the event `next`.
    pub(super) fn leave(&mut self, next: u32) {
        self.faults.ended += 1;
        self.forget(next);
    }

    /// A connection that expected the event `next` is not counted on any more.
    pub(super) fn forget(&mut self, next: u32) {
        self.readers = self.readers.saturating_sub(1);
        for number in self.base..next {
            if let Some(read) = self.read.get_mut((number - self.base) as usize) {
                *read = read.saturating_sub(1);
            }
        }
        self.advance();
    }

    /// Measures from now on.
    pub(super) fn begin(&mut self) {
        (self.events, self.published, self.measuring) = (0, 0, true);
        self.delays = Vec::with_capacity(1 << 20);
    }

    /// What was measured until now.
    pub(super) fn end(&mut self) -> Self {
        self.measuring = false;
        let delays = std::mem::take(&mut self.delays);
        Self { delays, read: VecDeque::new(), ..self.clone() }
    }

    /// Everything should have come by now.
    pub(super) fn settle(&mut self) {
        self.faults.unread +=
            self.read.iter().map(|read| u64::from(self.readers.saturating_sub(*read))).sum::<u64>();
    }

    /// What should not be, since it was opened.
    pub fn faults(&self) -> Faults {
        self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u32) -> Mark {
        Mark { number, at: 1_000_000 }
    }

    fn two_readers(events: u32) -> Tally {
        let mut tally = Tally::default();
        assert_eq!((tally.join(), tally.join()), (0, 0));
        for number in 0..events {
            assert_eq!(tally.publish(), number);
        }
        tally
    }

    #[test]
    fn an_event_is_complete_when_all_have_it() {
        let mut tally = two_readers(2);
        let one = tally.got(0, mark(0), 0);
        assert_eq!((one, tally.outstanding()), (1, 2));
        assert_eq!(tally.got(0, mark(0), 0), 1);
        assert_eq!((tally.outstanding(), tally.complete()), (1, 1));
        assert_eq!(tally.faults(), Faults::default());
    }

    #[test]
    fn what_was_skipped_is_missing_and_holds_nobody_up() {
        let mut tally = two_readers(3);
        assert_eq!(tally.got(0, mark(2), 0), 3);
        for number in 0..3 {
            tally.got(number, mark(number), 0);
        }
        assert_eq!(tally.outstanding(), 0);
        assert_eq!(tally.faults(), Faults { missing: 2, ..Faults::default() });
    }

    #[test]
    fn what_comes_again_is_doubled() {
        let mut tally = two_readers(1);
        let next = tally.got(0, mark(0), 0);
        assert_eq!(tally.got(next, mark(0), 0), 1);
        assert_eq!(tally.faults(), Faults { doubled: 1, ..Faults::default() });
    }

    #[test]
    fn who_left_is_not_waited_for() {
        let mut tally = two_readers(2);
        let next = tally.got(0, mark(0), 0);
        tally.leave(next);
        assert_eq!((tally.outstanding(), tally.faults().ended), (2, 1));
        tally.got(0, mark(0), 0);
        tally.got(1, mark(1), 0);
        assert_eq!(tally.outstanding(), 0);
    }

    #[test]
    fn what_never_came_is_told_though_nothing_came_after_it() {
        let mut tally = two_readers(2);
        let next = tally.got(0, mark(0), 0);
        tally.got(next, mark(1), 0);
        tally.settle();
        assert_eq!(tally.faults(), Faults { unread: 2, ..Faults::default() });
    }

    #[test]
    fn only_what_is_measured_counts() {
        let mut tally = two_readers(2);
        tally.got(0, mark(0), 0);
        tally.begin();
        tally.got(0, mark(0), 3_000_000);
        let measured = tally.end();
        tally.got(1, mark(1), 0);
        assert_eq!((measured.events, measured.delays.as_slice()), (1, &[2000][..]));
    }
}
