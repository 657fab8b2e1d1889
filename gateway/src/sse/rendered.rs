//! The bytes of one event in one format.

use std::sync::Arc;

use bytes::Bytes;
use promcast_proto::tick::Tick;

use super::format::compact::Schema;

/// One event in one format: what each connection sends that has this format.
///
/// The `id:` line comes last, so that the shared part is one piece for a connection with one subscription, whose
/// cursor is the tick, and for one with many, which puts its own cursor behind it. A field's place within an event
/// has no meaning (WHATWG HTML, "Interpreting an event stream").
///
/// Nothing is compressed. A content coding of these bytes would have its place here, made at most once like the
/// rendering itself.
#[derive(Debug)]
pub struct Rendered {
    whole: Bytes,
    /// Where the line of data begins, and where the head ends.
    data: usize,
    head: usize,
    schema: Option<Arc<Schema>>,
    /// Bytes that are held for this rendering's sake.
    held: usize,
}

impl Rendered {
    /// An event whose data is this one line.
    pub(super) fn event(name: &'static str, data: &[u8], tick: Tick) -> Self {
        let mut whole = Vec::with_capacity(name.len() + data.len() + 48);
        for part in [b"event: ", name.as_bytes(), b"\ndata: "] {
            whole.extend_from_slice(part);
        }
        let from = whole.len();
        whole.extend_from_slice(data);
        whole.push(b'\n');
        let head = whole.len();
        whole.extend_from_slice(format!("id: {tick}\n\n").as_bytes());
        let held = whole.len();
        Self { whole: Bytes::from(whole), data: from, head, schema: None, held }
    }

    /// The same, which needs this schema. `new` where the schema was made for it.
    #[must_use]
    pub(super) fn with_schema(self, schema: Arc<Schema>, new: bool) -> Self {
        let held = self.held + if new { schema.size() } else { 0 };
        Self { schema: Some(schema), held, ..self }
    }

    /// What a client must know before it can read this event: a connection sends it where its id is not the last one
    /// that it sent for the topic.
    pub fn schema(&self) -> Option<&Arc<Schema>> {
        self.schema.as_ref()
    }

    /// The whole event for a connection with this one subscription, whose cursor is the tick.
    pub fn whole(&self) -> Bytes {
        self.whole.clone()
    }

    /// The event without its `id` line and its end.
    pub fn head(&self) -> Bytes {
        self.whole.slice(..self.head)
    }

    /// The event without its `id` line and the brace that closes its data, for one more field; nothing where the data is no object,
    /// or an empty one.
    pub(super) fn open(&self) -> Option<Bytes> {
        let open = self.data().ends_with(b"}") && self.data().len() > 2;
        open.then(|| self.whole.slice(..self.head.saturating_sub(2)))
    }

    /// The line of data.
    pub(super) fn data(&self) -> &[u8] {
        self.whole.get(self.data..self.head.saturating_sub(1)).unwrap_or_default()
    }

    /// Bytes that are held for it: the event, and its schema where it was the first to need it.
    pub(super) fn size(&self) -> usize {
        self.held
    }
}
