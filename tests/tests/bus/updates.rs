//! The promises about updates, as functions that hold for any kind of bus.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use e2e::wait::{PATIENCE, within};
use promcast_proto::tick::Tick;
use promcast_runtime::bus::{Bus, Event, Limits, SUBSCRIPTION_BUFFER, Stored};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::rig::{Kind, address, failure, history, is_up, next, publish, result, subscribe};

pub(crate) async fn the_first_update_of_a_tick_counts<K: Kind>() {
    let rig = K::start(Limits::default()).await;
    let mut live = subscribe(&rig.bus, 1).await;
    assert_eq!(publish(&rig.other, &result(1, 5)).await, Stored::New);
    assert_eq!(publish(&rig.bus, &result(1, 5)).await, Stored::Duplicate);
    assert_eq!(publish(&rig.other, &failure(1, 5)).await, Stored::Duplicate);
    assert_eq!(publish(&rig.other, &result(2, 5)).await, Stored::New);
    assert_eq!(publish(&rig.other, &result(1, 10)).await, Stored::New);
    assert_eq!([next(&mut live).await, next(&mut live).await], [Some(5), Some(10)]);
    assert_eq!(history(&rig.bus, 1).await, [5, 10]);
}

pub(crate) async fn a_tick_may_be_published_again_after_a_while<K: Kind>() {
    let span = Duration::from_secs(1);
    let rig = K::start(Limits { update_dedupe: span, ..Limits::default() }).await;
    let since = Instant::now();
    assert_eq!(publish(&rig.bus, &result(1, 5)).await, Stored::New);
    while publish(&rig.bus, &result(1, 5)).await == Stored::Duplicate {
        assert!(since.elapsed() < span * 4);
        sleep(span / 10).await;
    }
    assert!(since.elapsed() > span * 8 / 10);
    assert_eq!(history(&rig.bus, 1).await, [5], "one per tick even then");
}

