//! The log of updates as a state machine: the last few results and errors of each topic, each tick once.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use promcast_proto::tick::Tick;
use promcast_proto::topic::Key;
use promcast_proto::update::{Outcome, Update};
use tokio::time::Instant;

use super::window::Window;
use crate::bus::{Limits, Stored};

/// Topics that went quiet are looked for this many times within [`Limits::history_age`].
const SWEEPS: u32 = 4;

/// Updates of all topics. A topic is forgotten when its last update is too old.
#[derive(Debug)]
pub(super) struct Log {
    history: usize,
    age: Duration,
    topics: HashMap<Key, Kept>,
    seen: Window<(Key, Tick)>,
    swept: Option<Instant>,
}

/// Errors are kept apart, so that a run of them does not push the last good values out.
#[derive(Debug, Default)]
struct Kept {
    results: VecDeque<(Instant, Update)>,
    errors: VecDeque<(Instant, Update)>,
}

impl Log {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            history: limits.history,
            age: limits.history_age,
            topics: HashMap::new(),
            seen: Window::new(limits.update_dedupe),
            swept: None,
        }
    }

    /// Keeps an update, unless its topic has one of that tick.
    pub(super) fn publish(&mut self, update: &Update, now: Instant) -> Stored {
        self.sweep(now);
        let id = (update.key, update.tick);
        if self.seen.has(&id, now) {
            return Stored::Duplicate;
        }
        self.seen.put(id, now);
        let kept = self.topics.entry(update.key).or_default();
        let ring = match update.outcome {
            Outcome::Result(_) => &mut kept.results,
            Outcome::Failure(_) => &mut kept.errors,
        };
        ring.push_back((now, update.clone()));
        if ring.len() > self.history {
            ring.pop_front();
        }
        Stored::New
    }

    /// What is kept of a topic and not too old, by rising tick.
    pub(super) fn history(&mut self, key: Key, now: Instant) -> Vec<Update> {
        let Some(kept) = self.topics.get_mut(&key) else { return Vec::new() };
        if kept.forget(self.age, now) {
            self.topics.remove(&key);
            return Vec::new();
        }
        let all = kept.results.iter().chain(&kept.errors);
        let mut updates: Vec<_> = all.map(|(_, update)| update.clone()).collect();
        // Stable: of two with one tick, which the window no longer told apart, the result comes first and stays.
        updates.sort_by_key(|update| update.tick);
        updates.dedup_by_key(|update| update.tick);
        updates
    }

    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|last| last + self.age / SWEEPS <= now) {
            self.swept = Some(now);
            self.topics.retain(|_, kept| !kept.forget(self.age, now));
        }
    }
}

impl Kept {
    /// Drops what is too old; true where nothing is left.
    fn forget(&mut self, age: Duration, now: Instant) -> bool {
        for ring in [&mut self.results, &mut self.errors] {
            while ring.pop_front_if(|(at, _)| *at + age <= now).is_some() {}
        }
        self.results.is_empty() && self.errors.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use promcast_proto::body::Body;
    use promcast_proto::code::ErrorCode;
    use promcast_proto::topic::Topic;
    use promcast_proto::update::Failure;
    use proptest::prelude::*;

    use super::*;

    fn limits() -> Limits {
        Limits {
            history: 3,
            history_age: Duration::from_secs(60),
            update_dedupe: Duration::from_secs(120),
            ..Limits::default()
        }
    }

    fn key(topic: u8) -> Key {
        Topic::new(Default::default(), topic.to_string()).key()
    }

    fn update(topic: u8, tick: i64, good: bool) -> Update {
        let outcome = if good {
            Outcome::Result(Body::pack(b"{}".to_vec()).unwrap())
        } else {
            Outcome::Failure(Failure { code: ErrorCode::BadData, message: String::new() })
        };
        Update { key: key(topic), tick: Tick::from_millis(tick), took_ms: 1, outcome }
    }

    fn ticks(log: &mut Log, topic: u8, now: Instant) -> Vec<i64> {
        log.history(key(topic), now).iter().map(|update| update.tick.millis()).collect()
    }

    #[test]
    fn errors_do_not_push_results_out() {
        let (mut log, now) = (Log::new(&limits()), Instant::now());
        for tick in 0..4 {
            log.publish(&update(1, tick, true), now);
        }
        for tick in 4..9 {
            log.publish(&update(1, tick, false), now);
        }
        assert_eq!(ticks(&mut log, 1, now), [1, 2, 3, 6, 7, 8]);
    }

    #[test]
    fn a_tick_is_taken_once_whatever_came_of_it() {
        let (mut log, now) = (Log::new(&limits()), Instant::now());
        assert_eq!(log.publish(&update(1, 5, false), now), Stored::New);
        assert_eq!(log.publish(&update(1, 5, true), now), Stored::Duplicate);
        assert_eq!(log.publish(&update(2, 5, true), now), Stored::New);
    }

    #[test]
    fn quiet_topics_are_forgotten() {
        let (mut log, now) = (Log::new(&limits()), Instant::now());
        for topic in 0..100 {
            log.publish(&update(topic, 5, true), now);
        }
        let later = now + Duration::from_secs(60);
        assert_eq!(log.publish(&update(200, 10, true), later), Stored::New);
        assert_eq!(log.topics.len(), 1);
    }

    proptest! {
        #[test]
        fn history_is_the_last_few_that_are_young_enough(
            steps in proptest::collection::vec((0u8..2, 0i64..30, any::<bool>(), 0u64..20), 1..100),
        ) {
            let mut log = Log::new(&limits());
            let mut now = Instant::now();
            let mut all = Vec::new();
            for (topic, tick, good, wait) in steps {
                now += Duration::from_secs(wait);
                let stored = log.publish(&update(topic, tick, good), now);
                let known = all.iter().any(|(at, other, of, _)| {
                    *other == topic && *of == tick && *at + limits().update_dedupe > now
                });
                prop_assert_eq!(stored == Stored::Duplicate, known);
                if stored == Stored::New {
                    all.push((now, topic, tick, good));
                }
                let mut expected: Vec<i64> = [true, false].into_iter().flat_map(|good| {
                    all.iter().rev().filter(move |one| one.1 == topic && one.3 == good).take(limits().history)
                        .filter(|one| one.0 + limits().history_age > now).map(|one| one.2).collect::<Vec<_>>()
                }).collect();
                expected.sort_unstable();
                expected.dedup();
                prop_assert_eq!(ticks(&mut log, topic, now), expected);
            }
        }
    }
}
