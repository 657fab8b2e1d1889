//! What wakes a connection with a note.

use std::sync::Arc;
use std::task::Wake;

use super::{Note, Signal};

/// Leaves a note when it wakes.
#[derive(Debug)]
pub(super) struct Nudge {
    pub(super) note: Note,
    pub(super) signal: Arc<Signal>,
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.signal.leave(self.note);
    }
}