pub(crate) async fn an_update_arrives_as_it_was_published<K: Kind>() {
    let rig = K::start(Limits::default()).await;
    let mut live = subscribe(&rig.bus, 1).await;
    for update in [result(1, 5), failure(1, 10)] {
        publish(&rig.other, &update).await;
        match within("the update", PATIENCE, live.next()).await {
            Some(Event::Update(arrived, _)) => assert_eq!(arrived, update),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rig.other.history(&address(1), Tick::MIN).await.unwrap(), [result(1, 5), failure(1, 10)]);
}

pub(crate) async fn every_subscriber_gets_all_in_order<K: Kind>() {
    let rig = K::start(Limits::default()).await;
    let mut live =
        [subscribe(&rig.bus, 1).await, subscribe(&rig.bus, 1).await, subscribe(&rig.other, 1).await];
    let mut stranger = subscribe(&rig.bus, 2).await;
    let ticks: Vec<_> = (1..=50).collect();
    for tick in &ticks {
        let update = if tick % 7 == 0 { failure(1, *tick) } else { result(1, *tick) };
        publish(&rig.other, &update).await;
    }
    for live in &mut live {
        for tick in &ticks {
            assert_eq!(next(live).await, Some(*tick));
        }
    }
    publish(&rig.other, &result(2, 99)).await;
    assert_eq!(next(&mut stranger).await, Some(99));
}

/// A reader as a gateway is one: it subscribes, then reads what is there, and reads again when told to.
async fn follow_until(bus: Arc<dyn Bus>, last: i64) -> BTreeSet<i64> {
    let mut live = bus.subscribe(&address(1)).await.unwrap();
    let mut seen: BTreeSet<_> = history(&bus, 1).await.into_iter().collect();
    while !seen.contains(&last) {
        match next(&mut live).await {
            Some(tick) => drop(seen.insert(tick)),
            None => seen.extend(history(&bus, 1).await),
        }
    }
    seen
}

pub(crate) async fn who_joins_misses_nothing<K: Kind>() {
    const LAST: i64 = 1500;
    let rig = K::start(Limits::default()).await;
    publish(&rig.other, &result(1, 1)).await;
    let (publisher, joiner) = (Arc::clone(&rig.other), Arc::clone(&rig.bus));
    // A few updates for each join, however busy the machine is: readers that it leaves behind are another test.
    let pace = Semaphore::new(0);
    let publishing = async {
        for tick in 2..=LAST {
            pace.acquire().await.unwrap().forget();
            publish(&publisher, &result(1, tick)).await;
            // Memory answers at once; without this nobody else would have a turn.
            tokio::task::yield_now().await;
        }
    };
    let joining = async {
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..200 {
            readers.spawn(follow_until(Arc::clone(&joiner), LAST));
            history(&joiner, 1).await;
            pace.add_permits(8);
            tokio::task::yield_now().await;
        }
        readers.join_all().await
    };
    let ((), joined) = tokio::join!(publishing, joining);
    let mut firsts = BTreeSet::new();
    for seen in joined {
        let first = *seen.first().unwrap();
        firsts.insert(first);
        assert_eq!(seen, (first..=LAST).collect(), "a reader that joined at {first} misses some");
    }
    assert!(firsts.len() > 20, "joins at {} places only", firsts.len());
}

pub(crate) async fn history_is_by_tick_and_bounded<K: Kind>() {
    let rig = K::start(Limits { history: 3, ..Limits::default() }).await;
    assert!(history(&rig.bus, 1).await.is_empty());
    for tick in [10, 5, 20, 15, 25] {
        publish(&rig.bus, &result(1, tick)).await;
    }
    assert_eq!(history(&rig.other, 1).await, [15, 20, 25]);
    for (since, kept) in [(25, &[25][..]), (16, &[20, 25]), (15, &[15, 20, 25]), (26, &[])] {
        let updates = rig.other.history(&address(1), Tick::from_millis(since)).await.unwrap();
        let ticks: Vec<_> = updates.iter().map(|update| update.tick.millis()).collect();
        assert_eq!(ticks, kept, "since {since}");
    }
    for tick in 31..=35 {
        publish(&rig.bus, &failure(1, tick)).await;
    }
    assert_eq!(history(&rig.other, 1).await, [15, 20, 25, 33, 34, 35], "errors push no result out");
    assert!(history(&rig.bus, 2).await.is_empty());
}

pub(crate) async fn a_long_history_of_large_results_comes_whole<K: Kind>() {
    const KEPT: i64 = 40;
    let rig = K::start(Limits { history: 40, ..Limits::default() }).await;
    let noise: Vec<u8> =
        (0..700_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
    for tick in 1..=KEPT + 5 {
        let mut update = result(1, tick);
        let body = promcast_proto::body::Body::pack(noise.clone()).unwrap();
        update.outcome = promcast_proto::update::Outcome::Result(body);
        publish(&rig.bus, &update).await;
    }
    assert_eq!(history(&rig.other, 1).await, (6..=KEPT + 5).collect::<Vec<_>>());
}

pub(crate) async fn history_grows_old<K: Kind>() {
    let age = Duration::from_secs(1);
    let rig = K::start(Limits { history_age: age, update_dedupe: age, ..Limits::default() }).await;
    let since = Instant::now();
    publish(&rig.bus, &result(1, 5)).await;
    while !history(&rig.bus, 1).await.is_empty() {
        assert!(since.elapsed() < age * 4);
        sleep(age / 10).await;
    }
    assert!(since.elapsed() > age * 8 / 10);
}

pub(crate) async fn a_subscription_ends_when_it_is_dropped<K: Kind>() {
    let rig = K::start(Limits::default()).await;
    let first = subscribe(&rig.bus, 1).await;
    drop(first);
    for tick in 1..=100 {
        assert_eq!(publish(&rig.bus, &result(1, tick)).await, Stored::New);
    }
    let mut second = subscribe(&rig.bus, 1).await;
    publish(&rig.bus, &result(1, 101)).await;
    assert_eq!(next(&mut second).await, Some(101));
}

pub(crate) async fn a_reader_that_is_too_slow_is_told_so<K: Kind>() {
    const BUFFER: i64 = SUBSCRIPTION_BUFFER as i64;
    let rig = K::start(Limits::default()).await;
    let mut live = subscribe(&rig.bus, 1).await;
    for tick in 1..=BUFFER + 20 {
        publish(&rig.bus, &result(1, tick)).await;
    }
    // The last of them is on its way over the same connection before this answer.
    history(&rig.bus, 1).await;
    let mut seen = Vec::new();
    while let Some(tick) = next(&mut live).await {
        seen.push(tick);
    }
    assert!(seen.len() >= SUBSCRIPTION_BUFFER, "{}", seen.len());
    assert_eq!(seen, (1..).take(seen.len()).collect::<Vec<_>>(), "what was dropped is the newest");
    assert_eq!(history(&rig.bus, 1).await.last(), Some(&(BUFFER + 20)));
    publish(&rig.bus, &result(1, 1000)).await;
    while next(&mut live).await != Some(1000) {}
}

pub(crate) async fn the_state_is_up<K: Kind>() {
    let rig = K::start(Limits::default()).await;
    assert_eq!(is_up(&rig.bus).await, 1);
}
