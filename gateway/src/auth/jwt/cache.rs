//! Tokens that were verified a moment ago. Those that were refused are not kept: refusing is cheap, and a reason may pass.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use promcast_proto::tick::Tick;
use tokio::time::Instant;

use super::Identity;
use crate::auth::token::Digest;

/// The most tokens that are kept. An entry is a few hundred bytes; beyond, the oldest go.
const ENTRIES_MAX: usize = 10_000;

/// The tokens, by their digests.
#[derive(Debug)]
pub(super) struct Cache {
    fresh_for: Duration,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    known: HashMap<Digest, Entry>,
    /// In the order in which they came, which is the order in which they get too old.
    order: VecDeque<(Instant, Digest)>,
}

#[derive(Debug)]
struct Entry {
    until: Instant,
    identity: Identity,
}

impl Cache {
    /// Keeps what it is given for so long at most.
    pub(super) fn new(fresh_for: Duration) -> Self {
        Self { fresh_for, entries: Mutex::default() }
    }

    /// Who this token speaks of, where that was found out a moment ago and the token has not expired since.
    pub(super) fn get(&self, token: &Digest, now: Tick) -> Option<Identity> {
        let entries = self.entries.lock();
        let entry = entries.known.get(token)?;
        let good = entry.until > Instant::now() && entry.identity.expires > now;
        good.then(|| entry.identity.clone())
    }

    /// Keeps what was found out.
    pub(super) fn put(&self, token: Digest, identity: Identity) {
        let now = Instant::now();
        let until = now + self.fresh_for;
        let mut entries = self.entries.lock();
        entries.drop_old(now);
        entries.order.push_back((until, token));
        entries.known.insert(token, Entry { until, identity });
    }
}

impl Entries {
    /// Makes room for one.
    fn drop_old(&mut self, now: Instant) {
        while let Some((until, token)) = self.order.front().copied() {
            if until > now && self.order.len() < ENTRIES_MAX {
                break;
            }
            self.order.pop_front();
            // The token may have come again since, and then it stays.
            if self.known.get(&token).is_some_and(|entry| entry.until == until) {
                self.known.remove(&token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::token::Token;

    fn digest(number: usize) -> Digest {
        Token::new(&number.to_string()).unwrap().digest()
    }

    fn identity(expires: i64) -> Identity {
        let expires = Tick::from_millis(expires);
        Identity { user: "ann".to_owned(), expires, sight: None, ignored_names: 0 }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_believed_longer_than_the_time_or_the_token_itself() {
        let cache = Cache::new(Duration::from_secs(120));
        let now = Tick::from_millis(0);
        cache.put(digest(1), identity(1_000_000));
        cache.put(digest(2), identity(1_000));
        assert!(cache.get(&digest(2), Tick::from_millis(999)).is_some());
        assert!(cache.get(&digest(2), Tick::from_millis(1_000)).is_none());
        tokio::time::advance(Duration::from_millis(119_999)).await;
        assert!(cache.get(&digest(1), now).is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(cache.get(&digest(1), now).is_none());
        assert!(cache.get(&digest(3), now).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn it_has_a_bound_and_the_oldest_go() {
        let cache = Cache::new(Duration::from_secs(120));
        for number in 0..=ENTRIES_MAX {
            cache.put(digest(number), identity(1_000));
        }
        let now = Tick::from_millis(0);
        assert!(cache.get(&digest(0), now).is_none());
        assert!(cache.get(&digest(1), now).is_some() && cache.get(&digest(ENTRIES_MAX), now).is_some());
        assert_eq!(cache.entries.lock().known.len(), ENTRIES_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_comes_again_stays_when_its_first_entry_goes() {
        let cache = Cache::new(Duration::from_secs(120));
        cache.put(digest(1), identity(1_000));
        tokio::time::advance(Duration::from_secs(100)).await;
        cache.put(digest(1), identity(1_000));
        tokio::time::advance(Duration::from_secs(30)).await;
        cache.put(digest(2), identity(1_000));
        assert!(cache.get(&digest(1), Tick::from_millis(0)).is_some());
    }
}
