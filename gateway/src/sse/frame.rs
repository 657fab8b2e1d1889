//! One event of a topic in all the formats that somebody asks for, each made once for all connections.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use promcast_proto::body;
use promcast_proto::code::ErrorCode;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Key;
use promcast_proto::update::{Failure, Outcome, Update};
use promcast_runtime::trace::Context;

use super::failed::Failed;
use super::format::Format;
use super::format::compact::Memory;
use super::format::grafana;
use super::rendered::Rendered;

/// The event of one topic at one tick. Cheap to clone.
///
/// Format `prometheus` is made when it arrives, for it is the update as it came. The others are made by the first
/// connection that asks, and kept.
#[derive(Clone, Debug)]
pub struct Frame(Arc<Event>);

#[derive(Debug)]
struct Event {
    tick: Tick,
    prometheus: Rendered,
    /// What names the span that sent it, as the end of a line of data.
    trace: OnceLock<Bytes>,
    /// When it came, where it came from the bus.
    arrived: OnceLock<Tick>,
    /// Nothing for errors, which are the same in all formats.
    others: Option<Others>,
}

#[derive(Debug)]
struct Others {
    memory: Memory,
    /// Nothing inside where the update can be said only as it came.
    compact: OnceLock<Option<Rendered>>,
    grafana: OnceLock<Rendered>,
}

/// What stands around the name of a span at the end of a line of data.
const BEFORE_PARENT: &str = ",\"traceparent\":\"";
const BEHIND_PARENT: &str = "\"}\n";

/// Why an update cannot be framed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body cannot be unpacked.
    #[error(transparent)]
    Body(#[from] body::Error),
    /// The body has a line break, which would end the event's data.
    #[error("the update has a line break in its body")]
    LineBreak,
}

impl Error {
    /// What the viewers are told instead.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Body(body::Error::OverLimit(..) | body::Error::TooLarge(_)) => ErrorCode::TooLarge,
            Self::Body(body::Error::Damaged(_)) | Self::LineBreak => ErrorCode::Malformed,
        }
    }
}

impl Frame {
    /// Frames an update whose JSON has at most `limit` bytes. `memory` is the topic's.
    pub fn of_update(update: Update, limit: usize, memory: &Memory) -> Result<Self, Error> {
        let (key, tick) = (update.key, update.tick);
        match update.outcome {
            Outcome::Result(body) => {
                let prometheus = one_line("metric-update", &body.unpack(limit)?, tick)?;
                let (compact, grafana) = (OnceLock::new(), OnceLock::new());
                let others = Some(Others { memory: memory.clone(), compact, grafana });
                Ok(Self::new(tick, prometheus, others))
            }
            Outcome::Failure(Failure { code, message }) => Ok(Self::of_failure(key, tick, code, &message)),
        }
    }

    /// Frames the error of a topic at a tick.
    pub fn of_failure(topic: Key, tick: Tick, code: ErrorCode, message: &str) -> Self {
        let failed = Failed::update(topic, tick, code, message).json();
        let prometheus = Rendered::event("error", &failed, tick);
        Self::new(tick, prometheus, None)
    }

