//! The ticks of a time that is over, as one `backfill` event that all connections share.

use std::borrow::Cow;
use std::sync::OnceLock;

use bytes::Bytes;
use promcast_proto::code::ErrorCode;
use promcast_proto::tick::{Interval, Tick};
use promcast_proto::topic::Key;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::failed::Failed;
use super::format::Format;
use super::format::grafana::{self, Frames};
use super::text::Text;

/// The shared part of a `backfill` event: all ticks of a topic from one to another.
///
/// In format `compact` it is the same as in `prometheus`, for the answer to a range query names each label set once.
#[derive(Debug)]
pub struct Span {
    about: About,
    prometheus: Text,
    grafana: OnceLock<Text>,
}

/// What a span is of, at the begin of the event.
#[derive(Clone, Copy, Debug, Serialize)]
struct About {
    topic: Key,
    interval: Interval,
    from: Tick,
    to: Tick,
}

/// Why an answer is no span.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A line break would end the event's data.
    #[error("the answer of the upstream has a line break")]
    LineBreak,
    /// The document is not of the Prometheus HTTP API.
    #[error("the answer of the upstream cannot be read: {0}")]
    Document(#[from] serde_json::Error),
    /// A range query gives a matrix.
    #[error("the answer of the upstream is not a matrix")]
    NotMatrix,
}

impl Error {
    /// What the viewers are told instead.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::LineBreak | Self::Document(_) | Self::NotMatrix => ErrorCode::Malformed,
        }
    }
}

/// A success document of `/api/v1/query_range`. Fields that are not named here are passed over.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(rename = "status")]
    _status: Status,
    #[serde(borrow)]
    data: &'a RawValue,
    warnings: Option<Vec<String>>,
    infos: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Success,
}

/// The part of `data` that says what it is.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "resultType", borrow)]
    result_type: Cow<'a, str>,
    #[serde(borrow)]
    result: &'a RawValue,
}

/// The data of the event in format `prometheus`, in the order of its fields.
#[derive(Serialize)]
struct Backfill<'a> {
    #[serde(flatten)]
    about: About,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    infos: Vec<String>,
}

/// What format `grafana` takes over of that.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow)]
    warnings: Option<&'a RawValue>,
    #[serde(borrow)]
    infos: Option<&'a RawValue>,
}

/// The data of the event in format `grafana`, in the order of its fields.
#[derive(Serialize)]
struct Framed<'a> {
    #[serde(flatten)]
    about: About,
    #[serde(flatten)]
    frames: Frames<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    infos: Option<&'a RawValue>,
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
        let about = About { topic, interval, from, to };
        let (warnings, infos) = (warnings.unwrap_or_default(), infos.unwrap_or_default());
        let prometheus = head("backfill", &serde_json::to_vec(&Backfill { about, data, warnings, infos })?);
        Ok(Self { about, prometheus: Text::new(&[&prometheus]), grafana: OnceLock::new() })
    }

    /// The event without its `id` line and its end, in a format; made now if nobody asked for it before.
    pub fn head(&self, format: Format) -> &Text {
        match format {
            Format::Prometheus | Format::Compact => &self.prometheus,
            Format::Grafana => self.grafana.get_or_init(|| Text::new(&[&self.framed()])),
        }
    }

    /// Bytes that are held for it now, in all formats and codings that were asked for. It grows when another one is.
    pub fn size(&self) -> usize {
        let size = |text: &Text| text.len() + text.zipped_size();
        size(&self.prometheus) + self.grafana.get().map_or(0, size)
    }

    /// What cannot be told as frames is an error, as for an update.
    fn framed(&self) -> Bytes {
        self.frames().map_or_else(
            |error| {
                let (About { topic, from, to, .. }, message) = (self.about, error.to_string());
                head("error", &Failed::backfill(topic, from, to, ErrorCode::Malformed, &message).json())
            },
            |json| head("backfill", &json),
        )
    }

    /// The line of data.
    fn json(&self) -> &[u8] {
        self.prometheus.get(BEFORE_DATA..self.prometheus.len().saturating_sub(1)).unwrap_or_default()
    }

    fn frames(&self) -> Result<Vec<u8>, grafana::Error> {
        let Told { data, warnings, infos } = serde_json::from_slice(self.json())?;
        let frames = Frames::of_data(data)?;
        Ok(serde_json::to_vec(&Framed { about: self.about, frames, warnings, infos })?)
    }
}

