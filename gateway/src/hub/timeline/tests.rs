//! The timeline's promise, by example and for any course of events: each reader gets each tick of its grid once and
//! in order, or is told that it is lost.

use std::time::Duration;

use promcast_proto::code::{ErrorCode, GapReason};
use promcast_proto::tick::{Grid, Interval, Phase, Tick};
use promcast_proto::topic::{Datasource, Topic};
use proptest::prelude::*;
use tokio::time::Instant;

use super::*;

mod bytes;

const START: i64 = 1_764_000_001_000;
const QUICK: Duration = Duration::from_millis(10);

/// A timeline with phase 0, and its time.
struct Bench {
    timeline: Timeline,
    now: Now,
}

impl Bench {
    fn new() -> Self {
        let limits = Limits { ticks: 32, bytes: 1 << 20, lag: 10, linger: Duration::from_secs(15) };
        let now = Now { wall: Tick::from_millis(START), mono: Instant::now() };
        Self { timeline: Timeline::new(Phase::spread(0), limits), now }
    }

    fn attach(&mut self, seconds: u16, after: Option<i64>) -> (Reader, Resume) {
        let interval = Interval::from_secs(seconds).unwrap();
        self.timeline.attach(interval, after.map(at), self.now)
    }

    fn wait(&mut self, millis: u64) {
        self.now.mono += Duration::from_millis(millis);
        self.now.wall = self.now.wall.plus_millis(millis.try_into().unwrap());
    }

    /// Plans with the bus up, answering each look with nothing found; gives what is asked for.
    fn ask(&mut self) -> Option<(Tick, u32)> {
        loop {
            match self.timeline.plan(true, self.now) {
                Plan::Look { .. } => self.timeline.looked(Outcome::Done, self.now),
                Plan::Ask { tick, attempt } => {
                    self.timeline.asked(tick, Outcome::Done, self.now);
                    return Some((tick, attempt));
                }
                Plan::Sleep(until) => {
                    assert!(until > self.now.mono, "a sleep without end");
                    return None;
                }
                Plan::End => return None,
            }
        }
    }

    fn arrive(&mut self, tick: Tick, took: Duration) -> bool {
        self.timeline.arrived(tick, took, frame(tick), self.now)
    }

    /// Asks and answers until nothing is missing.
    fn serve(&mut self) -> Vec<Tick> {
        let asked: Vec<_> = std::iter::from_fn(|| {
            let (tick, _) = self.ask()?;
            assert!(self.arrive(tick, QUICK));
            Some(tick)
        })
        .collect();
        asked
    }

    fn read(&self, reader: &mut Reader) -> Vec<Seen> {
        std::iter::from_fn(|| match self.timeline.next(reader, self.now) {
            Next::Update { tick, .. } => Some(Seen::Tick(tick.millis() - START)),
            Next::Gap(gap) => {
                Some(Seen::Gap(gap.from.millis() - START, gap.to.millis() - START, gap.missed, gap.reason))
            }
            Next::Pending => None,
        })
        .collect()
    }
}

/// What a reader saw, in milliseconds from the start.
#[derive(Debug, PartialEq)]
enum Seen {
    Tick(i64),
    Gap(i64, i64, u64, GapReason),
}

fn at(millis: i64) -> Tick {
    Tick::from_millis(START + millis)
}

fn frame(tick: Tick) -> Frame {
    let key = Topic::new(Datasource::default(), "up".to_owned()).key();
    Frame::of_failure(key, tick, ErrorCode::Timeout, "")
}

#[test]
fn a_new_reader_gets_the_current_tick_at_once_and_then_each() {
    let mut bench = Bench::new();
    let (mut reader, resume) = bench.attach(5, None);
    assert_eq!(resume, Resume::Live);
    assert_eq!(bench.timeline.plan(true, bench.now), Plan::Look { since: at(-1_000) });
    assert_eq!(bench.serve(), [at(-1_000)]);
    assert_eq!(bench.read(&mut reader), [Seen::Tick(-1_000)]);
    bench.wait(4_000);
    assert_eq!(bench.serve(), [at(4_000)]);
    assert_eq!(bench.read(&mut reader), [Seen::Tick(4_000)]);
}

