//! The bytes of one event in one format.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use promcast_proto::tick::Tick;

use super::format::compact::Schema;
use super::text::Text;

/// One event in one format: what each connection sends that has this format.
///
/// The `id:` line comes last, so that the shared part is one piece for a connection with one subscription, whose
/// cursor is the tick, and for one with many, which puts its own cursor behind it. A field's place within an event
/// has no meaning (WHATWG HTML, "Interpreting an event stream").
#[derive(Debug)]
pub struct Rendered {
    whole: Text,
    /// Made when a connection with several asks.
    head: OnceLock<Text>,
    /// Where the line of data stands.
    data: Range<usize>,
    schema: Option<Arc<Schema>>,
    /// Bytes that are held for this rendering's sake.
    held: usize,
}

impl Rendered {
    /// An event whose data is this one line.
    pub(super) fn event(name: &'static str, data: &[u8], tick: Tick) -> Self {
        let before = ["event: ", name, "\ndata: "].concat();
        let whole = Text::new(&[before.as_bytes(), data, format!("\nid: {tick}\n\n").as_bytes()]);
        let held = whole.len();
        Self {
            whole,
            head: OnceLock::new(),
            data: before.len()..before.len() + data.len(),
            schema: None,
            held,
        }
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
    pub fn whole(&self) -> &Text {
        &self.whole
    }

    /// The event without its `id` line and its end.
    pub fn head(&self) -> &Text {
        self.head.get_or_init(|| Text::new(&[self.whole.get(..=self.data.end).unwrap_or_default()]))
    }

    /// The event without its `id` line and the brace that closes its data, for one more field; nothing where the data is no object,
    /// or an empty one.
    pub(super) fn open(&self) -> Option<Bytes> {
        let open = self.data().ends_with(b"}") && self.data().len() > 2;
        open.then(|| self.whole.plain().to_bare().slice(..self.data.end.saturating_sub(1)))
    }

    /// The line of data.
    pub(super) fn data(&self) -> &[u8] {
        self.whole.get(self.data.clone()).unwrap_or_default()
    }

    /// Bytes that are held for it: the event, its compressed forms, and its schema where it was the first to need it.
    pub(super) fn size(&self) -> usize {
        self.held
            + self.whole.zipped_size()
            + self.head.get().map_or(0, |head| head.len() + head.zipped_size())
    }
}
