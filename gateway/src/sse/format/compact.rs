//! Format `compact`: an update says its label sets by the name of a schema that was sent before, and is values alone.
//!
//! Nothing is decoded: label sets, values and times are passed on in the upstream's own bytes. What does not fit
//! exactly comes complete, as in format `prometheus`.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Key;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::sse::rendered::Rendered;

mod schema;

pub use schema::Schema;

/// The schema that a topic has in use on this replica. Cheap to clone.
///
/// It is the one of the update that was rendered last. A schema belongs to the topic and not to a connection, so that
/// one rendering does for all.
#[derive(Clone, Debug)]
pub struct Memory(Arc<InUse>);

#[derive(Debug)]
struct InUse {
    topic: Key,
    schema: Mutex<Option<Arc<Schema>>>,
}

/// How an update fits the schema in use.
struct Fit {
    schema: Arc<Schema>,
    /// Where each of its series stands in the schema, if in another order.
    order: Option<Vec<usize>>,
    /// The schema was made for this update.
    new: bool,
}

/// The data of a `metric-update` event, as pollers render it. With any other member it is not said exactly by what
/// follows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update<'a> {
    #[serde(borrow)]
    topic: &'a RawValue,
    #[serde(borrow)]
    tick: &'a RawValue,
    #[serde(borrow)]
    took_ms: &'a RawValue,
    #[serde(borrow)]
    data: Data<'a>,
    #[serde(borrow, default, deserialize_with = "as_it_is")]
    warnings: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_it_is")]
    infos: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data<'a> {
    #[serde(rename = "resultType")]
    result_type: &'a str,
    #[serde(borrow)]
    result: Vec<Sample<'a>>,
}

/// One series of a vector: a sample, or a native histogram, at a time.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample<'a> {
    #[serde(borrow)]
    metric: &'a RawValue,
    #[serde(borrow)]
    value: Option<(&'a RawValue, &'a RawValue)>,
    #[serde(borrow)]
    histogram: Option<(&'a RawValue, &'a RawValue)>,
}

/// The data of the event, in the order of its fields.
#[derive(Serialize)]
struct Compact<'a> {
    topic: &'a RawValue,
    tick: &'a RawValue,
    took_ms: &'a RawValue,
    schema: &'a str,
    time: &'a RawValue,
    values: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<Vec<usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    infos: Option<&'a RawValue>,
}

impl Memory {
    /// Of a topic that has no schema yet.
    pub fn new(topic: Key) -> Self {
        Self(Arc::new(InUse { topic, schema: Mutex::new(None) }))
    }

    /// The topic.
    pub(in crate::sse) fn topic(&self) -> Key {
        self.0.topic
    }

    /// The update with this JSON, or nothing where it has to come complete.
    pub(in crate::sse) fn render(&self, json: &[u8], tick: Tick) -> Option<Rendered> {
        let update: Update<'_> = serde_json::from_slice(json).ok()?;
        let Data { result_type, result } = update.data;
        if result_type != "vector" {
            return None;
        }
        // An empty result has no time of its own, and says itself shortly enough. The schema stays in use meanwhile.
        let (time, _) = result.first()?.point()?;
        let mut values = Vec::with_capacity(result.len());
        for sample in &result {
            let (at, value) = sample.point()?;
            if at.get() != time.get() {
                return None;
            }
            values.push(value);
        }
        let labels: Vec<_> = result.iter().map(|sample| sample.metric.get()).collect();
        let Fit { schema, order, new } = self.fit(&labels)?;
        let Update { topic, tick: at, took_ms, warnings, infos, .. } = update;
        let id = schema.id();
        let event = Compact { topic, tick: at, took_ms, schema: id, time, values, order, warnings, infos };
        let json = serde_json::to_vec(&event).ok()?;
        Some(Rendered::event("metric-update", &json, tick).with_schema(schema, new))
    }

    /// How these label sets fit the schema in use; where they do not, a new one takes its place. Nothing where one of
    /// them comes twice, which no Prometheus does.
    fn fit(&self, labels: &[&str]) -> Option<Fit> {
        let mut in_use = self.0.schema.lock();
        if let Some(schema) = &*in_use {
            let schema = schema.clone();
            if schema.series().eq(labels.iter().copied()) {
                return Some(Fit { schema, order: None, new: false });
            }
            if let Some(order) = schema.order(labels) {
                return Some(Fit { schema, order: Some(order), new: false });
            }
        }
        let mut seen = HashSet::with_capacity(labels.len());
        if !labels.iter().all(|labels| seen.insert(*labels)) {
            return None;
        }
        let schema = Arc::new(Schema::new(self.0.topic, labels));
        *in_use = Some(schema.clone());
        Some(Fit { schema, order: None, new: true })
    }
}

impl<'a> Sample<'a> {
    /// Time and value: a string for a sample, an object for a histogram, so that they can be told apart.
    fn point(&self) -> Option<(&'a RawValue, &'a RawValue)> {
        match (self.value, self.histogram) {
            (Some((time, value)), None) if value.get().starts_with('"') => Some((time, value)),
            (None, Some((time, value))) if value.get().starts_with('{') => Some((time, value)),
            _ => None,
        }
    }
}

/// A member that is there is passed on, even as `null`.
fn as_it_is<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