#[test]
fn a_slow_and_a_fast_reader_share_their_ticks() {
    let mut bench = Bench::new();
    let ((mut fast, _), (mut slow, _)) = (bench.attach(5, None), bench.attach(15, None));
    let mut asked = bench.serve();
    for _ in 0..6 {
        bench.wait(5_000);
        asked.extend(bench.serve());
    }
    // START + 14 s is a multiple of 15 s.
    assert_eq!(asked, [-1, 4, 9, 14, 19, 24, 29].map(|seconds| at(seconds * 1000)));
    assert_eq!(bench.read(&mut fast).len(), 7);
    assert_eq!(bench.read(&mut slow), [-1_000, 14_000, 29_000].map(Seen::Tick));
}

#[test]
fn a_tick_that_does_not_come_is_looked_up_and_then_asked_for_again() {
    let mut bench = Bench::new();
    let (mut reader, _) = bench.attach(30, None);
    assert_eq!(bench.ask(), Some((at(-1_000), 0)));
    bench.wait(1_999);
    assert!(matches!(bench.timeline.plan(true, bench.now), Plan::Sleep(_)));
    bench.wait(1);
    assert_eq!(bench.timeline.plan(true, bench.now), Plan::Look { since: at(-1_000) });
    assert_eq!(bench.ask(), Some((at(-1_000), 1)));
    assert!(bench.arrive(at(-1_000), QUICK));
    assert!(!bench.arrive(at(-1_000), QUICK), "the same update is taken twice");
    assert_eq!(bench.read(&mut reader), [Seen::Tick(-1_000)]);
}

#[test]
fn the_ticks_of_an_outage_come_late_once_and_in_order() {
    let mut bench = Bench::new();
    let (mut reader, _) = bench.attach(5, None);
    bench.serve();
    bench.read(&mut reader);
    for _ in 0..12 {
        bench.wait(5_000);
        assert!(matches!(bench.timeline.plan(false, bench.now), Plan::Sleep(_)));
    }
    bench.timeline.doubt();
    let missed: Vec<_> = (0..12).map(|n| 4_000 + n * 5_000).collect();
    assert_eq!(bench.serve(), missed.iter().map(|millis| at(*millis)).collect::<Vec<_>>());
    assert_eq!(bench.read(&mut reader), missed.into_iter().map(Seen::Tick).collect::<Vec<_>>());
}

#[test]
fn what_an_outage_takes_beyond_the_budget_is_told() {
    let mut bench = Bench::new();
    let (mut reader, _) = bench.attach(5, None);
    bench.serve();
    bench.read(&mut reader);
    for _ in 0..40 {
        bench.wait(5_000);
        bench.timeline.plan(false, bench.now);
    }
    assert!(bench.timeline.take_lost());
    let seen = bench.read(&mut reader);
    assert_eq!(seen, [Seen::Gap(4_000, 39_000, 8, GapReason::RepairBudget)]);
    assert_eq!(bench.serve().len(), 32);
    assert_eq!(bench.read(&mut reader).first(), Some(&Seen::Tick(44_000)));
}

#[test]
fn a_late_tick_is_waited_for_by_those_who_want_it_alone() {
    let mut bench = Bench::new();
    let ((mut fast, _), (mut slow, _)) = (bench.attach(5, None), bench.attach(15, None));
    bench.serve();
    bench.wait(15_000);
    bench.timeline.plan(true, bench.now);
    // 4 s is still missing; 14 s, which both want, is here.
    assert!(bench.arrive(at(14_000), QUICK));
    assert_eq!(bench.read(&mut fast), [Seen::Tick(-1_000)]);
    assert_eq!(bench.read(&mut slow), [-1_000, 14_000].map(Seen::Tick));
}

