//! Which connections of a shard have something to do, in an order that lets none wait for a crowd.
//!
//! When an update of a topic with 10,000 readers comes, all of them stand in line at once. Those of a topic with ten readers would
//! wait behind them for as long as 10,000 writes take. So there is a lane for each order of magnitude, and a round takes some of each.

use std::collections::VecDeque;
use std::task::Waker;

use parking_lot::Mutex;

/// The most readers of a topic in each lane but the last.
const READERS: [usize; Lane::COUNT - 1] = [16, 256, 4096];

/// How many of a lane are taken in turn.
const TURN: usize = 8;

/// A place to stand in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane(u8);

/// The lines of one shard, or of one connection with several streams.
#[derive(Debug, Default)]
pub struct Lanes {
    waiting: Mutex<Waiting>,
    of_many: bool,
}

#[derive(Debug, Default)]
struct Waiting {
    lanes: [VecDeque<u32>; Lane::COUNT],
    /// Who takes them, while there are none.
    taker: Option<Waker>,
}

impl Lane {
    const COUNT: usize = 4;

    /// For what concerns one connection alone.
    pub const FIRST: Self = Self(0);

    /// For the readers of a topic that has so many.
    pub fn of(readers: usize) -> Self {
        let lane = READERS.iter().position(|most| readers <= *most).unwrap_or(READERS.len());
        Self(u8::try_from(lane).unwrap_or_default())
    }

    pub(super) fn bit(self) -> u8 {
        1 << self.0
    }
}

impl Lanes {
    /// Those of a shard, where crowds stand.
    pub fn of_shard() -> Self {
        Self { of_many: true, ..Self::default() }
    }

    /// Whether it pays to gather those who come.
    pub(super) fn are_of_many(&self) -> bool {
        self.of_many
    }

    /// These connections have something to do.
    pub fn push(&self, lane: Lane, numbers: &[u32]) {
        let taker = {
            let mut waiting = self.waiting.lock();
            if let Some(queue) = waiting.lanes.get_mut(usize::from(lane.0)) {
                queue.extend(numbers);
            }
            waiting.taker.take()
        };
        if let Some(taker) = taker {
            taker.wake();
        }
    }

    /// Takes about so many into `round`, some of each lane in turn. Where there is none, `taker` is woken by the next.
    pub fn take(&self, round: &mut Vec<(Lane, u32)>, most: usize, taker: &Waker) {
        let mut waiting = self.waiting.lock();
        while round.len() < most && waiting.lanes.iter().any(|queue| !queue.is_empty()) {
            for (lane, queue) in (0..).zip(&mut waiting.lanes) {
                let some = TURN.min(queue.len());
                round.extend(queue.drain(..some).map(|number| (Lane(lane), number)));
            }
        }
        if round.is_empty() {
            waiting.taker = Some(taker.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_few_do_not_wait_for_the_many() {
        let lanes = Lanes::default();
        (0..10_000).for_each(|number| lanes.push(Lane::of(10_000), &[number]));
        (20_000..20_010).for_each(|number| lanes.push(Lane::of(10), &[number]));
        let mut round = Vec::new();
        lanes.take(&mut round, 32, Waker::noop());
        let few = round.iter().filter(|(lane, _)| *lane == Lane::FIRST).count();
        assert_eq!((few, round.len()), (10, 34), "{round:?}");
    }

    #[test]
    fn each_comes_out_once_and_in_the_order_of_its_lane() {
        let lanes = Lanes::default();
        let readers = [1, 1000, 100_000, 100, 16, 17];
        for (number, readers) in (0..).zip(readers.iter().cycle().take(600)) {
            lanes.push(Lane::of(*readers), &[number]);
        }
        let (mut all, mut round) = (Vec::new(), Vec::new());
        while {
            round.clear();
            lanes.take(&mut round, 32, Waker::noop());
            !round.is_empty()
        } {
            all.extend(round.iter().copied());
        }
        for lane in (0..).map(Lane).take(Lane::COUNT) {
            let numbers: Vec<_> =
                all.iter().filter(|(of, _)| *of == lane).map(|(_, number)| number).collect();
            assert!(numbers.is_sorted() && !numbers.is_empty(), "{lane:?}");
        }
        assert_eq!(all.len(), 600);
    }

    #[test]
    fn a_shard_that_found_nothing_is_woken_once() {
        let (lanes, count) = (Lanes::default(), Arc::new(Count::default()));
        let waker = Waker::from(count.clone());
        let mut round = Vec::new();
        lanes.take(&mut round, 32, &waker);
        (0..3).for_each(|number| lanes.push(Lane::FIRST, &[number]));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        lanes.take(&mut round, 32, &waker);
        lanes.push(Lane::FIRST, &[3]);
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "whoever found something comes again by itself");
    }
}
