//! A waker that a connection tells from all else that wakes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use super::Signal;

/// Wakes a connection, and leaves a note that it was this which did.
#[derive(Debug)]
pub struct Nudge {
    note: Arc<Note>,
    waker: Waker,
}

#[derive(Debug)]
struct Note {
    left: AtomicBool,
    signal: Arc<Signal>,
}

impl Nudge {
    /// For the connection with this signal. There is a note from the start, for nothing has been looked at yet.
    pub fn new(signal: Arc<Signal>) -> Self {
        let note = Arc::new(Note { left: AtomicBool::new(true), signal });
        Self { waker: Waker::from(note.clone()), note }
    }

    /// What wakes the connection with a note.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Whether there is a note, which is then gone.
    pub fn take(&self) -> bool {
        self.note.left.load(Ordering::Relaxed) && self.note.left.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.left.store(true, Ordering::Release);
        Signal::wake(&self.signal);
    }
}
