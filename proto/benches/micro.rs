//! What the wire costs: ticks, cursors, bodies, envelopes.
#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use promcast_proto::body::Body;
use promcast_proto::cursor::Cursor;
use promcast_proto::envelope;
use promcast_proto::tick::{Grid, Interval, Tick};
use promcast_proto::topic::{Datasource, Topic};
use promcast_proto::update::{Outcome, Update};

#[expect(dead_code, reason = "other benchmarks are about whole documents")]
mod series;

/// Series of an update, from a panel to a fleet.
const SIZES: [usize; 4] = [8, 64, 1_000, 10_000];

fn topic() -> Topic {
    Topic::new(Datasource::default(), series::QUERY.to_owned())
}

fn ticks(c: &mut Criterion) {
    let interval = Interval::from_secs(15).expect("an interval of the contract");
    let grid = Grid::new(topic().key().phase(), interval);
    let now = Tick::from_millis(1_764_000_003_007);
    c.bench_function("tick/at_or_before", |b| b.iter(|| grid.at_or_before(black_box(now))));
    c.bench_function("tick/next_after", |b| b.iter(|| grid.next_after(black_box(now))));
    let hour_ago = now.plus_millis(-3_600_000);
    c.bench_function("tick/count_an_hour", |b| b.iter(|| grid.count(black_box(hour_ago), now)));
    c.bench_function("tick/topic_key", |b| b.iter(topic));
}

fn cursors(c: &mut Criterion) {
    for places in [1, 32] {
        let tick = |number: i64| Some(Tick::from_millis(1_764_000_000_000 + 1_237 * number));
        let cursor = Cursor::new((0..places).map(tick));
        let text = cursor.encode().expect("a cursor of ticks");
        c.bench_with_input(BenchmarkId::new("cursor/encode", places), &cursor, |b, cursor| {
            b.iter(|| cursor.encode());
        });
        c.bench_with_input(BenchmarkId::new("cursor/decode", places), &text, |b, text| {
            b.iter(|| Cursor::decode(text));
        });
    }
}

fn bodies(c: &mut Criterion) {
    let mut group = c.benchmark_group("wire");
    for count in SIZES {
        let json = series::data(count).into_bytes();
        group.throughput(Throughput::Bytes(json.len() as u64));
        group.bench_with_input(BenchmarkId::new("pack", count), &json, |b, json| {
            b.iter_batched(|| json.clone(), Body::pack, criterion::BatchSize::LargeInput);
        });
        // Over a limit of the bus there is nothing to send.
        let Ok(body) = Body::pack(json.clone()) else { continue };
        group.bench_with_input(BenchmarkId::new("unpack", count), &body, |b, body| {
            b.iter_batched(|| body.clone(), |body| body.unpack(json.len()), criterion::BatchSize::LargeInput);
        });
        let key = topic().key();
        let update = Update { key, tick: Tick::MIN, took_ms: 12, outcome: Outcome::Result(body) };
        let message = envelope::encode(&update).expect("a message");
        group.bench_with_input(BenchmarkId::new("envelope_encode", count), &update, |b, update| {
            b.iter(|| envelope::encode(update));
        });
        group.bench_with_input(BenchmarkId::new("envelope_decode", count), &message, |b, message| {
            b.iter(|| envelope::decode::<Update>(message));
        });
    }
    group.finish();
}

criterion_group!(benches, ticks, cursors, bodies);
criterion_main!(benches);
