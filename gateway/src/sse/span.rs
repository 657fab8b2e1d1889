//! The ticks of a time that is over, as one `backfill` event that all connections share.

use std::sync::OnceLock;

use bytes::Bytes;
use promcast_proto::tick::{Interval, Tick};
use promcast_proto::topic::Key;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::format::Format;

/// The shared part of a `backfill` event: all ticks of a topic from one to another.
///
/// In format `compact` it is the same as in `prometheus`, for the answer to a range query names each label set once.
#[derive(Debug)]
pub struct Span {
    prometheus: Bytes,
    grafana: OnceLock<Bytes>,
}

/// Why an answer is no span.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A line break would end the event's data.
    #[error("the answer of the upstream has a line break")]
    LineBreak,
    /// The document is not of the Prometheus HTTP API, or the event cannot be written.
    #[error("the answer of the upstream cannot be read: {0}")]
    Document(#[from] serde_json::Error),
    /// A range query gives a matrix.
    #[error("the answer of the upstream is not a matrix")]
    NotMatrix,
}

/// A success document of `/api/v1/query_range`. Fields that are not named here are passed over.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(rename = "status")]
    _status: Success,
    #[serde(borrow)]
    data: &'a RawValue,
    warnings: Option<Vec<String>>,
    infos: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Success {
    Success,
}

/// The part of `data` that says what it is.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "resultType", borrow)]
    result_type: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    result: &'a RawValue,
}

/// The data of the event, in the order of its fields.
#[derive(Serialize)]
struct Backfill<'a> {
    topic: Key,
    interval: Interval,
    from: Tick,
    to: Tick,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    infos: Option<Vec<String>>,
}

impl Span {
    /// The ticks from `from` to `to`, both included, from the upstream's success document of a range query.
    pub fn new(topic: Key, interval: Interval, from: Tick, to: Tick, document: &[u8]) -> Result<Self, Error> {
        if document.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            return Err(Error::LineBreak);
        }
        let Document { data, warnings, infos, .. } = serde_json::from_slice(document)?;
        let said: Data<'_> = serde_json::from_str(data.get())?;
        if said.result_type != "matrix" || !said.result.get().starts_with('[') {
            return Err(Error::NotMatrix);
        }
        let told = |list: Option<Vec<String>>| list.filter(|list| !list.is_empty());
        let (warnings, infos) = (told(warnings), told(infos));
        let json = serde_json::to_vec(&Backfill { topic, interval, from, to, data, warnings, infos })?;
        Ok(Self { prometheus: head(&json), grafana: OnceLock::new() })
    }

    /// The event without its `id` line and its end, in a format.
    pub fn head(&self, format: Format) -> Bytes {
        match format {
            Format::Prometheus | Format::Compact => self.prometheus.clone(),
            Format::Grafana => self.grafana.get_or_init(|| self.prometheus.clone()).clone(),
        }
    }

    /// Bytes that are held for it now, in all formats that were asked for. It grows when another one is.
    pub fn size(&self) -> usize {
        self.prometheus.len() + self.grafana.get().map_or(0, Bytes::len)
    }
}

fn head(json: &[u8]) -> Bytes {
    let parts: [&[u8]; 3] = [b"event: backfill\ndata: ", json, b"\n"];
    Bytes::from(parts.concat())
}
