//! How the streams of one connection are called, each in its turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::hub::{Lanes, Signal};

/// What a connection and its streams, all of which are one task, tell each other. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Turns(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    lanes: Arc<Lanes>,
    current: AtomicU32,
    rests: AtomicBool,
}

impl Turns {
    /// Where streams stand in line.
    pub fn lanes(&self) -> &Arc<Lanes> {
        &self.0.lanes
    }

    /// It is the turn of this one.
    pub fn begin(&self, number: u32) {
        self.0.current.store(number, Ordering::Relaxed);
        self.0.rests.store(false, Ordering::Relaxed);
    }

    /// Whether the one whose turn it was had nothing more to say, and stands in line by itself when it has.
    pub fn has_rested(&self) -> bool {
        self.0.rests.load(Ordering::Relaxed)
    }

    /// Whose turn it is stands in line from now on when its signal calls it.
    pub(super) fn sit(&self, signal: &Signal) {
        signal.sit(self.0.lanes.clone(), self.0.current.load(Ordering::Relaxed));
    }

    /// Whose turn it is has nothing more to say.
    pub fn rest(&self) {
        self.0.rests.store(true, Ordering::Relaxed);
    }
}