#[test]
fn a_reader_that_comes_back_misses_nothing() {
    let mut bench = Bench::new();
    let (mut reader, _) = bench.attach(5, None);
    bench.serve();
    bench.read(&mut reader);
    bench.timeline.detach(Interval::from_secs(5).unwrap(), bench.now);
    for _ in 0..2 {
        bench.wait(5_000);
        bench.serve();
    }
    let (mut reader, resume) = bench.attach(5, Some(-1_000));
    assert_eq!(resume, Resume::Resumed);
    assert_eq!(bench.read(&mut reader), [4_000, 9_000].map(Seen::Tick));
}

#[test]
fn a_topic_ends_when_it_was_unused_for_the_linger_time() {
    let mut bench = Bench::new();
    bench.attach(5, None);
    bench.serve();
    bench.timeline.detach(Interval::from_secs(5).unwrap(), bench.now);
    bench.wait(14_999);
    assert_ne!(bench.timeline.plan(true, bench.now), Plan::End);
    bench.wait(1);
    assert_eq!(bench.timeline.plan(true, bench.now), Plan::End);
}

#[test]
fn a_cursor_from_elsewhere_is_served_from_the_history_or_asked_for() {
    let mut bench = Bench::new();
    let (mut reader, resume) = bench.attach(5, Some(-21_000));
    assert_eq!(resume, Resume::Resumed);
    assert_eq!(bench.timeline.plan(true, bench.now), Plan::Look { since: at(-16_000) });
    for millis in [-16_000, -6_000] {
        assert!(bench.arrive(at(millis), QUICK));
    }
    assert_eq!(bench.serve(), [at(-11_000), at(-1_000)]);
    assert_eq!(bench.read(&mut reader), [-16_000, -11_000, -6_000, -1_000].map(Seen::Tick));
}

#[test]
fn a_cursor_that_is_too_old_is_told_so_however_old_it_is() {
    for age in [200_000, 86_400_000, START] {
        let mut bench = Bench::new();
        let (mut reader, resume) = bench.attach(5, Some(-age));
        let oldest = -1_000 - 31 * 5_000;
        let Resume::Gap(from, to) = resume else { panic!("{resume:?}") };
        assert_eq!((from <= at(-age + 5_000), to), (true, at(oldest - 5_000)));
        assert_eq!(bench.serve().len(), 32);
        let seen = bench.read(&mut reader);
        assert!(
            matches!(seen[0], Seen::Gap(_, to, _, GapReason::HistoryExpired) if to == oldest - 5_000),
            "{seen:?}"
        );
        assert_eq!(seen.len(), 33);
    }
}

#[test]
fn a_reader_that_lags_skips_the_oldest_and_is_told() {
    let mut bench = Bench::new();
    let (mut reader, _) = bench.attach(5, None);
    bench.serve();
    bench.read(&mut reader);
    for _ in 0..15 {
        bench.wait(5_000);
        bench.serve();
    }
    let seen = bench.read(&mut reader);
    assert_eq!(seen[0], Seen::Gap(4_000, 24_000, 5, GapReason::SlowConsumer));
    assert_eq!(seen[1], Seen::Tick(29_000));
    assert_eq!(seen.len(), 11);
}

#[test]
fn a_reader_that_was_away_for_long_is_told_all_that_it_missed() {
    let mut bench = Bench::new();
    let (mut reader, _) = bench.attach(5, None);
    bench.serve();
    bench.read(&mut reader);
    for _ in 0..100 {
        bench.wait(5_000);
        bench.serve();
    }
    let seen = bench.read(&mut reader);
    assert_eq!(seen[0], Seen::Gap(4_000, 449_000, 90, GapReason::SlowConsumer));
    assert_eq!(seen.len(), 11);
}