    fn new(tick: Tick, prometheus: Rendered, others: Option<Others>) -> Self {
        let (trace, arrived) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(Event { tick, prometheus, trace, arrived, others }))
    }

    /// The event in a format, made now if nobody asked for it before.
    pub fn rendered(&self, format: Format) -> &Rendered {
        let Event { tick, prometheus, others, .. } = &*self.0;
        let other = others.as_ref().and_then(|others| match format {
            Format::Prometheus => None,
            Format::Compact => {
                let make = || others.memory.render(prometheus.data(), *tick);
                others.compact.get_or_init(make).as_ref()
            }
            Format::Grafana => {
                let make = || grafana::render(prometheus.data(), others.memory.topic(), *tick);
                Some(others.grafana.get_or_init(make))
            }
        });
        other.unwrap_or(prometheus)
    }

    /// Names the span that sent the update. The first word counts.
    pub fn trace(&self, sender: &Context) {
        let end = format!("{BEFORE_PARENT}{}{BEHIND_PARENT}", sender.traceparent());
        self.0.trace.get_or_init(|| Bytes::from(end));
    }

    /// The span that sent the update, where it is known.
    pub fn sender(&self) -> Option<Context> {
        let text = str::from_utf8(self.0.trace.get()?).ok()?;
        Context::read(Some(text.strip_prefix(BEFORE_PARENT)?.strip_suffix(BEHIND_PARENT)?), None)
    }

    /// Says when it came. The first word counts.
    pub fn arrived(&self, now: Tick) {
        self.0.arrived.get_or_init(|| now);
    }

    /// When it came.
    pub fn arrival(&self) -> Option<Tick> {
        self.0.arrived.get().copied()
    }

    /// The event in a format with the name of the span that sent it, in two pieces, without its `id` line and its end: each piece
    /// is shared by all who ask. Nothing where it has no such name.
    pub fn traced(&self, format: Format) -> Option<[Bytes; 2]> {
        let trace = self.0.trace.get()?;
        Some([self.rendered(format).open()?, trace.clone()])
    }

    /// The whole event in the default format.
    pub fn whole(&self) -> Bytes {
        self.0.prometheus.whole().plain().to_bare()
    }

    /// The event in the default format, without its `id` line and its end.
    pub fn head(&self) -> Bytes {
        self.0.prometheus.head().plain().to_bare()
    }

    /// Bytes that are held for it now, in all formats and codings that were asked for. It grows when another one is.
    pub fn size(&self) -> usize {
        let others = self.0.others.as_ref().map_or(0, |Others { compact, grafana, .. }| {
            let compact = compact.get().and_then(Option::as_ref).map_or(0, Rendered::size);
            compact + grafana.get().map_or(0, Rendered::size)
        });
        self.0.prometheus.size() + others + self.0.trace.get().map_or(0, Bytes::len)
    }
}

/// An event of data that came from elsewhere.
fn one_line(event: &'static str, data: &[u8], tick: Tick) -> Result<Rendered, Error> {
    if memchr::memchr2(b'\n', b'\r', data).is_some() {
        return Err(Error::LineBreak);
    }
    Ok(Rendered::event(event, data, tick))
}

#[cfg(test)]
mod tests {
    use promcast_proto::body::Body;
    use promcast_proto::topic::{Datasource, Topic};

    use super::*;

    fn key() -> Key {
        Topic::new(Datasource::default(), "up".to_owned()).key()
    }

    fn framed(json: &str) -> Result<Frame, Error> {
        let body = Body::pack(json.as_bytes().to_vec()).unwrap();
        let update =
            Update { key: key(), tick: Tick::from_millis(5_007), took_ms: 3, outcome: Outcome::Result(body) };
        Frame::of_update(update, 100, &Memory::new(key()))
    }

    #[test]
    fn an_update_is_one_event() {
        let frame = framed("{}").unwrap();
        assert_eq!(frame.whole(), "event: metric-update\ndata: {}\nid: 5007\n\n");
        assert_eq!(frame.head(), "event: metric-update\ndata: {}\n");
        assert_eq!(frame.rendered(Format::Prometheus).data(), b"{}");
    }

    #[test]
    fn who_asks_for_it_gets_the_name_of_the_span_in_every_format() {
        let frame = framed(r#"{"a":1}"#).unwrap();
        assert_eq!(frame.traced(Format::Prometheus), None);
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let plain = frame.whole();
        frame.trace(&Context::read(Some(parent), None).unwrap());
        assert_eq!(frame.whole(), plain, "others do not get it");
        assert_eq!(frame.sender().unwrap().traceparent(), parent);
        for format in Format::ALL {
            let event = frame.traced(format).unwrap().concat();
            let text = String::from_utf8(event).unwrap();
            let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            let data: serde_json::Value = serde_json::from_str(data).unwrap();
            assert_eq!(data["traceparent"], parent, "{format:?}: {text}");
        }
    }

    #[test]
    fn a_body_cannot_smuggle_in_an_event() {
        for json in ["{}\n\nevent: forged", "{}\rid: 1"] {
            assert!(matches!(framed(json), Err(Error::LineBreak)));
        }
    }

    #[test]
    fn a_failure_tells_its_code_and_whether_to_wait() {
        let frame = Frame::of_failure(key(), Tick::from_millis(7), ErrorCode::Timeout, "too\nslow");
        let text = String::from_utf8(frame.whole().to_vec()).unwrap();
        assert!(text.starts_with("event: error\ndata: {\"topic\":\""), "{text}");
        assert!(
            text.contains(r#""code":"upstream_timeout","message":"too\nslow","retryable":true}"#),
            "{text}"
        );
        assert!(text.ends_with("\nid: 7\n\n"), "{text}");
        for format in Format::ALL {
            assert_eq!(**frame.rendered(format).whole(), *frame.whole());
        }
    }
}
