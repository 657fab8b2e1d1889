//! Format `compact`: an update says its label sets by the name of a schema that was sent before, and is values alone.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Key;

use crate::sse::rendered::Rendered;

/// The label sets of a topic's series, in order.
#[derive(Debug)]
pub struct Schema {
    id: String,
    event: Bytes,
}

impl Schema {
    /// Its name: a hash of what it says, so that a client that has seen it knows it again.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The whole event that tells it. It has no `id:` line: it is no update, and moves no cursor.
    pub fn event(&self) -> Bytes {
        self.event.clone()
    }

    /// Bytes that it holds.
    pub fn size(&self) -> usize {
        self.event.len()
    }
}

/// The schema that a topic has in use on this replica. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Memory(Arc<InUse>);

#[derive(Debug)]
struct InUse {
    _topic: Key,
    _schema: Mutex<Option<Arc<Schema>>>,
}

impl Memory {
    /// No schema yet.
    pub fn new(topic: Key) -> Self {
        Self(Arc::new(InUse { _topic: topic, _schema: Mutex::new(None) }))
    }

    /// The update with this JSON, or nothing where it has to come complete.
    pub(in crate::sse) fn render(&self, _json: &[u8], _tick: Tick) -> Option<Rendered> {
        None
    }
}
