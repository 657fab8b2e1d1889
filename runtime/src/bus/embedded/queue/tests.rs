//! The queue by examples, and against a model that only counts.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn limits() -> Limits {
    Limits {
        job_age: Duration::from_secs(20),
        job_dedupe: Duration::from_secs(20),
        ack_wait: Duration::from_secs(3),
        deliveries: 3,
        in_flight: 2,
        ..Limits::default()
    }
}

fn job(topic: u8, tick: i64) -> Job {
    Job {
        datasource: Default::default(),
        query: format!("up{{n=\"{topic}\"}}"),
        tick: Tick::from_millis(tick),
        timeout_ms: 1000,
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_topic_has_one_job_until_it_is_done() {
    let (mut queue, now) = (Queue::new(limits()), Instant::now());
    assert_eq!(queue.ask(&job(1, 5), 0, now), Accepted::Queued);
    assert_eq!(queue.ask(&job(1, 5), 0, now), Accepted::Duplicate);
    assert_eq!(queue.ask(&job(1, 10), 0, now), Accepted::Busy);
    let (serial, taken) = queue.take(now).unwrap();
    assert_eq!(taken, job(1, 5));
    assert_eq!(queue.ask(&job(1, 10), 0, now), Accepted::Busy);
    queue.done(serial);
    assert_eq!(queue.ask(&job(1, 5), 0, now), Accepted::Duplicate);
    assert_eq!(queue.ask(&job(1, 5), 1, now), Accepted::Queued);
}

#[test]
fn a_refused_job_is_not_remembered_as_seen() {
    let (mut queue, now) = (Queue::new(limits()), Instant::now());
    queue.ask(&job(1, 5), 0, now);
    assert_eq!(queue.ask(&job(1, 10), 0, now), Accepted::Busy);
    let (serial, _) = queue.take(now).unwrap();
    queue.done(serial);
    assert_eq!(queue.ask(&job(1, 10), 0, now), Accepted::Queued);
}

#[test]
fn a_silent_worker_loses_its_job_and_a_lively_one_keeps_it() {
    let (mut queue, now) = (Queue::new(limits()), Instant::now());
    queue.ask(&job(1, 5), 0, now);
    let (serial, _) = queue.take(now).unwrap();
    queue.progress(serial, now + secs(2));
    assert_eq!(queue.deadline(), Some(now + secs(5)));
    assert!(queue.take(now + Duration::from_millis(4999)).is_none());
    assert_eq!(queue.take(now + secs(5)).unwrap().0, serial);
}

#[test]
fn after_the_last_delivery_the_topic_is_busy_until_the_job_is_too_old() {
    let (mut queue, now) = (Queue::new(limits()), Instant::now());
    queue.ask(&job(1, 5), 0, now);
    for n in 0..3 {
        assert!(queue.take(now + secs(3 * n)).is_some());
    }
    assert!(queue.take(now + secs(19)).is_none());
    assert_eq!(queue.ask(&job(1, 10), 0, now + secs(19)), Accepted::Busy);
    assert_eq!(queue.ask(&job(1, 10), 0, now + secs(20)), Accepted::Queued);
}

#[test]
fn what_is_given_back_goes_to_the_next_worker_at_once() {
    let (mut queue, now) = (Queue::new(limits()), Instant::now());
    queue.ask(&job(1, 5), 0, now);
    let (serial, _) = queue.take(now).unwrap();
    queue.release(serial, now);
    assert_eq!(queue.take(now).unwrap().0, serial);
}

#[test]
fn no_more_are_worked_on_than_the_limit_and_an_expired_one_makes_room() {
    let (mut queue, now) = (Queue::new(limits()), Instant::now());
    for topic in 0..3 {
        queue.ask(&job(topic, 5), 0, now + secs(u64::from(topic)));
    }
    let (first, _) = queue.take(now + secs(2)).unwrap();
    assert!(queue.take(now + secs(2)).is_some());
    assert!(queue.take(now + secs(2)).is_none());
    queue.done(first);
    assert_eq!(queue.take(now + secs(2)).unwrap().1, job(2, 5));
}

/// One thing that happens to a queue.
#[derive(Clone, Debug)]
enum Step {
    Ask(u8, u8, u32),
    Take,
    Progress(usize),
    Done(usize),
    Release(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u8..4, 0u8..4, 0u32..2).prop_map(|(topic, tick, attempt)| Step::Ask(topic, tick, attempt)),
        Just(Step::Take),
        any::<usize>().prop_map(Step::Progress),
        any::<usize>().prop_map(Step::Done),
        any::<usize>().prop_map(Step::Release),
        (0u64..8_000).prop_map(Step::Wait),
    ]
}

/// What a worker may hold, and what was promised about it.
struct Held {
    serial: Serial,
    key: Key,
    accepted: Instant,
    last_sign: Instant,
    released: bool,
    deliveries: u32,
    done: bool,
}

/// Checks one delivery against everything that was promised.
fn judge(held: &mut Vec<Held>, serial: Serial, taken: &Job, now: Instant, accepted: &HashMap<Key, Instant>) {
    let key = taken.topic().key();
    let others = held
        .iter()
        .filter(|other| !other.done && other.serial != serial && other.key == key)
        .filter(|other| other.accepted + limits().job_age > now);
    assert_eq!(others.count(), 0, "two jobs of one topic");
    match held.iter_mut().find(|other| other.serial == serial) {
        Some(again) => {
            assert!(!again.done, "done, yet delivered again");
            assert!(again.released || again.last_sign + limits().ack_wait <= now, "delivered to two at once");
            assert!(again.deliveries < limits().deliveries, "delivered too often");
            (again.last_sign, again.released) = (now, false);
            again.deliveries += 1;
            assert!(again.accepted + limits().job_age > now, "too old");
        }
        None => held.push(Held {
            serial,
            key,
            accepted: accepted[&key],
            last_sign: now,
            released: false,
            deliveries: 1,
            done: false,
        }),
    }
}

proptest! {
    #[test]
    fn the_promises_hold_whatever_happens(steps in proptest::collection::vec(step(), 1..200)) {
        let mut queue = Queue::new(limits());
        let mut now = Instant::now();
        let (mut held, mut accepted) = (Vec::<Held>::new(), HashMap::new());
        for step in steps {
            match step {
                Step::Ask(topic, tick, attempt) => {
                    let job = job(topic, i64::from(tick));
                    let busy = queue.topics.contains_key(&job.topic().key());
                    if queue.ask(&job, attempt, now) == Accepted::Queued {
                        prop_assert!(!busy || accepted[&job.topic().key()] + limits().job_age <= now);
                        accepted.insert(job.topic().key(), now);
                    }
                }
                Step::Take => if let Some((serial, job)) = queue.take(now) {
                    judge(&mut held, serial, &job, now, &accepted);
                },
                Step::Wait(millis) => now += Duration::from_millis(millis),
                Step::Progress(n) | Step::Done(n) | Step::Release(n) if !held.is_empty() => {
                    let n = n % held.len();
                    let one = &mut held[n];
                    let in_hand = !one.released && one.last_sign + limits().ack_wait > now;
                    match step {
                        Step::Progress(_) => {
                            queue.progress(one.serial, now);
                            if in_hand { one.last_sign = now; }
                        }
                        Step::Done(_) => { queue.done(one.serial); one.done = true; }
                        Step::Release(_) => { queue.release(one.serial, now); one.released |= in_hand; }
                        Step::Ask(..) | Step::Take | Step::Wait(_) => {}
                    }
                }
                Step::Progress(_) | Step::Done(_) | Step::Release(_) => {}
            }
            prop_assert!(queue.taken.len() <= limits().in_flight);
            prop_assert_eq!(queue.topics.len(), queue.jobs.len());
            let given_up = queue.jobs.values().filter(|entry| entry.stage == Stage::GivenUp).count();
            prop_assert_eq!(queue.waiting.len() + queue.taken.len() + given_up, queue.jobs.len());
        }
    }
}
