//! Answers that are kept for a time, and asked for once however many want them.

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a key stays at least that nobody wants. Far longer than a question takes.
const IDLE_MIN: Duration = Duration::from_secs(60);

/// Answers by key. The number of keys is bounded; what is wanted least often goes first, so that many who come once do
/// not push out those who come again.
pub(super) struct Cache<K, V>(moka::sync::Cache<K, Slot<V>>);

/// The answer for a key. Whoever asks holds the lock, and the others wait for it. One who goes away while asking leaves it to the
/// next.
type Slot<V> = Arc<Mutex<Option<Answer<V>>>>;

struct Answer<V> {
    value: V,
    came: Instant,
    until: Instant,
}

impl<V> Answer<V> {
    /// Whether it will do for somebody who asks since `since`: while it is kept, and for all who waited for it in any case.
    fn serves(&self, since: Instant, now: Instant) -> bool {
        now < self.until || since < self.came
    }
}

impl<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Room for so many keys, whose answers are kept for `longest` at most.
    pub(super) fn new(entries: u64, longest: Duration) -> Self {
        // By then no answer counts any more, and nobody is asking.
        let idle = longest.max(IDLE_MIN);
        Self(moka::sync::Cache::builder().max_capacity(entries).time_to_idle(idle).build())
    }

    /// The answer for `key`: one that is kept, or what `ask` gives, with how long it may be kept. That time counts from when
    /// the question was put, for the answer may be as old.
    pub(super) async fn get(&self, key: K, ask: impl Future<Output = (V, Duration)>) -> V {
        let since = Instant::now();
        let slot = self.0.get_with(key, Slot::default);
        let mut kept = slot.lock().await;
        let put = Instant::now();
        if let Some(answer) = kept.as_ref().filter(|answer| answer.serves(since, put)) {
            return answer.value.clone();
        }
        let (value, hold) = ask.await;
        *kept = Some(Answer { value: value.clone(), came: Instant::now(), until: put + hold });
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn cache() -> Cache<&'static str, u32> {
        Cache::new(100, Duration::from_secs(300))
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_for_its_time_and_not_longer() {
        let cache = cache();
        let ask = |value, hold| cache.get("key", async move { (value, hold) });
        assert_eq!(ask(1, MINUTE).await, 1);
        tokio::time::advance(MINUTE - Duration::from_millis(1)).await;
        assert_eq!(ask(2, MINUTE).await, 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(ask(3, MINUTE).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn its_time_counts_from_the_question() {
        let cache = cache();
        let slow = async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            (1, MINUTE)
        };
        assert_eq!(cache.get("key", slow).await, 1);
        tokio::time::advance(Duration::from_secs(56)).await;
        assert_eq!(cache.get("key", async { (2, MINUTE) }).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_have_answers_of_their_own() {
        let cache = cache();
        assert_eq!(cache.get("a", async { (1, MINUTE) }).await, 1);
        assert_eq!(cache.get("b", async { (2, MINUTE) }).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_want_the_same_make_one_question_even_where_the_answer_is_not_kept() {
        let (cache, asked) = (cache(), AtomicU32::new(0));
        let ask = || async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            (asked.fetch_add(1, Ordering::Relaxed), Duration::ZERO)
        };
        let answers = join_all((0..100).map(|_| cache.get("key", ask()))).await;
        assert_eq!(answers, [0; 100]);
        assert_eq!(cache.get("key", ask()).await, 1, "nothing was kept");
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_goes_away_while_asking_leaves_it_to_the_next() {
        let cache = cache();
        let stuck = cache.get("key", std::future::pending());
        let next = cache.get("key", async { (7, MINUTE) });
        let gone = tokio::time::timeout(Duration::from_secs(1), stuck);
        let (gone, value) = tokio::join!(gone, next);
        assert!(gone.is_err());
        assert_eq!(value, 7);
    }

    #[tokio::test]
    async fn the_number_of_keys_is_bounded() {
        let cache: Cache<u32, u32> = Cache::new(10, MINUTE);
        for key in 0..1_000 {
            cache.get(key, async { (key, MINUTE) }).await;
        }
        cache.0.run_pending_tasks();
        assert!(cache.0.entry_count() <= 10, "{}", cache.0.entry_count());
    }
}
