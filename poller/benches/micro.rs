//! What a poller makes of an answer: counted, classified, rendered, packed, put into an envelope.
#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use promcast_poller::encode;
use promcast_poller::prometheus::classify;
use promcast_poller::prometheus::meter::Meter;
use promcast_proto::envelope;
use promcast_proto::tick::Tick;
use promcast_proto::topic::{Datasource, Topic};
use promcast_proto::update::{Outcome, Update};

#[path = "../../proto/benches/series.rs"]
mod series;

/// Series of an update, from a panel to a fleet.
const SIZES: [usize; 4] = [8, 64, 1_000, 10_000];

/// Any limit of bytes, far off.
const LIMIT: usize = 64 << 20;

fn answers(c: &mut Criterion) {
    let key = Topic::new(Datasource::default(), series::QUERY.to_owned()).key();
    let mut group = c.benchmark_group("poller");
    for count in SIZES {
        let document = series::document(count).into_bytes();
        group.throughput(Throughput::Bytes(document.len() as u64));
        group.bench_with_input(BenchmarkId::new("meter", count), &document, |b, document| {
            b.iter(|| Meter::default().feed(document));
        });
        group.bench_with_input(BenchmarkId::new("classify", count), &document, |b, document| {
            b.iter(|| classify::answer(200, document));
        });
        let answer = classify::answer(200, &document).expect("a result");
        group.bench_with_input(BenchmarkId::new("render_and_pack", count), &answer, |b, answer| {
            b.iter(|| encode::result(key, Tick::MIN, 12, answer, LIMIT));
        });
        group.bench_with_input(BenchmarkId::new("answer_to_message", count), &document, |b, document| {
            b.iter(|| {
                let answer = classify::answer(200, document).expect("a result");
                let body = encode::result(key, Tick::MIN, 12, &answer, LIMIT).expect("within the limits");
                envelope::encode(&Update {
                    key,
                    tick: Tick::MIN,
                    took_ms: 12,
                    outcome: Outcome::Result(body),
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, answers);
criterion_main!(benches);
