//! A waker that leaves a note, by which a connection tells it from all else that wakes it.

use std::sync::Arc;
use std::task::{Wake, Waker};

use super::{Note, Signal};

/// Wakes a connection with a note.
#[derive(Debug)]
pub struct Nudge {
    waker: Waker,
}

#[derive(Debug)]
struct Leave {
    note: Note,
    signal: Arc<Signal>,
}

impl Nudge {
    /// For the connection with this signal. The note is there from the start, for nothing has been looked at yet.
    pub fn new(signal: Arc<Signal>, note: Note) -> Self {
        signal.leave(note);
        Self { waker: Waker::from(Arc::new(Leave { note, signal })) }
    }

    /// What wakes the connection.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }
}

impl Wake for Leave {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.signal.leave(self.note);
    }
}
