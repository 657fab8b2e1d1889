//! How many bytes of frames a timeline keeps.

use promcast_proto::body::Body;
use promcast_proto::update::{Outcome as Result_, Update};

use super::*;
use crate::sse::{Format, Memory};

#[test]
fn bytes_are_bounded() {
    let mut bench = Bench::new();
    bench.timeline.limits.bytes = 10 * frame(at(0)).size();
    bench.attach(5, None);
    for _ in 0..30 {
        bench.wait(5_000);
        bench.serve();
    }
    assert!(bench.timeline.bytes() <= bench.timeline.limits.bytes + frame(at(0)).size());
    assert!(bench.timeline.bytes() > bench.timeline.limits.bytes / 2, "less is kept than may be");
}

#[test]
fn formats_that_are_asked_for_later_count() {
    let mut bench = Bench::new();
    bench.attach(5, None);
    let topic = Topic::new(Datasource::default(), "up".to_owned()).key();
    let memory = Memory::new(topic);
    for n in 0..10 {
        let (tick, json) = (at(4_000 + n * 5_000), update_json());
        let outcome = Result_::Result(Body::pack(json).unwrap());
        let frame =
            Frame::of_update(Update { key: topic, tick, took_ms: 1, outcome }, 1 << 20, &memory).unwrap();
        bench.wait(5_000);
        assert!(bench.timeline.arrived(tick, QUICK, frame, bench.now));
    }
    let as_it_came = bench.timeline.bytes();
    bench.timeline.limits.bytes = as_it_came;
    for slot in bench.timeline.slots.values() {
        if let Slot::Arrived { frame, .. } = slot {
            for format in Format::ALL {
                frame.rendered(format);
            }
        }
    }
    let in_all_formats = bench.timeline.bytes();
    assert!(in_all_formats > as_it_came, "other formats do not count");
    bench.wait(5_000);
    bench.timeline.plan(true, bench.now);
    assert!(bench.timeline.bytes() <= as_it_came, "the oldest are not dropped");
    assert!(bench.timeline.bytes() > 0);
}

#[test]
fn what_came_early_and_had_no_room_is_told_when_it_is_due() {
    let mut bench = Bench::new();
    bench.timeline.limits.bytes = 1;
    let (mut reader, _) = bench.attach(5, None);
    bench.serve();
    assert_eq!(bench.read(&mut reader), [Seen::Tick(-1_000)]);
    // Another gateway's clock is ahead: it asked, so they come before they are due here.
    for early in [4_000, 9_000, 14_000] {
        assert!(bench.arrive(at(early), QUICK));
    }
    assert_eq!(bench.read(&mut reader), [], "what is not due is not lost");
    bench.wait(5_000);
    assert_eq!(bench.serve(), [at(4_000)], "it is asked for once more");
    assert_eq!(
        bench.read(&mut reader),
        [Seen::Gap(4_000, 9_000, 2, GapReason::SlowConsumer), Seen::Tick(14_000)]
    );
}

/// An update of one series.
fn update_json() -> Vec<u8> {
    let data = r#"{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"1"]}]}"#;
    format!(r#"{{"topic":"t","tick":1,"took_ms":1,"data":{data}}}"#).into_bytes()
}
