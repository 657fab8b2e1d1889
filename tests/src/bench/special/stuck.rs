//! Clients that have stopped reading: what the kernel and the server hold for each of them.

use std::process::Command;

use crate::bench::client::Pace;
use crate::bench::options::Options;
use crate::bench::payload::Template;
use crate::bench::sample::{Cell, Sample, Value};
use crate::bench::server::{Kind, Wanted, Workshop};
use crate::bench::session::{on_a_thread, prepare, text};

/// Those who stop; one goes on.
const STUCK: usize = 100;

/// Bytes of an event.
const BYTES: usize = 2 * 1024;

/// Events in a second, and for how many seconds: more than the largest buffers of both ends.
const FLOOD: (f64, f64) = (1000.0, 6.0);

pub(super) async fn measure(
    kind: Kind,
    round: u32,
    workshop: &mut Workshop,
    options: &Options,
) -> Result<Vec<Sample>, String> {
    let template = [Template::new(BYTES)];
    // A client that lags is treated as by default: that is what bounds it.
    let wanted = Wanted { templates: &template, bounded: true };
    let (server, mut bench) = prepare(kind, workshop, wanted, options).await?;
    let (way, port) = (server.ways.first().cloned(), server.address().port());
    let measured = on_a_thread(workshop.cores, move || {
        bench.client.open(&way.ok_or("a server without streams")?, STUCK + 1).map_err(text)?;
        // What is kept of the topic for all is there before.
        bench.quiet_run(&[Pace::Rate(200.0)], 0.2, 1.0)?;
        let before = bench.meter.resident();
        let ports = bench.client.stop_reading(STUCK).map_err(text)?;
        let mut outcome = bench.quiet_run(&[Pace::Rate(FLOOD.0)], 0.2, FLOOD.1)?;
        let grown = bench.meter.resident().saturating_sub(before);
        let sample = Sample::new(Cell::Stuck, kind, STUCK, BYTES, round)
            .with_outcome(&mut outcome, bench.client.faults())
            .with(Value::ResidentStuck, grown as f64 / STUCK as f64);
        Ok(vec![sample.with(Value::KernelStuck, held(port, &ports)? as f64)])
    })
    .await;
    server.stop().await;
    measured
}

/// The most that the kernel holds for one of a server's sockets to these ports, as `ss` tells it.
fn held(server: u16, clients: &[u16]) -> Result<u64, String> {
    let mut command = Command::new("ss");
    command.args(["--tcp", "--memory", "--numeric", "--no-header", "--oneline", "state", "established"]);
    let output = command.arg(format!("sport = :{server}")).output();
    let output =
        output.map_err(|error| format!("cannot run ss ({error}): run deploy/local/install.sh ss"))?;
    let told = String::from_utf8_lossy(&output.stdout);
    let is_of = |line: &str, port: &u16| {
        line.split_whitespace().nth(3).is_some_and(|peer| peer.ends_with(&format!(":{port}")))
    };
    let mine = told.lines().filter(|line| clients.iter().any(|port| is_of(line, port)));
    mine.filter_map(memory).max().ok_or_else(|| "ss does not tell of the stuck clients".to_owned())
}

/// What a line's `skmem:(…)` adds up to: received (r), in the write queue (w), reserved (f), options (o).
fn memory(line: &str) -> Option<u64> {
    let inside = line.split_once("skmem:(")?.1.split_once(')')?.0;
    let field = |field: &str| {
        let digits = field.strip_prefix(['r', 'w', 'f', 'o'])?;
        digits.parse::<u64>().ok()
    };
    Some(inside.split(',').filter_map(field).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_socket_is_what_ss_says() {
        let line =
            "0 2560 127.0.0.1:80 127.0.0.1:5000 skmem:(r0,rb131072,t0,tb2626560,f1792,w2304,o0,bl0,d0)";
        assert_eq!(memory(line), Some(1792 + 2304));
        assert_eq!(memory("0 0 127.0.0.1:80 127.0.0.1:5000"), None);
    }
}
