//! Calls of many connections at once, so that a shard's lines are locked for a crowd and not for each of them.

use std::sync::Arc;

use super::{Lane, Lanes};

/// A shard is told of so many together; the first of them need not wait for the last.
const CROWD: usize = 256;

/// Connections that are called, by shard.
pub(super) struct Calls<'a> {
    lane: Lane,
    shards: Vec<(&'a Arc<Lanes>, Vec<u32>)>,
}

impl<'a> Calls<'a> {
    /// None, into this lane.
    pub(super) fn new(lane: Lane) -> Self {
        Self { lane, shards: Vec::new() }
    }

    /// One more, of the shard with these lanes.
    pub(super) fn add(&mut self, lanes: &'a Arc<Lanes>, number: u32) {
        let known = self.shards.iter().position(|(known, _)| Arc::ptr_eq(known, lanes));
        let index = known.unwrap_or_else(|| {
            self.shards.push((lanes, Vec::with_capacity(CROWD)));
            self.shards.len() - 1
        });
        if let Some((lanes, crowd)) = self.shards.get_mut(index) {
            crowd.push(number);
            if crowd.len() >= CROWD {
                lanes.push(self.lane, crowd);
                crowd.clear();
            }
        }
    }

    /// Calls the rest of them.
    pub(super) fn end(self) {
        for (lanes, crowd) in self.shards.iter().filter(|(_, crowd)| !crowd.is_empty()) {
            lanes.push(self.lane, crowd);
        }
    }
}
