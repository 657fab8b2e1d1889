//! The work that is measured, by time and by instructions alike.

use promcast_gateway::auth::{Namespaces, Sight};
use promcast_gateway::scope::{Labels, scoped};
use promcast_gateway::sse::{Format, Frame, Memory};
use promcast_poller::encode;
use promcast_poller::prometheus::classify;
use promcast_proto::body::Body;
use promcast_proto::envelope;
use promcast_proto::tick::Tick;
use promcast_proto::topic::{Datasource, Topic};
use promcast_proto::update::{Outcome, Update};

use crate::series;

/// Any limit of bytes, far off.
pub(crate) const LIMIT: usize = 64 << 20;

/// A query of a dashboard.
pub(crate) const QUERY: &str = r#"sum by (gpu, Hostname) (rate(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{job=~"dcgm|gpu-.*"}[1m])) / 1000 > 5"#;

pub(crate) fn topic() -> Topic {
    Topic::new(Datasource::default(), series::QUERY.to_owned())
}

pub(crate) fn memory() -> Memory {
    Memory::new(topic().key())
}

/// What the poller makes of an answer of Prometheus.
pub(crate) fn packed(document: &[u8]) -> Body {
    let answer = classify::answer(200, document).expect("a result");
    encode::result(topic().key(), Tick::MIN, 12, &answer, LIMIT).expect("within the limits")
}

pub(crate) fn update(body: Body) -> Update {
    Update { key: topic().key(), tick: Tick::MIN, took_ms: 12, outcome: Outcome::Result(body) }
}

/// The update on the bus.
pub(crate) fn message(series: usize) -> Vec<u8> {
    envelope::encode(&update(packed(series::document(series).as_bytes()))).expect("a message")
}

/// What a gateway makes of it, in one format.
pub(crate) fn framed(message: &[u8], memory: &Memory, format: Format) -> Frame {
    let update = envelope::decode(message).expect("an update");
    let frame = Frame::of_update(update, LIMIT, memory).expect("a frame");
    std::hint::black_box(frame.rendered(format));
    frame
}

/// A query checked, restricted to two namespaces and printed.
pub(crate) fn scope() -> String {
    let names = ["team-a", "team-b"].map(|name| name.parse().expect("a namespace"));
    let sight = Sight::Only(Namespaces::new(names).expect("two"));
    scoped(QUERY, &sight, &Labels::default()).expect("a good query")
}
