//! The label sets of a topic's series, told to a client once.

use std::collections::HashMap;
use std::ops::Range;

use promcast_proto::topic::Key;

use crate::sse::format::name;
use crate::sse::text::Text;

/// The label sets of a topic's series, in order.
#[derive(Debug)]
pub struct Schema {
    id: String,
    event: Text,
    /// Where each label set stands in the event.
    series: Vec<Range<usize>>,
}

impl Schema {
    /// The schema of these label sets, each a JSON object in one line.
    pub(super) fn new(topic: Key, labels: &[&str]) -> Self {
        let id = name(labels);
        let mut event =
            format!("event: schema\ndata: {{\"topic\":\"{topic}\",\"schema\":\"{id}\",\"series\":[");
        let mut series = Vec::with_capacity(labels.len());
        for (index, labels) in labels.iter().enumerate() {
            event.push_str(if index == 0 { "" } else { "," });
            series.push(event.len()..event.len() + labels.len());
            event.push_str(labels);
        }
        event.push_str("]}\n\n");
        Self { id, event: Text::new(&[event.as_bytes()]), series }
    }

    /// Its name: a hash of the label sets in their order.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The whole event that tells it. It has no `id:` line: it is no update, and moves no cursor.
    pub fn event(&self) -> &Text {
        &self.event
    }

    /// Bytes that it holds.
    pub fn size(&self) -> usize {
        self.event.len() + self.event.zipped_size() + self.series.len() * size_of::<Range<usize>>()
    }

    /// The label sets.
    pub(super) fn series(&self) -> impl Iterator<Item = &str> {
        let text = |range: &Range<usize>| self.event.get(range.clone()).unwrap_or_default();
        // The ranges were cut at whole label sets, so they are text.
        self.series.iter().map(move |range| str::from_utf8(text(range)).unwrap_or_default())
    }

    /// Where each of these label sets stands here, if they are the same in another order, and none comes twice.
    pub(super) fn order(&self, labels: &[&str]) -> Option<Vec<usize>> {
        if labels.len() != self.series.len() {
            return None;
        }
        let mut places: HashMap<_, _> = self.series().zip(0..).collect();
        labels.iter().map(|labels| places.remove(labels)).collect()
    }
}