#[test]
fn a_query_slower_than_its_interval_is_stretched() {
    let mut bench = Bench::new();
    let (mut reader, _) = bench.attach(5, None);
    bench.serve();
    bench.read(&mut reader);
    bench.wait(4_000);
    assert_eq!(bench.ask(), Some((at(4_000), 0)));
    bench.wait(12_000);
    assert!(bench.arrive(at(4_000), Duration::from_secs(12)));
    assert_eq!(bench.ask().map(|(tick, _)| tick), Some(at(14_000)));
    let seen = bench.read(&mut reader);
    assert_eq!(seen, [Seen::Tick(4_000), Seen::Gap(9_000, 9_000, 1, GapReason::UpstreamSlow)]);
}

#[test]
fn a_tick_that_stays_away_is_looked_for_ever_less_often() {
    let mut bench = Bench::new();
    let _reader = bench.attach(300, None);
    let mut waited = Vec::new();
    for attempt in 0..6 {
        let (tick, asked) = bench.ask().expect("an ask");
        assert_eq!(asked, attempt);
        let mut seconds = 0;
        while matches!(bench.timeline.plan(true, bench.now), Plan::Sleep(_)) {
            bench.wait(1_000);
            seconds += 1;
        }
        waited.push((tick, seconds));
    }
    let tick = waited[0].0;
    assert_eq!(waited, [2, 4, 8, 16, 32, 32].map(|seconds| (tick, seconds)));
}

#[test]
fn a_busy_topic_is_asked_again_soon_and_ever_less_often() {
    let mut bench = Bench::new();
    bench.attach(60, None);
    bench.timeline.looked(Outcome::Done, bench.now);
    let mut waits = Vec::new();
    for _ in 0..10 {
        while let Plan::Look { .. } = bench.timeline.plan(true, bench.now) {
            bench.timeline.looked(Outcome::Done, bench.now);
        }
        bench.timeline.asked(at(-1_000), Outcome::Busy, bench.now);
        let Plan::Sleep(until) = bench.timeline.plan(true, bench.now) else { panic!("no sleep") };
        let wait = until.saturating_duration_since(bench.now.mono);
        waits.push(wait.as_millis());
        bench.wait(wait.as_millis().try_into().unwrap());
    }
    assert_eq!(waits, [20, 40, 80, 160, 320, 640, 1280, 2560, 5000, 5000]);
    // The other job's update sets the ask free at once.
    bench.timeline.asked(at(-1_000), Outcome::Busy, bench.now);
    bench.arrive(at(59_000), QUICK);
    assert!(matches!(bench.timeline.plan(true, bench.now), Plan::Look { .. } | Plan::Ask { .. }));
}

#[test]
fn a_tick_of_a_clock_that_is_ahead_is_taken_once() {
    let mut bench = Bench::new();
    let (mut reader, _) = bench.attach(5, None);
    bench.serve();
    assert!(bench.arrive(at(4_000), QUICK));
    assert!(!bench.arrive(at(5_000), QUICK), "a tick that nobody wants is taken");
    assert_eq!(bench.read(&mut reader), [-1_000, 4_000].map(Seen::Tick));
    bench.wait(5_000);
    assert_eq!(bench.ask(), None);
    assert_eq!(bench.read(&mut reader), []);
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    /// Ask, and answer if so, after so many milliseconds.
    Ask(Option<u64>),
    /// Time passes with the bus down.
    Outage(u64),
    /// An update that nobody here asked for.
    Stray(i64),
    Read(usize),
    /// A reader leaves and comes back with its cursor after a time.
    Return(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..20_000u64).prop_map(Step::Wait),
        proptest::option::weighted(0.8, 1..12_000u64).prop_map(Step::Ask),
        (1..300_000u64).prop_map(Step::Outage),
        (-300i64..300).prop_map(Step::Stray),
        (0..3usize).prop_map(Step::Read),
        ((0..3usize), 1..400_000u64).prop_map(|(who, millis)| Step::Return(who, millis)),
    ]
}

