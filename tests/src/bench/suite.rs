//! The order of things: in each round every server is measured with the same events, one close after the other.

use super::cores::Cores;
use super::options::Options;
use super::sample::{Cell, Sample};
use super::server::{Kind, Workshop};
use super::session::Session;
use super::special;

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Results {
    /// The samples.
    pub samples: Vec<Sample>,
    /// What could not be measured, and why.
    pub left_out: Vec<String>,
}

impl Results {
    fn take(&mut self, measured: Result<Vec<Sample>, String>, what: &str) {
        match measured {
            Ok(samples) => self.samples.extend(samples),
            Err(why) => {
                let told = format!("{what}: {why}");
                if !self.left_out.contains(&told) {
                    self.left_out.push(told);
                }
            }
        }
    }

    /// What the gateway did that it must never do.
    pub fn broken(&self) -> Vec<String> {
        self.samples.iter().filter_map(Sample::broken).collect()
    }
}

/// Rounds of what takes long and varies little.
const FEW: u32 = 3;

/// Measures all that is asked for; `told` hears what is done. When it is dropped, `results` has what was measured until then.
pub async fn run(options: &Options, cores: Cores, results: &mut Results, mut told: impl FnMut(&str)) {
    let mut workshop = Workshop::new(cores);
    for round in 0..options.rounds {
        for (connections, bytes) in options.sessions() {
            for kind in order(&options.servers, round) {
                if !has_session(options) {
                    continue;
                }
                let what = format!("{}, {connections} connections, {bytes} bytes", kind.name());
                told(&format!("round {} of {}: {what}", round + 1, options.rounds));
                let session = Session { kind, connections, bytes, round };
                results.take(session.measure(&mut workshop, options).await, &what);
            }
        }
        for cell in [Cell::HeadOfLine, Cell::Stuck, Cell::Http2, Cell::Gzip] {
            let rounds = if cell == Cell::Http2 { options.rounds } else { options.rounds.min(FEW) };
            if !options.has(cell) || round >= rounds {
                continue;
            }
            for kind in order(&options.servers, round).filter(|kind| special::has(cell, *kind)) {
                let what = format!("{}, {}", kind.name(), cell.name());
                told(&format!("round {} of {}: {what}", round + 1, options.rounds));
                results.take(special::measure(cell, kind, round, &mut workshop, options).await, &what);
            }
        }
    }
}

fn has_session(options: &Options) -> bool {
    [Cell::Open, Cell::Paced, Cell::Saturated, Cell::Backlog].iter().any(|cell| options.has(*cell))
}

/// The servers, begun with another one in each round: whatever drifts hits each alike.
fn order(servers: &[Kind], round: u32) -> impl Iterator<Item = Kind> {
    let mut servers = servers.to_vec();
    let by = round as usize % servers.len().max(1);
    servers.rotate_left(by);
    servers.into_iter()
}
