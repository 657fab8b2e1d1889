//! `bench-formats`: bytes of an update of DCGM series in each format, and what it takes to make it.
//!
//! The label sets are those of nodes with eight GPUs under the gpu-operator, whose scrape does not honour labels. Bytes
//! are of whole events, with their `id` line, before any compression; they are the same in each run.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program for a developer's terminal")]

use std::fmt::Write;
use std::time::Duration;

use promcast_gateway::sse::{Format, Frame, Memory};
use promcast_proto::body::Body;
use promcast_proto::tick::Tick;
use promcast_proto::topic::{Datasource, Topic};
use promcast_proto::update::{Outcome, Update};
use rustix::time::{ClockId, clock_gettime};

const SIZES: [usize; 3] = [8, 64, 1000];

/// The best of so many runs counts: others use the machine too.
const RUNS: usize = 20;

const TICK: i64 = 1_764_000_003_007;

fn main() {
    println!("| series | prometheus | compact | compact, other order | its `schema`, once | grafana |");
    println!("|---:|---:|---:|---:|---:|---:|");
    for series in SIZES {
        let memory = memory();
        let first = frame(&memory, (0..series).collect());
        let other = frame(&memory, (0..series).rev().collect());
        let schema = first.rendered(Format::Compact).schema().expect("a vector has a schema").event().len();
        let size = |frame: &Frame, format| frame.rendered(format).whole().len();
        println!(
            "| {series} | {} | {} | {} | {schema} | {} |",
            size(&first, Format::Prometheus),
            size(&first, Format::Compact),
            size(&other, Format::Compact),
            size(&first, Format::Grafana)
        );
    }
    let series = *SIZES.last().expect("sizes");
    println!("\nprocessor time to make an update of {series} series:");
    let memory = memory();
    let made = frame(&memory, (0..series).collect());
    made.rendered(Format::Compact);
    for (what, format, reversed) in [
        ("compact", Format::Compact, false),
        ("compact, other order", Format::Compact, true),
        ("grafana", Format::Grafana, false),
    ] {
        let places =
            || -> Vec<_> { if reversed { (0..series).rev().collect() } else { (0..series).collect() } };
        let best = (0..RUNS).map(|_| time(&frame(&memory, places()), format)).min().expect("runs");
        println!("{what}: {} µs", best.as_micros());
    }
}

fn topic() -> Topic {
    Topic::new(Datasource::default(), "DCGM_FI_DEV_POWER_USAGE".to_owned())
}

fn memory() -> Memory {
    Memory::new(topic().key())
}

/// An update of the series with these numbers, in this order.
fn frame(memory: &Memory, series: Vec<usize>) -> Frame {
    let key = topic().key();
    let mut result = String::new();
    for series in series {
        result.push_str(if result.is_empty() { "" } else { "," });
        write!(result, r#"{{"metric":{},"value":[1764000003.007,"{}"]}}"#, labels(series), watts(series))
            .expect("writing to a string");
    }
    let data = format!(r#"{{"resultType":"vector","result":[{result}]}}"#);
    let json = format!(r#"{{"topic":"{key}","tick":{TICK},"took_ms":12,"data":{data}}}"#);
    let outcome = Outcome::Result(Body::pack(json.into_bytes()).expect("a body"));
    let update = Update { key, tick: Tick::from_millis(TICK), took_ms: 12, outcome };
    Frame::of_update(update, 8 << 20, memory).expect("a frame")
}

/// The labels of a GPU, as Prometheus stores them: those of the exporter, of the workload and of the scrape.
fn labels(series: usize) -> String {
    let (node, gpu) = (series / 8, series % 8);
    let serial = spread(series);
    format!(
        concat!(
            r#"{{"DCGM_FI_DRIVER_VERSION":"570.172.08","UUID":"GPU-{serial:08x}-4c1d-0f2a-9b7e-{serial:012x}","#,
            r#""__name__":"DCGM_FI_DEV_POWER_USAGE","container":"nvidia-dcgm-exporter","device":"nvidia{gpu}","#,
            r#""endpoint":"gpu-metrics","exported_container":"kserve-container","exported_namespace":"team-{team}","#,
            r#""exported_pod":"llama-3-70b-predictor-{hash:05x}-{gpu}","gpu":"{gpu}","hostname":"gpu-worker-{node:03}","#,
            r#""instance":"10.128.{node}.17:9400","job":"nvidia-dcgm-exporter","modelName":"NVIDIA H200","#,
            r#""namespace":"nvidia-gpu-operator","pci_bus_id":"00000000:{bus:02X}:00.0","pod":"nvidia-dcgm-exporter-{hash:05x}","#,
            r#""service":"nvidia-dcgm-exporter"}}"#
        ),
        serial = serial,
        gpu = gpu,
        team = node % 7,
        hash = spread(node) % 0x10_0000,
        node = node,
        bus = 0x19 + gpu * 0x11,
    )
}

/// Watts, as dcgm-exporter writes doubles and Prometheus prints them.
fn watts(series: usize) -> String {
    let milliwatts = 70_000 + spread(series) % 630_000;
    format!("{}.{:03}", milliwatts / 1000, milliwatts % 1000)
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

/// A number that looks drawn, and is the same in each run.
fn spread(series: usize) -> usize {
    (series + 1).wrapping_mul(0x9e37_79b1) % 0x1_0000_0000
}

/// The processor time of this thread that the rendering takes.
fn time(frame: &Frame, format: Format) -> Duration {
    let now = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
    };
    let before = now();
    std::hint::black_box(frame.rendered(format).whole());
    now().saturating_sub(before)
}
