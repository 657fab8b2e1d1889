//! Leaves an upstream that is down alone for a moment at a time: a pure function of state, outcome and now.
//!
//! After a few failures in a row the gate closes for a window, and jobs are answered at once with the failure that
//! closed it. When the window ends one query goes through as a probe; where that fails too, the next window is twice
//! as long. Any answer opens the gate.

use std::time::Duration;

use promcast_proto::update::Failure;
use tokio::time::Instant;

use crate::prometheus::classify::{Failed, Scope};

/// So many failures in a row close the gate: one or two are the restart of a proxy.
const FAILURES: u32 = 3;

/// The first window. Well below the shortest interval, so that an upstream that comes back is missed by no one.
const WINDOW_MIN: Duration = Duration::from_millis(500);

/// The longest window: below the shortest interval of 5 s, so every topic notices a recovery at its next tick.
const WINDOW_MAX: Duration = Duration::from_secs(4);

/// The state of one datasource.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
    closed: Option<Closed>,
    /// Rises whenever the gate closes or lets a probe through, so that queries sent before that change nothing by
    /// failing late.
    era: u64,
}

#[derive(Debug)]
struct Closed {
    until: Instant,
    window: Duration,
    failure: Failure,
}

/// What is to be done with a job.
#[derive(Debug, PartialEq, Eq)]
pub enum Gate {
    /// Ask the upstream, and give the ticket back with what came of it.
    Pass(Ticket),
    /// Answer with this.
    Refuse(Failure),
}

/// When a query was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The gate stays as it was.
    None,
    /// It was open and is closed.
    Closed,
    /// It was closed and is open.
    Opened,
}

impl Backoff {
    /// Whether a query may go out now.
    pub fn admit(&mut self, now: Instant) -> Gate {
        match &mut self.closed {
            Some(closed) if now < closed.until => return Gate::Refuse(closed.failure.clone()),
            Some(closed) => {
                // The probe may hang or get lost, so the next one follows by the clock and not by its outcome.
                closed.until = now + WINDOW_MAX;
                self.era += 1;
            }
            None => {}
        }
        Gate::Pass(Ticket(self.era))
    }

    /// Takes in what came of a query. `jitter` is a random number from 0 to 1; windows of many pollers spread by a
    /// quarter of their length.
    pub fn settle(&mut self, ticket: Ticket, failed: Option<&Failed>, now: Instant, jitter: f64) -> Change {
        let Some(Failed { failure, scope: Scope::Upstream, .. }) = failed else {
            self.failures = 0;
            return if self.closed.take().is_some() { Change::Opened } else { Change::None };
        };
        if ticket != Ticket(self.era) {
            return Change::None;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES {
            return Change::None;
        }
        let before = self.closed.take();
        let window = before.as_ref().map_or(WINDOW_MIN, |closed| (closed.window * 2).min(WINDOW_MAX));
        let until = now + window.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 4.0);
        self.closed = Some(Closed { until, window, failure: failure.clone() });
        self.era += 1;
        if before.is_some() { Change::None } else { Change::Closed }
    }
}

#[cfg(test)]
mod tests {
    use promcast_proto::code::ErrorCode;
    use proptest::prelude::*;

    use super::*;
    use crate::prometheus::classify::{Lost, lost};

    fn pass(backoff: &mut Backoff, now: Instant) -> Ticket {
        match backoff.admit(now) {
            Gate::Pass(ticket) => ticket,
            Gate::Refuse(failure) => panic!("refused: {failure:?}"),
        }
    }

    /// Fails as often as it takes to close the gate at `now`.
    fn closed(now: Instant) -> Backoff {
        let (mut backoff, down) = (Backoff::default(), lost(Lost::Unreachable));
        let changes = [(); 3].map(|()| {
            let ticket = pass(&mut backoff, now);
            backoff.settle(ticket, Some(&down), now, 0.0)
        });
        assert_eq!(changes, [Change::None, Change::None, Change::Closed]);
        backoff
    }

    #[test]
    fn a_closed_gate_answers_with_the_failure_and_lets_one_probe_through_at_the_end() {
        let (now, down) = (Instant::now(), lost(Lost::Unreachable));
        let mut backoff = closed(now);
        let early = now + Duration::from_millis(499);
        assert_eq!(backoff.admit(early), Gate::Refuse(down.failure.clone()));
        let end = now + WINDOW_MIN;
        let probe = pass(&mut backoff, end);
        assert_eq!(backoff.admit(end), Gate::Refuse(down.failure));
        assert_eq!(backoff.settle(probe, None, end, 0.0), Change::Opened);
        pass(&mut backoff, end);
    }

    #[test]
    fn windows_double_up_to_the_longest() {
        let (mut now, down) = (Instant::now(), lost(Lost::Timeout));
        let mut backoff = closed(now);
        for millis in [500, 1_000, 2_000, 4_000, 4_000] {
            assert!(matches!(backoff.admit(now + Duration::from_millis(millis - 1)), Gate::Refuse(_)));
            now += Duration::from_millis(millis);
            let probe = pass(&mut backoff, now);
            assert_eq!(backoff.settle(probe, Some(&down), now, 0.0), Change::None);
        }
    }

    #[test]
    fn queries_sent_before_the_gate_closed_do_not_lengthen_the_window_but_may_open_it() {
        let (now, down) = (Instant::now(), lost(Lost::Unreachable));
        let mut backoff = Backoff::default();
        let tickets = [(); 6].map(|()| pass(&mut backoff, now));
        for ticket in &tickets[..5] {
            backoff.settle(*ticket, Some(&down), now, 0.0);
        }
        let end = now + WINDOW_MIN;
        assert!(matches!(backoff.admit(end), Gate::Pass(_)));
        assert_eq!(backoff.settle(tickets[5], None, end, 0.0), Change::Opened);
    }

    #[test]
    fn a_lost_probe_is_followed_by_another() {
        let now = Instant::now();
        let mut backoff = closed(now);
        pass(&mut backoff, now + WINDOW_MIN);
        pass(&mut backoff, now + WINDOW_MIN + WINDOW_MAX);
    }

    proptest! {
        #[test]
        fn no_failure_of_a_query_ever_closes_it(codes in prop::collection::vec(0..ErrorCode::ALL.len(), 1..50)) {
            let (mut backoff, now) = (Backoff::default(), Instant::now());
            for code in codes {
                let ticket = pass(&mut backoff, now);
                let failed = Failed::query(ErrorCode::ALL[code], "x");
                prop_assert_eq!(backoff.settle(ticket, Some(&failed), now, 0.0), Change::None);
            }
        }

        #[test]
        fn it_never_refuses_for_longer_than_the_longest_window(
            steps in prop::collection::vec((0u64..3_000, any::<bool>(), 0.0..=1.0f64), 1..60)
        ) {
            let (mut backoff, mut now) = (Backoff::default(), Instant::now());
            let (mut passed, down) = (now, lost(Lost::Unreachable));
            for (wait, up, jitter) in steps {
                now += Duration::from_millis(wait);
                match backoff.admit(now) {
                    Gate::Pass(ticket) => {
                        passed = now;
                        backoff.settle(ticket, (!up).then_some(&down), now, jitter);
                    }
                    Gate::Refuse(failure) => {
                        prop_assert_eq!(&failure, &down.failure);
                        prop_assert!(now - passed < WINDOW_MAX);
                    }
                }
            }
        }
    }
}
