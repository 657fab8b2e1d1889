//! The judge: reads every viewer's log of a fault and says what was promised and not kept.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use promcast_proto::code::{GapReason, ShutdownCode};
use promcast_proto::tick::Tick;

use super::fault::Allowed;
use super::journal::{Entry, Journal, What};

/// Complaints that are written out.
const SHOWN: usize = 12;

/// What viewers noticed between two moments.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Evaluations that came, over all viewers.
    pub delivered: usize,
    /// How much later than its tick the latest one came.
    pub latest: Duration,
    /// Likewise where the upstream is the slow one.
    pub latest_of_slow: Duration,
    /// How much sooner than its tick the earliest one came: a clock was ahead.
    pub earliest: Duration,
    /// Streams that ended.
    pub ended: usize,
    /// The most streams that ended by a drain in any second.
    pub ended_in_a_second: usize,
    /// The most streams that began in any second.
    pub opened_in_a_second: usize,
    /// Requests for a stream that got none.
    pub refused: usize,
    /// Ticks that were told as lost, by reason.
    pub told: BTreeMap<String, usize>,
    /// What was not kept.
    pub complaints: Vec<String>,
}

/// Judges what viewers saw from `from` on; every tick up to `until` has to be there, of the whole log.
pub fn judge(journals: &[(bool, Journal)], (from, until): (Tick, Tick), allowed: Allowed) -> Verdict {
    let mut verdict = Verdict::default();
    let (mut drained, mut opened) = (Vec::new(), Vec::new());
    for (number, (slow, journal)) in journals.iter().enumerate() {
        for violation in journal.violations(until) {
            verdict.complaints.push(format!("viewer {number}: {violation:?}"));
        }
        for Entry { at, what } in journal.entries.iter().filter(|entry| entry.at >= from) {
            verdict.note(number, *slow, *at, what, allowed);
            match what {
                What::Ended(Some(code)) if code == ShutdownCode::Draining.as_str() => drained.push(*at),
                What::Opened { .. } => opened.push(*at),
                What::Ended(_)
                | What::Update { .. }
                | What::Failed { .. }
                | What::Gap { .. }
                | What::Refused(_) => {}
            }
        }
    }
    verdict.ended_in_a_second = most_in_a_second(&mut drained);
    verdict.opened_in_a_second = most_in_a_second(&mut opened);
    verdict
}

impl Verdict {
    fn note(&mut self, number: usize, slow: bool, at: Tick, what: &What, allowed: Allowed) {
        match what {
            What::Update { tick, .. } => self.evaluation(number, slow, at, *tick, allowed),
            What::Failed { tick, code } => {
                self.complaints.push(format!("viewer {number}: tick {tick} failed: {code}"));
            }
            What::Gap { from, to, reason } => {
                *self.told.entry(reason.clone()).or_default() += 1;
                if !(slow && allowed.stretched && reason == GapReason::UpstreamSlow.as_str()) {
                    self.complaints
                        .push(format!("viewer {number}: told that {from} to {to} are lost: {reason}"));
                }
            }
            What::Ended(code) => {
                self.ended += 1;
                if !allowed.reconnect {
                    self.complaints.push(format!("viewer {number}: its stream ended: {code:?}"));
                }
            }
            What::Refused(status) => {
                self.refused += 1;
                // To an EventSource any answer but a stream is the end.
                if status.is_some() || !allowed.reconnect {
                    self.complaints.push(format!("viewer {number}: it was refused: {status:?}"));
                }
            }
            What::Opened { .. } => {}
        }
    }

    fn evaluation(&mut self, number: usize, slow: bool, at: Tick, tick: Tick, allowed: Allowed) {
        self.delivered += 1;
        let millis = |after: i64| Duration::from_millis(u64::try_from(after).unwrap_or_default());
        let late = millis(at.since(tick));
        self.earliest = self.earliest.max(millis(tick.since(at)));
        let (latest, limit) = match slow {
            true => (&mut self.latest_of_slow, allowed.late_of_slow),
            false => (&mut self.latest, allowed.late),
        };
        *latest = (*latest).max(late);
        if late > limit {
            self.complaints.push(format!("viewer {number}: tick {tick} came {late:?} late"));
        }
    }
}

/// The most of these moments that lie within one second.
fn most_in_a_second(moments: &mut [Tick]) -> usize {
    moments.sort_unstable();
    let within = |(start, first): (usize, &Tick)| {
        moments[start..].iter().take_while(|moment| moment.since(*first) < 1_000).count()
    };
    moments.iter().enumerate().map(within).max().unwrap_or_default()
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} evaluations, the latest {:?} late ({:?} of the slow upstream), \
             the earliest {:?} early, {} streams ended (at most {} drained \
             and {} begun in a second), {} requests refused, told as lost: {:?}",
            self.delivered,
            self.latest,
            self.latest_of_slow,
            self.earliest,
            self.ended,
            self.ended_in_a_second,
            self.opened_in_a_second,
            self.refused,
            self.told,
        )?;
        if !self.complaints.is_empty() {
            write!(f, "\n{} complaints:", self.complaints.len())?;
        }
        for complaint in self.complaints.iter().take(SHOWN) {
            write!(f, "\n  {complaint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::fault::Fault;

    #[test]
    fn moments_within_a_second_are_counted() {
        let mut moments = [5_000, 100, 900, 1_099, 1_100, 1_500].map(Tick::from_millis);
        assert_eq!(most_in_a_second(&mut moments), 4);
        assert_eq!(most_in_a_second(&mut []), 0);
    }

    #[test]
    fn what_is_not_allowed_is_a_complaint() {
        let allowed = Fault::TermPoller.allowed();
        let tick = Tick::from_millis(10_000);
        let mut verdict = Verdict::default();
        verdict.note(0, false, tick.plus_millis(1_000), &What::Update { tick, right: true }, allowed);
        verdict.note(0, false, tick, &What::Opened { replica: String::new() }, allowed);
        assert_eq!(verdict.complaints, Vec::<String>::new());
        let gap = What::Gap { from: tick, to: tick, reason: "upstream_slow".to_owned() };
        for what in [
            What::Update { tick: tick.plus_millis(-1), right: true },
            What::Failed { tick, code: "upstream_timeout".to_owned() },
            gap.clone(),
            What::Ended(None),
            What::Refused(None),
        ] {
            let before = verdict.complaints.len();
            verdict.note(0, false, tick.plus_millis(1_000), &what, allowed);
            assert_eq!(verdict.complaints.len(), before + 1, "{what:?}");
        }
        let before = verdict.complaints.len();
        verdict.note(0, true, tick, &gap, Fault::SlowUpstream.allowed());
        assert_eq!(verdict.complaints.len(), before, "the slow upstream may stretch");
    }
}
