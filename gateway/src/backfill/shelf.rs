//! Spans that were fetched a moment ago, bounded in bytes.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use tokio::time::Instant;

use crate::sse::Span;

/// How long a span is kept. Ticks that are over do not change, but a minute later nobody wants the same ones any more: those who
/// come then want newer ones too.
const KEPT: Duration = Duration::from_secs(10);

/// Spans by what they are of.
pub(super) struct Shelf<K>(moka::sync::Cache<K, Kept>);

#[derive(Clone)]
struct Kept {
    span: Arc<Span>,
    until: Instant,
}

impl<K: Hash + Eq + Send + Sync + 'static> Shelf<K> {
    /// Room for so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        let cache = moka::sync::Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, kept: &Kept| weight(&kept.span))
            // What came last is what the others want as well, however seldom it was wanted before.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(KEPT)
            .build();
        Self(cache)
    }

    pub(super) fn get(&self, key: &K) -> Option<Arc<Span>> {
        self.0.get(key).filter(|kept| Instant::now() < kept.until).map(|kept| kept.span)
    }

    pub(super) fn put(&self, key: K, span: Arc<Span>) {
        self.0.insert(key, Kept { span, until: Instant::now() + KEPT });
    }
}

/// A span is rendered in a second format when somebody wants that, into hardly more bytes than it has in the first.
fn weight(span: &Span) -> u32 {
    u32::try_from(span.size()).unwrap_or(u32::MAX).saturating_mul(2)
}

#[cfg(test)]
mod tests {
    use promcast_proto::tick::{Interval, Tick};
    use promcast_proto::topic::{Datasource, Topic};

    use super::*;

    fn span() -> Arc<Span> {
        let key = Topic::new(Datasource::default(), "up".to_owned()).key();
        let document = br#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        let interval = Interval::from_secs(5).unwrap();
        Arc::new(Span::new(key, interval, Tick::MIN, Tick::MIN, document).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_span_is_kept_for_ten_seconds() {
        let shelf = Shelf::new(1 << 20);
        shelf.put(1, span());
        tokio::time::advance(KEPT - Duration::from_millis(1)).await;
        assert!(shelf.get(&1).is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(shelf.get(&1).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_bytes_are_bounded_and_the_newest_stay() {
        let size = u64::from(weight(&span()));
        let shelf = Shelf::new(size * 10);
        for key in 0..100 {
            shelf.put(key, span());
            shelf.0.run_pending_tasks();
        }
        assert!(shelf.0.weighted_size() <= size * 10, "{}", shelf.0.weighted_size());
        assert!(shelf.get(&99).is_some() && shelf.get(&0).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn without_room_nothing_is_kept() {
        let shelf = Shelf::new(0);
        shelf.put(1, span());
        shelf.0.run_pending_tasks();
        assert!(shelf.get(&1).is_none());
    }
}