/// Bytes before the line of data of a `backfill` event.
const BEFORE_DATA: usize = "event: backfill\ndata: ".len();

fn head(event: &'static str, json: &[u8]) -> Bytes {
    Bytes::from([b"event: ", event.as_bytes(), b"\ndata: ", json, b"\n"].concat())
}

#[cfg(test)]
mod tests {
    use promcast_proto::topic::{Datasource, Topic};

    use super::*;

    fn key() -> Key {
        Topic::new(Datasource::default(), "up".to_owned()).key()
    }

    fn span(document: &str) -> Result<Span, Error> {
        let (from, to) = (Tick::from_millis(5_007), Tick::from_millis(15_007));
        Span::new(key(), Interval::from_secs(5).unwrap(), from, to, document.as_bytes())
    }

    fn text(span: &Span, format: Format) -> String {
        String::from_utf8(span.head(format).to_vec()).unwrap()
    }

    const MATRIX: &str = r#"{"resultType":"matrix","result":[{"metric":{"a":"1"},"values":[[5.007,"1"],[10.007,"NaN"],[15.007,"3"]]},{"metric":{"a":"2"},"values":[[10.007,"0.10"]]}]}"#;

    #[test]
    fn a_span_is_the_answer_of_a_range_query_with_what_it_is_of() {
        let document =
            format!(r#"{{"status":"success","data":{MATRIX},"warnings":["w"],"infos":[],"stats":{{}}}}"#);
        let span = span(&document).unwrap();
        let about = format!(r#""topic":"{}","interval":5,"from":5007,"to":15007"#, key());
        let expected = format!("event: backfill\ndata: {{{about},\"data\":{MATRIX},\"warnings\":[\"w\"]}}\n");
        assert_eq!(text(&span, Format::Prometheus), expected);
        assert_eq!(text(&span, Format::Compact), expected);
        assert_eq!(span.size(), expected.len());

        let framed = text(&span, Format::Grafana);
        assert!(
            framed.starts_with(&format!("event: backfill\ndata: {{{about},\"schema\":{{\"meta\"")),
            "{framed}"
        );
        let data = r#""data":{"values":[[5007,10007,15007],[1,null,3],[null,0.10,null]],"entities":[null,{"NaN":[1]},null]},"warnings":["w"]}"#;
        assert!(framed.ends_with(&format!("{data}\n")), "{framed}");
        assert_eq!(span.size(), expected.len() + framed.len());
    }

    #[test]
    fn what_is_no_answer_of_a_range_query_is_refused() {
        let line_break = format!("{{\"status\":\"success\",\n\"data\":{MATRIX}}}");
        assert!(matches!(span(&line_break), Err(Error::LineBreak)));
        for data in [r#"{"resultType":"vector","result":[]}"#, r#"{"resultType":"matrix","result":{}}"#] {
            let document = format!(r#"{{"status":"success","data":{data}}}"#);
            assert!(matches!(span(&document), Err(Error::NotMatrix)), "{data}");
        }
        let failed = format!(r#"{{"status":"error","data":{MATRIX}}}"#);
        for document in [&failed, r#"{"status":"success"}"#, "", r#"{"status":"success","data":{}}"#] {
            assert!(matches!(span(document), Err(Error::Document(_))), "{document}");
        }
    }

    #[test]
    fn what_cannot_be_told_as_frames_is_an_error_of_these_ticks() {
        let data = r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"one"]]}]}"#;
        let span = span(&format!(r#"{{"status":"success","data":{data}}}"#)).unwrap();
        let expected = format!(
            "event: error\ndata: {{\"topic\":\"{}\",\"code\":\"upstream_malformed\",\"message\":\"the value \\\"one\\\" is \
             not a number\",\"retryable\":true,\"during\":\"backfill\",\"from\":5007,\"to\":15007}}\n",
            key()
        );
        assert_eq!(text(&span, Format::Grafana), expected);
    }
}
