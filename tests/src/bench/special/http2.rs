//! A thousand streams on a few connections of HTTP/2 in clear, read by h2load.

use std::time::Duration;

use tokio::process::Command;

use crate::bench::client::{Client, Pace};
use crate::bench::meter::Meter;
use crate::bench::options::Options;
use crate::bench::payload::Template;
use crate::bench::sample::{Cell, Sample, Value};
use crate::bench::server::{Kind, Server, Wanted, Workshop};
use crate::bench::session::{Bench, on_a_thread, text};
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
    let mut server = Server::start(Kind::Gateway, workshop, wanted).await?;
    let load = h2load(&server, connections)?;
    let admin = server.admin.clone();
    until("all streams are open", PATIENCE, || async {
        (metric(&admin, "sse_active_connections").await >= STREAMS as f64).then_some(())
    })
    .await;
    let mut publisher = server.publisher.take().ok_or("a server that nobody feeds")?;
    let helpers = [workshop.helpers(), vec![load.pid()]].concat();
    let meter = Meter::new(server.pid(), &helpers, workshop.cores);
    let mut used = None;
    let resident = meter.resident();
    for seconds in [0.5, 2.0] {
        let (watched, options) = (meter.clone(), options.clone());
        let start = (meter.read(), sent(&admin).await);
        publisher = on_a_thread(workshop.cores, move || {
            let client = Client::new(1).map_err(text)?;
            let mut bench = Bench { client, publisher, meter: watched, options };
            bench.quiet_run(&[Pace::Rate(RATE)], 0.0, seconds)?;
            Ok(bench.publisher)
        })
        .await?;
        // What was published last is on its way.
        tokio::time::sleep(Duration::from_millis(200)).await;
        used = Some((meter.read().since(start.0), sent(&admin).await - start.1));
    }
    let (used, events) = used.ok_or("nothing was run")?;
    let mut sample = Sample::new(Cell::Http2, Kind::Gateway, connections, BYTES, round)
        .with(Value::MicrosPerEvent, used.server * 1e6 / events)
        .with(Value::EventsPerSecond, events / used.seconds)
        .with(Value::ClientBusy, used.client)
        .with(Value::Strangers, used.strangers)
        .with(Value::ResidentUsed, resident as f64 / STREAMS as f64);
    sample.notes.extend(publisher.trouble());
    drop(load);
    server.stop().await;
    Ok(sample)
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