/// A reader, what it should see next, and its interval.
struct Watcher {
    reader: Reader,
    grid: Grid,
    last: Tick,
    seconds: u16,
}

impl Watcher {
    fn new(bench: &mut Bench, seconds: u16) -> Self {
        let grid = Grid::new(Phase::spread(0), Interval::from_secs(seconds).unwrap());
        let (reader, _) = bench.attach(seconds, None);
        Self { reader, grid, last: grid.step(grid.at_or_before(bench.now.wall), -1), seconds }
    }

    /// Reads all there is, and judges that nothing is left out, doubled or out of order.
    fn read(&mut self, bench: &Bench) -> Result<(), TestCaseError> {
        loop {
            let expected = self.grid.next_after(self.last);
            match bench.timeline.next(&mut self.reader, bench.now) {
                Next::Pending => return Ok(()),
                Next::Update { tick, .. } => {
                    prop_assert_eq!(tick, expected);
                    self.last = tick;
                }
                Next::Gap(gap) => {
                    prop_assert_eq!(gap.from, expected);
                    prop_assert!(gap.to >= gap.from && self.grid.contains(gap.to));
                    prop_assert_eq!(gap.missed, self.grid.count(self.last, gap.to));
                    prop_assert!(gap.to <= bench.now.wall, "a future tick is told as lost");
                    self.last = gap.to;
                }
            }
        }
    }
}

fn happen(bench: &mut Bench, watchers: &mut [Watcher], step: Step) -> Result<(), TestCaseError> {
    match step {
        Step::Wait(millis) => bench.wait(millis),
        Step::Ask(answer) => {
            if let (Some((tick, _)), Some(took)) = (bench.ask(), answer) {
                bench.wait(took);
                bench.arrive(tick, Duration::from_millis(took));
            }
        }
        Step::Outage(millis) => {
            bench.wait(millis);
            bench.timeline.plan(false, bench.now);
            bench.timeline.doubt();
        }
        Step::Stray(steps) => {
            let now = bench.now.wall;
            bench.arrive(watchers[0].grid.step(watchers[0].grid.at_or_before(now), steps), QUICK);
        }
        Step::Read(who) => watchers[who].read(bench)?,
        Step::Return(who, millis) => {
            let watcher = &mut watchers[who];
            bench.timeline.detach(watcher.grid.interval(), bench.now);
            bench.wait(millis);
            bench.timeline.plan(true, bench.now);
            let (reader, _) = bench.attach(watcher.seconds, Some(watcher.last.millis() - START));
            watcher.reader = reader;
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_reader_gets_each_tick_once_in_order_or_is_told(steps in proptest::collection::vec(step(), 1..80)) {
        let mut bench = Bench::new();
        let mut watchers: Vec<_> = [5, 15, 60].into_iter().map(|seconds| Watcher::new(&mut bench, seconds)).collect();
        for step in steps {
            happen(&mut bench, &mut watchers, step)?;
        }
        // When all is well again, everybody gets to the present: nothing is waited for in vain.
        bench.timeline.doubt();
        bench.wait(3_000);
        bench.serve();
        for watcher in &mut watchers {
            watcher.read(&bench)?;
            prop_assert!(watcher.last >= watcher.grid.at_or_before(bench.now.wall));
        }
    }
}

#[test]
fn an_update_that_is_here_is_found_by_its_tick() {
    let mut bench = Bench::new();
    let (_reader, _) = bench.attach(5, None);
    assert_eq!(bench.timeline.frame(None).map(|(tick, _)| tick), None);
    let ticks = bench.serve();
    let found = |at| bench.timeline.frame(at).map(|(tick, _)| tick);
    assert_eq!((found(None), found(ticks.first().copied())), (ticks.last().copied(), ticks.first().copied()));
    assert_eq!(found(Some(at(1))), None);
}
