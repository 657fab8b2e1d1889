//! One server, so many connections, one size of events: what it costs to open them, to feed them at a rate, and to feed them
//! as fast as they read.

use std::time::Duration;

use super::client::{Client, Outcome, Pace, Run};
use super::cores::Cores;
use super::meter::{self, Meter};
use super::options::Options;
use super::payload::Template;
use super::publish::Publisher;
use super::sample::{Cell, Sample, Value};
use super::server::{Kind, Server, Wanted, Workshop};

/// A part of the server's core that others took, above which a run is repeated.
const DISTURBED: f64 = 0.10;

/// How often a run is repeated that was disturbed.
const REPEATS: usize = 1;

/// What is measured in one session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Whom.
    pub kind: Kind,
    /// Connections.
    pub connections: usize,
    /// Bytes of an event.
    pub bytes: usize,
    /// The round.
    pub round: u32,
}

impl Session {
    /// Measures; what came of it.
    ///
    /// # Errors
    /// Why the server could not be measured, in words.
    pub async fn measure(&self, workshop: &mut Workshop, options: &Options) -> Result<Vec<Sample>, String> {
        let template = Template::new(self.bytes);
        let wanted = Wanted { templates: &[template], bounded: false };
        let (server, mut bench) = prepare(self.kind, workshop, wanted, options).await?;
        let (session, way) = (self.clone(), server.ways.first().cloned());
        let measured = on_a_thread(workshop.cores, move || {
            session.all(&mut bench, &way.ok_or("a server without streams")?)
        })
        .await;
        server.stop().await;
        measured
    }

    fn sample(&self, cell: Cell) -> Sample {
        Sample::new(cell, self.kind, self.connections, self.bytes, self.round)
    }

    fn all(&self, bench: &mut Bench, way: &super::client::Way) -> Result<Vec<Sample>, String> {
        let mut samples = Vec::new();
        let mut opened = self.open(bench, way)?;
        if bench.options.has(Cell::Paced) {
            let pace = Pace::Rate(self.rate());
            // Few passes are in a second with many connections.
            let measured = if self.connections > 1000 { 3.0 } else { 1.5 };
            samples.push(self.run(bench, Cell::Paced, pace, measured)?);
        }
        if bench.options.has(Cell::Saturated) {
            samples.push(self.run(bench, Cell::Saturated, Pace::Loop { outstanding: 2, burst: 1 }, 1.0)?);
        }
        if bench.options.has(Cell::Backlog) && matches!(self.kind, Kind::Gateway | Kind::Limit) {
            samples.push(self.run(bench, Cell::Backlog, Pace::Loop { outstanding: 16, burst: 8 }, 1.0)?);
        }
        if let Some(base) = opened.1 {
            let grown = bench.meter.resident().saturating_sub(base);
            opened.0 = opened.0.with(Value::ResidentUsed, self.each(grown));
        }
        samples.push(opened.0);
        for sample in &mut samples {
            sample.notes.extend(bench.publisher.trouble());
        }
        Ok(samples)
    }

    /// Opens the streams; what the server had in memory before.
    fn open(&self, bench: &mut Bench, way: &super::client::Way) -> Result<(Sample, Option<u64>), String> {
        // The first stream makes what all share.
        let (_, failed) = bench.client.open(way, 1).map_err(text)?;
        if failed > 0 {
            return Err(format!("{} refuses streams: {}", self.kind.name(), bench.client.head(0)));
        }
        let (resident, kernel) = (bench.meter.resident(), meter::kernel_objects());
        let (took, failed) = bench.client.open(way, self.connections - 1).map_err(text)?;
        bench.idle(bench.options.lasts(0.5))?;
        let mut sample = self.sample(Cell::Open).with(Value::Refused, failed as f64);
        if self.connections < 100 {
            return Ok((sample, None));
        }
        sample = sample
            .with(Value::ConnectsPerSecond, (self.connections - 1 - failed) as f64 / took.as_secs_f64())
            .with(Value::ResidentIdle, self.each(bench.meter.resident().saturating_sub(resident)))
            .with(Value::KernelPerConnection, self.each(meter::kernel_objects().saturating_sub(kernel)));
        Ok((sample, Some(resident)))
    }

    fn each(&self, bytes: u64) -> f64 {
        bytes as f64 / (self.connections - 1) as f64
    }

    fn run(&self, bench: &mut Bench, cell: Cell, pace: Pace, measured: f64) -> Result<Sample, String> {
        let before = bench.client.faults();
        let mut outcome = bench.quiet_run(&[pace], 0.5, measured)?;
        let faults = bench.client.faults() - before;
        let mut sample = self.sample(cell).with_outcome(&mut outcome, faults);
        if cell == Cell::Paced {
            sample.notes.push(format!("{:.0} events/s to each", self.rate()));
        }
        Ok(sample)
    }

    /// Events in a second for each connection: what makes 60,000 deliveries, or a sixth of these where they are large. Pushpin
    /// gets a quarter, which it can take.
    fn rate(&self) -> f64 {
        let (deliveries, most) = if self.bytes < 16 * 1024 { (60_000.0, 1000.0) } else { (10_000.0, 100.0) };
        let share = if self.kind == Kind::Pushpin { 0.25 } else { 1.0 };
        f64::min(deliveries / self.connections as f64, most) * share
    }
}

/// What a measurement is made with, on the client's thread.
pub(super) struct Bench {
    pub(super) client: Client,
    pub(super) publisher: Box<dyn Publisher>,
    pub(super) meter: Meter,
    pub(super) options: Options,
}

/// A server, and what it is measured with.
pub(super) async fn prepare(
    kind: Kind,
    workshop: &mut Workshop,
    wanted: Wanted<'_>,
    options: &Options,
) -> Result<(Server, Bench), String> {
    let mut server = Server::start(kind, workshop, wanted).await?;
    let publisher = server.publisher.take().ok_or("a server that nobody feeds")?;
    let meter = Meter::new(server.pid(), &workshop.helpers(), workshop.cores);
    let client = Client::new(wanted.templates.len()).map_err(text)?;
    Ok((server, Bench { client, publisher, meter, options: options.clone() }))
}

impl Bench {
    /// Reads for a while, and publishes nothing.
    pub(super) fn idle(&mut self, lasts: Duration) -> Result<(), String> {
        let run = Run { paces: &[], warm: Duration::ZERO, measured: lasts };
        self.client.run(&mut *self.publisher, run, &self.meter).map(drop).map_err(text)
    }

    /// Runs, and runs again where others took the server's core meanwhile; the run that was disturbed least.
    pub(super) fn quiet_run(&mut self, paces: &[Pace], warm: f64, measured: f64) -> Result<Outcome, String> {
        let run = Run { paces, warm: self.options.lasts(warm), measured: self.options.lasts(measured) };
        let mut best: Option<Outcome> = None;
        for _ in 0..=REPEATS {
            let outcome = self.client.run(&mut *self.publisher, run, &self.meter).map_err(text)?;
            if best.as_ref().is_none_or(|best| outcome.used.strangers < best.used.strangers) {
                best = Some(outcome);
            }
            if best.as_ref().is_some_and(|best| best.used.strangers < DISTURBED) {
                break;
            }
        }
        best.ok_or_else(|| "nothing was run".to_owned())
    }
}

/// Runs what blocks on a thread of the client's core, while this one goes on with the bus.
pub(super) async fn on_a_thread<T: Send + 'static>(
    cores: Cores,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let worked = tokio::task::spawn_blocking(move || {
        cores.enter_client();
        work()
    });
    worked.await.unwrap_or_else(|error| Err(format!("the client failed: {error}")))
}

pub(super) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
