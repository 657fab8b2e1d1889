//! Format `grafana`: results as data frames, in the JSON that Grafana's `dataFrameFromJSON` and Grafana Live read.
//!
//! The shape is that of `DataFrameJSON` in `@grafana/data` and of `data.Frame` in `grafana-plugin-sdk-go`: columns of
//! values beside a schema, `null` where a value cannot be a JSON number, and `entities` for what it is.

use promcast_proto::code::ErrorCode;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Key;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::sse::failed::Failed;
use crate::sse::rendered::Rendered;

mod columns;
mod frames;
mod legend;

pub(in crate::sse) use frames::Frames;

/// Why a result is not told as frames.
#[derive(Debug, thiserror::Error)]
pub(in crate::sse) enum Error {
    /// It is no result of the Prometheus HTTP API.
    #[error("the result cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// A sample's value, which should be a number.
    #[error("the value {0} is not a number")]
    NotNumber(String),
}

/// The data of a `metric-update` event, as pollers render it. Members that are not named here are passed over.
#[derive(Deserialize)]
struct Update<'a> {
    #[serde(borrow)]
    took_ms: &'a RawValue,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow)]
    warnings: Option<&'a RawValue>,
    #[serde(borrow)]
    infos: Option<&'a RawValue>,
}

/// The data of the event, in the order of its fields.
#[derive(Serialize)]
struct Framed<'a> {
    topic: Key,
    tick: Tick,
    took_ms: &'a RawValue,
    #[serde(flatten)]
    frames: Frames<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    infos: Option<&'a RawValue>,
}

/// The update with this JSON. What cannot be told as frames is an error of its tick: a client of this format could do
/// nothing with another.
pub(in crate::sse) fn render(json: &[u8], topic: Key, tick: Tick) -> Rendered {
    match framed(json, topic, tick) {
        Ok(json) => Rendered::event("metric-update", &json, tick),
        Err(error) => {
            let message = error.to_string();
            Rendered::event(
                "error",
                &Failed::update(topic, tick, ErrorCode::Malformed, &message).json(),
                tick,
            )
        }
    }
}

fn framed(json: &[u8], topic: Key, tick: Tick) -> Result<Vec<u8>, Error> {
    let Update { took_ms, data, warnings, infos } = serde_json::from_slice(json)?;
    let frames = Frames::of_data(data)?;
    Ok(serde_json::to_vec(&Framed { topic, tick, took_ms, frames, warnings, infos })?)
}

#[cfg(test)]
mod tests;
