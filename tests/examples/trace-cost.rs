//! What the spans of one evaluation cost, on both programs together: without an exporter, and with one that samples nothing.
//! `make bench-traces`.
#![expect(clippy::print_stdout, reason = "it measures, and prints what it found")]

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use promcast_proto::tick::Tick;
use promcast_proto::topic::{Datasource, Key, Topic};
use promcast_runtime::config::Log;
use promcast_runtime::telemetry::{self, Format, Program};
use promcast_runtime::trace::Context;
use promcast_runtime::trace::spans::{self, Message};
use rustix::time::{ClockId, clock_gettime};
use tracing::Span;

/// Evaluations in a round.
const ROUND: u32 = 2_000;

/// Rounds; the best counts, since others use the processor too.
const ROUNDS: u32 = 40;

/// Nobody listens there.
const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");

type Problem = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Problem> {
    if std::env::args().nth(1).as_deref() == Some("measure") {
        return measure().await;
    }
    let off = vec![ENDPOINT, ("OTEL_TRACES_SAMPLER", "parentbased_always_off")];
    for (name, variables) in [("no exporter", Vec::new()), ("nothing sampled", off)] {
        let child = Command::new(std::env::current_exe()?).arg("measure").envs(variables).output()?;
        println!("{name}: {} ns", String::from_utf8_lossy(&child.stdout).trim());
    }
    Ok(())
}

async fn measure() -> Result<(), Problem> {
    let log = Log { format: Format::Json, filter: "error".to_owned(), color: false };
    let env: BTreeMap<_, _> = std::env::vars().collect();
    let telemetry = telemetry::init(&log, Program { name: "trace-cost", version: "0" }, &env)?;
    let topic = Topic::new(Datasource::default(), "up".to_owned());
    let key = topic.key();
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let begin = processor_time();
        for tick in 0..ROUND {
            evaluation(topic.datasource(), key, Tick::from_millis(i64::from(tick)));
        }
        best = best.min(processor_time() - begin);
    }
    println!("{}", best.as_nanos() / u128::from(ROUND));
    telemetry.end().await;
    Ok(())
}

/// What this thread has used of the processor: what others use does not count.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The spans that one tick of a topic makes, as they are made along its way.
fn evaluation(datasource: &Datasource, topic: Key, tick: Tick) {
    let message = |channel| Message { system: "nats", channel, datasource, topic, tick };
    let job = spans::send(&Span::none(), message("job"));
    job.record("promcast.attempt", 0).record("promcast.outcome", "queued");
    let work = spans::process(Context::of(&job).as_ref(), message("job"));
    let query = spans::call(&work, "POST", "127.0.0.1", 9090, "/api/v1/query");
    let told = Context::of(&query).map(|context| context.headers().count());
    query.record("http.response.status_code", 200);
    let update = spans::send(&work, message("in"));
    let arrival = spans::process(Context::of(&update).as_ref(), message("out"));
    arrival.record("promcast.viewers", 100).record("promcast.bytes", 5_000).record("promcast.skipped", 0);
    std::hint::black_box(told);
}
