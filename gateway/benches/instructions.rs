//! What `make check-instructions` counts: one case, by its name, does its work once; without a name the cases are listed.
//!
//! Callgrind counts within [`counted_instructions`] alone, so that setting up costs nothing. What is counted on the
//! fan-out path is what `audience` does.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program for a developer's terminal")]

use std::hint::black_box;

use promcast_gateway::sse::Format;
use promcast_proto::cursor::Cursor;
use promcast_proto::tick::{Grid, Interval, Tick};
use promcast_proto::{envelope, update::Update};

mod audience;
#[path = "../../proto/benches/series.rs"]
mod series;
mod work;

use audience::Audience;

/// A case, and what makes its work.
type Case = (&'static str, fn() -> Box<dyn FnMut()>);

const CASES: &[Case] = &[
    ("fan_out.one_topic_to_200", || fan_out(200, 1, Format::Prometheus)),
    ("fan_out.32_topics_to_20", || fan_out(20, 32, Format::Prometheus)),
    ("fan_out.compact_to_200", || fan_out(200, 1, Format::Compact)),
    ("hub.update_for_200", hub),
    ("frame.prometheus_64_series", || frame(Format::Prometheus)),
    ("frame.compact_64_series", || frame(Format::Compact)),
    ("frame.grafana_64_series", || frame(Format::Grafana)),
    ("poller.encode_64_series", encode),
    ("envelope.decode_64_series", decode),
    ("cursor.32_subscriptions", cursor),
    ("tick.grid_of_1000", ticks),
    ("scope.dashboard_query", scope),
];

#[inline(never)]
fn counted_instructions(work: &mut dyn FnMut()) {
    work();
}

fn main() {
    match std::env::args().nth(1) {
        None => CASES.iter().for_each(|(name, _)| println!("{name}")),
        Some(wanted) => {
            let case = CASES.iter().find(|(name, _)| *name == wanted);
            let mut work = case.expect("a case of the list").1();
            counted_instructions(&mut work);
        }
    }
}

fn fan_out(connections: usize, topics: usize, format: Format) -> Box<dyn FnMut()> {
    let mut audience = Audience::new(connections, topics, format);
    let event = work::packed(series::document(8).as_bytes()).unpack(work::LIMIT).expect("a body");
    // The first round allocates what later ones use.
    audience.publish(&event);
    audience.read();
    audience.publish(&event);
    Box::new(move || assert!(audience.read() >= connections * topics, "all have sent all"))
}

fn hub() -> Box<dyn FnMut()> {
    let mut audience = Audience::new(200, 1, Format::Prometheus);
    let event = work::packed(series::document(8).as_bytes()).unpack(work::LIMIT).expect("a body");
    audience.publish(&event);
    audience.read();
    Box::new(move || audience.publish(&event))
}

fn frame(format: Format) -> Box<dyn FnMut()> {
    let (message, memory) = (work::message(64), work::memory());
    // The schema in use is that of an earlier update.
    work::framed(&message, &memory, format);
    Box::new(move || drop(black_box(work::framed(&message, &memory, format))))
}

fn encode() -> Box<dyn FnMut()> {
    let document = series::document(64);
    Box::new(move || {
        let update = work::update(work::packed(document.as_bytes()));
        black_box(envelope::encode(&update).expect("a message"));
    })
}

fn decode() -> Box<dyn FnMut()> {
    let message = work::message(64);
    Box::new(move || drop(black_box(envelope::decode::<Update>(&message))))
}

fn cursor() -> Box<dyn FnMut()> {
    let tick = |number: i64| Some(Tick::from_millis(1_764_000_000_000 + 1_237 * number));
    let cursor = Cursor::new((0..32).map(tick));
    Box::new(move || {
        let text = black_box(&cursor).encode().expect("a cursor of ticks");
        black_box(Cursor::decode(&text).expect("its own text"));
    })
}

fn ticks() -> Box<dyn FnMut()> {
    let interval = Interval::from_secs(15).expect("an interval of the contract");
    let grid = Grid::new(work::topic().key().phase(), interval);
    let from = Tick::from_millis(1_764_000_000_000);
    Box::new(move || {
        for number in 0..1_000 {
            let now = from.plus_millis(black_box(number) * 331);
            black_box((grid.at_or_before(now), grid.next_after(now), grid.count(from, now)));
        }
    })
}

fn scope() -> Box<dyn FnMut()> {
    // Regular expressions and such are compiled at the first use.
    work::scope();
    Box::new(|| drop(black_box(work::scope())))
}
