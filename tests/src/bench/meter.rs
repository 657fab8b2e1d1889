//! What a run costs: processor time of the server and of the client's side, and what else ran on the server's core.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use super::cores::Cores;
use super::mark;
use crate::measure::{cpu_time, kilobytes, resident};

/// Clock ticks of `/proc/stat` in a second; the same on each Linux (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Processes that are watched together.
#[derive(Clone, Debug)]
pub struct Meter {
    server: Vec<u32>,
    /// The client, who feeds it, and NATS.
    client: Vec<u32>,
    cores: Cores,
}

/// What was used up to a moment.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    at: u64,
    server: Duration,
    client: Duration,
    /// Seconds in which the server's core was not idle.
    core: f64,
}

/// What was used between two moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Used {
    /// How long it was.
    pub seconds: f64,
    /// Processor time of the server, in seconds.
    pub server: f64,
    /// The part of its core that the client's side took.
    pub client: f64,
    /// The part of the server's core that somebody else took.
    pub strangers: f64,
}

impl Meter {
    /// Watches a server with all its processes, and beside it this process and `helpers`.
    pub fn new(server: u32, helpers: &[u32], cores: Cores) -> Self {
        let client = [&[std::process::id()], helpers].concat();
        Self { server: family(server), client, cores }
    }

    /// Watches one more process on the client's side.
    pub fn help(&mut self, helper: u32) {
        self.client.push(helper);
    }

    /// What was used so far.
    pub fn read(&self) -> Reading {
        let sum = |pids: &[u32]| pids.iter().map(|pid| cpu_time(*pid)).sum();
        Reading {
            at: mark::now(),
            server: sum(&self.server),
            client: sum(&self.client),
            core: busy(self.cores.server),
        }
    }

    /// Bytes of memory that are resident in all processes of the server. What they share is counted once for each.
    pub fn resident(&self) -> u64 {
        self.server.iter().map(|pid| resident(*pid)).sum()
    }
}

impl Reading {
    /// What was used since an earlier reading.
    pub fn since(self, before: Self) -> Used {
        let seconds = (self.at - before.at) as f64 / 1e9;
        let server = self.server.saturating_sub(before.server).as_secs_f64();
        let client = self.client.saturating_sub(before.client).as_secs_f64();
        let strangers = ((self.core - before.core - server) / seconds).max(0.0);
        Used { seconds, server, client: client / seconds, strangers }
    }
}

/// A process and all that come from it.
pub fn family(first: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = processes().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut all = BTreeSet::from([first]);
    loop {
        let more: Vec<_> =
            parents.iter().filter(|(pid, parent)| all.contains(parent) && !all.contains(pid)).collect();
        if more.is_empty() {
            return all.into_iter().collect();
        }
        all.extend(more.into_iter().map(|(pid, _)| *pid));
    }
}

fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent(pid: u32) -> Option<u32> {
    // The name stands in brackets and may hold anything.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Bytes that the kernel holds in small objects, sockets among them; those of all processes.
pub fn kernel_objects() -> u64 {
    kilobytes("/proc/meminfo", "Slab:").unwrap_or_default()
}

/// Seconds in which a core was not idle, to the hundredth.
fn busy(core: usize) -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("cpu{core} ")));
    let fields: Vec<u64> =
        line.unwrap_or_default().split(' ').filter_map(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal …: all but the two of rest, and what is counted in others.
    let busy: u64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|field| fields.get(*field)).sum();
    busy as f64 / TICKS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_a_process_and_its_children() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mine = family(std::process::id());
        assert!(mine.contains(&std::process::id()) && mine.contains(&child.id()));
        assert!(!mine.contains(&1) && family(child.id()) == [child.id()]);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn work_shows_and_is_not_a_strangers() {
        let cores = Cores::find();
        let meter = Meter::new(std::process::id(), &[], cores);
        let before = meter.read();
        let began = mark::now();
        let mut sum = 0u64;
        while mark::now() < began + 50_000_000 {
            sum = std::hint::black_box(sum.wrapping_mul(3) + 1);
        }
        let used = meter.read().since(before);
        assert!(used.server > 0.005 && used.seconds >= 0.05, "{used:?}");
        assert!(meter.resident() > 1024 * 1024);
    }
}
