//! The bytes of each message, pinned: a release that reads or writes them otherwise cannot share a bus with this one.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fmt::Debug;
use std::path::PathBuf;

use promcast_proto::ask::{Answer, Ask, Question};
use promcast_proto::body::Body;
use promcast_proto::code::ErrorCode;
use promcast_proto::control::{Connection, Control, Reply, Subscription};
use promcast_proto::envelope;
use promcast_proto::job::Job;
use promcast_proto::tick::{Interval, Tick};
use promcast_proto::topic::{Datasource, Topic};
use promcast_proto::update::{Failure, Outcome, Update};
use serde::Serialize;
use serde::de::DeserializeOwned;

const TICK: i64 = 1_764_000_003_007;

fn topic() -> Topic {
    Topic::new(Datasource::default(), "sum by (gpu) (DCGM_FI_DEV_GPU_UTIL)".to_owned())
}

fn failure() -> Failure {
    Failure { code: ErrorCode::Timeout, message: "the query did not finish in 10s".to_owned() }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.msgpack"))
}

fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, message: &T) {
    let golden = std::fs::read(path(name)).unwrap();
    assert_eq!(envelope::encode(message).unwrap(), golden, "{name} is written otherwise");
    assert_eq!(&envelope::decode::<T>(&golden).unwrap(), message, "{name} is read otherwise");
}

fn write<T: Serialize>(name: &str, message: &T) {
    std::fs::write(path(name), envelope::encode(message).unwrap()).unwrap();
}

/// Calls `$each` with the name and the value of every message.
macro_rules! for_each_message {
    ($each:ident) => {
        let tick = Tick::from_millis(TICK);
        let datasource = Datasource::default();
        $each(
            "job",
            &Job {
                datasource: datasource.clone(),
                query: topic().query().to_owned(),
                tick,
                timeout_ms: 10_000,
            },
        );
        let body = Body::pack(br#"{"data":{}}"#.to_vec()).unwrap();
        let update = |outcome| Update { key: topic().key(), tick, took_ms: 12, outcome };
        $each("update_result", &update(Outcome::Result(body.clone())));
        $each("update_failure", &update(Outcome::Failure(failure())));
        let ask = |question| Ask { datasource: datasource.clone(), timeout_ms: 10_000, question };
        $each("ask_instant", &ask(Question::Instant { query: "up".to_owned(), time: tick }));
        let end = tick.plus_millis(60_000);
        $each(
            "ask_range",
            &ask(Question::Range { query: "up".to_owned(), start: tick, end, step_ms: 15_000 }),
        );
        let matchers = vec![r#"up{gpu="0"}"#.to_owned(), "down".to_owned()];
        let (from, to, limit) = (Some(tick), Some(end), Some(100));
        $each(
            "ask_labels",
            &ask(Question::Labels { matchers: Vec::new(), start: None, end: None, limit: None }),
        );
        $each(
            "ask_label_values",
            &ask(Question::LabelValues {
                name: "gpu".to_owned(),
                matchers: matchers.clone(),
                start: from,
                end: to,
                limit,
            }),
        );
        $each("ask_series", &ask(Question::Series { matchers, start: from, end: to, limit }));
        let metric = Some("up".to_owned());
        $each("ask_metadata", &ask(Question::Metadata { metric, limit, limit_per_metric: Some(1) }));
        $each("ask_build_info", &ask(Question::BuildInfo));
        $each("answer_result", &Answer::Result(body));
        $each("answer_failure", &Answer::Failure(failure()));
        let (id, user) = ("019aafcf-0000-7000-8000-000000000000".to_owned(), Some("ada".to_owned()));
        $each("control_here", &Control::Here { replica: "gateway-0".to_owned() });
        $each("control_leaving", &Control::Leaving { replica: "gateway-0".to_owned() });
        $each("control_status", &Control::Status { user: None });
        $each("control_close", &Control::Close { connection: id.clone(), user: user.clone() });
        let subscription =
            Subscription { key: topic().key(), interval: Interval::from_secs(15).unwrap(), last: Some(tick) };
        let connections = vec![Connection { id, user, opened: tick, subscriptions: vec![subscription] }];
        $each("reply_status", &Reply::Status { replica: "gateway-0".to_owned(), connections });
        $each("reply_closed", &Reply::Closed);
        $each("reply_not_held", &Reply::NotHeld);
    };
}

#[test]
fn messages_are_these_bytes() {
    for_each_message!(check);
}

/// Run by hand when a message is added: `cargo test -p promcast-proto --test golden -- --ignored`.
#[test]
#[ignore = "writes the golden vectors instead of checking them"]
fn write_golden_vectors() {
    for_each_message!(write);
}
