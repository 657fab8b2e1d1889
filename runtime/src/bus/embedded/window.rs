//! A window in time: what was seen within the last so many seconds.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// Things seen in the last `span`. Holds as many as are seen in that time.
#[derive(Debug)]
pub(super) struct Window<T> {
    span: Duration,
    seen: HashSet<T>,
    by_age: VecDeque<(Instant, T)>,
}

impl<T: Copy + Eq + Hash> Window<T> {
    pub(super) fn new(span: Duration) -> Self {
        Self { span, seen: HashSet::new(), by_age: VecDeque::new() }
    }

    /// Whether `thing` was put in less than a span before `now`.
    pub(super) fn has(&mut self, thing: &T, now: Instant) -> bool {
        while let Some((_, old)) = self.by_age.pop_front_if(|(at, _)| *at + self.span <= now) {
            self.seen.remove(&old);
        }
        self.seen.contains(thing)
    }

    /// Puts `thing` in, where it is not in already. `now` never goes back.
    pub(super) fn put(&mut self, thing: T, now: Instant) {
        if self.seen.insert(thing) {
            self.by_age.push_back((now, thing));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_leaves_after_the_span() {
        let mut window = Window::new(Duration::from_secs(2));
        let start = Instant::now();
        window.put('a', start);
        window.put('b', start + Duration::from_secs(1));
        assert!(window.has(&'a', start + Duration::from_millis(1999)));
        assert!(!window.has(&'a', start + Duration::from_secs(2)));
        assert!(window.has(&'b', start + Duration::from_secs(2)));
        assert!(!window.has(&'b', start + Duration::from_secs(3)));
        assert!(window.seen.is_empty() && window.by_age.is_empty());
    }
}
