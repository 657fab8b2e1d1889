//! The work queue of one datasource as a state machine: every decision is a function of state, input and now.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use promcast_proto::job::Job;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Key;
use tokio::time::Instant;

use super::window::Window;
use crate::bus::{Accepted, Limits};
use crate::trace::Context;

/// Names one job of a queue. Serials rise in the order in which jobs were accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Serial(u64);

/// Jobs that wait, are worked on, or were given up and only keep their topic busy until they are too old.
#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    last: Serial,
    jobs: BTreeMap<Serial, Entry>,
    topics: HashMap<Key, Serial>,
    waiting: BTreeSet<Serial>,
    taken: BTreeSet<(Instant, Serial)>,
    seen: Window<(Key, Tick, u32)>,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    job: Job,
    trace: Option<Context>,
    born: Instant,
    deliveries: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Taken { until: Instant },
    GivenUp,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        let seen = Window::new(limits.job_dedupe);
        let (jobs, topics) = (BTreeMap::new(), HashMap::new());
        let (waiting, taken) = (BTreeSet::new(), BTreeSet::new());
        Self { limits, last: Serial(0), jobs, topics, waiting, taken, seen }
    }

    /// Takes a job in, unless it was seen before or its topic has another one.
    pub(super) fn ask(&mut self, job: &Job, attempt: u32, now: Instant) -> Accepted {
        self.advance(now);
        let key = job.topic().key();
        let id = (key, job.tick, attempt);
        if self.seen.has(&id, now) {
            return Accepted::Duplicate;
        }
        if self.topics.contains_key(&key) {
            return Accepted::Busy;
        }
        self.seen.put(id, now);
        self.last = Serial(self.last.0 + 1);
        let entry = Entry {
            key,
            job: job.clone(),
            trace: Context::current(),
            born: now,
            deliveries: 0,
            stage: Stage::Waiting,
        };
        self.jobs.insert(self.last, entry);
        self.topics.insert(key, self.last);
        self.waiting.insert(self.last);
        Accepted::Queued
    }

    /// The oldest job that waits, now taken; nothing where none waits or too many are being worked on.
    pub(super) fn take(&mut self, now: Instant) -> Option<(Serial, Job)> {
        self.advance(now);
        if self.taken.len() >= self.limits.in_flight {
            return None;
        }
        let serial = self.waiting.pop_first()?;
        let until = now + self.limits.ack_wait;
        let entry = self.jobs.get_mut(&serial)?;
        entry.deliveries += 1;
        entry.stage = Stage::Taken { until };
        self.taken.insert((until, serial));
        Some((serial, entry.job.clone()))
    }

    /// The span that asked for a job.
    pub(super) fn trace(&self, serial: Serial) -> Option<Context> {
        self.jobs.get(&serial)?.trace.clone()
    }

    /// The worker lives: its silence is counted from now. Nothing happens where the job is not being worked on.
    pub(super) fn progress(&mut self, serial: Serial, now: Instant) {
        self.advance(now);
        if let Some(entry) = self.jobs.get_mut(&serial)
            && let Stage::Taken { until } = entry.stage
        {
            let later = now + self.limits.ack_wait;
            entry.stage = Stage::Taken { until: later };
            self.taken.remove(&(until, serial));
            self.taken.insert((later, serial));
        }
    }

    /// The job is done, whoever did it: also by a worker that was taken for dead.
    pub(super) fn done(&mut self, serial: Serial) {
        if let Some(entry) = self.jobs.remove(&serial) {
            self.topics.remove(&entry.key);
            self.unlink(serial, entry.stage);
        }
    }

    /// The worker gives the job back.
    pub(super) fn release(&mut self, serial: Serial, now: Instant) {
        self.advance(now);
        if let Some(Entry { stage: Stage::Taken { until }, .. }) = self.jobs.get(&serial) {
            self.taken.remove(&(*until, serial));
            self.offer_again(serial);
        }
    }

    /// When [`Queue::take`] may have something that it does not have now, if nothing else happens before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let silent = self.taken.first().map(|(until, _)| *until);
        let expired = self.jobs.first_key_value().map(|(_, entry)| entry.born + self.limits.job_age);
        silent.into_iter().chain(expired).min()
    }

    /// Whether any job is being worked on.
    pub(super) fn is_idle(&self) -> bool {
        self.taken.is_empty()
    }

    /// Brings the state to `now`: forgets jobs that are too old, and takes jobs back from silent workers.
    fn advance(&mut self, now: Instant) {
        while let Some((serial, entry)) = self.jobs.first_key_value()
            && entry.born + self.limits.job_age <= now
        {
            self.done(*serial);
        }
        while let Some((_, serial)) = self.taken.first().filter(|(until, _)| *until <= now).copied() {
            self.taken.pop_first();
            self.offer_again(serial);
        }
    }

    fn offer_again(&mut self, serial: Serial) {
        if let Some(entry) = self.jobs.get_mut(&serial) {
            if entry.deliveries < self.limits.deliveries {
                entry.stage = Stage::Waiting;
                self.waiting.insert(serial);
            } else {
                entry.stage = Stage::GivenUp;
            }
        }
    }

    fn unlink(&mut self, serial: Serial, stage: Stage) {
        match stage {
            Stage::Waiting => self.waiting.remove(&serial),
            Stage::Taken { until } => self.taken.remove(&(until, serial)),
            Stage::GivenUp => true,
        };
    }
}

#[cfg(test)]
mod tests;
