//! A topic with very many readers at a low rate, and beside it one with few at a higher: how late the few are.

use crate::bench::client::Pace;
use crate::bench::options::Options;
use crate::bench::payload::Template;
use crate::bench::sample::{Cell, Sample, Value};
use crate::bench::server::{Kind, Wanted, Workshop};
use crate::bench::session::{on_a_thread, prepare, text};
use crate::measure::stats;

/// Readers of the small topic.
const FEW: usize = 10;

/// Bytes of an event of either.
const BYTES: usize = 2 * 1024;

/// Events in a second: of the large topic, of the small one.
const RATES: [f64; 2] = [6.0, 50.0];

pub(super) async fn measure(
    kind: Kind,
    round: u32,
    workshop: &mut Workshop,
    options: &Options,
) -> Result<Vec<Sample>, String> {
    let templates = [Template::new(BYTES), Template::new(BYTES)];
    let wanted = Wanted { templates: &templates, bounded: false };
    let (server, mut bench) = prepare(kind, workshop, wanted, options).await?;
    let ways = server.ways.clone();
    let measured = on_a_thread(workshop.cores, move || {
        let counts = [bench.options.crowd, FEW];
        for (way, count) in ways.iter().zip(counts) {
            bench.client.open(way, count).map_err(text)?;
        }
        let mut outcome = bench.quiet_run(&RATES.map(Pace::Rate), 1.0, 4.0)?;
        let large = outcome.tallies.first_mut().and_then(|large| stats::permille(&mut large.delays, 990));
        let sample = Sample::new(Cell::HeadOfLine, kind, bench.options.crowd, BYTES, round)
            .with_outcome(&mut outcome, bench.client.faults());
        Ok(vec![sample.with(Value::P99OfLarge, f64::from(large.unwrap_or_default()) / 1e3)])
    })
    .await;
    server.stop().await;
    measured
}
