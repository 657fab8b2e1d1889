//! A thousand streams on a few connections of HTTP/2 in clear, read by h2load.

use std::time::Duration;

use tokio::process::Command;

use crate::bench::client::Pace;
use crate::bench::options::Options;
use crate::bench::payload::Template;
use crate::bench::sample::{Cell, Sample, Value};
use crate::bench::server::{Kind, Server, Wanted, Workshop};
use crate::bench::session::{Bench, on_a_thread, prepare};
use crate::http;
use crate::process::Process;
use crate::wait::{PATIENCE, until};

/// Streams in all.
const STREAMS: usize = 1000;

/// On so many connections each time.
const CONNECTIONS: [usize; 2] = [100, 10];

/// Bytes of an event.
const BYTES: usize = 2 * 1024;

/// Events in a second for each stream: as many in all as in the paced cells.
const RATE: f64 = 60.0;

/// Seconds that are not measured, and that are.
const WARM: f64 = 0.5;
const MEASURED: f64 = 2.0;

pub(super) async fn measure(
    round: u32,
    workshop: &mut Workshop,
    options: &Options,
) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::new();
    for connections in CONNECTIONS {
        samples.push(on(connections, round, workshop, options).await?);
    }
    Ok(samples)
}

async fn on(
    connections: usize,
    round: u32,
    workshop: &mut Workshop,
    options: &Options,
) -> Result<Sample, String> {
    let template = [Template::new(BYTES)];
    let wanted = Wanted { templates: &template, bounded: false };
    let (server, mut bench) = prepare(Kind::Gateway, workshop, wanted, options).await?;
    let load = h2load(&server, connections)?;
    bench.meter.help(load.pid());
    let (meter, admin) = (bench.meter.clone(), server.admin.clone());
    let before = meter.resident();
    until("all streams are open", PATIENCE, || async {
        (metric(&admin, "sse_active_connections").await >= STREAMS as f64).then_some(())
    })
    .await;
    let grown = meter.resident().saturating_sub(before);
    let bench = feed(bench, workshop, WARM).await?;
    let (before, sent_before) = (meter.read(), sent(&admin).await);
    let bench = feed(bench, workshop, MEASURED).await?;
    let (used, events) = (meter.read().since(before), sent(&admin).await - sent_before);
    let mut sample = Sample::new(Cell::Http2, Kind::Gateway, connections, BYTES, round)
        .with(Value::MicrosPerEvent, used.server * 1e6 / events)
        .with(Value::EventsPerSecond, events / used.seconds)
        .with(Value::ClientBusy, used.client)
        .with(Value::Strangers, used.strangers)
        .with(Value::ResidentUsed, grown as f64 / STREAMS as f64);
    sample.notes.extend(bench.publisher.trouble());
    drop(load);
    server.stop().await;
    Ok(sample)
}

/// Publishes for so many seconds, and waits a moment for what is on its way. There is nobody whose reading could be waited for.
async fn feed(mut bench: Bench, workshop: &Workshop, seconds: f64) -> Result<Bench, String> {
    let bench = on_a_thread(workshop.cores, move || {
        bench.quiet_run(&[Pace::Rate(RATE)], 0.0, seconds)?;
        Ok(bench)
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    bench
}

fn h2load(server: &Server, connections: usize) -> Result<Process, String> {
    let way = server.ways.first().ok_or("a server without streams")?;
    let request = String::from_utf8_lossy(&way.request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    if !std::path::Path::new("/usr/bin/h2load").is_file() {
        return Err("h2load is missing: run deploy/local/install.sh h2load".to_owned());
    }
    let mut command = Command::new("/usr/bin/h2load");
    let each = STREAMS / connections;
    command.args(["-t", "1", "-c", &connections.to_string(), "-m", &each.to_string()]);
    command.args(["-n", &STREAMS.to_string()]).arg(format!("http://{}{path}", way.address));
    Ok(Process::spawn("h2load", &mut command))
}

async fn sent(admin: &str) -> f64 {
    metric(admin, r#"sse_messages_sent_total{event="update"}"#).await
}

async fn metric(admin: &str, name: &str) -> f64 {
    let all = http::get(&format!("http://{admin}/metrics")).await.body;
    let value = all.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_default()
}
