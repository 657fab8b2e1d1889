//! What a gateway does with an update and for a connection: frames in each format, the hub, a read, a query's check.
#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use promcast_gateway::sse::Format;

mod audience;
#[path = "../../proto/benches/series.rs"]
mod series;
mod work;

use audience::Audience;

/// Series of an update, from a panel to a fleet.
const SIZES: [usize; 4] = [8, 64, 1_000, 10_000];

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("message_to_event");
    for count in SIZES {
        let (message, memory) = (work::message(count), work::memory());
        group.throughput(Throughput::Elements(count as u64));
        for format in Format::ALL {
            let id = BenchmarkId::new(format.as_str(), count);
            group.bench_with_input(id, &message, |b, message| {
                b.iter(|| work::framed(message, &memory, format));
            });
        }
    }
    group.finish();
}

fn connections(c: &mut Criterion) {
    let event = work::packed(series::document(8).as_bytes()).unpack(work::LIMIT).expect("a body");
    let mut group = c.benchmark_group("fan_out");
    for (connections, topics) in [(1_000, 1), (10_000, 1), (50, 32)] {
        let audience = std::cell::RefCell::new(Audience::new(connections, topics, Format::Prometheus));
        group.throughput(Throughput::Elements((connections * topics) as u64));
        let id = BenchmarkId::from_parameter(format!("{topics}_topics_to_{connections}"));
        group.bench_function(id, |b| {
            b.iter_batched(
                || audience.borrow().publish(&event),
                |()| audience.borrow_mut().read(),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn checks(c: &mut Criterion) {
    c.bench_function("scope/guard_parse_restrict_print", |b| b.iter(work::scope));
}

criterion_group!(benches, frames, connections, checks);
criterion_main!(benches);
